#include "io/fd.h"

#include <unistd.h>

#include <cerrno>

namespace topicfs {

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = other.release();
    }
    return *this;
}

Fd::~Fd() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Result<void> Fd::close() {
    const int fd = release();
    if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) {
        return system_error(errno, "close", "");
    }
    return {};
}

}  // namespace topicfs
