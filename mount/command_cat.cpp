#include "base/clock.h"
#include "base/text.h"
#include "command.h"
#include "store/views.h"

#include <topicfs/store.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

const CommandSpec kCatSpec = {
    "cat",
    "Write a partition, a topic or a view to standard output, without a mount",
    {{"DATA", "the data directory"}, {"TOPIC/NAME", "the partition, all, or a view: N@FROM[..TO], all@FROM[..TO]"}},
    {},
    "It may run while the store is mounted, and writes what was appended up to now. Where\n"
    "bytes of a partition are damaged it says on stderr which are missing, goes on behind\n"
    "them, and ends with exit status 1; a view ends there. The same where retention removes\n"
    "what it has not read yet. Topics in the trash are found as .trash/TOPIC.\n",
    "  topicfs cat /var/lib/topicfs orders/0\n"
    "  topicfs cat /var/lib/topicfs orders/0@-15m | grep -c error\n"
    "  topicfs cat /var/lib/topicfs orders/all@2026-11-21..2026-11-22\n",
};

namespace {

constexpr std::size_t kReadBytes = 1u << 20;

struct Name {
    std::shared_ptr<Topic> topic;
    std::shared_ptr<Partition> partition;  // of a plain number
    std::optional<ViewName> view;          // of all else
};

constexpr std::string_view kTrash = ".trash/";

Result<Name> find_name(Store& store, const std::string& path) {
    const std::size_t begin = path.starts_with(kTrash) ? kTrash.size() : 0;
    const std::size_t slash = path.find('/', begin);
    const std::string name = slash == std::string::npos ? std::string() : path.substr(slash + 1);
    const auto number = parse_unsigned(name);
    Name found;
    if (name.ends_with("+follow")) {
        return make_error(ErrorCode::kInvalid, "", path, "only a mount can follow");
    }
    if (name == "all") {
        found.view = ViewName{std::nullopt, ViewStart{}, std::nullopt, false};
    } else if (is_view_name(name)) {
        TOPICFS_TRY_ASSIGN(found.view, parse_view_name(name));
    } else if (!number || *number >= kPartitionsMax) {
        return make_error(ErrorCode::kInvalid, "", path,
                          "neither a partition nor a view: TOPIC/N is one, TOPIC/all or TOPIC/N@-15m the other");
    }
    const std::string_view topic = std::string_view(path).substr(begin, slash - begin);
    TOPICFS_TRY_ASSIGN(found.topic, begin > 0 ? store.trashed_topic(topic) : store.topic(topic));
    if (!found.view) {
        TOPICFS_TRY_ASSIGN(found.partition, found.topic->partition(static_cast<std::uint32_t>(*number)));
    }
    return found;
}

// Writes what the view shows now. Returns the exit status.
int copy_view(const Name& name) {
    const auto view = open_view(name.topic, *name.view, system_clock().now());
    if (!view) {
        return fail(view.error());
    }
    const auto extent = (*view)->extent();
    if (!extent) {
        return fail(extent.error());
    }
    for (std::uint64_t offset = 0; offset < extent->bytes;) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, extent->bytes - offset));
        const auto bytes = (*view)->view(offset, wanted);
        if (!bytes) {
            return fail(bytes.error()) == kExitFailed && bytes.error().code == ErrorCode::kDamaged ? kExitNo
                                                                                                   : kExitFailed;
        }
        if (bytes->size() == 0) {
            break;
        }
        for (const auto& part : bytes->parts()) {
            if (!print({reinterpret_cast<const char*>(part.data()), part.size()})) {
                return errno == EPIPE ? kExitDone : kExitFailed;
            }
        }
        offset += bytes->size();
    }
    return kExitDone;
}

// Where reading can go on after damage at `from`: the end of the damaged range, or the log end.
Result<Position> behind_damage(Partition& partition, Position from, Position end) {
    TOPICFS_TRY_ASSIGN(const PartitionStatus status, partition.status());
    Position next = from;
    for (const DamagedRange& range : status.damaged) {
        if (range.from <= next && next < range.to) {
            next = range.to;
        }
    }
    return next == from ? end : std::min(next, end);
}

// Writes [start, end). Returns the exit status.
int copy(Partition& partition, const std::string& name, Position from, Position end) {
    std::vector<std::byte> buffer(kReadBytes);
    int status = kExitDone;
    bool is_begun = false;
    while (from < end) {
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - from));
        const auto got = partition.read(from, std::span(buffer).first(wanted));
        if (got) {
            if (*got == 0) {
                break;
            }
            if (!print({reinterpret_cast<const char*>(buffer.data()), *got})) {
                return errno == EPIPE ? status : kExitFailed;
            }
            is_begun = true;
            from = from + *got;
            continue;
        }
        if (got.error().code == ErrorCode::kNotFound && partition.start() > from) {
            // A daemon has removed it meanwhile. As long as nothing is written the log just begins there.
            const Position next = std::min(partition.start(), end);
            if (is_begun) {
                warn(name + ": positions " + std::to_string(from.value) + " to " + std::to_string(next.value) +
                     " were removed before they were read, and are left out");
                status = kExitNo;
            }
            from = next;
            continue;
        }
        if (got.error().code != ErrorCode::kDamaged) {
            return fail(got.error());
        }
        const auto next = behind_damage(partition, from, end);
        if (!next) {
            return fail(next.error());
        }
        warn(name + ": positions " + std::to_string(from.value) + " to " + std::to_string(next->value) +
             " are damaged and left out: " + got.error().message());
        status = kExitNo;
        from = *next;
    }
    return status;
}

}  // namespace

int run_cat(const CommandLine& line) {
    const std::string& name = line.argument(1);
    StoreOptions options;
    options.create = false;
    options.read_only = true;
    options.maintenance = false;
    const auto store = open_store(line.argument(0), options);
    if (!store) {
        return fail(in_data_directory(store.error(), line.argument(0)));
    }
    const auto found = find_name(**store, name);
    if (!found) {
        Error error = found.error();
        error.path = error.path.empty() ? name : error.path;
        return fail(error);
    }
    if (found->view) {
        return copy_view(*found);
    }
    const auto end = found->partition->end();
    if (!end) {
        return fail(end.error());
    }
    return copy(*found->partition, name, found->partition->start(), *end);
}

}  // namespace topicfs
