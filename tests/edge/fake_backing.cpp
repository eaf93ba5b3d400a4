#include "edge/fake_backing.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

namespace topicfs::test {

FakeBackingFiles& FakeBackingFiles::instance() {
    static FakeBackingFiles all;
    return all;
}

void FakeBackingFiles::reset() {
    const std::lock_guard lock(mutex_);
    refused_.reset();
    named_.clear();
}

void FakeBackingFiles::refuse(std::optional<int> system_errno) {
    const std::lock_guard lock(mutex_);
    refused_ = system_errno;
}

std::set<std::int32_t> FakeBackingFiles::named() const {
    const std::lock_guard lock(mutex_);
    return named_;
}

int FakeBackingFiles::add(int file) {
    const std::lock_guard lock(mutex_);
    if (refused_ || fcntl(file, F_GETFD) < 0) {
        errno = refused_.value_or(EBADF);
        return -1;
    }
    named_.insert(next_id_);
    return next_id_++;
}

int FakeBackingFiles::remove(std::uint32_t id) {
    const std::lock_guard lock(mutex_);
    if (named_.erase(static_cast<std::int32_t>(id)) == 0) {
        errno = ENOENT;
        return -1;
    }
    return 0;
}

}  // namespace topicfs::test

// What the linker calls so.
extern "C" {
int __real_ioctl(int fd, unsigned long request, ...);  // NOLINT
int __wrap_ioctl(int fd, unsigned long request, ...);  // NOLINT
}

int __wrap_ioctl(int fd, unsigned long request, ...) {  // NOLINT
    va_list arguments;
    va_start(arguments, request);
    void* const argument = va_arg(arguments, void*);
    va_end(arguments);
    constexpr unsigned long kFuseMagic = 229;
    if (_IOC_TYPE(request) != kFuseMagic) {
        return __real_ioctl(fd, request, argument);
    }
    auto& backing_files = topicfs::test::FakeBackingFiles::instance();
    // struct fuse_backing_map is a file descriptor, flags and padding; the other ioctl has the id alone.
    if (request == _IOW(kFuseMagic, 1, char[16])) {
        int file = -1;
        std::memcpy(&file, argument, sizeof file);
        return backing_files.add(file);
    }
    if (request == _IOW(kFuseMagic, 2, std::uint32_t)) {
        std::uint32_t id = 0;
        std::memcpy(&id, argument, sizeof id);
        return backing_files.remove(id);
    }
    errno = ENOTTY;
    return -1;
}
