#include "mount/bench/null_server.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "base/text.h"

namespace topicfs::bench {

namespace {

// Of Linux 6.9, later than the headers of some distributions.
constexpr std::uint32_t kInitExtended = 1u << 30;
constexpr std::uint32_t kInit2Passthrough = 1u << 5;  // bit 37 of the flags
constexpr std::uint32_t kOpenPassthrough = 1u << 7;
struct BackingMap {
    std::int32_t fd;
    std::uint32_t flags;
    std::uint64_t padding;
};
constexpr unsigned long kRegisterBacking = _IOW(229, 1, BackingMap);

constexpr unsigned kThreads = 8;  // as the daemon has
constexpr std::uint32_t kWriteBytesMax = 1u << 20;
constexpr std::size_t kRequestBytesMax = kWriteBytesMax + 4096;
constexpr std::uint64_t kRootNode = FUSE_ROOT_ID;
constexpr std::uint64_t kDirectoryNode = 2;
constexpr std::uint64_t kFirstFileNode = 16;
constexpr std::uint64_t kDirectorySeconds = 1;  // what topicfs lets the kernel keep; nothing of files

class NullServer {
public:
    NullServer(Fd device, Fd backing, const NullFuseOptions& options)
        : device_(std::move(device)), backing_(std::move(backing)), options_(options), content_(kWriteBytesMax) {
        constexpr std::size_t kLineBytes = 100;
        for (std::size_t i = 0; i < content_.size(); ++i) {
            content_[i] = i % kLineBytes == kLineBytes - 1 ? '\n' : static_cast<char>('a' + i % 26);
        }
    }

