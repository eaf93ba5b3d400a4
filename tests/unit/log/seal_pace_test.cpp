#include "log/seal_pace.h"

#include <catch2/catch.hpp>

using namespace topicfs;

namespace {

constexpr std::uint64_t kSealBytes = 1000;

}  // namespace

TEST_CASE("SealPace: what was asked for counts while the sealer keeps up") {
    SealPace pace;
    CHECK(pace.level(Codec::kLz4, 1) == 1);
    pace.note(32 * kSealBytes, 0, kSealBytes);
    CHECK(pace.level(Codec::kLz4, 9) == 9);
    CHECK_FALSE(pace.is_cheaper(Codec::kZstd, 3));
}

TEST_CASE("SealPace: behind it goes down in steps, and up only once it has caught up") {
    SealPace pace;
    pace.note(33 * kSealBytes, 0, kSealBytes);
    const int hurry = pace.level(Codec::kLz4, 1);
    CHECK(hurry < 1);
    CHECK(pace.level(Codec::kZstd, 1) < 1);
    CHECK(pace.level(Codec::kLz4, 9) == 1);
    CHECK(pace.level(Codec::kZstd, 19) == 1);
    pace.note(129 * kSealBytes, 0, kSealBytes);
    CHECK(pace.level(Codec::kLz4, 1) < hurry);
    CHECK(pace.level(Codec::kLz4, 9) < hurry);
    pace.note(5 * kSealBytes, 0, kSealBytes);
    CHECK(pace.level(Codec::kLz4, 1) < hurry);
    pace.note(4 * kSealBytes, 0, kSealBytes);
    CHECK(pace.level(Codec::kLz4, 1) == 1);
    pace.note(32 * kSealBytes, 0, kSealBytes);
    CHECK(pace.level(Codec::kLz4, 1) == 1);
}

TEST_CASE("SealPace: what all partitions have unsealed counts too") {
    SealPace pace;
    SealBacklog backlog;
    backlog.change(0, 200 * kSealBytes);
    backlog.change(0, 100 * kSealBytes);
    pace.note(kSealBytes, backlog.bytes(), kSealBytes);
    CHECK(pace.is_cheaper(Codec::kLz4, 1));
    backlog.change(200 * kSealBytes, 0);
    pace.note(kSealBytes, backlog.bytes(), kSealBytes);
    CHECK(pace.is_cheaper(Codec::kLz4, 1));
    backlog.change(100 * kSealBytes, 10 * kSealBytes);
    pace.note(kSealBytes, backlog.bytes(), kSealBytes);
    CHECK_FALSE(pace.is_cheaper(Codec::kLz4, 1));
}

TEST_CASE("SealPace: none stays none, and no level becomes a slower one") {
    SealPace pace;
    pace.note(1000 * kSealBytes, 0, kSealBytes);
    CHECK_FALSE(pace.is_cheaper(Codec::kNone, 1));
    for (int level = -50; level <= 22; ++level) {
        CHECK(pace.level(Codec::kZstd, level) <= level);
        CHECK(pace.level(Codec::kLz4, level) <= level);
    }
}
