#include "base/believed_time.h"

#include "base/clock.h"

#include <catch2/catch.hpp>

using namespace topicfs;

namespace {

constexpr std::int64_t kInterval = 300'000;
constexpr TimestampMs kStart{1'700'000'000'000};
constexpr std::int64_t kYear = 365LL * 24 * 3600 * 1000;

struct Fixture {
    std::optional<TimestampMs> look() { return time.look(clock.now(), clock.monotonic_ms(), kInterval); }
    std::optional<TimestampMs> look_after(std::int64_t milliseconds) {
        clock.advance(milliseconds);
        return look();
    }
    // By how much what is believed lies behind the clock.
    std::optional<std::int64_t> behind_after(std::int64_t milliseconds) {
        const auto believed = look_after(milliseconds);
        return believed ? std::optional(clock.now() - *believed) : std::nullopt;
    }
    void believe() {
        REQUIRE_FALSE(look());
        REQUIRE(behind_after(kInterval) == 0);
    }
    void step(std::int64_t milliseconds) { clock.step_to(clock.now() + milliseconds); }

    ManualClock clock{kStart};
    BelievedTime time;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "BelievedTime: nothing is believed before the first interval is over, then what stayed") {
    CHECK_FALSE(look());
    CHECK_FALSE(look_after(1));
    CHECK_FALSE(look_after(kInterval - 2));
    CHECK(behind_after(1) == 0);
    CHECK(behind_after(5) == 0);
    CHECK(behind_after(10 * kInterval) == 0);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: a wrong clock at the start that is set right soon is never believed") {
    clock.step_to(kStart + kYear);
    CHECK_FALSE(look());
    step(-kYear);
    CHECK_FALSE(look_after(kInterval));
    CHECK_FALSE(look_after(kInterval - 1));
    CHECK(behind_after(1) == 0);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: a step forward that is taken back within an interval changes nothing") {
    believe();
    const TimestampMs before = clock.now();
    step(kYear);
    CHECK(look() == before);
    CHECK(look_after(kInterval - 1) == before + (kInterval - 1));
    step(-kYear);
    CHECK(look_after(1) == before + kInterval);
    // Another one begins anew.
    step(kYear);
    CHECK(look_after(1) == before + (kInterval + 1));
    CHECK(look_after(kInterval - 1) == before + 2 * kInterval);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: a step forward that stays for an interval is believed") {
    believe();
    step(kYear);
    CHECK(behind_after(0) == kYear);
    CHECK(behind_after(kInterval) == 0);
    // As where the machine slept.
    step(kYear);
    CHECK(behind_after(1) == kYear);
    CHECK(behind_after(kInterval / 2) == kYear);
    CHECK(behind_after(kInterval / 2) == 0);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: of two steps the first may be believed before the second is") {
    believe();
    step(kYear);
    CHECK(behind_after(0) == kYear);
    step(kYear);
    CHECK(behind_after(kInterval) == kYear);
    CHECK(behind_after(kInterval) == 0);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: a step back is believed at once, and coming forward again is not") {
    believe();
    step(-kYear);
    CHECK(behind_after(0) == 0);
    step(kYear);
    CHECK(behind_after(0) == kYear);
    CHECK(behind_after(kInterval) == 0);
}

TEST_CASE_METHOD(Fixture, "BelievedTime: small corrections of the clock keep nothing from being believed") {
    believe();
    step(kYear);
    look();
    for (int i = 0; i < 300; ++i) {
        clock.advance(kInterval / 300);
        step(i % 2 == 0 ? 40 : -45);
        look();
    }
    look_after(kInterval);
    const auto believed = look();
    REQUIRE(believed);
    CHECK(clock.now() - *believed < 2000);
    CHECK(*believed <= clock.now());
}
