#include "base/clock.h"

#include <catch2/catch.hpp>

#include <ctime>

namespace topicfs {
namespace {

TEST_CASE("ManualClock: stands still until it is moved") {
    ManualClock clock(TimestampMs{5000});
    CHECK(clock.now() == TimestampMs{5000});
    CHECK(clock.monotonic_ms() == 0);
    clock.advance(20);
    CHECK(clock.now() == TimestampMs{5020});
    CHECK(clock.monotonic_ms() == 20);
}

TEST_CASE("ManualClock: a step of the wall clock leaves the monotonic one alone") {
    ManualClock clock(TimestampMs{5000});
    clock.advance(20);
    clock.step_to(TimestampMs{100});
    CHECK(clock.now() == TimestampMs{100});
    CHECK(clock.monotonic_ms() == 20);
}

TEST_CASE("system_clock: agrees with time(2) to the second") {
    const std::time_t before = std::time(nullptr);
    const std::int64_t now_s = system_clock().now().value / 1000;
    const std::time_t after = std::time(nullptr);
    // The two are read from different sources, which may be a tick apart.
    CHECK(now_s >= before - 1);
    CHECK(now_s <= after + 1);
}

TEST_CASE("system_clock: monotonic time never falls") {
    std::int64_t before = system_clock().monotonic_ms();
    for (int i = 0; i < 1000; ++i) {
        const std::int64_t now = system_clock().monotonic_ms();
        REQUIRE(now >= before);
        before = now;
    }
}

}  // namespace
}  // namespace topicfs
