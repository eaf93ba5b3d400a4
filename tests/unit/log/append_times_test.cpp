#include "log/append_times.h"

#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Position kEnd{1'000'000'000};

class TimesFixture {
public:
    std::uint64_t file_bytes() const { return std::filesystem::file_size(directory / "times"); }

    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    FaultFileSystem fs{*real};
};

}  // namespace

TEST_CASE("AppendTimes: bytes have the time of their append, to ten milliseconds") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    CHECK_FALSE(times.covers(Position{0}));
    CHECK(times.last() == TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.note(Position{5}, TimestampMs{1009}));
    REQUIRE(times.note(Position{8}, TimestampMs{1010}));
    CHECK(times.covers(Position{0}));
    CHECK(times.time_at(Position{0}) == TimestampMs{1000});
    CHECK(times.time_at(Position{7}) == TimestampMs{1000});
    CHECK(times.time_at(Position{8}) == TimestampMs{1010});
    CHECK(times.time_at(Position{999}) == TimestampMs{1010});
    CHECK(times.last() == TimestampMs{1010});
    CHECK(fixture.file_bytes() == 2 * kTimesEntryBytes);
}

TEST_CASE("AppendTimes: a clock that is set back gives the largest time so far") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{5000});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    CHECK(times.time_at(Position{0}) == TimestampMs{5000});
    REQUIRE(times.note(Position{10}, TimestampMs{6000}));
    REQUIRE(times.note(Position{20}, TimestampMs{200}));
    CHECK(times.time_at(Position{20}) == TimestampMs{6000});
    REQUIRE(times.note(Position{30}, TimestampMs{6010}));
    CHECK(times.time_at(Position{30}) == TimestampMs{6010});
}

TEST_CASE("AppendTimes: a slice begins at raw offset 0, and find gives the first position of a time") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    for (std::int64_t i = 0; i < 5; ++i) {
        REQUIRE(times.note(Position{static_cast<std::uint64_t>(i) * 100}, TimestampMs{1000 + i * 10}));
    }
    const std::vector<BatchTime> expected{{0, {1010}}, {50, {1020}}, {150, {1030}}};
    CHECK(times.slice(Position{150}, Position{350}) == expected);
    CHECK(times.slice(Position{400}, Position{500}) == std::vector<BatchTime>{{0, {1040}}});
    CHECK(times.slice(Position{200}, Position{300}) == std::vector<BatchTime>{{0, {1020}}});
    CHECK(times.find(Position{0}, TimestampMs{0}) == Position{0});
    CHECK(times.find(Position{0}, TimestampMs{1011}) == Position{200});
    CHECK(times.find(Position{150}, TimestampMs{1005}) == Position{150});
    CHECK(times.find(Position{0}, TimestampMs{1040}) == Position{400});
    CHECK(times.find(Position{0}, TimestampMs{1041}) == std::nullopt);
}

TEST_CASE("AppendTimes: two times at one position, as after an append that failed, are one with the later") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.note(Position{50}, TimestampMs{1010}));
    REQUIRE(times.note(Position{50}, TimestampMs{1020}));
    CHECK(times.time_at(Position{50}) == TimestampMs{1020});
    const std::vector<BatchTime> expected{{0, {1000}}, {50, {1020}}};
    CHECK(times.slice(Position{0}, Position{60}) == expected);
    CHECK(times.find(Position{0}, TimestampMs{1005}) == Position{50});
}

TEST_CASE("AppendTimes: the times outlive the process") {
    TimesFixture fixture;
    {
        AppendTimes times(fixture.fs, "times");
        times.load(Position{0}, kEnd, TimestampMs{0});
        for (std::int64_t i = 0; i < 10; ++i) {
            REQUIRE(times.note(Position{static_cast<std::uint64_t>(i) * 100}, TimestampMs{1000 + i * 10}));
        }
    }
    AppendTimes times(fixture.fs, "times");
    times.load(Position{450}, kEnd, TimestampMs{1040});
    CHECK(times.covers(Position{450}));
    CHECK_FALSE(times.covers(Position{399}));
    CHECK(times.time_at(Position{450}) == TimestampMs{1040});
    CHECK(times.time_at(Position{950}) == TimestampMs{1090});
    REQUIRE(times.note(Position{1000}, TimestampMs{1100}));
    AppendTimes again(fixture.fs, "times");
    again.load(Position{900}, kEnd, TimestampMs{1090});
    CHECK(again.time_at(Position{900}) == TimestampMs{1090});
    CHECK(again.time_at(Position{1000}) == TimestampMs{1100});
}

