#include "command.h"
#include "record_file.h"
#include "record_format.h"
#include "store/view_name.h"

#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs {

const CommandSpec kTailSpec = {
    "tail",
    "Show records of a topic or a partition in a mount, with where they come from on wish",
    {{"PATH", "a topic (all its partitions, by time), a partition, or a view, in a mount"}},
    {{"from", 0, "POINT",
      "where to begin; the last 10 records where neither this nor --to\nis given, else the log start"},
     {"to", 0, "POINT", "where to end, before that; a duration (+10m) counts from --from"},
     {"follow", 'f', nullptr, "wait for more at the end, up to --to where that is given"},
     {"format", 0, "FORMAT",
      "what to write for each record: %s the record without its\ndelimiter, %S its bytes, %t topic, %p partition, %o "
      "offset, %d\n"
      "time, %T Unix milliseconds, %%; \\n \\r \\t \\0 \\\\ \\xHH"},
     {"json", 0, nullptr, "a JSON object a record, on a line of its own"}},
    "A point is what a view's name takes: start, end, an offset (1200), the last N records\n"
    "(-100), a duration ago (-15m), a date or time (2026-11-21, 2026-11-21T14:00; in the\n"
    "daemon's zone, or with Z or +01:00), today, yesterday, ms and Unix milliseconds. Without\n"
    "--format and --json the records are written as they are. Offsets are those of the record's\n"
    "own partition; in --from and --to of a whole topic they count all its records, by time.\n",
    "  topicfs tail /mnt/topics/orders\n"
    "  topicfs tail /mnt/topics/orders --from -15m --follow --format '%d %p:%o %s\\n'\n"
    "  topicfs tail /mnt/topics/orders/0 --from 2026-11-21 --to +1d --json\n",
};

namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::string_view kFollow = "+follow";

// As RecordFile::read(); the end also where nobody reads standard output any more, so that who follows does not wait
// for nobody.
Result<std::size_t> read_wanted(RecordFile& file, std::span<char> into) {
    std::array<pollfd, 2> waits = {{{file.descriptor(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}}};
    if (::poll(waits.data(), waits.size(), -1) > 0 && (waits[1].revents & POLLERR) != 0) {
        return std::size_t{0};
    }
    return file.read(into);
}

// What to open for it. A path that says by itself which part it shows takes no options.
Result<std::string> view_path(const CommandLine& line) {
    std::string path = line.argument(0);
    const auto from = line.value("from");
    const auto to = line.value("to");
    if (from) {
        TOPICFS_TRY(parse_view_point(*from));
    }
    if (to) {
        TOPICFS_TRY(parse_view_bound(*to));
    }
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0) {
        return system_error(errno, "", path);
    }
    // A name that leads here from elsewhere is not the one that an '@' can be added to.
    std::error_code unresolved;
    const std::filesystem::path resolved = std::filesystem::canonical(path, unresolved);
    path = unresolved ? path : resolved.string();
    if (S_ISDIR(found.st_mode)) {
        path += "/all";
    }
    std::string name = path.substr(path.rfind('/') + 1);
    const bool follows = name.ends_with(kFollow);
    if (follows) {
        path.resize(path.size() - kFollow.size());
        name.resize(name.size() - kFollow.size());
    }
    const bool is_day = path.find("/.days/") != std::string::npos;
    if (is_day || name.find('@') != std::string::npos) {
        if (from || to || (is_day && line.has("follow"))) {
            return make_error(ErrorCode::kInvalid, "", path,
                              "a view already: it takes no --from, --to" + std::string(is_day ? " or --follow" : ""));
        }
    } else {
        path += "@" + from.value_or(to ? "start" : "-10") + (to ? ".." + *to : "");
    }
    return path + std::string(follows || line.has("follow") ? kFollow : "");
}

// Writes the records one by one as `add` makes them. Returns the exit status.
template <typename Add>
int show_records(RecordFile& file, char delimiter, Add add) {
    std::string bytes;         // read, and not shown yet
    std::uint64_t begin = 0;   // where they are in the file
    std::size_t searched = 0;  // of them: no delimiter there
    std::string out;
    const auto show = [&](std::string_view record, std::size_t size) -> Result<void> {
        TOPICFS_TRY_ASSIGN(const RecordPlace place, file.place_of(begin));
        add(out, place, record);
        file.passed(place, size);
        begin += size;
        return {};
    };
    const auto buffer = std::make_unique<char[]>(kReadBytes);
    for (;;) {
        const auto got = read_wanted(file, {buffer.get(), kReadBytes});
        if (!got) {
            return fail(got.error());
        }
        bytes.append(buffer.get(), *got);
        std::size_t shown = 0;
        for (std::size_t at; (at = bytes.find(delimiter, searched)) != std::string::npos;) {
            if (const auto done = show(std::string_view(bytes).substr(shown, at - shown), at + 1 - shown); !done) {
                return fail(done.error());
            }
            shown = searched = at + 1;
        }
        bytes.erase(0, shown);
        searched = bytes.size();
        if (*got == 0 && !bytes.empty()) {  // a record that is not finished
            if (const auto done = show(bytes, bytes.size()); !done) {
                return fail(done.error());
            }
        }
        if (!print(out)) {
            return errno == EPIPE ? kExitDone : kExitFailed;
        }
        out.clear();
        if (*got == 0) {
            return kExitDone;
        }
    }
}

int show_bytes(RecordFile& file) {
    const auto buffer = std::make_unique<char[]>(kReadBytes);
    for (;;) {
        const auto got = read_wanted(file, {buffer.get(), kReadBytes});
        if (!got) {
            return fail(got.error());
        }
        if (*got == 0) {
            return kExitDone;
        }
        if (!print({buffer.get(), *got})) {
            return errno == EPIPE ? kExitDone : kExitFailed;
        }
    }
}

}  // namespace

int run_tail(const CommandLine& line) {
    std::optional<RecordFormat> format;
    if (const auto text = line.value("format")) {
        if (line.has("json")) {
            return fail("tail: --format and --json exclude each other");
        }
        auto parsed = RecordFormat::parse(*text);
        if (!parsed) {
            return fail("tail: " + parsed.error().detail);
        }
        format = std::move(parsed).value();
    }
    const auto path = view_path(line);
    if (!path) {
        return fail(path.error());
    }
    auto file =
        RecordFile::open(*path, 0,
                         "there is no such view: the offset lies before the log start, or PATH is neither topic, "
                         "partition nor view of a mounted topicfs");
    if (!file) {
        return fail(file.error());
    }
    if (!format && !line.has("json")) {
        return show_bytes(*file);
    }
    const auto delimiter = file->delimiter();
    if (!delimiter) {
        return fail(line.argument(0) + ": a byte log (record.delimiter is none) has no records to show one by one");
    }
    return show_records(*file, *delimiter, [&](std::string& out, const RecordPlace& place, std::string_view record) {
        if (format) {
            format->add(out, place, record);
        } else {
            add_as_json(out, place, record);
        }
    });
}

}  // namespace topicfs
