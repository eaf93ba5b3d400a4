// The part of Operations that opens, reads and writes files.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/log.h"
#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

// What the kernel asks for at most in one READ: 256 pages.
constexpr std::size_t kReadBytesMax = 1 << 20;
// Longer than any value; what is longer is no value.
constexpr std::size_t kSettingBytesMax = 4096;

bool writes_only(int flags) {
    return (flags & O_ACCMODE) == O_WRONLY;
}
bool reads_only(int flags) {
    return (flags & O_ACCMODE) == O_RDONLY;
}

NodeRole role_of(const Node& node) {
    return node.kind == NodeKind::kWriter ? NodeRole::kWriter : NodeRole::kReader;
}

// For answering READs; each serving thread keeps its own, as making a megabyte of zeros for each read would cost more
// than the read.
std::span<std::byte> read_buffer(std::size_t size) {
    thread_local std::vector<std::byte> buffer;
    if (buffer.size() < size) {
        buffer.resize(size);
    }
    return std::span(buffer).first(size);
}

std::string place_of(const Node& node) {
    const std::string topic = node.topic ? node.topic->name() + '/' : std::string();
    if (node.is_partition()) {
        return topic + std::to_string(node.partition->number());
    }
    return topic + ".config/" + topic_setting_infos()[node.setting].key;
}

// O_TRUNC of what has bytes: as chattr +a has it.
Result<void> check_truncation(const Node& node, int flags) {
    if ((flags & O_TRUNC) == 0) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const Position end, node.partition->end());
    if (end != node.partition->start()) {
        return refused(EPERM, "append-only: it cannot be truncated");
    }
    return {};
}

}  // namespace

Result<void> Operations::open(Reply& reply, fuse_ino_t id, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    if (node->is_directory()) {
        return refused(EISDIR, "a directory");
    }
    return node->is_partition() ? open_partition(reply, node, *info) : open_text(reply, node, *info);
}

Result<void> Operations::open_partition(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    TOPICFS_TRY(check_truncation(*node, info.flags));
    const NodeRole wanted = writes_only(info.flags) ? NodeRole::kWriter : NodeRole::kReader;
    if (turned_opens_.turn(reply.thread(), inode_number(*node), role_of(*node), wanted)) {
        reply.error(ESTALE);
        return {};
    }
    const auto handle = handles_.add(std::make_shared<Handle>(node, info.flags));
    info.fh = handle->number;
    // The page cache of a file that others let grow would show NULs at its tail; and it holds head and the segments
    // already, under the engine.
    info.direct_io = 1;
    info.keep_cache = 0;
    if (!reply.opened(info)) {
        handles_.remove(handle->number);
    }
    return {};
}

Result<void> Operations::open_text(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    auto handle = std::make_shared<Handle>(node, info.flags);
    if (node->kind == NodeKind::kStatus) {
        if (!reads_only(info.flags)) {
            return refused(EPERM, "the status can only be read");
        }
        TOPICFS_TRY_ASSIGN(handle->text, node->topic ? node->topic->status_json() : store_.status_json());
    } else {
        TOPICFS_TRY_ASSIGN(handle->text, setting_text(store_, *node));
    }
    handles_.add(handle);
    info.fh = handle->number;
    // The kernel would not read beyond the size it knows, which is 0 for .status.
    info.direct_io = 1;
    if (!reply.opened(info)) {
        handles_.remove(handle->number);
    }
    return {};
}

Result<std::uint32_t> Operations::creatable_partition(const Node& directory, std::string_view name) const {
    if (directory.kind != NodeKind::kTopic) {
        return refused(EPERM, "files are made in topics only");
    }
    TOPICFS_TRY(check_name_length(name));
    if (is_reserved_name(name)) {
        return refused(EPERM, "this name is not for making");
    }
    const std::optional<std::uint32_t> number = partition_number(name);
    if (!number) {
        return refused(EINVAL, "a topic holds partitions, which are numbered");
    }
    return *number;
}

Result<void> Operations::create(Reply& reply, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto directory, find_node(parent));
    TOPICFS_TRY_ASSIGN(const std::uint32_t number, creatable_partition(*directory, name));
    const std::shared_ptr<Topic>& topic = directory->topic;
    const Attributes attributes = new_attributes(reply.caller(), mode, topic->attributes());
    const Result<std::shared_ptr<Partition>> added = topic->add_partition(number, attributes);
    // Somebody else can have made it after the kernel's LOOKUP.
    if (!added && (added.error().code != ErrorCode::kExists || (info->flags & O_EXCL) != 0)) {
        return added.error();
    }
    const NodeRole role = writes_only(info->flags) ? NodeRole::kWriter : NodeRole::kReader;
    TOPICFS_TRY_ASSIGN(const Node found, partition_node(topic, number, role));
    TOPICFS_TRY(check_truncation(found, info->flags));
    TOPICFS_TRY_ASSIGN(const fuse_entry_param entry, make_entry(found));
    const auto handle = handles_.add(std::make_shared<Handle>(nodes_.find(entry.ino), info->flags));
    info->fh = handle->number;
    info->direct_io = 1;
    info->keep_cache = 0;
    if (!reply.created(entry, *info)) {
        handles_.remove(handle->number);
        nodes_.forget(entry.ino, 1);
    }
    return {};
}

