// The part of Operations that opens, reads and writes files.
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "base/log.h"
#include "mount/follow_source.h"
#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

// What the kernel asks for at most in one READ: 256 pages.
constexpr std::size_t kReadBytesMax = 1 << 20;
constexpr std::size_t kFollowBytesMax = kReadBytesMax - 4096;
// Longer than any value; what is longer is no value.
constexpr std::size_t kSettingBytesMax = 4096;

bool writes_only(int flags) {
    return (flags & O_ACCMODE) == O_WRONLY;
}
// Not so with both bits: that is neither for reading nor for writing, but for ioctl(2) by who may do both.
bool may_write(int flags) {
    return (flags & O_ACCMODE) == O_WRONLY || (flags & O_ACCMODE) == O_RDWR;
}
// For FS_IOC_GETFLAGS and the like (lsattr) the kernel opens a node that is open already, by itself: without
// O_LARGEFILE, which it adds to every open(2), and with no path that it could walk again.
bool is_by_kernel(int flags) {
    return flags == O_RDONLY;
}

NodeRole role_of(const Node& node) {
    switch (node.kind) {
        case NodeKind::kWriter:
            return NodeRole::kWriter;
        case NodeKind::kBackedWriter:
            return NodeRole::kBackedWriter;
        default:
            return NodeRole::kReader;
    }
}

std::string place_of(const Node& node) {
    const std::string trash = node.topic && node.topic->removal() ? std::string(kTrashName) + '/' : std::string();
    const std::string topic = node.topic ? trash + node.topic->name() + '/' : std::string();
    if (node.group) {  // by its name; the path has its number
        return topic + ".groups/" + node.group->name() + node.path.substr(group_path(*node.group, {}).size());
    }
    if (!node.path.empty()) {
        return topic + node.path;
    }
    if (node.is_partition()) {
        return topic + std::to_string(node.partition->number());
    }
    return topic + ".config/" + config_info(node.setting).key;
}

}  // namespace

Result<void> Operations::open(Reply& reply, fuse_ino_t id, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    if (node->is_directory()) {
        return refused(EISDIR, "a directory");
    }
    if (node->kind == NodeKind::kView) {
        return open_view_file(reply, node, *info);
    }
    if (node->kind == NodeKind::kGroupStream) {
        return open_stream(reply, node, *info);
    }
    return node->is_partition() ? open_partition(reply, node, *info) : open_text(reply, node, *info);
}

std::shared_ptr<Backing> Operations::backing_for(const Topic& topic, Partition& partition, int flags,
                                                 std::uint32_t thread) {
    // What must be made durable at each write comes to the daemon: where the bytes hold NULs it must say that they are
    // durable, and the kernel would not tell it. A thread that cannot be named cannot be led to another node.
    const bool fits = writes_only(flags) && (flags & O_APPEND) != 0 && (flags & O_DSYNC) == 0 && thread != 0;
    if (!fits || !passthrough_.available()) {
        return nullptr;
    }
    const TopicSettings settings = topic.settings();
    if (settings.flush_messages == 1) {
        return nullptr;
    }
    return backings_.get(partition_inode_number(topic, partition.number()), partition, settings.write_path);
}

bool Operations::answer_open(const std::shared_ptr<Handle>& handle, fuse_file_info& info,
                             const std::function<bool()>& answer) {
    const Node& node = *handle->node;
    handle->next_position = node.start;
    handles_.add(handle);
    // Others do not come to the daemon because one does that has to.
    const bool has_to = (info.flags & O_APPEND) == 0 || (info.flags & O_DSYNC) != 0;
    if (node.is_partition() && writes_only(info.flags) && (handle->backing || !has_to)) {
        handle->is_counted_writer = true;
        backings_.opened(inode_number(node), handle->backing != nullptr);
    }
    info.fh = handle->number;
    // The page cache of a file that others let grow would show NULs at its tail; and it holds head and the segments
    // already, under the engine.
    info.direct_io = handle->backing ? 0 : 1;
    info.keep_cache = 0;
    info.nonseekable = node.follow || handle->reader ? 1 : 0;
    if (handle->backing) {
        Passthrough::attach(info, handle->backing->id());
    }
    const bool taken = answer();
    Passthrough::detach();
    if (!taken) {
        closed(*handle);
        handles_.remove(handle->number);
    }
    return taken;
}

