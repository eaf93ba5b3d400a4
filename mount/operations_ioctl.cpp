// The part of Operations that says what the bytes of a view are, and what is like it; see topicfs/ioctl.h.
#include <fcntl.h>
#include <topicfs/group.h>
#include <topicfs/ioctl.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "base/clock.h"
#include "base/text.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

// What came with the request; the kernel has seen to its size, which the number of the request has in it.
template <typename Arguments>
Result<std::unique_ptr<Arguments>> arguments_of(const void* in, std::size_t in_bytes, std::size_t out_bytes_max) {
    static_assert(std::is_trivially_copyable_v<Arguments>);
    if (in_bytes != sizeof(Arguments) || out_bytes_max < sizeof(Arguments)) {
        return refused(EINVAL, "an ioctl of another size");
    }
    auto arguments = std::make_unique<Arguments>();
    std::memcpy(arguments.get(), in, sizeof(Arguments));
    return arguments;
}

template <typename Arguments>
std::span<const std::byte> bytes_of(const Arguments& arguments) {
    return std::as_bytes(std::span(&arguments, 1));
}

topicfs_topic describe_topic(const Topic& topic) {
    topicfs_topic described = {};
    const std::string& name = topic.name();
    std::memcpy(described.name, name.data(), std::min(name.size(), sizeof described.name - 1));
    const auto delimiter = topic.settings().record_delimiter;
    described.delimiter = delimiter ? static_cast<std::int32_t>(*delimiter) : -1;
    return described;
}

template <typename Chunk>
void show_chunks(const std::vector<Chunk>& chunks, topicfs_describe& described) {
    topicfs_chunk* into = described.chunks;
    for (const Chunk& chunk : chunks) {
        const std::int64_t time = chunk.time ? chunk.time->value : TOPICFS_NO_TIME;
        *into++ = {chunk.bytes, chunk.position.value, time, chunk.partition, 0};
    }
    described.count = static_cast<std::uint32_t>(chunks.size());
}

Result<void> describe_chunks(const Handle& handle, topicfs_describe& described) {
    if (handle.reader) {
        TOPICFS_TRY_ASSIGN(const auto chunks, handle.reader->describe(described.offset, TOPICFS_CHUNKS_MAX));
        show_chunks(chunks, described);
    } else {
        TOPICFS_TRY_ASSIGN(const auto chunks, handle.node->view->describe(described.offset, TOPICFS_CHUNKS_MAX));
        show_chunks(chunks, described);
    }
    return {};
}

Result<void> find_record(const Topic& topic, topicfs_offset& asked) {
    auto partition = topic.partition(asked.partition);
    auto found = partition ? (*partition)->find_position(Position{asked.position}) : std::move(partition).error();
    if (!found && found.error().code == ErrorCode::kNotFound) {
        return refused(ENXIO, "no such record");
    }
    TOPICFS_TRY(found);
    asked.offset = found->offset.value;
    return {};
}

Result<void> find_group_point(const Node& node, topicfs_find& asked) {
    const std::string_view text(asked.point, ::strnlen(asked.point, sizeof asked.point));
    if (text.size() == sizeof asked.point) {
        return refused(EINVAL, "a point without an end");
    }
    TOPICFS_TRY_ASSIGN(const Offset found, find_offset(node, text));
    asked.offset = found.value;
    return {};
}

// The text in an array that a NUL ends; kInvalid where none does.
template <std::size_t N>
Result<std::string_view> text_in(const char (&array)[N]) {
    const std::string_view text(array, ::strnlen(array, N));
    return text.size() < N ? Result<std::string_view>(text) : refused(EINVAL, "a text without an end");
}

// Why something was refused, for who asked by ioctl; nothing where it was not. A text that is too long is cut.
void show_refusal(const Result<void>& result, topicfs_refusal& into) {
    into = {};
    if (!result) {
        Error error = result.error();
        into.error = to_errno(error);
        error.operation.clear();
        const std::string reason = error.message();
        std::memcpy(into.reason, reason.data(), std::min(reason.size(), sizeof into.reason - 1));
    }
}

Result<void> check_value(const Store& store, const Node& node, const topicfs_check& asked) {
    TOPICFS_TRY_ASSIGN(const std::string_view value, text_in(asked.value));
    return check_setting(store, node, value);
}

// `defaults`, changed by lines of KEY=VALUE.
Result<TopicSettings> settings_in(const topicfs_new_topic& asked, TopicSettings settings) {
    TOPICFS_TRY_ASSIGN(const std::string_view text, text_in(asked.settings));
    for (const std::string_view line : split_lines(text)) {
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) {
            return make_error(ErrorCode::kInvalid, "set", std::string(line), "no value is given");
        }
        TOPICFS_TRY(set_setting(settings, line.substr(0, equals), line.substr(equals + 1)));
    }
    return settings;
}

bool is_partition(const Node& node) {
    const NodeKind kind = node.kind;
    return node.partition &&
           (kind == NodeKind::kReader || kind == NodeKind::kWriter || kind == NodeKind::kBackedWriter);
}

