#include "log/read_streams.h"

#include <catch2/catch.hpp>

using namespace topicfs;

namespace {

constexpr std::uint64_t kAhead = 8000;

constexpr std::uint64_t kKept = 1u << 20;

std::optional<ReadStreams::Range> note(ReadStreams& streams, std::uint64_t from, std::uint64_t to) {
    return streams.note(Position{from}, Position{to}, kAhead, kKept).ahead;
}

// Of `mib` MiB from `from` MiB on, read in steps of 1 MiB: what was told as passed, in MiB.
std::uint64_t read_on(ReadStreams& streams, std::uint64_t from, std::uint64_t mib) {
    std::uint64_t passed = 0;
    for (std::uint64_t i = from; i < from + mib; ++i) {
        const auto advice = streams.note(Position{i << 20}, Position{(i + 1) << 20}, kAhead, 4 * kKept);
        passed += advice.passed ? advice.passed->upto - advice.passed->from : 0;
    }
    return passed >> 20;
}

}  // namespace

TEST_CASE("ReadStreams: who goes on where he ended is read ahead for, step by step") {
    ReadStreams streams;
    CHECK_FALSE(note(streams, 0, 1000));
    CHECK_FALSE(note(streams, 1000, 2000));
    CHECK(note(streams, 2000, 3000) == ReadStreams::Range{Position{3000}, Position{11'000}});
    CHECK_FALSE(note(streams, 3000, 4000));
    CHECK_FALSE(note(streams, 4000, 6000));
    CHECK(note(streams, 6000, 7000) == ReadStreams::Range{Position{11'000}, Position{15'000}});
    // A read that is longer than what was asked for.
    CHECK(note(streams, 7000, 50'000) == ReadStreams::Range{Position{50'000}, Position{58'000}});
}

TEST_CASE("ReadStreams: reads here and there ask for nothing") {
    ReadStreams streams;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const std::uint64_t from = i * 7919 % 1'000'003 * 10;
        CHECK_FALSE(note(streams, from, from + 9));
    }
    // Again the same place is no stream either.
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(note(streams, 500, 600));
    }
}

TEST_CASE("ReadStreams: readers at different places, and at one place, are told apart") {
    ReadStreams streams;
    std::size_t asked = 0;
    for (std::uint64_t step = 0; step < 30; ++step) {
        for (std::uint64_t reader = 0; reader < 10; ++reader) {
            const std::uint64_t base = reader < 5 ? 0 : reader * 1'000'000;
            asked += note(streams, base + step * 1000, base + (step + 1) * 1000) ? 1U : 0U;
        }
    }
    CHECK(asked >= 6 * 5);  // Each place asks for 38,000 bytes, 4,000 or 8,000 at a time.
    CHECK(asked <= 10 * 9);
}

TEST_CASE("ReadStreams: the one that did nothing for longest is forgotten") {
    ReadStreams streams;
    CHECK_FALSE(note(streams, 0, 1000));
    CHECK_FALSE(note(streams, 1000, 2000));
    for (std::uint64_t i = 1; i < ReadStreams::kStreamsMax; ++i) {
        CHECK_FALSE(note(streams, i * 10'000, i * 10'000 + 1));
    }
    CHECK(note(streams, 2000, 3000));
    for (std::uint64_t i = 1; i <= ReadStreams::kStreamsMax; ++i) {
        CHECK_FALSE(note(streams, i * 100'000, i * 100'000 + 1));
    }
    CHECK_FALSE(note(streams, 3000, 20'000));
}

TEST_CASE("ReadStreams: without room nothing is asked for") {
    ReadStreams streams;
    for (std::uint64_t i = 0; i < 10; ++i) {
        CHECK(streams.note(Position{i}, Position{i + 1}, 0, kKept) == ReadStreams::Advice{});
    }
}

TEST_CASE("ReadStreams: what a long reader has passed is told once, and nothing of one that would fit into the cache") {
    ReadStreams streams;
    CHECK(read_on(streams, 0, 4) == 0);
    CHECK(read_on(streams, 4, 1) == 5);
    CHECK(read_on(streams, 5, 10) == 10);
}

TEST_CASE("ReadStreams: what another comes for soon is not passed yet") {
    ReadStreams streams;
    CHECK(read_on(streams, 0, 8) == 8);
    CHECK(read_on(streams, 6, 1) == 0);  // Another, 1 MiB behind.
    CHECK(read_on(streams, 8, 2) == 0);
    CHECK(read_on(streams, 7, 2) == 0);  // It is not long yet itself.
    CHECK(read_on(streams, 10, 1) == 1);
    // One that has fallen too far behind would not find it anyway.
    CHECK(read_on(streams, 0, 1) == 0);
    CHECK(read_on(streams, 11, 1) == 0);
    CHECK(read_on(streams, 12, 1) == 4);
}
