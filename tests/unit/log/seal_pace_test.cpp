#include "log/seal_pace.h"

#include <catch2/catch.hpp>

using namespace topicfs;

namespace {

// Seals a byte in a microsecond: 1000 bytes are a millisecond's work.
SealPace pace_of_a_byte_a_microsecond() {
    SealPace pace;
    pace.sealed(100'000, 100);
    return pace;
}

constexpr std::uint64_t milliseconds(std::uint64_t count) {
    return count * 1000;
}

}  // namespace

TEST_CASE("SealPace: what was asked for counts while the sealer keeps up, and while nothing is known") {
    SealPace unknown;
    unknown.note(std::uint64_t{1} << 40, 0);
    CHECK(unknown.level(Codec::kLz4, 1) == 1);
    SealPace held_up;
    held_up.sealed(1000, 99);
    held_up.note(std::uint64_t{1} << 40, 0);
    CHECK(held_up.level(Codec::kLz4, 1) == 1);
    SealPace pace = pace_of_a_byte_a_microsecond();
    pace.note(milliseconds(SealPace::kHurryMs), 0);
    CHECK(pace.level(Codec::kLz4, 9) == 9);
    CHECK_FALSE(pace.is_cheaper(Codec::kZstd, 3));
}

TEST_CASE("SealPace: behind it goes down in steps, and up only once it has caught up") {
    SealPace pace = pace_of_a_byte_a_microsecond();
    pace.note(milliseconds(SealPace::kHurryMs) + 1, 0);
    const int hurry = pace.level(Codec::kLz4, 1);
    CHECK(hurry < 1);
    CHECK(pace.level(Codec::kZstd, 1) < 1);
    CHECK(pace.level(Codec::kLz4, 9) == 1);
    CHECK(pace.level(Codec::kZstd, 19) == 1);
    pace.note(milliseconds(SealPace::kRaceMs) + 1, 0);
    CHECK(pace.level(Codec::kLz4, 1) < hurry);
    CHECK(pace.level(Codec::kLz4, 9) < hurry);
    pace.note(milliseconds(SealPace::kCaughtUpMs) + 1, 0);
    CHECK(pace.level(Codec::kLz4, 1) < hurry);
    pace.note(milliseconds(SealPace::kCaughtUpMs), 0);
    CHECK(pace.level(Codec::kLz4, 1) == 1);
    pace.note(milliseconds(SealPace::kHurryMs), 0);
    CHECK(pace.level(Codec::kLz4, 1) == 1);
}

TEST_CASE("SealPace: a slower codec is behind with less, and what the cheap one takes says nothing of it") {
    SealPace pace;
    pace.sealed(1000, 100);
    pace.note(milliseconds(SealPace::kHurryMs) / 100 + 1, 0);
    CHECK(pace.is_cheaper(Codec::kZstd, 19));
    pace.sealed(1'000'000'000, 1);
    pace.note(milliseconds(SealPace::kHurryMs) / 100 + 1, 0);
    CHECK(pace.is_cheaper(Codec::kZstd, 19));
}

TEST_CASE("SealPace: the last while counts, not what was long ago") {
    SealPace pace = pace_of_a_byte_a_microsecond();
    for (int i = 0; i < 20; ++i) {
        pace.sealed(10'000'000, 1000);  // ten times as fast
    }
    pace.note(milliseconds(SealPace::kHurryMs) * 9, 0);
    CHECK_FALSE(pace.is_cheaper(Codec::kLz4, 1));
    pace.note(milliseconds(SealPace::kHurryMs) * 11, 0);
    CHECK(pace.is_cheaper(Codec::kLz4, 1));
}

TEST_CASE("SealPace: what all partitions have unsealed counts too") {
    SealPace pace = pace_of_a_byte_a_microsecond();
    SealBacklog backlog;
    backlog.change(0, milliseconds(SealPace::kHurryMs));
    backlog.change(0, 1000);
    pace.note(1000, backlog.bytes());
    CHECK(pace.is_cheaper(Codec::kLz4, 1));
    backlog.change(milliseconds(SealPace::kHurryMs), 0);
    pace.note(1000, backlog.bytes());
    CHECK_FALSE(pace.is_cheaper(Codec::kLz4, 1));
}

TEST_CASE("SealPace: none stays none, and no level becomes a slower one") {
    SealPace pace = pace_of_a_byte_a_microsecond();
    pace.note(milliseconds(SealPace::kRaceMs) * 2, 0);
    CHECK_FALSE(pace.is_cheaper(Codec::kNone, 1));
    for (int level = -50; level <= 22; ++level) {
        CHECK(pace.level(Codec::kZstd, level) <= level);
        CHECK(pace.level(Codec::kLz4, level) <= level);
    }
}
