#include "mount/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "mount/fuse_api.h"
#include "mount/operations.h"

namespace topicfs {

namespace {

// libfuse calls these two as it would read(2) and writev(2).

ssize_t read_device(int fd, void* buffer, std::size_t size, void* operations) {
    const ssize_t count = ::read(fd, buffer, size);
    if (count > 0) {
        auto& told = *static_cast<Operations*>(operations);
        const std::span request(static_cast<const std::byte*>(buffer), static_cast<std::size_t>(count));
        told.requests().begin(request);
        told.passthrough().on_request(request);
    }
    if (count == 0 || (count < 0 && errno == ECONNRESET)) {
        // A socket whose other end is closed: to libfuse, what /dev/fuse says after an unmount.
        errno = ENODEV;
        return -1;
    }
    return count;
}

// What every answer begins with (fuse_out_header).
struct AnswerHeader {
    std::uint32_t length;
    std::int32_t error;  // negative
    std::uint64_t unique;
};

// The answer with that header, made to say that there was an error.
ssize_t write_error(int fd, const iovec& header, std::int32_t error) {
    AnswerHeader out = {};
    if (header.iov_len < sizeof out) {
        errno = EINVAL;
        return -1;
    }
    std::memcpy(&out, header.iov_base, sizeof out);
    if (out.unique == 0) {
        errno = EINVAL;  // a notification, which nobody waits for
        return -1;
    }
    out.length = sizeof out;
    out.error = -error;
    return ::write(fd, &out, sizeof out);
}

AnswerHeader header_of(const iovec& part) {
    AnswerHeader header = {};
    if (part.iov_len >= sizeof header) {
        std::memcpy(&header, part.iov_base, sizeof header);
    }
    return header;
}

ssize_t write_device(int fd, iovec* parts, int count, void* operations) {
    RequestCounts& requests = static_cast<Operations*>(operations)->requests();
    const auto changed = static_cast<Operations*>(operations)
                             ->passthrough()
                             .on_answer(std::span(parts, static_cast<std::size_t>(count)));
    iovec whole = {};
    if (changed) {
        whole = {const_cast<std::byte*>(changed->data()), changed->size()};
        parts = &whole;
        count = 1;
    }
    const AnswerHeader header = header_of(parts[0]);
    requests.answers(header.unique, -header.error);
    for (;;) {
        const ssize_t written = ::writev(fd, parts, count);
        if (written < 0 && (errno == EFAULT || errno == EINVAL) && count > 1) {
            // EFAULT: a part lies in a mapping of a file whose disk fails, or that was cut under us. EINVAL would be a
            // mistake of ours. Without an answer the caller would wait for ever.
            log_error(std::string("an answer could not be given: ") + std::strerror(errno));
            requests.answers(header.unique, EIO);
            const ssize_t instead = write_error(fd, parts[0], EIO);
            requests.answered(header.unique);
            return instead;
        }
        if (written >= 0 || (errno != EAGAIN && errno != EINTR)) {
            const int saved_errno = errno;
            requests.answered(header.unique);
            errno = saved_errno;
            return written;
        }
        // /dev/fuse takes every answer at once; a socket can be full, and the descriptor does not block.
        pollfd writable = {fd, POLLOUT, 0};
        poll(&writable, 1, -1);
    }
}

void log_for_libfuse(fuse_log_level level, const char* format, va_list arguments) {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    const std::string_view text = trim(line);
    log_message(level <= FUSE_LOG_ERR ? LogLevel::kError : LogLevel::kDebug, "libfuse: " + std::string(text));
}

// Signals are for the threads of the caller. Those that an instruction raises must stay: blocked, they end the process.
void block_signals() {
    sigset_t signals;
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
        sigdelset(&signals, fault);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Result<void> make_non_blocking(int fd) {
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return system_error(errno, "make non-blocking", "the FUSE device");
    }
    return {};
}

Result<Fd> open_directory_for_space(const std::string& directory) {
    if (directory.empty()) {
        return Fd();
    }
    Fd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        return system_error(errno, "open", directory);
    }
    return fd;
}

// What a serving thread's receive buffer is made of: libfuse allocates it, once a thread.
struct RequestBuffer {
    RequestBuffer() = default;
    ~RequestBuffer() { std::free(buffer.mem); }
    RequestBuffer(const RequestBuffer&) = delete;
    RequestBuffer& operator=(const RequestBuffer&) = delete;
    fuse_buf buffer = {};
};

}  // namespace

