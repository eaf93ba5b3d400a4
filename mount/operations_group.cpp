// The part of Operations that is about consumer groups: T/.groups and what is in it.
#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/log.h"
#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

Error not_found() {
    return refused(ENOENT, "no such name");
}

}  // namespace

// A group in T/.groups, or what is in a group.
Result<Node> Operations::resolve_in_group(const Node& directory, std::string_view name) {
    Node node;
    if (directory.kind == NodeKind::kGroupsDirectory) {
        node.kind = NodeKind::kGroupDirectory;
        node.topic = directory.topic;
        TOPICFS_TRY_ASSIGN(node.group, directory.topic->group(name));
        node.path = group_path(*node.group, {});
        node.path_inode = path_inode_number(*node.topic, node.path);
        return node;
    }
    set_group_path(node, directory, name);
    if (name == kConfigName) {
        node.kind = NodeKind::kConfigDirectory;
        return node;
    }
    node.kind = NodeKind::kGroupStream;
    if (name.ends_with(kOffsetSuffix)) {
        node.kind = NodeKind::kGroupOffset;
        name.remove_suffix(kOffsetSuffix.size());
    } else if (name.ends_with(kFollowSuffix)) {
        node.follow = true;
        name.remove_suffix(kFollowSuffix.size());
    }
    if (name == kAllName && node.kind == NodeKind::kGroupStream) {
        return node;
    }
    const auto number = partition_number(name);
    if (!number || *number >= directory.topic->partition_count()) {
        return not_found();
    }
    TOPICFS_TRY_ASSIGN(node.partition, directory.topic->partition(*number));
    return node;
}

Result<void> Operations::open_stream(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    if ((info.flags & O_ACCMODE) != O_RDONLY || (info.flags & O_TRUNC) != 0) {
        return refused(EPERM, "a group's stream is for reading");
    }
    return busy_waits_.hold(reply, "open",
                            [this, node, info](Reply& to) mutable { return try_open_stream(to, node, info); });
}

Result<bool> Operations::try_open_stream(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    const auto partition = node->partition ? std::optional(node->partition->number()) : std::nullopt;
    auto reader = node->group->open_reader(partition);
    if (!reader && reader.error().code == ErrorCode::kBusy) {
        return false;
    }
    TOPICFS_TRY(reader);
    const auto handle = std::make_shared<Handle>(node, info.flags);
    handle->reader = std::move(reader).value();
    nodes_.open(node->id);
    if (!answer_open(handle, info, [&] { return reply.opened(info); })) {
        close_stream(*handle);
    }
    return true;
}

void Operations::close_stream(const Handle& handle) {
    if (const auto ended = handle.reader->close(); !ended) {
        log_error(mount_point_ + '/' + handle.node->topic->name() + "/.groups/" + handle.node->group->name() + ": " +
                  ended.error().message());
    }
    busy_waits_.retry();
}

// Where the reader comes back it commits, so each read is one, also where it has to wait then.
Result<void> Operations::read_stream(Reply& reply, const std::shared_ptr<Handle>& handle, std::size_t size,
                                     std::uint64_t offset, int flags) {
    GroupReader& reader = *handle->reader;
    const bool waits = handle->node->follow;
    TOPICFS_TRY_ASSIGN(const ByteView bytes, waits ? reader.fetch_enough(offset, size) : reader.fetch(offset, size));
    if (!bytes.empty() || !waits) {
        give(reply, *handle, offset, bytes);
        return {};
    }
    {
        const std::lock_guard lock(handle->mutex);
        handle->next_position = Position{offset};
    }
    TOPICFS_TRY_ASSIGN(const GroupReader::Readiness readiness, reader.readiness());
    if ((flags & O_NONBLOCK) != 0 && !follows_.ended() && !readiness.is_over) {
        reply.error(EAGAIN);
    } else {
        follows_.hold(reply, {handle, Position{offset}, size});
    }
    return {};
}

// To a read that has waited. What it was to get may have gone to another reader with its partition since.
void Operations::answer_stream(Reply& reply, const FollowWaits::Read& read) {
    GroupReader& reader = *read.handle->reader;
    const auto bytes = reader.fetch_enough(read.position.value, read.bytes_max);
    const auto readiness = bytes && bytes->empty() ? reader.readiness() : GroupReader::Readiness{};
    if (!bytes || !readiness) {
        reply.error(bytes ? readiness.error() : bytes.error());
    } else if (bytes->empty() && !readiness->is_over) {
        follows_.hold(reply, read);
    } else {
        give(reply, *read.handle, read.position.value, *bytes);
    }
}

void Operations::give(Reply& reply, Handle& handle, std::uint64_t offset, const ByteView& bytes) {
    {
        const std::lock_guard lock(handle.mutex);
        handle.next_position = Position{offset + bytes.size()};
    }
    reply.data(bytes);
}

}  // namespace topicfs
