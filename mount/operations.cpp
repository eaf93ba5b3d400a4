#include "mount/operations.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/log.h"

namespace topicfs {

namespace {

Operations& operations_of(fuse_req_t request) {
    return *static_cast<Operations*>(fuse_req_userdata(request));
}

// A string literal as a template argument: what a callback is called in log lines.
template <std::size_t size>
struct Name {
    // Implicit on purpose, so that a literal can stand in the argument list.
    constexpr Name(const char (&text)[size]) { std::copy_n(text, size, letters); }
    char letters[size];
};

// The libfuse callback for a member of Operations: wraps it by answer().
template <auto kMember, Name kName>
struct Callback;

template <typename... Arguments, Result<void> (Operations::*kMember)(Reply&, Arguments...), Name kName>
struct Callback<kMember, kName> {
    static void call(fuse_req_t request, Arguments... arguments) noexcept {
        answer(request, kName.letters,
               [&](Reply& reply) { return (operations_of(request).*kMember)(reply, arguments...); });
    }
};

void on_initialise(void* operations, fuse_conn_info* connection) {
    static_cast<Operations*>(operations)->initialise(*connection);
}

// Everything that is not here answers ENOSYS, which the kernel remembers: extended attributes (it would ask for
// security.capability at every write), access (the kernel checks), copy_file_range (the kernel copies by itself).
fuse_lowlevel_ops make_callbacks() {
    fuse_lowlevel_ops callbacks = {};
    callbacks.init = on_initialise;
    callbacks.lookup = Callback<&Operations::look_up, "lookup">::call;
    callbacks.forget = Callback<&Operations::forget, "forget">::call;
    callbacks.forget_multi = Callback<&Operations::forget_many, "forget">::call;
    callbacks.getattr = Callback<&Operations::get_attributes, "getattr">::call;
    callbacks.setattr = Callback<&Operations::set_attributes, "setattr">::call;
    callbacks.mknod = Callback<&Operations::make_node, "mknod">::call;
    callbacks.mkdir = Callback<&Operations::make_directory, "mkdir">::call;
    callbacks.unlink = Callback<&Operations::remove_file, "unlink">::call;
    callbacks.rmdir = Callback<&Operations::remove_directory, "rmdir">::call;
    callbacks.symlink = Callback<&Operations::make_symlink, "symlink">::call;
    callbacks.rename = Callback<&Operations::rename, "rename">::call;
    callbacks.link = Callback<&Operations::make_link, "link">::call;
    callbacks.opendir = Callback<&Operations::open_directory, "opendir">::call;
    callbacks.readdir = Callback<&Operations::read_directory, "readdir">::call;
    callbacks.releasedir = Callback<&Operations::release, "releasedir">::call;
    callbacks.fsyncdir = Callback<&Operations::sync_directory, "fsyncdir">::call;
    callbacks.statfs = Callback<&Operations::show_space, "statfs">::call;
    callbacks.create = Callback<&Operations::create, "create">::call;
    callbacks.open = Callback<&Operations::open, "open">::call;
    callbacks.read = Callback<&Operations::read, "read">::call;
    callbacks.write = Callback<&Operations::write, "write">::call;
    callbacks.fsync = Callback<&Operations::sync, "fsync">::call;
    callbacks.fallocate = Callback<&Operations::allocate, "fallocate">::call;
    callbacks.lseek = Callback<&Operations::seek, "lseek">::call;
    callbacks.poll = Callback<&Operations::poll, "poll">::call;
    callbacks.ioctl = Callback<&Operations::control, "ioctl">::call;
    callbacks.flush = Callback<&Operations::flush, "flush">::call;
    callbacks.release = Callback<&Operations::release, "release">::call;
    callbacks.getlk = Callback<&Operations::find_lock, "getlk">::call;
    callbacks.setlk = Callback<&Operations::set_lock, "setlk">::call;
    callbacks.flock = Callback<&Operations::set_flock, "flock">::call;
    return callbacks;
}

void on_read_interrupted(fuse_req_t request, void* number) {
    operations_of(request).interrupt_read(reinterpret_cast<std::uintptr_t>(number));
}

void on_lock_interrupted(fuse_req_t request, void* waiter_number) {
    operations_of(request).interrupt_lock(reinterpret_cast<std::uintptr_t>(waiter_number));
}

}  // namespace

Operations::Operations(Store& store, std::string mount_point, Fd space_of, std::chrono::milliseconds busy_patience)
    : store_(store),
      mount_point_(std::move(mount_point)),
      space_of_(std::move(space_of)),
      locks_(on_lock_interrupted),
      follows_(on_read_interrupted,
               [this](Reply& reply, const FollowWaits::Read& read) {
                   read.handle->reader ? answer_stream(reply, read)
                                       : answer_read(reply, *read.handle, read.position, read.bytes_max);
               }),
      busy_waits_(busy_patience) {}

const fuse_lowlevel_ops& Operations::callbacks() {
    static const fuse_lowlevel_ops kCallbacks = make_callbacks();
    return kCallbacks;
}

void Operations::initialise(fuse_conn_info& connection) {
    // What libfuse turns on by itself and what does not fit:
    unsigned unwanted = 0;
    // Small writes and replies go through one more pipe with it.
    unwanted |= FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
    // A large asynchronous write would come as several requests at the same time, in any order; we append in the order
    // in which they come.
    unwanted |= FUSE_CAP_ASYNC_DIO;
    // A cached write would come later, from nobody, and appended bytes would be visible to others only then.
    unwanted |= FUSE_CAP_WRITEBACK_CACHE;
    // A directory's entries would count as look-ups of partitions nobody has asked for.
    unwanted |= FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO;
    // Without it the kernel clears set-id bits at chown by a SETATTR of the mode, which we serve anyway.
    unwanted |= FUSE_CAP_HANDLE_KILLPRIV;
    connection.want &= ~unwanted;
    // O_TRUNC comes with OPEN, so that it can be refused before anything is open. Locks come to us (locks.h).
    constexpr unsigned kWanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS;
    connection.want |= kWanted & connection.capable;
    // Times are kept to the nanosecond.
    connection.time_gran = 1;
    passthrough_.initialise(connection);
    initialised_ = true;
}

void Operations::sweep() {
    const std::int64_t now = system_clock().monotonic_ms();
    std::int64_t last = swept_at_ms_.load();
    if (now - last >= kSweepMs && swept_at_ms_.compare_exchange_strong(last, now)) {
        backings_.sweep();
    }
}

Result<std::shared_ptr<const Node>> Operations::find_node(fuse_ino_t id) const {
    if (auto node = nodes_.find(id)) {
        return node;
    }
    return refused(ESTALE, "the kernel asked about a node that it has forgotten");
}

Result<std::shared_ptr<Handle>> Operations::find_handle(const fuse_file_info* info) const {
    if (info != nullptr) {
        if (auto handle = handles_.find(info->fh)) {
            return handle;
        }
    }
    return refused(EBADF, "the kernel named a file handle that is not open");
}

}  // namespace topicfs
