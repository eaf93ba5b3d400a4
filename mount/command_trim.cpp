#include "base/json.h"
#include "command.h"
#include "io/fd.h"
#include "status_file.h"
#include "text_table.h"

#include <topicfs/ioctl.h>

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace topicfs {

const CommandSpec kTrimSpec = {
    "trim",
    "Remove the oldest records of a partition, or of all partitions of a topic",
    {{"PATH", "a partition (TOPIC/N) or a topic, in a mount"}},
    {{"to", 0, "POINT",
      "the record that is to be the oldest: an offset, a time (2026-11-21,\n2026-11-21T14:00, today, -15m; in the "
      "daemon's "
      "zone), or end"},
     {"json", 0, nullptr, "a JSON object in place of the table"}},
    "The log start never moves back: an offset before it is refused, a time before it changes\n"
    "nothing. Files that are open can read what was removed for file.delete.delay.ms; then the\n"
    "disk has its space back.\n",
    "  topicfs trim /mnt/topics/orders/0 --to 120000\n"
    "  topicfs trim /mnt/topics/orders --to -1d\n",
};

namespace {

struct Trimmed {
    std::string partition;
    std::uint64_t offset = 0;
    std::uint64_t position = 0;
};

Result<Trimmed> trim(const std::string& path, const std::string& point) {
    // For ioctl(2) only, by who may read and write: open(2), access mode 3. On a full disk nobody may open to append.
    const Fd file(::open(path.c_str(), O_ACCMODE | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "", path);
    }
    const auto asked = std::make_unique<topicfs_trim>();
    if (point.size() >= sizeof asked->point) {
        return make_error(ErrorCode::kInvalid, "", path, "'" + point.substr(0, 32) + "…' is no place in a log");
    }
    std::memcpy(asked->point, point.data(), point.size());
    if (::ioctl(file.get(), TOPICFS_IOC_TRIM, asked.get()) != 0) {
        return errno == ENOTTY ? make_error(ErrorCode::kInvalid, "", path, "no partition of a mounted topicfs")
                               : system_error(errno, "trim", path);
    }
    if (asked->refused.error != 0) {
        return make_error(ErrorCode::kInvalid, "", path, asked->refused.reason);
    }
    const std::size_t slash = path.rfind('/');
    return Trimmed{slash == std::string::npos ? path : path.substr(slash + 1), asked->offset, asked->position};
}

// A partition that is refused keeps the others from nothing.
struct Outcome {
    std::vector<Trimmed> trimmed;
    std::vector<Error> refused;
    void add(Result<Trimmed> one) {
        if (one) {
            trimmed.push_back(*std::move(one));
        } else {
            refused.push_back(std::move(one).error());
        }
    }
};

Outcome trim_all(const std::string& path, const std::string& point) {
    Outcome outcome;
    std::error_code unknown;  // Opening it says why.
    if (!std::filesystem::is_directory(path, unknown)) {
        outcome.add(trim(path, point));
        return outcome;
    }
    const auto status = read_topic_status(path);
    if (!status) {
        outcome.refused.push_back(status.error());
        return outcome;
    }
    for (std::size_t number = 0; number < status->items("partitions").size(); ++number) {
        outcome.add(trim(path + "/" + std::to_string(number), point));
    }
    return outcome;
}

std::string as_json(const std::vector<Trimmed>& trimmed) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("partitions").begin_array();
    for (const Trimmed& one : trimmed) {
        json.begin_object()
            .member("partition", std::string_view(one.partition))
            .member("start_offset", one.offset)
            .member("start_position", one.position)
            .end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string as_table(const std::vector<Trimmed>& trimmed) {
    TextTable table({">PARTITION", ">START_OFFSET", ">START_POSITION"});
    for (const Trimmed& one : trimmed) {
        table.add({one.partition, std::to_string(one.offset), std::to_string(one.position)});
    }
    return table.text();
}

}  // namespace

int run_trim(const CommandLine& line) {
    const auto point = line.value("to");
    if (!point) {
        return fail("trim: --to is missing (see topicfs trim --help)");
    }
    const Outcome outcome = trim_all(line.argument(0), *point);
    const bool is_shown =
        outcome.trimmed.empty() || print(line.has("json") ? as_json(outcome.trimmed) : as_table(outcome.trimmed));
    int status = is_shown ? kExitDone : kExitFailed;
    for (const Error& error : outcome.refused) {
        status = fail(error);
    }
    return status;
}

}  // namespace topicfs