TEST_CASE("AppendTimes: times of bytes behind the log end, which a power cut took, do not count") {
    TimesFixture fixture;
    {
        AppendTimes times(fixture.fs, "times");
        times.load(Position{0}, Position{0}, TimestampMs{0});
        REQUIRE(times.note(Position{0}, TimestampMs{1000}));
        REQUIRE(times.note(Position{50}, TimestampMs{2000}));
        REQUIRE(times.note(Position{100}, TimestampMs{3000}));
    }
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, Position{60}, TimestampMs{0});
    CHECK(times.time_at(Position{200}) == TimestampMs{2000});
    CHECK(times.last() == TimestampMs{2000});
    REQUIRE(times.note(Position{60}, TimestampMs{2500}));
    AppendTimes again(fixture.fs, "times");
    again.load(Position{60}, kEnd, TimestampMs{2000});
    CHECK(again.time_at(Position{60}) == TimestampMs{2500});
    CHECK(again.last() == TimestampMs{2500});
}

TEST_CASE("AppendTimes: a file that is missing or damaged holds nothing") {
    TimesFixture fixture;
    if (GENERATE(false, true)) {
        write_file(fixture.directory / "times", std::string(1000, '?'));
    }
    AppendTimes times(fixture.fs, "times");
    times.load(Position{10}, kEnd, TimestampMs{1234});
    CHECK_FALSE(times.covers(Position{10}));
    CHECK(times.time_at(Position{10}) == TimestampMs{1234});
    CHECK(times.last() == TimestampMs{1234});
}

TEST_CASE("AppendTimes: a restart gives all that is there one time, in the file too, and never an earlier one") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.note(Position{100}, TimestampMs{2000}));
    const TimestampMs restarted{GENERATE(500, 3000)};
    REQUIRE(times.restart(Position{50}, restarted));
    REQUIRE(times.sync());
    const TimestampMs expected = std::max(restarted, TimestampMs{2000});
    CHECK(times.time_at(Position{50}) == expected);
    CHECK(times.time_at(Position{100}) == expected);
    AppendTimes loaded(fixture.fs, "times");
    loaded.load(Position{50}, kEnd, TimestampMs{0});
    CHECK(loaded.covers(Position{50}));
    CHECK(loaded.time_at(Position{60}) == expected);
    CHECK(loaded.last() == expected);
    REQUIRE(loaded.note(Position{200}, TimestampMs{5000}));
    AppendTimes again(fixture.fs, "times");
    again.load(Position{60}, kEnd, TimestampMs{0});
    CHECK(again.time_at(Position{60}) == expected);
    CHECK(again.time_at(Position{200}) == TimestampMs{5000});
}

TEST_CASE("AppendTimes: however long nothing is sealed, the ring keeps the time of its oldest byte") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    std::uint64_t position = 0;
    std::int64_t now = 1000;
    for (; position < 10'000; ++position, now += 500) {
        REQUIRE(times.note(Position{position}, TimestampMs{now}));
    }
    CHECK(fixture.file_bytes() <= kTimesSlots * kTimesEntryBytes);
    CHECK(times.time_at(Position{0}) == TimestampMs{1000});
    CHECK(times.time_at(Position{1500}) == TimestampMs{1000 + 1500 * 500});
    AppendTimes loaded(fixture.fs, "times");
    loaded.load(Position{0}, kEnd, TimestampMs{0});
    CHECK(loaded.covers(Position{0}));
    CHECK(loaded.time_at(Position{0}) == TimestampMs{1000});
    CHECK(loaded.last() == times.last());
    // What is sealed and durable makes room again.
    times.forget_before(Position{9000});
    REQUIRE(times.note(Position{position}, TimestampMs{now}));
    CHECK(times.last() == TimestampMs{now});
}

TEST_CASE("AppendTimes: the ring goes round as long as what is forgotten makes room") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    for (std::uint64_t i = 0; i < 3 * kTimesSlots; ++i) {
        REQUIRE(times.note(Position{i}, TimestampMs{static_cast<std::int64_t>(1000 + i * 10)}));
        if (i % 1000 == 999) {
            times.forget_before(Position{i - 10});
        }
    }
    CHECK(fixture.file_bytes() == kTimesSlots * kTimesEntryBytes);
    AppendTimes loaded(fixture.fs, "times");
    const std::uint64_t from = 3 * kTimesSlots - 500;
    loaded.load(Position{from}, kEnd, TimestampMs{0});
    for (std::uint64_t i = from; i < 3 * kTimesSlots; ++i) {
        REQUIRE(loaded.time_at(Position{i}) == TimestampMs{static_cast<std::int64_t>(1000 + i * 10)});
    }
}

