#include "store/disk_keeper.h"

#include <catch2/catch.hpp>

#include <latch>
#include <thread>
#include <vector>

using namespace topicfs;

namespace {

// So many bytes are there, of which the taken ones are used; making room adds to it while there is a supply.
struct Disk {
    DiskLook look() {
        looks.fetch_add(1);
        return {size.load() - used.load(), 1000, true, true, "a bound"};
    }
    std::uint64_t make_room(std::uint64_t bytes) {
        const std::int64_t made = std::min<std::int64_t>(static_cast<std::int64_t>(bytes), supply.load());
        supply -= made;
        size += made;
        return static_cast<std::uint64_t>(made);
    }
    DiskKeeper::Look looker() {
        return [this] { return look(); };
    }
    DiskKeeper::MakeRoom maker() {
        return [this](std::uint64_t bytes) { return make_room(bytes); };
    }

    std::atomic<std::int64_t> size = 10'000;
    std::atomic<std::int64_t> used = 0;
    std::atomic<std::int64_t> supply = 0;
    std::atomic<std::uint64_t> looks = 0;
};

}  // namespace

TEST_CASE("DiskKeeper: who is short of room waits until it is made, as long as any can be") {
    Disk disk;
    disk.supply = 2'000'000;
    DiskKeeper keeper(system_clock(), disk.looker(), disk.maker());
    keeper.start();
    std::vector<std::jthread> threads;
    std::atomic<std::int64_t> taken = 0;
    std::atomic<int> refused = 0;
    threads.reserve(4);
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 1000; ++n) {
                // Used first: so a look between the two counts it twice, and not at all never.
                disk.used += 100;
                if (keeper.room()->take(100)) {
                    taken += 100;
                } else {
                    disk.used -= 100;
                    ++refused;
                }
            }
        });
    }
    threads.clear();
    CHECK(refused == 0);
    CHECK(taken == 400'000);
    keeper.stop();
    CHECK(disk.size >= disk.used);
}

TEST_CASE("DiskKeeper: where no room can be made who is short of it is refused, until there is some again") {
    Disk disk;
    ManualClock clock(TimestampMs{0});
    DiskKeeper keeper(clock, disk.looker(), disk.maker());
    keeper.begin();
    CHECK_FALSE(keeper.room()->lends());
    CHECK(keeper.left() == 10'000);
    CHECK(keeper.room()->take(10'000));
    disk.used = 10'000;
    CHECK_FALSE(keeper.is_full());
    CHECK_FALSE(keeper.room()->take(1));
    CHECK_FALSE(keeper.room()->has_any());
    CHECK(keeper.is_full());
    const std::uint64_t looks = disk.looks;
    for (int i = 0; i < 1000; ++i) {
        CHECK_FALSE(keeper.room()->take(1));
    }
    CHECK(disk.looks == looks);  // At one moment it is looked at once.
    disk.size += 500;
    clock.advance(5);
    CHECK(keeper.room()->has_any());
    CHECK(keeper.room()->take(500));
    CHECK(keeper.is_full());  // It is at the bound still.
    disk.size += 5000;
    disk.used += 500;
    (void)keeper.round();
    CHECK_FALSE(keeper.is_full());
}

TEST_CASE("DiskKeeper: an append that is larger than the margin has room made for it, or is refused at once") {
    Disk disk;
    disk.supply = 3000;
    ManualClock clock(TimestampMs{0});
    DiskKeeper keeper(clock, disk.looker(), disk.maker());
    keeper.begin();
    CHECK(keeper.room()->take(12'000));
    disk.used = 12'000;
    const std::uint64_t looks = disk.looks;
    CHECK_FALSE(keeper.room()->take(12'000));
    CHECK(disk.looks < looks + 10);
}

TEST_CASE("DiskKeeper: who was lent a file does not wait: what he appends is noted, and as much made room for ahead") {
    Disk disk;
    disk.supply = 1'000'000;
    ManualClock clock(TimestampMs{0});
    DiskKeeper keeper(clock, disk.looker(), disk.maker());
    keeper.begin();
    disk.used = 5000;
    keeper.note_appended(5000);
    CHECK(keeper.room()->left() == 5000);
    (void)keeper.round();
    CHECK(keeper.room()->left() == 5000 + 2 * 1000);
    (void)keeper.round();
    CHECK(keeper.room()->left() == 5000 + 2 * 1000);
    disk.used += 100'000;
    keeper.note_appended(100'000);
    (void)keeper.round();
    CHECK(keeper.room()->left() == 18 * 1000);  // Not more than that, however much came in.
}

TEST_CASE("DiskKeeper: where all appends have to be able to wait nobody is lent a file") {
    ManualClock clock(TimestampMs{0});
    DiskLook seen{1 << 30, 1000, true, true, "a bound"};
    DiskKeeper keeper(
        clock, [&] { return seen; }, [](std::uint64_t) { return std::uint64_t{0}; });
    keeper.begin();
    CHECK(keeper.room()->lends());
    seen.lends = false;
    (void)keeper.round();
    CHECK_FALSE(keeper.room()->lends());
    CHECK(keeper.room()->left() == 1 << 30);
}

TEST_CASE("DiskKeeper: without a bound nothing is counted, and takes are never refused") {
    ManualClock clock(TimestampMs{0});
    DiskLook seen;
    DiskKeeper keeper(
        clock, [&] { return seen; }, [](std::uint64_t) { return std::uint64_t{0}; });
    keeper.begin();
    CHECK(keeper.room()->take(UINT64_C(1) << 60));
    CHECK(keeper.room()->lends());
    CHECK_FALSE(keeper.left());
    // The file system's own end is no bound: an append finds out itself.
    seen = {-5, 1000, false, true, "the disk"};
    (void)keeper.round();
    CHECK(keeper.room()->take(100));
    CHECK(keeper.room()->lends());
}

TEST_CASE("DiskKeeper: stop() ends the waiting of who is short of room") {
    Disk disk;
    disk.used = 10'000;
    std::latch is_making{1};
    std::latch may_end{1};
    DiskKeeper keeper(system_clock(), disk.looker(), [&](std::uint64_t) {
        is_making.count_down();
        may_end.wait();
        return std::uint64_t{1};
    });
    std::jthread starter([&] { keeper.start(); });
    is_making.wait();
    std::jthread taker([&] { CHECK_FALSE(keeper.room()->take(100'000)); });
    std::jthread ender([&] { may_end.count_down(); });
    starter.join();
    keeper.stop();
    CHECK_FALSE(keeper.room()->take(100'000));
}