Result<Found> find_point(Partition& partition, std::string_view text) {
    const TimestampMs now = system_clock().now();
    const auto point = parse_group_point(text, now);
    if (!point || std::holds_alternative<GroupShift>(*point)) {
        return make_error(ErrorCode::kInvalid, "trim to", std::string(text.substr(0, 64)),
                          "it is none of: an offset, a time (2026-11-21T14:00, today, -15m), start, end");
    }
    if (std::holds_alternative<GroupEarliest>(*point)) {
        return Found{partition.start(), partition.start_offset()};
    }
    if (std::holds_alternative<GroupLatest>(*point)) {
        return partition.records_end();
    }
    if (const auto* offset = std::get_if<Offset>(&*point)) {
        return partition.find_offset(*offset);
    }
    const auto time = std::get<TimestampMs>(*point);
    if (time > now) {
        return make_error(ErrorCode::kInvalid, "trim to", std::string(text.substr(0, 64)),
                          "that time is still to come; 'end' removes everything");
    }
    return partition.find_time(time);
}

Result<void> trim(Partition& partition, topicfs_trim& asked) {
    TOPICFS_TRY_ASSIGN(const std::string_view text, text_in(asked.point));
    TOPICFS_TRY_ASSIGN(const Found found, find_point(partition, text));
    TOPICFS_TRY(partition.trim(found));
    asked.offset = partition.start_offset().value;
    asked.position = partition.start().value;
    return {};
}

}  // namespace

void Operations::prepare_topic(const Handle& directory, const fuse_ctx& caller, topicfs_new_topic& asked) {
    const auto prepare = [&]() -> Result<void> {
        TOPICFS_TRY_ASSIGN(const std::string_view name, text_in(asked.name));
        if (auto named = check_topic_name(name); !named) {
            Error error = std::move(named).error();
            error.path.clear();  // It is what the caller has asked for.
            return error;
        }
        TOPICFS_TRY_ASSIGN(const TopicSettings settings, settings_in(asked, store_.default_settings()));
        prepared_topics_.prepare(directory.number, {static_cast<std::uint32_t>(caller.pid), caller.uid},
                                 std::string(name), settings);
        return {};
    };
    show_refusal(prepare(), asked.refused);
}

Result<void> Operations::control(Reply& reply, fuse_ino_t /*id*/, unsigned command, void* /*argument*/,
                                 fuse_file_info* info, unsigned /*flags*/, const void* in, std::size_t in_bytes,
                                 std::size_t out_bytes_max) {
    const auto handle = info != nullptr ? handles_.find(info->fh) : nullptr;
    if (handle && handle->node->kind == NodeKind::kRoot && command == TOPICFS_IOC_NEW_TOPIC) {
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_new_topic>(in, in_bytes, out_bytes_max));
        prepare_topic(*handle, reply.caller(), *asked);
        reply.controlled(bytes_of(*asked));
        return {};
    }
    if (handle && handle->node->kind == NodeKind::kConfigKey && command == TOPICFS_IOC_CHECK) {
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_check>(in, in_bytes, out_bytes_max));
        show_refusal(check_value(store_, *handle->node, *asked), asked->refused);
        reply.controlled(bytes_of(*asked));
        return {};
    }
    if (handle && handle->node->kind == NodeKind::kGroupOffset && command == TOPICFS_IOC_FIND) {
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_find>(in, in_bytes, out_bytes_max));
        return busy_waits_.hold(reply, "ioctl", [handle, asked = *asked](Reply& to) mutable -> Result<bool> {
            const Result<void> found = find_group_point(*handle->node, asked);
            if (!found && found.error().code == ErrorCode::kBusy) {
                return false;
            }
            TOPICFS_TRY(found);
            to.controlled(bytes_of(asked));
            return true;
        });
    }
    if (handle && is_partition(*handle->node) && command == TOPICFS_IOC_TRIM) {
        if ((handle->flags & O_ACCMODE) == O_RDONLY) {
            return refused(EBADF, "it is not open for writing");
        }
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_trim>(in, in_bytes, out_bytes_max));
        show_refusal(trim(*handle->node->partition, *asked), asked->refused);
        reply.controlled(bytes_of(*asked));
        return {};
    }
    if (!handle || (!handle->node->view && !handle->reader)) {
        return refused(ENOTTY, "neither a view nor a group's stream");
    }
    const Node& node = *handle->node;
    if (command == TOPICFS_IOC_TOPIC) {
        if (out_bytes_max < sizeof(topicfs_topic)) {
            return refused(EINVAL, "an ioctl of another size");
        }
        reply.controlled(bytes_of(describe_topic(*node.topic)));
        return {};
    }
    if (command == TOPICFS_IOC_DESCRIBE) {
        TOPICFS_TRY_ASSIGN(const auto described, arguments_of<topicfs_describe>(in, in_bytes, out_bytes_max));
        TOPICFS_TRY(describe_chunks(*handle, *described));
        reply.controlled(bytes_of(*described));
        return {};
    }
    if (command == TOPICFS_IOC_OFFSET) {
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_offset>(in, in_bytes, out_bytes_max));
        TOPICFS_TRY(find_record(*node.topic, *asked));
        reply.controlled(bytes_of(*asked));
        return {};
    }
    if (command == TOPICFS_IOC_COMMIT && handle->reader) {
        TOPICFS_TRY_ASSIGN(const auto asked, arguments_of<topicfs_commit>(in, in_bytes, sizeof(topicfs_commit)));
        TOPICFS_TRY(handle->reader->commit(asked->offset));
        reply.controlled({});
        return {};
    }
    return refused(ENOTTY, "no such ioctl");
}

}  // namespace topicfs