    int run() {
        stop_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        const int flags = ::fcntl(device_.get(), F_GETFL);
        if (!stop_ || flags < 0 || ::fcntl(device_.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
            return 1;
        }
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < kThreads; ++i) {
            threads.emplace_back([this] {
                serve();
                // One that ends ends all.
                const std::uint64_t one = 1;
                static_cast<void>(!::write(stop_.get(), &one, sizeof one));
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        return 0;
    }

private:
    void serve();
    // Whether to go on.
    bool serve_one(std::span<char> buffer);
    void dispatch(const fuse_in_header& header, std::span<const char> body);
    void initialise(std::uint64_t unique, const fuse_init_in& in);
    void look_up(const fuse_in_header& header, std::string_view name);
    void open(std::uint64_t unique, std::uint32_t flags);
    void read(std::uint64_t unique, const fuse_read_in& in);
    fuse_attr attributes(std::uint64_t node) const;
    std::uint32_t backing_id();

    void reply(std::uint64_t unique, int failure, std::span<const char> data);
    template <typename T>
    void reply(std::uint64_t unique, const T& data) {
        reply(unique, 0, {reinterpret_cast<const char*>(&data), sizeof data});
    }
    template <typename T>
    static T body_as(std::span<const char> body) {
        T in = {};
        std::memcpy(&in, body.data(), std::min(sizeof in, body.size()));
        return in;
    }

    Fd device_;
    Fd backing_;
    Fd stop_;
    const NullFuseOptions& options_;
    std::vector<char> content_;
    std::mutex backing_mutex_;
    std::uint32_t backing_id_ = 0;
};

void NullServer::serve() {
    const Fd poller(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event device = {};
    device.events = EPOLLIN | EPOLLEXCLUSIVE;
    device.data.fd = device_.get();
    epoll_event end = {};
    end.events = EPOLLIN;
    end.data.fd = stop_.get();
    if (!poller || ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, device_.get(), &device) != 0 ||
        ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, stop_.get(), &end) != 0) {
        return;
    }
    std::vector<char> buffer(kRequestBytesMax);
    for (;;) {
        std::array<epoll_event, 2> events = {};
        const int count = ::epoll_wait(poller.get(), events.data(), events.size(), -1);
        if (count < 0 && errno != EINTR) {
            return;
        }
        for (int i = 0; i < count; ++i) {
            if (events[static_cast<std::size_t>(i)].data.fd == stop_.get()) {
                return;
            }
        }
        if (count > 0 && !serve_one(buffer)) {
            return;
        }
    }
}

bool NullServer::serve_one(std::span<char> buffer) {
    const ssize_t count = ::read(device_.get(), buffer.data(), buffer.size());
    if (count < 0) {
        // ENOENT: the request was interrupted before it was read. ENODEV: unmounted.
        return errno == EAGAIN || errno == EINTR || errno == ENOENT;
    }
    fuse_in_header header = {};
    if (static_cast<std::size_t>(count) < sizeof header) {
        return false;
    }
    std::memcpy(&header, buffer.data(), sizeof header);
    dispatch(header, buffer.subspan(sizeof header, static_cast<std::size_t>(count) - sizeof header));
    return true;
}

void NullServer::dispatch(const fuse_in_header& header, std::span<const char> body) {
    const std::uint64_t unique = header.unique;
    switch (header.opcode) {
        case FUSE_INIT:
            return initialise(unique, body_as<fuse_init_in>(body));
        case FUSE_LOOKUP:
            // The name ends in a NUL.
            return look_up(header, {body.data(), body.empty() ? 0 : body.size() - 1});
        case FUSE_GETATTR:
        case FUSE_SETATTR: {
            fuse_attr_out out = {};
            out.attr = attributes(header.nodeid);
            out.attr_valid = header.nodeid < kFirstFileNode ? kDirectorySeconds : 0;
            return reply(unique, out);
        }
        case FUSE_OPEN:
            return open(unique, body_as<fuse_open_in>(body).flags);
        case FUSE_OPENDIR:
            return reply(unique, fuse_open_out{});
        case FUSE_READ:
            return read(unique, body_as<fuse_read_in>(body));
        case FUSE_WRITE: {
            fuse_write_out out = {};
            out.size = body_as<fuse_write_in>(body).size;
            return reply(unique, out);
        }
        case FUSE_READDIR:
        case FUSE_FLUSH:
        case FUSE_FSYNC:
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
        case FUSE_DESTROY:
            return reply(unique, 0, {});
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
            return;
        default:
            return reply(unique, ENOSYS, {});
    }
}

// What libfuse agrees on with the kernel for topicfs.
void NullServer::initialise(std::uint64_t unique, const fuse_init_in& in) {
    constexpr std::uint32_t kWanted = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                      FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES;
    fuse_init_out out = {};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min<std::uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
    out.max_readahead = in.max_readahead;
    out.flags = in.flags & kWanted;
    out.max_write = kWriteBytesMax;
    out.max_pages = kWriteBytesMax / 4096;
    out.time_gran = 1;
    if (options_.mode == NullMode::kPassthrough && (in.flags & kInitExtended) != 0) {
        out.flags |= kInitExtended;
        out.flags2 = in.flags2 & kInit2Passthrough;
        // Where later headers have max_stack_depth.
        static_assert(sizeof out == 64);
        constexpr std::size_t kStackDepthAt = 36;
        const std::uint32_t depth = 1;
        std::memcpy(reinterpret_cast<char*>(&out) + kStackDepthAt, &depth, sizeof depth);
    }
    reply(unique, out);
}

void NullServer::look_up(const fuse_in_header& header, std::string_view name) {
    std::uint64_t node = 0;
    if (header.nodeid == kRootNode && name == "log") {
        node = kDirectoryNode;
    } else if (const auto number = parse_unsigned(name); header.nodeid == kDirectoryNode && number) {
        node = kFirstFileNode + *number;
    }
    if (node == 0) {
        return reply(header.unique, ENOENT, {});
    }
    fuse_entry_out out = {};
    out.nodeid = node;
    out.attr = attributes(node);
    out.entry_valid = out.attr_valid = node < kFirstFileNode ? kDirectorySeconds : 0;
    reply(header.unique, out);
}

fuse_attr NullServer::attributes(std::uint64_t node) const {
    fuse_attr attributes = {};
    attributes.ino = node;
    attributes.nlink = 1;
    attributes.blksize = 4096;
    attributes.uid = ::geteuid();
    attributes.gid = ::getegid();
    if (node < kFirstFileNode) {
        attributes.mode = S_IFDIR | 0755;
        return attributes;
    }
    attributes.mode = S_IFREG | 0644;
    attributes.size = options_.file_bytes;
    struct stat info = {};
    if (backing_ && ::fstat(backing_.get(), &info) == 0) {
        attributes.size = static_cast<std::uint64_t>(info.st_size);
    }
    return attributes;
}

std::uint32_t NullServer::backing_id() {
    const std::lock_guard lock(backing_mutex_);
    if (backing_id_ == 0) {
        BackingMap map = {backing_.get(), 0, 0};
        const int id = ::ioctl(device_.get(), kRegisterBacking, &map);
        backing_id_ = id > 0 ? static_cast<std::uint32_t>(id) : 0;
    }
    return backing_id_;
}

void NullServer::open(std::uint64_t unique, std::uint32_t flags) {
    fuse_open_out out = {};
    out.fh = 1;
    out.open_flags = FOPEN_DIRECT_IO;
    const bool appends = (flags & O_ACCMODE) == O_WRONLY && (flags & O_APPEND) != 0;
    if (backing_ && appends) {
        const std::uint32_t id = backing_id();
        if (id == 0) {
            return reply(unique, EOPNOTSUPP, {});
        }
        out.open_flags = kOpenPassthrough;
        // Where later headers have backing_id.
        static_assert(sizeof out == 16);
        constexpr std::size_t kBackingIdAt = 12;
        std::memcpy(reinterpret_cast<char*>(&out) + kBackingIdAt, &id, sizeof id);
    }
    reply(unique, out);
}

void NullServer::read(std::uint64_t unique, const fuse_read_in& in) {
    const std::uint64_t left = options_.file_bytes - std::min(options_.file_bytes, in.offset);
    const std::uint64_t count = std::min<std::uint64_t>({in.size, left, content_.size()});
    reply(unique, 0, {content_.data(), static_cast<std::size_t>(count)});
}

void NullServer::reply(std::uint64_t unique, int failure, std::span<const char> data) {
    fuse_out_header header = {};
    header.len = static_cast<std::uint32_t>(sizeof header + data.size());
    header.error = -failure;
    header.unique = unique;
    const std::array<iovec, 2> parts = {{{&header, sizeof header}, {const_cast<char*>(data.data()), data.size()}}};
    // An interrupted request is not there any more; nobody waits for its answer then.
    static_cast<void>(!::writev(device_.get(), parts.data(), data.empty() ? 1 : 2));
}

}  // namespace

int serve_null_fuse(Fd device, Fd backing, const NullFuseOptions& options) {
    return NullServer(std::move(device), std::move(backing), options).run();
}

}  // namespace topicfs::bench
