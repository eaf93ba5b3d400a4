#include "base/json.h"
#include "base/text.h"
#include "command.h"
#include "group_files.h"
#include "store/view_name.h"
#include "text_table.h"

#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace topicfs {

const CommandSpec kResetSpec = {
    "reset",
    "Set where a consumer group goes on",
    {{"PATH", "a group (TOPIC/.groups/GROUP), or one partition of it\n(TOPIC/.groups/GROUP/N), in a mount"}},
    {{"to-earliest", 0, nullptr, "to the oldest record there is"},
     {"to-latest", 0, nullptr, "to the end: only what comes from now on"},
     {"to-offset", 0, "N", "to record N"},
     {"to-datetime", 0, "TIME",
      "to the first record at or after a time: 2026-11-21,\n2026-11-21T14:00, today, -15m, ms1763683200000; in the\n"
      "daemon's zone, or with Z or +01:00"},
     {"shift-by", 0, "N", "N records on, or back where N is below 0"},
     {"dry-run", 0, nullptr, "only show what would be"},
     {"json", 0, nullptr, "a JSON object in place of the table"}},
    "Exactly one of the first five is to be given. All partitions are checked before any is\n"
    "set. A partition that has a reader is refused with exit status 1, and one that cannot be\n"
    "read there with 2.\n",
    "  topicfs reset /mnt/topics/orders/.groups/billing --to-datetime today --dry-run\n"
    "  topicfs reset /mnt/topics/orders/.groups/billing --to-datetime 2026-11-21T14:00\n"
    "  topicfs reset /mnt/topics/orders/.groups/billing/0 --shift-by -100\n",
};

namespace {

bool is_time(const std::string& text) {
    const auto point = parse_view_point(text);
    return point && (std::holds_alternative<ViewAgo>(*point) || std::holds_alternative<CivilTime>(*point) ||
                     std::holds_alternative<TimestampMs>(*point) || std::holds_alternative<ViewDay>(*point));
}

Error wrong_use(const std::string& what) {
    return make_error(ErrorCode::kInvalid, "", "", what);
}

// What to write to N.offset.
Result<std::string> point_of(const CommandLine& line) {
    std::vector<std::string> points;
    if (line.has("to-earliest")) {
        points.emplace_back("earliest");
    }
    if (line.has("to-latest")) {
        points.emplace_back("latest");
    }
    if (const auto offset = line.value("to-offset")) {
        if (!parse_unsigned(*offset)) {
            return wrong_use("--to-offset: '" + *offset + "' is no offset");
        }
        points.push_back(*offset);
    }
    if (const auto time = line.value("to-datetime")) {
        if (!is_time(*time)) {
            return wrong_use("--to-datetime: '" + *time + "' is no time");
        }
        points.push_back(*time);
    }
    if (const auto shift = line.value("shift-by")) {
        const auto records = parse_signed(shift->starts_with('+') ? shift->substr(1) : *shift);
        if (!records || (shift->starts_with('+') && *records < 0)) {
            return wrong_use("--shift-by: '" + *shift + "' is no number of records");
        }
        points.push_back((*records < 0 ? "" : "+") + std::to_string(*records));
    }
    if (points.size() != 1) {
        return wrong_use("give one of --to-earliest, --to-latest, --to-offset, --to-datetime and --shift-by");
    }
    return points.front();
}

struct Change {
    std::uint32_t partition = 0;
    std::uint64_t before = 0;
    std::uint64_t after = 0;
};

// Whom it is about, and what can be read there.
Error with_range(Error error, const GroupFiles& files, std::uint32_t partition) {
    const auto first = files.find(partition, "earliest");
    const auto end = files.find(partition, "latest");
    if (error.code == ErrorCode::kInvalid && first && end) {
        error.detail += "; it has records " + std::to_string(*first) + " to before " + std::to_string(*end);
    }
    return error;
}

// A moment can pass until the daemon is told that a reader has closed, so one is waited for.
Result<std::uint64_t> find(const GroupFiles& files, std::uint32_t partition, const std::string& point) {
    constexpr auto kPatience = std::chrono::milliseconds(500);
    constexpr auto kPause = std::chrono::milliseconds(20);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        auto found = files.find(partition, point);
        if (found || found.error().code != ErrorCode::kBusy || std::chrono::steady_clock::now() >= until) {
            return found;
        }
        std::this_thread::sleep_for(kPause);
    }
}

Result<std::vector<Change>> find_changes(const GroupFiles& files, const std::string& point) {
    std::vector<Change> changes;
    for (const std::uint32_t partition : files.partitions()) {
        TOPICFS_TRY_ASSIGN(const std::uint64_t before, files.committed(partition));
        const auto after = find(files, partition, point);
        if (!after) {
            return with_range(after.error(), files, partition);
        }
        changes.push_back({partition, before, *after});
    }
    return changes;
}

// What was shown is what is written, also where the log has grown since.
Result<void> make_changes(const GroupFiles& files, const std::vector<Change>& changes) {
    for (const Change& change : changes) {
        if (auto written = files.write(change.partition, std::to_string(change.after)); !written) {
            Error error = with_range(std::move(written).error(), files, change.partition);
            if (&change != &changes.front()) {
                error.detail += "; the partitions before it are set";
            }
            return error;
        }
    }
    return {};
}

std::string as_json(const GroupFiles& files, const std::vector<Change>& changes, bool dry_run) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object()
        .member("topic", std::string_view(files.topic()))
        .member("group", std::string_view(files.group()))
        .member("dry_run", dry_run);
    json.key("partitions").begin_array();
    for (const Change& change : changes) {
        json.begin_object()
            .member("partition", change.partition)
            .member("before", change.before)
            .member("after", change.after)
            .end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string as_table(const std::vector<Change>& changes) {
    TextTable table({">PARTITION", ">BEFORE", ">AFTER"});
    for (const Change& change : changes) {
        table.add({std::to_string(change.partition), std::to_string(change.before), std::to_string(change.after)});
    }
    return table.text();
}

Result<int> reset(const CommandLine& line) {
    TOPICFS_TRY_ASSIGN(const std::string point, point_of(line));
    TOPICFS_TRY_ASSIGN(const GroupFiles files, GroupFiles::open(line.argument(0)));
    TOPICFS_TRY_ASSIGN(const std::vector<Change> changes, find_changes(files, point));
    const bool dry_run = line.has("dry-run");
    if (!dry_run) {
        TOPICFS_TRY(make_changes(files, changes));
    }
    return print(line.has("json") ? as_json(files, changes, dry_run) : as_table(changes)) ? kExitDone : kExitFailed;
}

}  // namespace

int run_reset(const CommandLine& line) {
    const auto status = reset(line);
    if (!status) {
        fail(status.error().path.empty() ? "reset: " + status.error().detail : status.error().message());
        return status.error().code == ErrorCode::kBusy ? kExitNo : kExitFailed;
    }
    return *status;
}

}  // namespace topicfs