class Session::Impl {
public:
    Impl(Store& store, SessionOptions options, Fd space_of)
        : options_(std::move(options)),
          operations_(store, options_.mount_point, std::move(space_of), options_.busy_patience) {}
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Result<void> start(Fd device);
    Result<void> serve();
    void stop() noexcept;
    std::size_t open_handle_count() const { return operations_.open_handle_count(); }
    bool ready() const { return announced_; }
    void end_follows() { operations_.end_follows(); }

private:
    void serve_on_this_thread() noexcept;
    Result<void> serve_requests();
    Result<Fd> make_poller() const;
    // Whether to go on.
    Result<bool> serve_one(RequestBuffer& request);
    void announce();
    void fail(Error error);

    SessionOptions options_;
    Operations operations_;
    Fd stop_event_;
    fuse_session* session_ = nullptr;
    std::atomic<bool> announced_ = false;
    std::mutex failure_mutex_;
    std::optional<Error> failure_;
};

Result<void> Session::Impl::start(Fd device) {
    if (options_.threads == 0) {
        return make_error(ErrorCode::kInvalid, "serve", options_.mount_point, "there must be a thread to serve");
    }
    TOPICFS_TRY(make_non_blocking(device.get()));
    stop_event_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop_event_) {
        return system_error(errno, "eventfd", "");
    }
    fuse_set_log_func(log_for_libfuse);
    char name[] = "topicfs";
    char* names[] = {name, nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(1, names);
    session_ = fuse_session_new(&arguments, &Operations::callbacks(), sizeof(fuse_lowlevel_ops), &operations_);
    fuse_opt_free_args(&arguments);
    if (session_ == nullptr) {
        return system_error(ENOMEM, "make a session", options_.mount_point);
    }
    static const fuse_custom_io kIo = {write_device, read_device, nullptr, nullptr};
    if (const int code = fuse_session_custom_io(session_, &kIo, device.get()); code != 0) {
        return system_error(code < 0 ? -code : EIO, "use the descriptor", options_.mount_point);
    }
    // From here on fuse_session_destroy closes it.
    device.release();
    return {};
}

Session::Impl::~Impl() {
    if (session_ != nullptr) {
        operations_.end_waits();
        operations_.passthrough().device_closes();
        fuse_session_destroy(session_);
    }
}

void Session::Impl::stop() noexcept {
    const int saved_errno = errno;
    const std::uint64_t one = 1;
    // It is never read, so it stays readable for all threads; a full counter is readable too.
    [[maybe_unused]] const ssize_t written = ::write(stop_event_.get(), &one, sizeof one);
    errno = saved_errno;
}

