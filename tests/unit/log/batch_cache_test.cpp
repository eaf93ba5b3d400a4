#include "log/batch_cache.h"

#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct CacheFixture {
    std::shared_ptr<Segment> segment() {
        return std::make_shared<Segment>(*fs, "p", Position{0}, Codec::kLz4, 0, 0, Segment::Access::kRead);
    }
    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> fs = std::move(*open_file_system(directory.string()));
};

Segment::Decoded batch_of(std::size_t bytes) {
    Segment::Decoded batch;
    batch.raw = Buffer(bytes);
    return batch;
}

}  // namespace

TEST_CASE("BatchCache: a batch is loaded once and handed out again") {
    CacheFixture fixture;
    BatchCache cache(10'000);
    const auto segment = fixture.segment();
    int loads = 0;
    const auto load = [&]() -> Result<Segment::Decoded> {
        ++loads;
        return batch_of(100);
    };
    const auto first = cache.get(segment, Position{0}, load);
    const auto second = cache.get(segment, Position{0}, load);
    REQUIRE(first);
    CHECK(*first == *second);
    CHECK(loads == 1);
    REQUIRE(cache.get(segment, Position{100}, load));
    REQUIRE(cache.get(fixture.segment(), Position{0}, load));
    CHECK(loads == 3);
    CHECK(cache.bytes() == 3 * batch_of(100).memory_bytes());
}

TEST_CASE("BatchCache: what was not used for longest goes first, and a batch over the budget is not kept") {
    CacheFixture fixture;
    const std::size_t bytes_max = 2 * batch_of(100).memory_bytes() + 50;
    BatchCache cache(bytes_max);
    const auto segment = fixture.segment();
    std::vector<std::uint64_t> loads;
    const auto get = [&](std::uint64_t base, std::size_t bytes = 100) {
        const auto batch = cache.get(segment, Position{base}, [&]() -> Result<Segment::Decoded> {
            loads.push_back(base);
            return batch_of(bytes);
        });
        REQUIRE(batch);
        CHECK((*batch)->raw.size() == bytes);
        CHECK(cache.bytes() <= bytes_max);
        return *batch;
    };
    const auto held = get(0);
    get(1);
    get(0);
    get(2);  // 1 goes
    get(0);
    get(1);
    CHECK(loads == std::vector<std::uint64_t>{0, 1, 2, 1});
    get(9, 1000);
    CHECK(cache.bytes() == 0);
    CHECK(held->raw.size() == 100);
}

TEST_CASE("BatchCache: a batch is found by any position that it holds, and by no other") {
    CacheFixture fixture;
    BatchCache cache(10'000);
    const auto segment = fixture.segment();
    for (const std::uint64_t base : {100U, 200U}) {
        REQUIRE(cache.get(segment, Position{base}, [&]() -> Result<Segment::Decoded> {
            Segment::Decoded batch = batch_of(50);
            batch.entry.base_position = Position{base};
            batch.entry.raw_bytes = 50;
            return batch;
        }));
    }
    for (const std::uint64_t at : {100U, 149U, 200U, 249U}) {
        const auto batch = cache.find(segment, Position{at});
        REQUIRE(batch);
        CHECK(batch->entry.base_position.value == at / 100 * 100);
    }
    for (const std::uint64_t at : {0U, 99U, 150U, 199U, 250U}) {
        CHECK_FALSE(cache.find(segment, Position{at}));
    }
    CHECK_FALSE(cache.find(fixture.segment(), Position{100}));
}

TEST_CASE("BatchCache: a failure is not kept") {
    CacheFixture fixture;
    BatchCache cache(10'000);
    const auto segment = fixture.segment();
    const auto failed = cache.get(segment, Position{0}, []() -> Result<Segment::Decoded> {
        return make_error(ErrorCode::kDamaged, "read", "p", "it is damaged");
    });
    CHECK(failed.error().code == ErrorCode::kDamaged);
    CHECK_THROWS_AS(
        cache.get(segment, Position{0}, []() -> Result<Segment::Decoded> { throw std::bad_alloc(); }).has_value(),
        std::bad_alloc);
    CHECK(cache.get(segment, Position{0}, []() -> Result<Segment::Decoded> { return batch_of(5); }));
    CHECK(cache.bytes() == batch_of(5).memory_bytes());
}

TEST_CASE("BatchCache: another segment is never given the batches of one that is gone") {
    CacheFixture fixture;
    BatchCache cache(1'000'000);
    for (std::size_t i = 1; i < 200; ++i) {  // Addresses come again.
        const auto batch =
            cache.get(fixture.segment(), Position{0}, [&]() -> Result<Segment::Decoded> { return batch_of(i); });
        REQUIRE(batch);
        REQUIRE((*batch)->raw.size() == i);
    }
}

TEST_CASE("BatchCache: threads that want one batch at the same time load it once") {
    CacheFixture fixture;
    BatchCache cache(100'000);
    const auto segment = fixture.segment();
    std::atomic<int> loads{0};
    std::atomic<int> waiting{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            ++waiting;
            for (std::uint64_t base = 0; base < 50; ++base) {
                const auto batch = cache.get(segment, Position{base}, [&]() -> Result<Segment::Decoded> {
                    while (waiting < 4) {
                        std::this_thread::yield();  // so that all are on their way
                    }
                    ++loads;
                    return batch_of(base + 1);
                });
                wrong += batch && (*batch)->raw.size() == base + 1 ? 0 : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
    CHECK(loads == 50);
}

TEST_CASE("BatchCache: what is loaded ahead is there for who asks, and is loaded once") {
    CacheFixture fixture;
    BatchCache cache(100'000);
    const auto segment = fixture.segment();
    int loads = 0;
    const auto load = [&]() -> Result<Segment::Decoded> {
        ++loads;
        return batch_of(1000);
    };
    cache.load_ahead(segment, Position{0}, 1000, load);
    cache.load_ahead(segment, Position{0}, 1000, load);
    REQUIRE(cache.get(segment, Position{0}, load));
    cache.load_ahead(segment, Position{0}, 1000, load);
    CHECK(loads == 1);
}

TEST_CASE("BatchCache: only so much is loaded ahead, until it is asked for") {
    CacheFixture fixture;
    BatchCache cache(10'000);
    const auto segment = fixture.segment();
    int loads = 0;
    const auto load = [&]() -> Result<Segment::Decoded> {
        ++loads;
        return batch_of(2000);
    };
    for (const std::uint64_t base : {0U, 1U, 2U, 3U}) {
        cache.load_ahead(segment, Position{base}, 2000, load);
    }
    CHECK(loads == 2);
    REQUIRE(cache.get(segment, Position{0}, load));
    cache.load_ahead(segment, Position{2}, 2000, load);
    CHECK(loads == 3);
    // What others read meanwhile drives it out, and makes room too.
    for (std::uint64_t base = 10; base < 20; ++base) {
        REQUIRE(cache.get(segment, Position{base}, load));
    }
    CHECK(cache.has_room_ahead());
    loads = 0;
    cache.load_ahead(segment, Position{3}, 2000, load);
    cache.load_ahead(segment, Position{4}, 2000, load);
    CHECK(loads == 2);
}

TEST_CASE("BatchCache: a failure to load ahead is left to who reads") {
    CacheFixture fixture;
    BatchCache cache(10'000);
    const auto segment = fixture.segment();
    for (int i = 0; i < 10; ++i) {  // and takes no room
        cache.load_ahead(segment, Position{0}, 5000, []() -> Result<Segment::Decoded> {
            return make_error(ErrorCode::kDamaged, "read", "p", "it is damaged");
        });
    }
    int loads = 0;
    CHECK(cache.get(segment, Position{0}, [&]() -> Result<Segment::Decoded> {
        ++loads;
        return batch_of(5);
    }));
    CHECK(loads == 1);
    CHECK(cache.has_room_ahead());
}

TEST_CASE("BatchCache: who needs a batch that is being loaded ahead waits for it") {
    CacheFixture fixture;
    BatchCache cache(100'000);
    cache.set_ahead_patience(std::chrono::minutes(1));
    const auto segment = fixture.segment();
    std::atomic<bool> loading{false};
    std::atomic<bool> asked{false};
    std::thread ahead([&] {
        cache.load_ahead(segment, Position{0}, 1000, [&]() -> Result<Segment::Decoded> {
            loading = true;
            while (!asked) {
                std::this_thread::yield();
            }
            return batch_of(1000);
        });
    });
    while (!loading) {
        std::this_thread::yield();
    }
    int loads = 0;
    std::thread reader([&] {
        asked = true;
        const auto batch = cache.get(segment, Position{0}, [&]() -> Result<Segment::Decoded> {
            ++loads;
            return batch_of(1000);
        });
        loads += batch ? 0 : 1;
    });
    ahead.join();
    reader.join();
    CHECK(loads == 0);
}

TEST_CASE("BatchCache: another budget is in force at once") {
    CacheFixture fixture;
    BatchCache cache(64u << 20);
    const auto segment = fixture.segment();
    const auto load = [&]() -> Result<Segment::Decoded> {
        Segment::Decoded batch;
        batch.raw = cache.buffers().take(1u << 20);
        return batch;
    };
    for (std::uint64_t base = 0; base < 40; ++base) {
        REQUIRE(cache.get(segment, Position{base}, load));
    }
    CHECK(cache.bytes() > 40u << 20);
    cache.set_bytes_max(16u << 20);
    CHECK(cache.bytes() + cache.buffers().free_bytes() <= 16u << 20);
    CHECK(cache.bytes() > 8u << 20);
    cache.set_bytes_max(0);
    CHECK(cache.bytes() == 0);
    CHECK(cache.buffers().free_bytes() <= 2u << 20);
    CHECK_FALSE(cache.has_room_ahead());
    CHECK(cache.get(segment, Position{0}, load));
    cache.load_ahead(segment, Position{1}, 1000, load);
    CHECK(cache.bytes() == 0);
}

TEST_CASE("BatchCache: what was passed goes, but for what reaches further and what nobody asked for yet") {
    CacheFixture fixture;
    BatchCache cache(1 << 20);
    const auto segment = fixture.segment();
    const auto other = fixture.segment();
    std::vector<std::uint64_t> loads;
    const auto load_of = [&](std::uint64_t base) {
        return [&loads, base]() -> Result<Segment::Decoded> {
            loads.push_back(base);
            Segment::Decoded batch = batch_of(100);
            batch.entry.base_position = Position{base};
            batch.entry.raw_bytes = 100;
            return batch;
        };
    };
    for (const std::uint64_t base : {0U, 100U, 200U, 400U}) {
        REQUIRE(cache.get(segment, Position{base}, load_of(base)));
        REQUIRE(cache.get(other, Position{base}, load_of(base)));
    }
    cache.load_ahead(segment, Position{300}, 100, load_of(300));
    cache.drop_passed(segment, Position{50}, Position{450});
    loads.clear();
    for (const std::uint64_t base : {0U, 100U, 200U, 300U, 400U}) {
        REQUIRE(cache.get(segment, Position{base}, load_of(base)));
    }
    CHECK(loads == std::vector<std::uint64_t>{0, 100, 200});
    REQUIRE(cache.get(other, Position{100}, load_of(100)));
    CHECK(loads.size() == 3);
}

TEST_CASE("BatchCache: a reader does not wait for ever for what is loaded ahead") {
    CacheFixture fixture;
    BatchCache cache(1 << 20);
    const auto segment = fixture.segment();
    std::mutex slow;
    std::atomic<bool> is_loading = false;
    std::unique_lock hold(slow);
    const bool fails = GENERATE(false, true);
    std::thread ahead([&] {
        cache.load_ahead(segment, Position{0}, 100, [&]() -> Result<Segment::Decoded> {
            is_loading = true;
            is_loading.notify_all();
            const std::scoped_lock lock(slow);
            if (fails) {
                return make_error(ErrorCode::kDamaged, "read", "p", "a test");
            }
            return batch_of(100);
        });
    });
    is_loading.wait(false);
    const auto load = []() -> Result<Segment::Decoded> { return batch_of(100); };
    const auto batch = cache.get(segment, Position{0}, load);  // returns, though the other is still at it
    hold.unlock();
    ahead.join();
    REQUIRE(batch);
    CHECK(*cache.get(segment, Position{0}, load) == *batch);
    CHECK(cache.bytes() == (*batch)->memory_bytes());
    // What was loaded ahead does not count for ever.
    CHECK(cache.has_room_ahead());
    cache.set_bytes_max(0);
    CHECK(cache.bytes() == 0);
}
