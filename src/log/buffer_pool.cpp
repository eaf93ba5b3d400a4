#include "log/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace topicfs {

namespace {

// Smaller ones cost the allocator nothing.
constexpr std::size_t kPooledBytesMin = 64u << 10;
// So that buffers of nearly one size serve each other.
constexpr std::size_t kGranuleBytes = 16u << 10;

// A buffer may be so much larger than what is asked for: what nobody uses of it counts too.
bool serves(std::size_t capacity, std::size_t bytes) {
    return capacity >= bytes && capacity - bytes <= bytes / 4 + kGranuleBytes;
}

BufferMemory allocate(std::size_t bytes) {
    if (bytes < kPooledBytesMin) {
        return BufferMemory(new std::byte[bytes]);
    }
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    return {static_cast<std::byte*>(memory), FreeBufferMemory{bytes}};
}

}  // namespace

void FreeBufferMemory::operator()(std::byte* memory) const {
    if (mapped_bytes > 0) {
        ::munmap(memory, mapped_bytes);
    } else {
        delete[] memory;
    }
}

Buffer::Buffer(std::size_t bytes) : Buffer(allocate(bytes), bytes, bytes, {}) {}

Buffer::~Buffer() {
    if (memory_) {
        if (const auto pool = pool_.lock()) {
            pool->give_back(std::move(memory_), capacity_);
        }
    }
}

Buffer BufferPool::take(std::size_t bytes) {
    if (bytes < kPooledBytesMin) {
        return Buffer(bytes);
    }
    {
        const std::scoped_lock lock(mutex_);
        const auto found =
            std::find_if(free_.rbegin(), free_.rend(), [&](const Free& free) { return serves(free.capacity, bytes); });
        if (found != free_.rend()) {
            Buffer buffer(std::move(found->memory), bytes, found->capacity, weak_from_this());
            free_bytes_ -= found->capacity;
            free_.erase(std::next(found).base());
            return buffer;
        }
    }
    const std::size_t capacity = (bytes + kGranuleBytes - 1) / kGranuleBytes * kGranuleBytes;
    return {allocate(capacity), bytes, capacity, weak_from_this()};
}

void BufferPool::give_back(BufferMemory memory, std::size_t capacity) {
    const std::scoped_lock lock(mutex_);
    if (capacity <= free_bytes_max_) {
        free_.push_back({std::move(memory), capacity});
        free_bytes_ += capacity;
        drop_over_budget();
    }
}

void BufferPool::drop_over_budget() {
    std::size_t dropped = 0;
    while (free_bytes_ > free_bytes_max_) {
        free_bytes_ -= free_[dropped++].capacity;
    }
    free_.erase(free_.begin(), free_.begin() + static_cast<std::ptrdiff_t>(dropped));
}

void BufferPool::set_free_bytes_max(std::size_t bytes) {
    const std::scoped_lock lock(mutex_);
    free_bytes_max_ = bytes;
    drop_over_budget();
}

std::size_t BufferPool::free_bytes() const {
    const std::scoped_lock lock(mutex_);
    return free_bytes_;
}

}  // namespace topicfs
