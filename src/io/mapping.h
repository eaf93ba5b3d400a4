// An owned, read-only mapping of a part of a file.
//
// Touching it can raise SIGBUS: behind the file's end, and where the disk fails. So it is for the kernel to copy from
// (write(2) answers EFAULT); populate() tells beforehand what can be told. Threads: any.
#pragma once

#include <topicfs/result.h>

#include <cstddef>
#include <span>
#include <utility>

namespace topicfs {

// A multiple of every page size that Linux has on the machines we build for.
inline constexpr std::size_t kMappingAlignment = 64u << 10;

// Move-only; the destructor unmaps.
class Mapping {
public:
    Mapping(const std::byte* address, std::size_t length) : address_(address), length_(length) {}
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), length_(std::exchange(other.length_, 0)) {}
    Mapping& operator=(Mapping&&) = delete;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    std::span<const std::byte> bytes() const { return {address_, length_}; }

    // Brings a part into memory and into the page table with one call, which costs less than a fault every few pages.
    // kSystem (EFAULT) where touching it would raise SIGBUS. On a kernel before 5.14 it does nothing.
    Result<void> populate(std::size_t at, std::size_t length) const;

private:
    const std::byte* address_;
    std::size_t length_;
};

}  // namespace topicfs