void Operations::closed(const Handle& handle) {
    nodes_.close(handle.node->id);
    if (handle.is_counted_writer) {
        backings_.closed(inode_number(*handle.node), handle.backing != nullptr);
    }
}

Result<void> Operations::open_partition(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    if ((info.flags & O_TRUNC) != 0) {
        TOPICFS_TRY(check_truncation(*node));
    }
    if (node->follow && may_write(info.flags)) {
        return refused(EPERM, "a +follow file is for reading");
    }
    std::shared_ptr<const void> appends;
    if (may_write(info.flags)) {
        TOPICFS_TRY_ASSIGN(appends, node->partition->open_for_append());
    }
    const std::uint64_t inode = inode_number(*node);
    std::shared_ptr<const Backing> backing;
    NodeRole wanted = writes_only(info.flags) ? NodeRole::kWriter : NodeRole::kReader;
    const auto decided = turned_opens_.decided(reply.thread(), inode);
    if (decided && (decided->wanted == NodeRole::kReader) == (wanted == NodeRole::kReader)) {
        wanted = decided->wanted;
        backing = std::static_pointer_cast<const Backing>(decided->keep);
    } else if ((backing = backing_for(*node->topic, *node->partition, info.flags, reply.thread()))) {
        wanted = NodeRole::kBackedWriter;
    }
    const bool alone = nodes_.open(node->id);
    const bool fits = role_of(*node) == wanted && (alone || wanted != NodeRole::kReader);
    if (!node->follow && !is_by_kernel(info.flags) &&
        turned_opens_.turn(reply.thread(), inode, fits, wanted, backing)) {
        nodes_.close(node->id);
        reply.error(ESTALE);
        return {};
    }
    const auto handle = std::make_shared<Handle>(node, info.flags);
    if (role_of(*node) == NodeRole::kBackedWriter) {
        handle->backing = std::move(backing);  // On any other node the writes come to the daemon.
    }
    handle->appends = std::move(appends);
    (void)answer_open(handle, info, [&] { return reply.opened(info); });
    return {};
}

Result<void> Operations::open_view_file(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    const bool writes = may_write(info.flags);
    if (writes && !node->is_all) {
        return refused(EPERM, "a view is for reading");
    }
    if ((info.flags & O_TRUNC) != 0) {
        TOPICFS_TRY(check_truncation(*node));
    }
    const bool alone = nodes_.open(node->id);
    if (!is_by_kernel(info.flags) &&
        turned_opens_.turn(reply.thread(), inode_number(*node), alone, NodeRole::kReader)) {
        nodes_.close(node->id);
        reply.error(ESTALE);
        return {};
    }
    const auto handle = std::make_shared<Handle>(node, info.flags);
    if (writes) {
        const auto extent = node->view->extent();
        auto writer = extent ? node->topic->open_writer() : extent.error();
        if (!writer) {
            nodes_.close(node->id);
            return std::move(writer).error();
        }
        handle->end_at_open = extent->bytes;
        handle->writer = std::move(writer).value();
    }
    (void)answer_open(handle, info, [&] { return reply.opened(info); });
    return {};
}

Result<void> Operations::open_text(Reply& reply, const std::shared_ptr<const Node>& node, fuse_file_info& info) {
    auto handle = std::make_shared<Handle>(node, info.flags);
    if (node->kind == NodeKind::kStatus || node->kind == NodeKind::kMetrics) {
        if (may_write(info.flags)) {
            return refused(EPERM, "figures can only be read");
        }
        TOPICFS_TRY_ASSIGN(handle->text, figures(*node));
    } else {
        TOPICFS_TRY_ASSIGN(handle->text, text_of(*node));
    }
    handles_.add(handle);
    info.fh = handle->number;
    // The kernel would not read beyond the size it knows, which is 0 for figures. They are those of the open, in
    // however many reads and from wherever they are read.
    info.direct_io = 1;
    if (!reply.opened(info)) {
        handles_.remove(handle->number);
    }
    return {};
}

