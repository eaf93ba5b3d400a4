// The part of Operations that is about locks, and about closing, which gives them up.
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <limits>

#include "base/log.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

// libfuse has made an off_t of the kernel's 64-bit range: the end of the file is a length of 0.
constexpr std::uint64_t kRangeEnd = std::numeric_limits<std::int64_t>::max();

Result<PosixLock> to_posix_lock(const struct flock& lock, const fuse_file_info& info) {
    if (lock.l_start < 0 || lock.l_len < 0) {
        return refused(EINVAL, "a lock's range begins and ends behind the begin of the file");
    }
    PosixLock to;
    to.type = lock.l_type == F_WRLCK ? LockType::kExclusive : LockType::kShared;
    to.first = static_cast<std::uint64_t>(lock.l_start);
    const auto length = static_cast<std::uint64_t>(lock.l_len);
    to.last = length == 0 || length > kRangeEnd - to.first ? kRangeEnd : to.first + length - 1;
    to.owner = info.lock_owner;
    to.handle = info.fh;
    to.pid = static_cast<std::uint32_t>(lock.l_pid);
    return to;
}

struct flock to_flock(const PosixLock& lock) {
    struct flock to = {};
    to.l_type = lock.type == LockType::kExclusive ? F_WRLCK : F_RDLCK;
    to.l_whence = SEEK_SET;
    to.l_start = static_cast<off_t>(lock.first);
    to.l_len = lock.last == kRangeEnd ? 0 : static_cast<off_t>(lock.last - lock.first + 1);
    to.l_pid = static_cast<pid_t>(lock.pid);
    return to;
}

}  // namespace

// Locks are kept by inode number, which all nodes of a partition share.

Result<void> Operations::flush(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    // POSIX: a close of any descriptor of a file gives up all that the process has locked in it.
    const std::uint64_t file = inode_number(*handle->node);
    locks_.unlock([&](LockTable& table) { return table.unlock_posix(file, info->lock_owner, 0, kRangeEnd); });
    if (handle->reader) {
        TOPICFS_TRY(handle->reader->sync());  // The kernel tells of the close itself when close(2) has returned.
    }
    if (handle->node->kind == NodeKind::kWriter || handle->backing) {
        const NodeRole role = handle->backing ? NodeRole::kBackedWriter : NodeRole::kWriter;
        turned_opens_.remember_writer(reply.thread(), file, role, handle->node->id);
    }
    reply.done();
    return {};
}

Result<void> Operations::release(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info) {
    const auto handle = handles_.remove(info->fh);
    if (!handle) {
        return refused(EBADF, "released twice");
    }
    if (handle->node->is_log()) {
        closed(*handle);
    }
    if (handle->appends && handle->node->topic->removal()) {
        // Whoever removes the topic for good may wait for this.
        handle->appends.reset();
        backings_.let_go(inode_number(*handle->node));
        busy_waits_.retry();
    }
    if (handle->reader) {
        close_stream(*handle);
    }
    if (handle->writer) {
        if (const auto written = handle->writer->close(); !written) {
            log_error(mount_point_ + '/' + handle->node->topic->name() + "/all: " + written.error().message());
        }
    }
    if (handle->node->follow) {
        follows_.forget(handle);
    }
    if (handle->node->kind == NodeKind::kRoot) {
        prepared_topics_.closed(handle->number);
    }
    if (!handle->node->is_directory()) {
        const std::uint64_t file = inode_number(*handle->node);
        if (info->flock_release) {
            locks_.unlock([&](LockTable& table) { return table.unlock_flock(file, info->lock_owner); });
        }
        // The kernel tells us of no other end of the locks that an open file owns itself (F_OFD_SETLK).
        locks_.unlock([&](LockTable& table) { return table.unlock_handle(file, handle->number); });
    }
    reply.done();
    return {};
}

Result<void> Operations::find_lock(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info, struct flock* lock) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    TOPICFS_TRY_ASSIGN(const PosixLock wanted, to_posix_lock(*lock, *info));
    const std::optional<PosixLock> conflict = locks_.find_conflict(inode_number(*handle->node), wanted);
    struct flock none = *lock;
    none.l_type = F_UNLCK;
    reply.lock(conflict ? to_flock(*conflict) : none);
    return {};
}

Result<void> Operations::set_lock(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info, struct flock* lock, int wait) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    TOPICFS_TRY_ASSIGN(const PosixLock wanted, to_posix_lock(*lock, *info));
    const std::uint64_t file = inode_number(*handle->node);
    if (lock->l_type == F_UNLCK) {
        locks_.unlock(
            [&](LockTable& table) { return table.unlock_posix(file, wanted.owner, wanted.first, wanted.last); });
        reply.done();
        return {};
    }
    locks_.lock(reply, wait != 0, [&](LockTable& table, std::optional<LockTable::Waiter> waiter) {
        return table.lock(file, wanted, waiter);
    });
    return {};
}

Result<void> Operations::set_flock(Reply& reply, fuse_ino_t /*id*/, fuse_file_info* info, int operation) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    const std::uint64_t file = inode_number(*handle->node);
    const bool wait = (operation & LOCK_NB) == 0;
    const int kind = operation & ~LOCK_NB;
    if (kind == LOCK_UN) {
        locks_.unlock([&](LockTable& table) { return table.unlock_flock(file, info->lock_owner); });
        reply.done();
        return {};
    }
    const Flock wanted = {kind == LOCK_EX ? LockType::kExclusive : LockType::kShared, info->lock_owner};
    locks_.lock(reply, wait, [&](LockTable& table, std::optional<LockTable::Waiter> waiter) {
        return table.lock(file, wanted, waiter);
    });
    return {};
}

}  // namespace topicfs
