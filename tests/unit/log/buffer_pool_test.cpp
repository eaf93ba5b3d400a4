#include "log/buffer_pool.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

using namespace topicfs;

namespace {

constexpr std::size_t kMiB = 1u << 20;

}  // namespace

TEST_CASE("BufferPool: memory comes back and is given out again") {
    const auto pool = std::make_shared<BufferPool>(4 * kMiB);
    const std::byte* first = nullptr;
    {
        Buffer buffer = pool->take(kMiB);
        CHECK(buffer.size() == kMiB);
        first = buffer.data();
        const Buffer moved = std::move(buffer);
        CHECK(moved.data() == first);
        CHECK(pool->free_bytes() == 0);
    }
    CHECK(pool->free_bytes() == kMiB);
    const Buffer again = pool->take(kMiB - 1000);
    CHECK(again.data() == first);
    CHECK(again.size() == kMiB - 1000);
    CHECK(pool->free_bytes() == 0);
}

TEST_CASE("BufferPool: a much smaller batch does not hold on to a large buffer") {
    const auto pool = std::make_shared<BufferPool>(4 * kMiB);
    { const Buffer large = pool->take(kMiB); }
    const Buffer small = pool->take(kMiB / 2);
    CHECK(small.capacity() < kMiB);
    CHECK(pool->free_bytes() == kMiB);
}

TEST_CASE("BufferPool: what nobody uses is bounded, the oldest goes first") {
    const auto pool = std::make_shared<BufferPool>(2 * kMiB);
    const std::byte* last = nullptr;
    {
        std::vector<Buffer> buffers;
        for (int i = 0; i < 5; ++i) {
            buffers.push_back(pool->take(kMiB));
        }
        for (Buffer& buffer : buffers) {
            last = buffer.data();
            buffer = Buffer();
        }
    }
    CHECK(pool->free_bytes() == 2 * kMiB);
    CHECK(pool->take(kMiB).data() == last);
    pool->set_free_bytes_max(0);
    CHECK(pool->free_bytes() == 0);
}

TEST_CASE("BufferPool: a buffer may outlive its pool") {
    auto pool = std::make_shared<BufferPool>(4 * kMiB);
    Buffer buffer = pool->take(kMiB);
    pool.reset();
    buffer.data()[kMiB - 1] = std::byte{1};
}

TEST_CASE("BufferPool: no two threads have one buffer") {
    const auto pool = std::make_shared<BufferPool>(4 * kMiB);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 200; ++i) {
                Buffer buffer = pool->take(100'000);
                buffer.data()[0] = std::byte(thread);
                std::this_thread::yield();
                wrong += buffer.data()[0] == std::byte(thread) ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
}