TEST_CASE("AppendTimes: a time that cannot be stored is kept in memory") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    fixture.fs.set({.call = "pwrite", .for_good = true, .system_errno = ENOSPC});
    CHECK_FALSE(times.note(Position{0}, TimestampMs{1000}));
    CHECK(times.time_at(Position{0}) == TimestampMs{1000});
    fixture.fs.clear();
    CHECK(times.note(Position{10}, TimestampMs{1010}));
    times.close_file();
    CHECK(times.note(Position{20}, TimestampMs{1020}));
    CHECK(times.last() == TimestampMs{1020});
}

TEST_CASE("AppendTimes: what others appended has the time at which it was seen, and what comes behind has not") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note_seen(Position{0}, Position{100}, TimestampMs{1000}));
    REQUIRE(times.note_seen(Position{100}, Position{200}, TimestampMs{2000}));
    CHECK(times.time_at(Position{99}) == TimestampMs{1000});
    CHECK(times.time_at(Position{100}) == TimestampMs{2000});
    CHECK(times.slice(Position{0}, Position{200}).size() == 2);

    AppendTimes next(fixture.fs, "times");
    next.load(Position{0}, Position{300}, TimestampMs{0});
    SECTION("bytes that came while no daemon ran get the start's time") {
        REQUIRE(next.note_unseen(Position{300}, TimestampMs{5000}, TimestampMs{9000}));
        CHECK(next.time_at(Position{199}) == TimestampMs{2000});
        CHECK(next.time_at(Position{200}) == TimestampMs{9000});
        AppendTimes third(fixture.fs, "times");
        third.load(Position{0}, Position{300}, TimestampMs{0});
        CHECK(third.time_at(Position{199}) == TimestampMs{2000});
        CHECK(third.time_at(Position{200}) == TimestampMs{9000});
    }
    SECTION("bytes that came right before the daemon's end keep the time of the last look") {
        REQUIRE(next.note_unseen(Position{300}, TimestampMs{2009}, TimestampMs{9000}));
        CHECK(next.time_at(Position{299}) == TimestampMs{2000});
    }
    SECTION("bytes that came so soon after the last look that a daemon may have been there have about their own time") {
        REQUIRE(next.note_unseen(Position{300}, TimestampMs{2015}, TimestampMs{9000}));
        CHECK(next.time_at(Position{199}) == TimestampMs{2000});
        CHECK(next.time_at(Position{200}) == TimestampMs{2025});
    }
    SECTION("but none that is still to come") {
        REQUIRE(next.note_unseen(Position{300}, TimestampMs{2015}, TimestampMs{2018}));
        CHECK(next.time_at(Position{200}) == TimestampMs{2018});
    }
}

TEST_CASE("AppendTimes: the first bytes of a second have a time of that second, however soon after others they come") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{995}));
    REQUIRE(times.note(Position{5}, TimestampMs{999}));
    REQUIRE(times.note(Position{8}, TimestampMs{1000}));
    CHECK(times.time_at(Position{7}) == TimestampMs{995});
    CHECK(times.time_at(Position{8}) == TimestampMs{1000});
    REQUIRE(times.note_seen(Position{20}, Position{30}, TimestampMs{1999}));
    REQUIRE(times.note_seen(Position{30}, Position{40}, TimestampMs{2000}));
    CHECK(times.find(Position{0}, TimestampMs{2000}) == Position{30});
}

TEST_CASE("AppendTimes: bytes that were seen keep their time when others came behind them while nobody looked") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.note(Position{100}, TimestampMs{2000}));
    SECTION("by our own append") {
        REQUIRE(*times.mark_seen(Position{150}));
    }
    SECTION("by a look too soon after the last one for a time of its own") {
        REQUIRE(*times.note_seen(Position{100}, Position{150}, TimestampMs{2004}));
    }
    SECTION("in several steps, which take one place in the file") {
        REQUIRE(*times.mark_seen(Position{120}));
        const std::uint64_t bytes = fixture.file_bytes();
        REQUIRE(*times.mark_seen(Position{130}));
        REQUIRE(*times.mark_seen(Position{150}));
        REQUIRE_FALSE(*times.mark_seen(Position{150}));
        CHECK(fixture.file_bytes() == bytes);
    }
    AppendTimes next(fixture.fs, "times");
    next.load(Position{0}, Position{300}, TimestampMs{0});
    REQUIRE(next.note_unseen(Position{300}, TimestampMs{5000}, TimestampMs{9000}));
    CHECK(next.time_at(Position{99}) == TimestampMs{1000});
    CHECK(next.time_at(Position{149}) == TimestampMs{2000});
    CHECK(next.time_at(Position{150}) == TimestampMs{9000});
}

