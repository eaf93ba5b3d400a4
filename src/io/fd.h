// An owned file descriptor.
#pragma once

#include <topicfs/result.h>

#include <utility>

namespace topicfs {

// Move-only. The destructor closes and cannot report; where a failed close matters, call close().
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept;
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd();

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }

    // Clears the member first, then closes; EINTR counts as closed (Linux frees the number all the same).
    Result<void> close();

private:
    int fd_ = -1;
};

}  // namespace topicfs
