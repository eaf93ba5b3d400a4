// The table of locks, without requests.
#include "mount/locks.h"

#include <catch2/catch.hpp>

namespace topicfs {
namespace {

using Outcome = LockTable::Outcome;
using Granted = LockTable::Granted;

constexpr LockTable::FileNumber kFile = 5;
constexpr std::uint64_t kEnd = INT64_MAX;

PosixLock shared(std::uint64_t owner, std::uint64_t first = 0, std::uint64_t last = kEnd) {
    return {LockType::kShared, first, last, owner, owner * 100, static_cast<std::uint32_t>(owner)};
}

PosixLock exclusive(std::uint64_t owner, std::uint64_t first = 0, std::uint64_t last = kEnd) {
    return {LockType::kExclusive, first, last, owner, owner * 100, static_cast<std::uint32_t>(owner)};
}

Outcome try_lock(LockTable& table, const PosixLock& wanted) {
    return table.lock(kFile, wanted, std::nullopt).outcome;
}

Outcome try_flock(LockTable& table, LockType type, std::uint64_t owner) {
    return table.lock(kFile, Flock{type, owner}, std::nullopt).outcome;
}

TEST_CASE("LockTable: shared locks go together, an exclusive one goes with nobody else's") {
    LockTable table;
    CHECK(try_lock(table, shared(1)) == Outcome::kGranted);
    CHECK(try_lock(table, shared(2)) == Outcome::kGranted);
    CHECK(try_lock(table, exclusive(3)) == Outcome::kRefused);
    CHECK(try_lock(table, exclusive(1)) == Outcome::kRefused);
    table.unlock_posix(kFile, 2, 0, kEnd);
    CHECK(try_lock(table, exclusive(1)) == Outcome::kGranted);
    CHECK(try_lock(table, shared(2)) == Outcome::kRefused);
}

TEST_CASE("LockTable: ranges that only touch do not conflict") {
    LockTable table;
    CHECK(try_lock(table, exclusive(1, 0, 9)) == Outcome::kGranted);
    CHECK(try_lock(table, exclusive(2, 10, 19)) == Outcome::kGranted);
    CHECK(try_lock(table, exclusive(2, 9, 9)) == Outcome::kRefused);
    CHECK(try_lock(table, exclusive(3, 20, kEnd)) == Outcome::kGranted);
}

TEST_CASE("LockTable: unlocking the middle leaves both sides") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1, 0, 99)) == Outcome::kGranted);
    table.unlock_posix(kFile, 1, 40, 59);
    CHECK(try_lock(table, exclusive(2, 40, 59)) == Outcome::kGranted);
    CHECK(try_lock(table, exclusive(2, 39, 39)) == Outcome::kRefused);
    CHECK(try_lock(table, exclusive(2, 60, 60)) == Outcome::kRefused);
    CHECK(table.find_conflict(kFile, exclusive(3)) == exclusive(1, 0, 39));
}

TEST_CASE("LockTable: a new lock replaces the type of its owner's old one in its range only") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1, 0, 99)) == Outcome::kGranted);
    REQUIRE(try_lock(table, shared(1, 50, 99)) == Outcome::kGranted);
    CHECK(try_lock(table, shared(2, 50, 60)) == Outcome::kGranted);
    CHECK(try_lock(table, shared(2, 49, 49)) == Outcome::kRefused);
}

TEST_CASE("LockTable: neighbouring locks of an owner become one") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1, 0, 9)) == Outcome::kGranted);
    REQUIRE(try_lock(table, exclusive(1, 20, 29)) == Outcome::kGranted);
    REQUIRE(try_lock(table, exclusive(1, 10, 19)) == Outcome::kGranted);
    CHECK(table.find_conflict(kFile, shared(2)) == exclusive(1, 0, 29));
}

TEST_CASE("LockTable: the conflict that is told is the lowest") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1, 50, 59)) == Outcome::kGranted);
    REQUIRE(try_lock(table, exclusive(2, 10, 19)) == Outcome::kGranted);
    CHECK(table.find_conflict(kFile, shared(3)) == exclusive(2, 10, 19));
    CHECK(table.find_conflict(kFile, shared(2)) == exclusive(1, 50, 59));
    CHECK_FALSE(table.find_conflict(kFile, shared(3, 0, 9)));
    CHECK_FALSE(table.find_conflict(kFile + 1, shared(3)));
}

TEST_CASE("LockTable: files do not know each other's locks, flock and fcntl neither") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1)) == Outcome::kGranted);
    CHECK(table.lock(kFile + 1, exclusive(2), std::nullopt).outcome == Outcome::kGranted);
    CHECK(try_flock(table, LockType::kExclusive, 2) == Outcome::kGranted);
}

TEST_CASE("LockTable: waiters are served in the order in which they came") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1)) == Outcome::kGranted);
    CHECK(table.lock(kFile, exclusive(2), 20).outcome == Outcome::kWaiting);
    CHECK(table.lock(kFile, shared(3), 30).outcome == Outcome::kWaiting);
    CHECK(table.lock(kFile, shared(4), 40).outcome == Outcome::kWaiting);
    CHECK(table.unlock_posix(kFile, 1, 0, kEnd) == Granted{20});
    CHECK(table.unlock_posix(kFile, 2, 0, kEnd) == Granted{30, 40});
}

