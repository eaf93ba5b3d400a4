#include "base/text.h"
#include "command.h"

#include <topicfs/store.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

const CommandSpec kCatSpec = {
    "cat",
    "Write a partition to standard output, without a mount",
    {{"DATA", "the data directory"}, {"TOPIC/N", "the partition"}},
    {},
    "It may run while the store is mounted, and writes what was appended up to now. Where\n"
    "bytes are damaged it says on stderr which are missing, goes on behind them, and ends\n"
    "with exit status 1.\n",
    "  topicfs cat /var/lib/topicfs orders/0\n"
    "  topicfs cat /var/lib/topicfs orders/0 | grep -c error\n",
};

namespace {

constexpr std::size_t kReadBytes = 1u << 20;

Result<std::shared_ptr<Partition>> find_partition(Store& store, const std::string& path) {
    const std::size_t slash = path.find('/');
    const auto number = slash == std::string::npos ? std::nullopt : parse_unsigned(path.substr(slash + 1));
    if (!number || *number >= kPartitionsMax) {
        return make_error(ErrorCode::kInvalid, "", path, "not a partition: TOPIC/N is one, as in orders/0");
    }
    TOPICFS_TRY_ASSIGN(const auto topic, store.topic(std::string_view(path).substr(0, slash)));
    return topic->partition(static_cast<std::uint32_t>(*number));
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
            from = from + *got;
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
    const auto partition = find_partition(**store, name);
    if (!partition) {
        Error error = partition.error();
        error.path = error.path.empty() ? name : error.path;
        return fail(error);
    }
    const auto end = (*partition)->end();
    if (!end) {
        return fail(end.error());
    }
    return copy(**partition, name, (*partition)->start(), *end);
}

}  // namespace topicfs
