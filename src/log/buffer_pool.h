// Memory for batches that comes back: taking a large block from the system costs a fault for each of its pages, and a
// vector would clear it first.
//
// Threads: any. A buffer may outlive its pool.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace topicfs {

class BufferPool;

// Memory of the system's own, not of the allocator's, where it is large: what is given back is gone from the process,
// and the heap does not keep it in pieces.
struct FreeBufferMemory {
    std::size_t mapped_bytes = 0;  // 0 where it is the allocator's
    void operator()(std::byte* memory) const;
};
using BufferMemory = std::unique_ptr<std::byte[], FreeBufferMemory>;

// Bytes without initial values. Move-only; goes back to its pool in the end.
class Buffer {
public:
    Buffer() = default;
    explicit Buffer(std::size_t bytes);
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer taken(std::move(other));
        swap(taken);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer();

    std::byte* data() { return memory_.get(); }
    const std::byte* data() const { return memory_.get(); }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    std::span<std::byte> bytes() { return {memory_.get(), size_}; }
    std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }

private:
    friend class BufferPool;
    Buffer(BufferMemory memory, std::size_t size, std::size_t capacity, std::weak_ptr<BufferPool> pool)
        : memory_(std::move(memory)), size_(size), capacity_(capacity), pool_(std::move(pool)) {}
    void swap(Buffer& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        std::swap(pool_, other.pool_);
    }

    BufferMemory memory_;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
    std::weak_ptr<BufferPool> pool_;
};

class BufferPool : public std::enable_shared_from_this<BufferPool> {
public:
    // Keeps at most `free_bytes_max` that nobody uses.
    explicit BufferPool(std::size_t free_bytes_max) : free_bytes_max_(free_bytes_max) {}

    Buffer take(std::size_t bytes);

    void set_free_bytes_max(std::size_t bytes);
    std::size_t free_bytes() const;

private:
    friend class Buffer;
    void give_back(BufferMemory memory, std::size_t capacity);
    void drop_over_budget();

    struct Free {
        BufferMemory memory;
        std::size_t capacity;
    };
    mutable std::mutex mutex_;
    std::vector<Free> free_;  // the one that came back last at the end: its memory is warm
    std::size_t free_bytes_ = 0;
    std::size_t free_bytes_max_;
};

}  // namespace topicfs