TEST_CASE("LockTable: a lock that becomes weaker lets waiters in") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1)) == Outcome::kGranted);
    REQUIRE(table.lock(kFile, shared(2), 20).outcome == Outcome::kWaiting);
    const LockTable::Answer answer = table.lock(kFile, shared(1), std::nullopt);
    CHECK(answer.outcome == Outcome::kGranted);
    CHECK(answer.granted == Granted{20});
}

TEST_CASE("LockTable: a cancelled waiter gets nothing, and only one that waits can be cancelled") {
    LockTable table;
    REQUIRE(try_lock(table, exclusive(1)) == Outcome::kGranted);
    REQUIRE(table.lock(kFile, exclusive(2), 20).outcome == Outcome::kWaiting);
    CHECK(table.cancel(20));
    CHECK_FALSE(table.cancel(20));
    CHECK(table.unlock_posix(kFile, 1, 0, kEnd).empty());
    CHECK(table.file_count() == 0);
}

TEST_CASE("LockTable: a circle of two, and of three over several files, is a deadlock") {
    LockTable table;
    REQUIRE(table.lock(1, exclusive(1), std::nullopt).outcome == Outcome::kGranted);
    REQUIRE(table.lock(2, exclusive(2), std::nullopt).outcome == Outcome::kGranted);
    REQUIRE(table.lock(3, exclusive(3), std::nullopt).outcome == Outcome::kGranted);
    REQUIRE(table.lock(2, exclusive(1), 10).outcome == Outcome::kWaiting);
    CHECK(table.lock(1, exclusive(2), 20).outcome == Outcome::kDeadlock);
    REQUIRE(table.lock(3, exclusive(2), 21).outcome == Outcome::kWaiting);
    CHECK(table.lock(1, shared(3), 30).outcome == Outcome::kDeadlock);
    // Without waiting there is no circle, and one more who waits behind them closes none.
    CHECK(table.lock(1, exclusive(3), std::nullopt).outcome == Outcome::kRefused);
    CHECK(table.lock(1, exclusive(4), 40).outcome == Outcome::kWaiting);
}

TEST_CASE("LockTable: a flock that changes its type gives up the old one first") {
    LockTable table;
    REQUIRE(try_flock(table, LockType::kShared, 1) == Outcome::kGranted);
    REQUIRE(try_flock(table, LockType::kShared, 2) == Outcome::kGranted);
    CHECK(table.lock(kFile, Flock{LockType::kExclusive, 1}, 10).outcome == Outcome::kWaiting);
    // Owner 2 wants it too: it gives up its shared one, and that serves owner 1.
    const LockTable::Answer answer = table.lock(kFile, Flock{LockType::kExclusive, 2}, 20);
    CHECK(answer.outcome == Outcome::kWaiting);
    CHECK(answer.granted == Granted{10});
    CHECK(table.unlock_flock(kFile, 1) == Granted{20});
}

TEST_CASE("LockTable: the same flock twice is one") {
    LockTable table;
    REQUIRE(try_flock(table, LockType::kExclusive, 1) == Outcome::kGranted);
    REQUIRE(try_flock(table, LockType::kExclusive, 1) == Outcome::kGranted);
    CHECK(try_flock(table, LockType::kShared, 2) == Outcome::kRefused);
    table.unlock_flock(kFile, 1);
    CHECK(table.file_count() == 0);
}

TEST_CASE("LockTable: what came through an open goes with it, the same owner's other locks stay") {
    LockTable table;
    PosixLock first = exclusive(1, 0, 9);
    PosixLock second = exclusive(1, 10, 19);
    second.handle = 7;
    REQUIRE(try_lock(table, first) == Outcome::kGranted);
    REQUIRE(try_lock(table, second) == Outcome::kGranted);
    REQUIRE(table.lock(kFile, shared(2, 0, 9), 20).outcome == Outcome::kWaiting);
    CHECK(table.unlock_handle(kFile, 7).empty());
    CHECK(try_lock(table, shared(3, 10, 19)) == Outcome::kGranted);
    CHECK(table.unlock_handle(kFile, first.handle) == Granted{20});
}

TEST_CASE("LockTable: what is not held can be unlocked, and nothing is left behind") {
    LockTable table;
    CHECK(table.unlock_posix(kFile, 1, 0, kEnd).empty());
    CHECK(table.unlock_flock(kFile, 1).empty());
    CHECK(table.unlock_handle(kFile, 1).empty());
    CHECK(table.file_count() == 0);
}

TEST_CASE("LockTable: the number of locks of a file is bounded") {
    LockTable table;
    for (std::uint64_t i = 0; i < LockTable::kLocksPerFileMax; ++i) {
        REQUIRE(table.lock(kFile, Flock{LockType::kShared, i + 1}, std::nullopt).outcome == Outcome::kGranted);
    }
    CHECK(try_lock(table, shared(1)) == Outcome::kNoRoom);
    table.unlock_flock(kFile, 1);
    CHECK(try_lock(table, shared(1)) == Outcome::kGranted);
}

}  // namespace
}  // namespace topicfs