TEST_CASE("AppendTimes: two entries at once are found again around the ring's end") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1}));
    for (std::uint64_t i = 0; i < kTimesSlots; ++i) {
        const auto now = static_cast<std::int64_t>(1000 + i * 1000);
        REQUIRE(times.note_seen(Position{i * 10}, Position{i * 10 + 10}, TimestampMs{now}));
        times.forget_before(Position{i * 10});
        AppendTimes next(fixture.fs, "times");
        if (i % 64 == 63 || i > kTimesSlots / 2 - 4) {
            next.load(Position{i * 10}, Position{i * 10 + 10}, TimestampMs{0});
            REQUIRE(next.time_at(Position{i * 10 + 5}) == TimestampMs{now});
        }
    }
}

TEST_CASE("AppendTimes: behind a fence nothing is older, whatever the clock says then") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.fence(Position{5}, TimestampMs{1009}));
    CHECK(times.last() == TimestampMs{1000});  // The last entry was too young.
    REQUIRE(times.fence(Position{5}, TimestampMs{2000}));
    REQUIRE(times.note(Position{5}, TimestampMs{200}));
    CHECK(times.time_at(Position{4}) == TimestampMs{1000});
    CHECK(times.time_at(Position{5}) == TimestampMs{2000});
    CHECK(times.find(Position{0}, TimestampMs{1500}) == Position{5});
    AppendTimes again(fixture.fs, "times");
    again.load(Position{0}, kEnd, TimestampMs{0});
    CHECK(again.find(Position{0}, TimestampMs{1500}) == Position{5});
}

TEST_CASE("AppendTimes: a fence at once may follow a millisecond later, while there is much room") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    CHECK_FALSE(*times.fence(Position{5}, TimestampMs{1000}, Haste::kAtOnce));
    CHECK_FALSE(*times.fence(Position{5}, TimestampMs{1001}));
    CHECK(*times.fence(Position{5}, TimestampMs{1001}, Haste::kAtOnce));
    CHECK(times.last() == TimestampMs{1001});
    std::uint64_t made = 1;
    while (*times.fence(Position{made * 10}, TimestampMs{1001 + static_cast<std::int64_t>(made)}, Haste::kAtOnce)) {
        ++made;
    }
    CHECK(made > 500);
    CHECK(made <= kTimesSlots / 4);
}

TEST_CASE("AppendTimes: a fence where the last one was takes its place in the file") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.fence(Position{5}, TimestampMs{2000}));
    REQUIRE(times.fence(Position{5}, TimestampMs{3000}));
    CHECK(fixture.file_bytes() == 2 * kTimesEntryBytes);
    REQUIRE(times.note(Position{9}, TimestampMs{4000}));
    CHECK(fixture.file_bytes() == 3 * kTimesEntryBytes);
    {
        AppendTimes again(fixture.fs, "times");
        again.load(Position{5}, kEnd, TimestampMs{0});
        CHECK(again.time_at(Position{5}) == TimestampMs{3000});
        CHECK(again.time_at(Position{9}) == TimestampMs{4000});
        REQUIRE(again.fence(Position{9}, TimestampMs{5000}));
        CHECK(fixture.file_bytes() == 3 * kTimesEntryBytes);
    }
    // What lies behind the log end is not overwritten: its entry is not the newest one any more.
    AppendTimes cut(fixture.fs, "times");
    cut.load(Position{5}, Position{7}, TimestampMs{0});
    CHECK(cut.last() == TimestampMs{3000});
    REQUIRE(cut.fence(Position{7}, TimestampMs{6000}));
    CHECK(fixture.file_bytes() == 4 * kTimesEntryBytes);
}

TEST_CASE("AppendTimes: another file takes over the fence, and the time of what was before it") {
    TimesFixture fixture;
    AppendTimes times(fixture.fs, "times");
    times.load(Position{0}, kEnd, TimestampMs{0});
    REQUIRE(times.note(Position{0}, TimestampMs{1000}));
    REQUIRE(times.fence(Position{5}, TimestampMs{2000}));
    times.change_file("other", Position{5});
    CHECK(times.time_at(Position{4}) == TimestampMs{1000});
    CHECK(times.time_at(Position{5}) == TimestampMs{2000});
}