Result<void> Operations::read(Reply& reply, fuse_ino_t /*id*/, std::size_t size, off_t offset, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (handle->node->is_directory()) {
        return refused(EISDIR, "a directory");
    }
    if (offset < 0) {
        return refused(EINVAL, "a negative offset");
    }
    if (!handle->node->is_partition()) {
        read_text(reply, *handle, size, offset);
        return {};
    }
    return read_partition(reply, *handle, size, offset);
}

Result<void> Operations::read_partition(Reply& reply, Handle& handle, std::size_t size, off_t offset) {
    const Node& node = *handle.node;
    const auto distance = static_cast<std::uint64_t>(offset);
    if (distance > kPositionMax - node.start.value) {
        reply.data({});
        return {};
    }
    const std::span<std::byte> buffer = read_buffer(std::min(size, kReadBytesMax));
    const Result<std::size_t> count = node.partition->read(node.start + distance, buffer);
    if (count) {
        reply.data(buffer.first(*count));
        return {};
    }
    // Below the log start (kNotFound) means: what this open could still see is removed by now.
    const bool lost = count.error().code == ErrorCode::kDamaged || count.error().code == ErrorCode::kNotFound;
    if (!lost) {
        return count.error();
    }
    if (!handle.damage_logged.exchange(true)) {
        log_error(mount_point_ + '/' + place_of(node) + ": " + count.error().message());
    }
    reply.error(EIO);
    return {};
}

void Operations::read_text(Reply& reply, Handle& handle, std::size_t size, off_t offset) {
    const std::lock_guard lock(handle.mutex);
    const std::size_t from = std::min(static_cast<std::size_t>(offset), handle.text.size());
    const std::size_t count = std::min({size, kReadBytesMax, handle.text.size() - from});
    reply.data(std::as_bytes(std::span(handle.text)).subspan(from, count));
}

Result<std::size_t> Operations::append(const Handle& handle, int flags, std::span<const std::byte> bytes,
                                       off_t offset) {
    Partition& partition = *handle.node->partition;
    // The kernel takes the offset of an O_APPEND write from the size that it last saw, which others may have outgrown;
    // and fcntl(2) can take the flag away. What was opened for appending appends at the true end, always.
    if (((handle.flags | flags) & O_APPEND) != 0) {
        return partition.append(bytes);
    }
    const auto distance = static_cast<std::uint64_t>(offset);
    if (offset < 0 || distance > kPositionMax - handle.node->start.value) {
        return refused(EFBIG, "behind the last possible position");
    }
    return partition.append_at(handle.node->start + distance, bytes);
}

Result<void> Operations::write(Reply& reply, fuse_ino_t /*id*/, const char* bytes, std::size_t size, off_t offset,
                               fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (reads_only(handle->flags) || handle->node->is_directory()) {
        return refused(EBADF, "not open for writing");
    }
    if (!handle->node->is_partition()) {
        TOPICFS_TRY(write_setting(*handle, std::string_view(bytes, size)));
        reply.written(size);
        return {};
    }
    TOPICFS_TRY_ASSIGN(const std::size_t stored,
                       append(*handle, info->flags, std::as_bytes(std::span(bytes, size)), offset));
    // The kernel sends no FSYNC after a direct write. With each WRITE come the flags of the moment: O_DSYNC (which
    // O_SYNC includes) of the open, or of pwritev2's RWF_DSYNC.
    if (((handle->flags | info->flags) & O_DSYNC) != 0) {
        TOPICFS_TRY(handle->node->partition->sync());
    }
    reply.written(stored);
    return {};
}

Result<void> Operations::write_setting(Handle& handle, std::string_view text) {
    const Node& node = *handle.node;
    const char* key = topic_setting_infos()[node.setting].key;
    Result<void> result;
    if (text.size() > kSettingBytesMax) {
        result = make_error(ErrorCode::kInvalid, "set", key, "the value is longer than any value can be");
    } else {
        result = node.topic ? node.topic->set(key, text) : store_.set_default(key, text);
    }
    if (!result) {
        // Whoever wrote sees an errno only; the reason is here.
        log_warning(mount_point_ + '/' + place_of(node) + ": " + result.error().message());
        return result.error();
    }
    TOPICFS_TRY_ASSIGN(std::string now, setting_text(store_, node));
    const std::lock_guard lock(handle.mutex);
    handle.text = std::move(now);
    return {};
}

Result<void> Operations::sync(Reply& reply, fuse_ino_t /*id*/, int /*data_only*/, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (handle->node->is_partition()) {
        TOPICFS_TRY(handle->node->partition->sync());
    }
    reply.done();
    return {};
}

Result<void> Operations::allocate(Reply&, fuse_ino_t, int, off_t, off_t, fuse_file_info*) {
    // Success would make the kernel take the file for longer than it is.
    return refused(EOPNOTSUPP, "room is not set aside ahead");
}

Result<void> Operations::seek(Reply& reply, fuse_ino_t id, off_t offset, int whence, fuse_file_info* /*info*/) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    if (whence != SEEK_DATA && whence != SEEK_HOLE) {
        return refused(EINVAL, "the kernel seeks by itself");
    }
    TOPICFS_TRY_ASSIGN(const struct stat attributes, node_attributes(store_, *node));
    if (offset < 0 || offset >= attributes.st_size) {
        return refused(ENXIO, "at or behind the end");
    }
    // All is data up to the end, where POSIX has a hole begin.
    reply.position(whence == SEEK_DATA ? offset : attributes.st_size);
    return {};
}

}  // namespace topicfs