Result<void> Session::Impl::serve() {
    std::vector<std::thread> threads;
    threads.reserve(options_.threads);
    try {
        for (unsigned i = 0; i < options_.threads; ++i) {
            threads.emplace_back([this] {
                block_signals();
                serve_on_this_thread();
            });
        }
    } catch (const std::system_error& error) {
        fail(system_error(error.code().value(), "start a thread", options_.mount_point));
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const std::lock_guard lock(failure_mutex_);
    if (failure_) {
        return *failure_;
    }
    return {};
}

void Session::Impl::serve_on_this_thread() noexcept {
    if (Result<void> result = serve_requests(); !result) {
        fail(std::move(result).error());
    }
    // One that ends ends all: the mount is gone, or was told to stop.
    stop();
}

void Session::Impl::fail(Error error) {
    {
        const std::lock_guard lock(failure_mutex_);
        if (!failure_) {
            failure_ = std::move(error);
        }
    }
    stop();
}

Result<Fd> Session::Impl::make_poller() const {
    Fd poller(epoll_create1(EPOLL_CLOEXEC));
    if (!poller) {
        return system_error(errno, "epoll_create1", "");
    }
    // Exclusive: a request wakes one thread, and always the same one while that is idle, whose caches know the work.
    epoll_event device = {};
    device.events = EPOLLIN | EPOLLEXCLUSIVE;
    device.data.fd = fuse_session_fd(session_);
    epoll_event end = {};
    end.events = EPOLLIN;
    end.data.fd = stop_event_.get();
    if (epoll_ctl(poller.get(), EPOLL_CTL_ADD, device.data.fd, &device) != 0 ||
        epoll_ctl(poller.get(), EPOLL_CTL_ADD, end.data.fd, &end) != 0) {
        return system_error(errno, "epoll_ctl", "the FUSE device");
    }
    return poller;
}

Result<void> Session::Impl::serve_requests() {
    TOPICFS_TRY_ASSIGN(const Fd poller, make_poller());
    RequestBuffer request;
    for (;;) {
        epoll_event events[2];
        const int patience_ms = operations_.needs_sweep() ? Operations::kSweepMs : -1;
        const int count = epoll_wait(poller.get(), events, 2, patience_ms);
        if (patience_ms >= 0) {
            operations_.sweep();
        }
        if (count < 0 && errno != EINTR) {
            return system_error(errno, "epoll_wait", "the FUSE device");
        }
        for (int i = 0; i < count; ++i) {
            if (events[i].data.fd == stop_event_.get()) {
                return {};
            }
        }
        if (count > 0) {
            TOPICFS_TRY_ASSIGN(const bool go_on, serve_one(request));
            if (!go_on) {
                return {};
            }
        }
    }
}

Result<bool> Session::Impl::serve_one(RequestBuffer& request) {
    const int received = fuse_session_receive_buf(session_, &request.buffer);
    if (received == -EAGAIN || received == -EINTR) {
        return true;  // Another thread was faster.
    }
    if (received == 0) {
        return false;  // ENODEV: unmounted.
    }
    if (received < 0) {
        return system_error(-received, "read a request", options_.mount_point);
    }
    fuse_session_process_buf(session_, &request.buffer);
    operations_.requests().end();
    operations_.unused_views().prune(fuse_session_fd(session_));
    if (!announced_) {
        // The first request is INIT, and the kernel sends no other before its answer. libfuse refuses a protocol that
        // is not its own and then waits on, for nothing.
        if (!operations_.initialised()) {
            return system_error(EPROTO, "agree with the kernel on a protocol", options_.mount_point);
        }
        announce();
    }
    return true;
}

void Session::Impl::announce() {
    if (announced_.exchange(true)) {
        return;
    }
    operations_.passthrough().try_out(fuse_session_fd(session_), options_.probe_file);
    if (options_.on_ready) {
        options_.on_ready(operations_.passthrough().refusal());
    }
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Store& store, Fd device, SessionOptions options) {
    TOPICFS_TRY_ASSIGN(Fd space_of, open_directory_for_space(options.data_directory));
    auto impl = std::make_unique<Impl>(store, std::move(options), std::move(space_of));
    TOPICFS_TRY(impl->start(std::move(device)));
    return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<void> Session::serve() {
    return impl_->serve();
}
void Session::stop() noexcept {
    impl_->stop();
}
void Session::end_follows() {
    impl_->end_follows();
}
std::size_t Session::open_handle_count() const {
    return impl_->open_handle_count();
}
bool Session::ready() const {
    return impl_->ready();
}

}  // namespace topicfs
