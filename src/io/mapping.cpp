#include "io/mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace topicfs {

namespace {

// The calls take pointers to what they may change; none of ours does.
void* writable(const std::byte* address) {
    return const_cast<std::byte*>(address);
}

}  // namespace

Mapping::~Mapping() {
    if (length_ > 0) {
        ::munmap(writable(address_), length_);  // Fails only for addresses that are no mapping.
    }
}

Result<void> Mapping::populate(std::size_t at, std::size_t length) const {
    static const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t from = at / page_bytes * page_bytes;
    int outcome = 0;
    do {
        outcome = ::madvise(writable(address_ + from), at + length - from, MADV_POPULATE_READ);
    } while (outcome != 0 && errno == EINTR);
    if (outcome != 0 && errno != EINVAL) {
        return system_error(errno, "read a mapping", "");
    }
    return {};
}

}  // namespace topicfs
