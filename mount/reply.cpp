#include "mount/reply.h"

#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <sys/uio.h>

#include "base/log.h"

namespace topicfs {

namespace {

// Logging can fail too (it allocates), and the answer matters more.
void log_failure(const char* operation, const char* what) noexcept {
    try {
        log_error(std::string(operation) + ": failed inside: " + what);
    } catch (...) {
    }
}

}  // namespace

Reply::~Reply() {
    if (request_ != nullptr) {
        log_failure(operation_, "no answer was given");
        fuse_reply_err(request_, EIO);
    }
}

fuse_req_t Reply::take() {
    assert(request_ != nullptr);
    return std::exchange(request_, nullptr);
}

fuse_req_t Reply::hand_over() {
    return take();
}

bool Reply::delivered(int code) const {
    if (code == 0) {
        return true;
    }
    // ENOENT: the caller was interrupted and is gone. ENODEV and the rest: the mount is.
    log_debug(std::string(operation_) + ": the answer was not taken: " + std::strerror(-code));
    return false;
}

void Reply::error(int system_errno) {
    if (answered()) {
        return;
    }
    if (system_errno <= 0) {
        log_failure(operation_, "an error without a positive errno");
        system_errno = EIO;
    }
    delivered(fuse_reply_err(take(), system_errno));
}

void Reply::error(const Error& error) {
    if (answered()) {
        return;
    }
    const int system_errno = to_errno(error);
    if (system_errno == EIO) {
        log_error(std::string(operation_) + ": " + error.message());
    } else if (log_enabled(LogLevel::kDebug)) {
        log_debug(std::string(operation_) + ": " + error.message());
    }
    this->error(system_errno);
}

void Reply::done() {
    delivered(fuse_reply_err(take(), 0));
}

bool Reply::entry(const fuse_entry_param& entry) {
    return delivered(fuse_reply_entry(take(), &entry));
}

bool Reply::opened(const fuse_file_info& info) {
    return delivered(fuse_reply_open(take(), &info));
}

bool Reply::created(const fuse_entry_param& entry, const fuse_file_info& info) {
    return delivered(fuse_reply_create(take(), &entry, &info));
}

void Reply::attributes(const struct stat& attributes, double timeout_seconds) {
    delivered(fuse_reply_attr(take(), &attributes, timeout_seconds));
}

void Reply::data(std::span<const std::byte> bytes) {
    delivered(fuse_reply_buf(take(), reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void Reply::data(const ByteView& view) {
    std::vector<iovec> parts;
    parts.reserve(view.parts().size());
    for (const std::span<const std::byte> part : view.parts()) {
        parts.push_back({const_cast<std::byte*>(part.data()), part.size()});
    }
    delivered(fuse_reply_iov(take(), parts.data(), static_cast<int>(parts.size())));
}

void Reply::end_of_file() {
    data(std::span<const std::byte>());
}

void Reply::poll(unsigned events) {
    delivered(fuse_reply_poll(take(), events));
}

void Reply::written(std::size_t bytes) {
    delivered(fuse_reply_write(take(), bytes));
}

void Reply::space(const struct statvfs& space) {
    delivered(fuse_reply_statfs(take(), &space));
}

void Reply::lock(const struct flock& lock) {
    delivered(fuse_reply_lock(take(), &lock));
}

void Reply::position(off_t offset) {
    delivered(fuse_reply_lseek(take(), offset));
}

void Reply::controlled(std::span<const std::byte> out) {
    delivered(fuse_reply_ioctl(take(), 0, out.data(), out.size()));
}

void Reply::nothing() {
    fuse_reply_none(take());
}

void Reply::failed(const std::exception& exception) noexcept {
    log_failure(operation_, exception.what());
    if (request_ != nullptr) {
        const bool memory = dynamic_cast<const std::bad_alloc*>(&exception) != nullptr;
        fuse_reply_err(std::exchange(request_, nullptr), memory ? ENOMEM : EIO);
    }
}

void Reply::failed_unknown() noexcept {
    log_failure(operation_, "an exception of an unknown type");
    if (request_ != nullptr) {
        fuse_reply_err(std::exchange(request_, nullptr), EIO);
    }
}

Error refused(int system_errno, const char* why) {
    Error error = system_error(system_errno, "", "");
    error.detail = why;
    return error;
}

}  // namespace topicfs