Result<std::string> Operations::text_of(const Node& node) const {
    return node.kind == NodeKind::kGroupOffset ? offset_text(node) : setting_text(store_, node);
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
    TOPICFS_TRY_ASSIGN(const auto partition, topic->partition(number));
    std::shared_ptr<const void> appends;
    if (may_write(info->flags)) {
        TOPICFS_TRY_ASSIGN(appends, partition->open_for_append());
    }
    std::shared_ptr<Backing> backing = backing_for(*topic, *partition, info->flags, reply.thread());
    const NodeRole role = backing                    ? NodeRole::kBackedWriter
                          : writes_only(info->flags) ? NodeRole::kWriter
                                                     : NodeRole::kReader;
    TOPICFS_TRY_ASSIGN(const Node found, partition_node(topic, number, role));
    if ((info->flags & O_TRUNC) != 0) {
        TOPICFS_TRY(check_truncation(found));
    }
    TOPICFS_TRY_ASSIGN(const fuse_entry_param entry, make_entry(found));
    const auto handle = std::make_shared<Handle>(nodes_.find(entry.ino), info->flags);
    handle->backing = std::move(backing);
    handle->appends = std::move(appends);
    nodes_.open(entry.ino);
    if (!answer_open(handle, *info, [&] { return reply.created(entry, *info); })) {
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
    if (!handle->node->is_log()) {
        read_text(reply, *handle, size, offset);
        return {};
    }
    if (handle->reader && info->lock_owner == 0) {
        // The page cache asks, for splice(2) and the like: ahead, and not where a reader is. It names no owner.
        return refused(EINVAL, "a group's stream is read by read(2) only");
    }
    if (handle->reader) {
        // As with +follow: a full answer would have the kernel ask for the rest of a larger read, and so commit what
        // the reader has not seen.
        return read_stream(reply, handle, std::min(size, kFollowBytesMax), static_cast<std::uint64_t>(offset),
                           info->flags);
    }
    return read_log(reply, handle, size, offset, info->flags);
}

Result<void> Operations::read_log(Reply& reply, const std::shared_ptr<Handle>& handle, std::size_t size, off_t offset,
                                  int flags) {
    const Node& node = *handle->node;
    const auto distance = static_cast<std::uint64_t>(offset);
    if (distance > kPositionMax - node.start.value) {
        reply.end_of_file();
        return {};
    }
    const Position position = node.start + distance;
    std::size_t bytes_max = std::min(size, kReadBytesMax);
    if (node.follow) {
        // A full answer would have the kernel ask for the rest of a larger read, and that would wait.
        bytes_max = std::min(bytes_max, kFollowBytesMax);
        TOPICFS_TRY_ASSIGN(const FollowSource::Available available, FollowSource(*handle).available());
        if (position >= available.end) {
            if ((flags & O_NONBLOCK) != 0 && !follows_.ended() && !available.is_over) {
                reply.error(EAGAIN);
            } else {
                follows_.hold(reply, {handle, position, bytes_max});
            }
            return {};
        }
    }
    answer_read(reply, *handle, position, bytes_max);
    return {};
}

void Operations::answer_read(Reply& reply, Handle& handle, Position position, std::size_t size) {
    const Node& node = *handle.node;
    Result<ByteView> view = node.view ? node.view->view(position.value, size) : node.partition->view(position, size);
    if (view) {
        if (node.follow) {
            const std::lock_guard lock(handle.mutex);
            handle.next_position = position + view->size();
        }
        reply.data(*view);
        return;
    }
    // Below the log start (kNotFound) means: what this open could still see is removed by now.
    const bool lost = view.error().code == ErrorCode::kDamaged || view.error().code == ErrorCode::kNotFound;
    if (!lost) {
        reply.error(view.error());
        return;
    }
    if (!handle.damage_logged.exchange(true)) {
        log_error(mount_point_ + '/' + place_of(node) + ": " + view.error().message());
    }
    reply.error(EIO);
}

Result<void> Operations::poll(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info, fuse_pollhandle* poll) {
    const auto handle = info != nullptr ? handles_.find(info->fh) : nullptr;
    if (!handle || !handle->node->follow) {
        if (poll != nullptr) {
            fuse_pollhandle_destroy(poll);
        }
        reply.poll(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);  // as POSIX says of files
        return {};
    }
    TOPICFS_TRY_ASSIGN(const bool ready, follows_.poll(handle, poll));
    reply.poll(ready ? POLLIN | POLLRDNORM : 0U);
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

// The end of T/all moves on with what others append, and with what was appended a moment ago. So without O_APPEND a
// write appends that begins where the end was at some time since the open, or where the last one through this open
// ended.
Result<std::size_t> Operations::append_to_all(Handle& handle, int flags, std::span<const std::byte> bytes,
                                              off_t offset) {
    if (((handle.flags | flags) & O_APPEND) == 0) {
        TOPICFS_TRY_ASSIGN(const LogView::Extent extent, handle.node->view->extent());
        const std::lock_guard lock(handle.mutex);
        const bool goes_on = handle.next_write > 0 && offset == handle.next_write;
        const auto begin = static_cast<std::uint64_t>(offset);
        if (!goes_on && (offset < 0 || begin < handle.end_at_open || begin > extent.bytes)) {
            return refused(EPERM, "append-only: a write begins at the end");
        }
    }
    TOPICFS_TRY_ASSIGN(const std::size_t stored, handle.writer->append(bytes));
    const std::lock_guard lock(handle.mutex);
    handle.next_write = offset + static_cast<off_t>(stored);
    return stored;
}

Result<void> Operations::write(Reply& reply, fuse_ino_t /*id*/, const char* bytes, std::size_t size, off_t offset,
                               fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (!may_write(handle->flags) || handle->node->is_directory()) {
        return refused(EBADF, "not open for writing");
    }
    if (!handle->node->is_partition() && !handle->writer) {
        return busy_waits_.hold(reply, "write",
                                [this, handle, text = std::string(bytes, size)](Reply& to) -> Result<bool> {
                                    const Result<void> written = write_setting(*handle, text);
                                    if (!written && written.error().code == ErrorCode::kBusy) {
                                        return false;
                                    }
                                    TOPICFS_TRY(written);
                                    to.written(text.size());
                                    return true;
                                });
    }
    const auto written = std::as_bytes(std::span(bytes, size));
    TOPICFS_TRY_ASSIGN(const std::size_t stored, handle->writer ? append_to_all(*handle, info->flags, written, offset)
                                                                : append(*handle, info->flags, written, offset));
    // The kernel sends no FSYNC after a direct write. With each WRITE come the flags of the moment: O_DSYNC (which
    // O_SYNC includes) of the open, or of pwritev2's RWF_DSYNC.
    if (((handle->flags | info->flags) & O_DSYNC) != 0) {
        TOPICFS_TRY(handle->writer ? handle->writer->sync() : handle->node->partition->sync());
    }
    reply.written(stored);
    return {};
}

Result<void> Operations::write_setting(Handle& handle, std::string_view text) {
    const Node& node = *handle.node;
    Result<void> result;
    if (text.size() > kSettingBytesMax) {
        result = make_error(ErrorCode::kInvalid, "set", place_of(node), "the value is longer than any value can be");
    } else {
        result = node.kind == NodeKind::kGroupOffset ? reset_offset(node, text) : set_setting(store_, node, text);
    }
    if (!result && result.error().code == ErrorCode::kBusy) {
        return result;  // It is tried again, and EBUSY says all.
    }
    if (!result) {
        // Whoever wrote sees an errno only; the reason is here.
        log_warning(mount_point_ + '/' + place_of(node) + ": " + result.error().message());
        return result.error();
    }
    TOPICFS_TRY_ASSIGN(std::string now, text_of(node));
    const std::lock_guard lock(handle.mutex);
    handle.text = std::move(now);
    return {};
}

Result<void> Operations::sync(Reply& reply, fuse_ino_t /*id*/, int /*data_only*/, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (handle->writer) {
        TOPICFS_TRY(handle->writer->sync());
    } else if (handle->reader) {
        TOPICFS_TRY(handle->reader->sync());
    } else if (handle->node->is_partition()) {
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
