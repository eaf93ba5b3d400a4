#include "base/local_time.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace topicfs {

static std::ostream& operator<<(std::ostream& out, const TimestampMs& time) {
    return out << time.value;
}
static std::ostream& operator<<(std::ostream& out, const CivilDate& date) {
    return out << date.year << '/' << date.month << '/' << date.day;
}

namespace {

// The process is in that zone as long as this lives.
class InZone {
public:
    explicit InZone(const char* zone) {
        if (const char* const old = std::getenv("TZ")) {
            old_ = old;
        }
        ::setenv("TZ", zone, 1);
        ::tzset();
    }
    ~InZone() {
        if (old_) {
            ::setenv("TZ", old_->c_str(), 1);
        } else {
            ::unsetenv("TZ");
        }
        ::tzset();
    }
    InZone(const InZone&) = delete;
    InZone& operator=(const InZone&) = delete;

private:
    std::optional<std::string> old_;
};

// Seconds that the zone is ahead of UTC at the time.
long offset_at(std::time_t time) {
    std::tm local{};
    ::localtime_r(&time, &local);
    return local.tm_gmtoff;
}

// Without its data a zone is silently UTC. `ahead_s`: what the zone is at that time.
bool has_data(const char* zone, std::time_t time, long ahead_s) {
    const InZone in(zone);
    if (offset_at(time) == ahead_s) {
        return true;
    }
    WARN("SKIPPED: no data for the zone " << zone << " here (package tzdata)");
    return false;
}

// Seconds since the epoch of a time in UTC.
TimestampMs utc(int year, int month, int day, int hour = 0, int minute = 0, int second = 0) {
    std::tm time{};
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    time.tm_mday = day;
    time.tm_hour = hour;
    time.tm_min = minute;
    time.tm_sec = second;
    return {static_cast<std::int64_t>(::timegm(&time)) * 1000};
}

CivilTime at(CivilDate date, int hour, int minute, int second = 0, int millisecond = 0) {
    return {date, hour, minute, second, millisecond};
}

// Zones with rules of their own that need no data.
constexpr const char* kBerlinRules = "CET-1CEST,M3.5.0,M10.5.0/3";
constexpr const char* kLordHoweRules = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0";
constexpr const char* kMidnightRules = "<-03>3<-02>,M10.3.0/0,M2.3.0/0";  // as Brazil had it
constexpr const char* kHavanaRules = "CST5CDT,M3.2.0/0,M11.1.0/1";

void check_berlin() {
    CHECK(from_local(at({2026, 7, 1}, 12, 0)) == utc(2026, 7, 1, 10));
    CHECK(from_local(at({2026, 12, 1}, 12, 0, 1, 7)) == utc(2026, 12, 1, 11, 0, 1) + 7);
    // 02:00 to 03:00 is skipped.
    CHECK(from_local(at({2026, 3, 29}, 1, 59, 59, 999)) == utc(2026, 3, 29, 1) + -1);
    CHECK(from_local(at({2026, 3, 29}, 2, 0)) == utc(2026, 3, 29, 1));
    CHECK(from_local(at({2026, 3, 29}, 2, 30, 0, 500)) == utc(2026, 3, 29, 1));
    CHECK(from_local(at({2026, 3, 29}, 3, 0)) == utc(2026, 3, 29, 1));
    CHECK(from_local(at({2026, 3, 29}, 3, 0, 1)) == utc(2026, 3, 29, 1, 0, 1));
    // 02:00 to 03:00 occurs twice.
    CHECK(from_local(at({2026, 10, 25}, 1, 59, 59)) == utc(2026, 10, 24, 23, 59, 59));
    CHECK(from_local(at({2026, 10, 25}, 2, 0)) == utc(2026, 10, 25, 0));
    CHECK(from_local(at({2026, 10, 25}, 2, 59, 59, 999)) == utc(2026, 10, 25, 1) + -1);
    CHECK(from_local(at({2026, 10, 25}, 3, 0)) == utc(2026, 10, 25, 2));
    CHECK(start_of_day({2026, 10, 26}) - start_of_day({2026, 10, 25}) == 25 * 3'600'000);
    CHECK(start_of_day({2026, 3, 30}) - start_of_day({2026, 3, 29}) == 23 * 3'600'000);
    CHECK(local_date_of(utc(2026, 11, 20, 23)) == CivilDate{2026, 11, 21});
    CHECK(local_date_of(utc(2026, 11, 20, 23) + -1) == CivilDate{2026, 11, 20});
}

void check_lord_howe() {
    // Set forward by half an hour at 02:00, back by half an hour at 02:00.
    CHECK(from_local(at({2026, 10, 4}, 2, 15)) == utc(2026, 10, 3, 15, 30));
    CHECK(from_local(at({2026, 10, 4}, 2, 30)) == utc(2026, 10, 3, 15, 30));
    CHECK(from_local(at({2026, 4, 5}, 1, 30)) == utc(2026, 4, 4, 14, 30));
    CHECK(from_local(at({2026, 4, 5}, 1, 59, 59)) == utc(2026, 4, 4, 14, 59, 59));
    CHECK(from_local(at({2026, 4, 5}, 2, 0)) == utc(2026, 4, 4, 15, 30));
    CHECK(start_of_day({2026, 4, 6}) - start_of_day({2026, 4, 5}) == (24 * 60 + 30) * 60'000);
}

// Every moment lies in the day that day_of() says, and the days follow each other without a gap.
void check_days(CivilDate from, int days) {
    CivilDate date = from;
    TimestampMs begin = start_of_day(date);
    for (int i = 0; i < days; ++i) {
        const CivilDate next = next_day(date);
        const TimestampMs end = start_of_day(next);
        CAPTURE(date);
        REQUIRE(previous_day(next) == date);
        REQUIRE(end >= begin);
        if (end > begin) {
            REQUIRE(local_date_of(begin) == date);
            REQUIRE(local_date_of(begin + -1) < date);
            REQUIRE(day_of(begin) == date);
            REQUIRE(day_of(end + -1) == date);
            REQUIRE(day_of(begin + (end - begin) / 2) == date);
        }
        date = next;
        begin = end;
    }
}

}  // namespace

TEST_CASE("local_time: UTC has every time once") {
    const InZone zone("UTC");
    CHECK(from_local({}) == TimestampMs{0});
    CHECK(from_local(at({2026, 11, 21}, 14, 3, 5, 250)) == utc(2026, 11, 21, 14, 3, 5) + 250);
    CHECK(from_local(at({2000, 2, 29}, 23, 59, 59, 999)) == utc(2000, 3, 1) + -1);
    CHECK(from_local(at({9999, 12, 31}, 23, 59, 59, 999)) == TimestampMs{253'402'300'799'999});
    CHECK(local_date_of(TimestampMs{-1}) == CivilDate{1969, 12, 31});
    CHECK(local_date_of(TimestampMs{0}) == CivilDate{1970, 1, 1});
    CHECK(local_date_of(TimestampMs{253'402'300'799'999}) == CivilDate{9999, 12, 31});
    check_days({1999, 12, 1}, 120);
}

TEST_CASE("local_time: a skipped time is the jump, one that occurs twice is the first, by rules in TZ") {
    SECTION("Berlin") {
        const InZone zone(kBerlinRules);
        check_berlin();
        check_days({2026, 1, 1}, 400);
    }
    SECTION("Lord Howe") {
        const InZone zone(kLordHoweRules);
        check_lord_howe();
        check_days({2026, 1, 1}, 400);
    }
    SECTION("years ahead") {
        const InZone zone(kBerlinRules);
        CHECK(from_local(at({9999, 12, 31}, 23, 59)) == TimestampMs{253'402'300'740'000 - 3'600'000});
        CHECK(from_local(at({1970, 1, 1}, 0, 0)) == TimestampMs{-3'600'000});
    }
}

TEST_CASE("local_time: a day begins at its first moment, whatever happens to midnight") {
    SECTION("midnight is skipped; it comes a second time as 23:00") {
        const InZone zone(kMidnightRules);
        CHECK(start_of_day({2026, 10, 18}) == utc(2026, 10, 18, 3));
        CHECK(from_local(at({2026, 10, 18}, 0, 30)) == utc(2026, 10, 18, 3));
        CHECK(from_local(at({2026, 10, 18}, 1, 0)) == utc(2026, 10, 18, 3));
        CHECK(from_local(at({2026, 2, 14}, 23, 30)) == utc(2026, 2, 15, 1, 30));
        CHECK(start_of_day({2026, 2, 15}) == utc(2026, 2, 15, 3));
        check_days({2026, 1, 1}, 400);
    }
    SECTION("midnight occurs twice") {
        const InZone zone(kHavanaRules);
        CHECK(start_of_day({2026, 11, 1}) == utc(2026, 11, 1, 4));
        CHECK(start_of_day({2026, 11, 2}) == utc(2026, 11, 2, 5));
        check_days({2026, 1, 1}, 400);
    }
    SECTION("the clock is set back over midnight: the old date comes back, the day has begun all the same") {
        const InZone zone("AAA0BBB,M3.1.0/0,M11.1.0/0:30");  // 00:30 becomes 23:30
        CHECK(start_of_day({2026, 11, 1}) == utc(2026, 10, 31, 23));
        CHECK(local_date_of(utc(2026, 10, 31, 23, 29)) == CivilDate{2026, 11, 1});
        CHECK(local_date_of(utc(2026, 10, 31, 23, 31)) == CivilDate{2026, 10, 31});
        CHECK(day_of(utc(2026, 10, 31, 23, 31)) == CivilDate{2026, 11, 1});
    }
    SECTION("zones at the ends of what TZ can say") {
        for (const char* const name : {"AAA24:59:59", "AAA-24:59:59", "AAA-14", "AAA12", "AAA0:0:1"}) {
            CAPTURE(name);
            const InZone zone(name);
            check_days({2026, 12, 20}, 30);
        }
    }
}

TEST_CASE("local_time: the zones of the world, where their data is there") {
    SECTION("Europe/Berlin") {
        if (has_data("Europe/Berlin", 1'782'864'000, 7200)) {
            const InZone zone("Europe/Berlin");
            check_berlin();
            check_days({1978, 1, 1}, 800);  // summer time began in 1980
        }
    }
    SECTION("America/Sao_Paulo: midnight was skipped each October until 2018") {
        if (has_data("America/Sao_Paulo", 1'512'000'000, -7200)) {
            const InZone zone("America/Sao_Paulo");
            CHECK(start_of_day({2017, 10, 15}) == utc(2017, 10, 15, 3));
            CHECK(local_date_of(utc(2017, 10, 15, 3) + -1) == CivilDate{2017, 10, 14});
            CHECK(from_local(at({2018, 2, 17}, 23, 30)) == utc(2018, 2, 18, 1, 30));
            CHECK(start_of_day({2018, 2, 18}) == utc(2018, 2, 18, 3));
            check_days({2017, 1, 1}, 1000);
        }
    }
    SECTION("Australia/Lord_Howe") {
        if (has_data("Australia/Lord_Howe", 1'782'864'000, 37800)) {
            const InZone zone("Australia/Lord_Howe");
            check_lord_howe();
            check_days({2026, 1, 1}, 400);
        }
    }
    SECTION("Pacific/Apia: 2011-12-30 was skipped") {
        if (has_data("Pacific/Apia", 1'325'160'000, -36000)) {
            const InZone zone("Pacific/Apia");
            const TimestampMs jump = utc(2011, 12, 30, 10);
            CHECK(start_of_day({2011, 12, 29}) == jump + -86'400'000);
            CHECK(start_of_day({2011, 12, 30}) == jump);
            CHECK(start_of_day({2011, 12, 31}) == jump);
            CHECK(from_local(at({2011, 12, 30}, 12, 0)) == jump);
            CHECK(local_date_of(jump) == CivilDate{2011, 12, 31});
            CHECK(local_date_of(jump + -1) == CivilDate{2011, 12, 29});
            CHECK(day_of(jump) == CivilDate{2011, 12, 31});
            CHECK(day_of(jump + -1) == CivilDate{2011, 12, 29});
            check_days({2011, 1, 1}, 500);
        }
    }
}

TEST_CASE("local_time: a change of TZ counts from the next call on") {
    for (const auto& [name, hours] : {std::pair("AAA-5", -5), std::pair("BBB3", 3), std::pair("UTC", 0)}) {
        const InZone zone(name);
        CHECK(from_local({{2026, 1, 1}}) == utc(2026, 1, 1) + hours * std::int64_t{3'600'000});
    }
}

TEST_CASE("local_time: with an offset the zone does not matter") {
    const InZone zone(kBerlinRules);
    CHECK(from_utc_offset(at({2026, 11, 21}, 14, 0), 0) == utc(2026, 11, 21, 14));
    CHECK(from_utc_offset(at({2026, 11, 21}, 0, 30, 0, 9), 19'800) == utc(2026, 11, 20, 19) + 9);
    CHECK(from_utc_offset(at({1970, 1, 1}, 0, 0), 3600) == TimestampMs{-3'600'000});
    CHECK(from_utc_offset(at({9999, 12, 31}, 23, 59, 59, 999), -86'399) < kTimestampMax);
}

TEST_CASE("local_time: times that no calendar shows have some date") {
    const InZone zone(kBerlinRules);
    (void)local_date_of(TimestampMs{INT64_MIN});
    (void)local_date_of(TimestampMs{INT64_MAX});
    (void)day_of(TimestampMs{INT64_MIN});
    (void)day_of(TimestampMs{INT64_MAX});
    CHECK(local_date_of(kTimestampMax).year == 10000);
}

TEST_CASE("CivilDate: valid days only, and their neighbours") {
    for (const CivilDate& date :
         {CivilDate{2026, 2, 29}, CivilDate{1900, 2, 29}, CivilDate{2100, 2, 29}, CivilDate{2026, 4, 31},
          CivilDate{2026, 0, 1}, CivilDate{2026, 13, 1}, CivilDate{2026, 1, 0}, CivilDate{2026, 1, 32},
          CivilDate{1969, 12, 31}, CivilDate{10000, 1, 1}, CivilDate{2026, -1, 1}}) {
        CAPTURE(date);
        CHECK_FALSE(is_valid(date));
    }
    CHECK(is_valid(CivilDate{2000, 2, 29}));
    CHECK(is_valid(CivilDate{2024, 2, 29}));
    CHECK(next_day({2024, 2, 28}) == CivilDate{2024, 2, 29});
    CHECK(next_day({2024, 2, 29}) == CivilDate{2024, 3, 1});
    CHECK(next_day({2026, 12, 31}) == CivilDate{2027, 1, 1});
    CHECK(previous_day({2026, 3, 1}) == CivilDate{2026, 2, 28});
    CHECK(previous_day({2026, 1, 1}) == CivilDate{2025, 12, 31});
    CHECK_FALSE(is_valid(CivilTime{{2026, 1, 1}, 24, 0, 0, 0}));
    CHECK_FALSE(is_valid(CivilTime{{2026, 1, 1}, 0, 60, 0, 0}));
    CHECK_FALSE(is_valid(CivilTime{{2026, 1, 1}, 0, 0, 60, 0}));
    CHECK_FALSE(is_valid(CivilTime{{2026, 1, 1}, 0, 0, 0, 1000}));
    CHECK_FALSE(is_valid(CivilTime{{2026, 1, 1}, -1, 0, 0, 0}));
}

TEST_CASE("CivilDate: is written and read in one spelling only") {
    CHECK(format_date({2026, 11, 21}) == "2026-11-21");
    CHECK(format_date({1970, 1, 2}) == "1970-01-02");
    for (CivilDate date{2023, 12, 1}; date < CivilDate{2024, 4, 1}; date = next_day(date)) {
        CHECK(parse_date(format_date(date)) == date);
    }
    for (const char* const text : {"", "2026-11-2", "2026-11-211", "2026-1-21", "2026-11-31", "2026-13-01",
                                   "1969-12-31", "20261121", "2026/11/21", "2026-11-21 ", " 2026-11-21", "+026-11-21",
                                   "2026-+1-21", "2026--1-21", "2026-11-2x", "10000-01-01"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_date(text));
    }
}

}  // namespace topicfs
