#include "store/view_name.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>
#include <string>

using namespace topicfs;

namespace {

constexpr TimestampMs k2026{1'767'225'600'000};       // 2026-01-01T00:00:00Z
constexpr TimestampMs kAfternoon{1'795'269'600'000};  // 2026-11-21T14:00:00Z
constexpr std::int64_t kHourMs = 3'600'000;

ViewPoint point(std::string_view text) {
    const auto parsed = parse_view_point(text);
    INFO(text << (parsed ? std::string() : ": " + parsed.error().message()));
    REQUIRE(parsed);
    return *parsed;
}

ViewName view(std::string_view text) {
    const auto parsed = parse_view_name(text);
    INFO(text << (parsed ? std::string() : ": " + parsed.error().message()));
    REQUIRE(parsed);
    return *parsed;
}

void refuse(std::string_view name) {
    const auto parsed = parse_view_name(name);
    CAPTURE(name);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == ErrorCode::kInvalid);
    const std::string message = parsed.error().message();
    CHECK(message.size() < 400);
    CHECK(message.find('\n') == std::string::npos);
}

CivilTime civil(CivilDate date, int hour = 0, int minute = 0, int second = 0, int millisecond = 0) {
    return {date, hour, minute, second, millisecond};
}

constexpr CivilDate kDay{2026, 11, 21};

}  // namespace

TEST_CASE("view_name: the points of the log itself") {
    CHECK(point("start") == ViewPoint(ViewStart{}));
    CHECK(point("earliest") == ViewPoint(ViewStart{}));
    CHECK(point("end") == ViewPoint(ViewEnd{}));
    CHECK(point("latest") == ViewPoint(ViewEnd{}));
    CHECK(point("0") == ViewPoint(Offset{0}));
    CHECK(point("1200") == ViewPoint(Offset{1200}));
    CHECK(point("007") == ViewPoint(Offset{7}));
    CHECK(point("18446744073709551615") == ViewPoint(Offset{UINT64_MAX}));
    CHECK(point("-1") == ViewPoint(ViewLast{1}));
    CHECK(point("-0") == ViewPoint(ViewLast{0}));
    CHECK(point("-18446744073709551615") == ViewPoint(ViewLast{UINT64_MAX}));
}

TEST_CASE("view_name: all digits is an offset, though it looks like a date") {
    CHECK(point("20261121") == ViewPoint(Offset{20261121}));
    CHECK(point("202611211400") == ViewPoint(Offset{202611211400}));
    CHECK(point("1763683200000") == ViewPoint(Offset{1763683200000}));
    CHECK(point("ms1763683200000") == ViewPoint(TimestampMs{1763683200000}));
    CHECK(point("ms0") == ViewPoint(TimestampMs{0}));
    CHECK(point("ms253402473600000") == ViewPoint(kTimestampMax));
}

TEST_CASE("view_name: durations ago are one number and one unit") {
    CHECK(point("-90s") == ViewPoint(ViewAgo{90'000}));
    CHECK(point("-15m") == ViewPoint(ViewAgo{15 * 60'000}));
    CHECK(point("-2h") == ViewPoint(ViewAgo{2 * kHourMs}));
    CHECK(point("-7d") == ViewPoint(ViewAgo{7 * 24 * kHourMs}));
    CHECK(point("-250ms") == ViewPoint(ViewAgo{250}));
    CHECK(point("-0s") == ViewPoint(ViewAgo{0}));
    CHECK(point("-2932899d") == ViewPoint(ViewAgo{2932899LL * 24 * kHourMs}));
}

TEST_CASE("view_name: dates and times without a zone are kept as they were written") {
    CHECK(point("2026-11-21") == ViewPoint(civil(kDay)));
    for (const char* const text : {"2026-11-21T14:00", "20261121T1400", "2026-11-21T14:00:00", "20261121T140000",
                                   "2026-11-21T14:00:00.000", "20261121T140000.0"}) {
        CHECK(point(text) == ViewPoint(civil(kDay, 14)));
    }
    CHECK(point("2026-11-21T14:03:05") == ViewPoint(civil(kDay, 14, 3, 5)));
    CHECK(point("2026-11-21T14:03:05.25") == ViewPoint(civil(kDay, 14, 3, 5, 250)));
    CHECK(point("20261121T140305.123456789") == ViewPoint(civil(kDay, 14, 3, 5, 123)));
    CHECK(point("2026-11-21T23:59:59.9999") == ViewPoint(civil(kDay, 23, 59, 59, 999)));
    CHECK(point("today") == ViewPoint(ViewDay{0}));
    CHECK(point("yesterday") == ViewPoint(ViewDay{1}));
}

TEST_CASE("view_name: times with a zone are moments") {
    for (const char* const text :
         {"2026-11-21T14:00Z", "20261121T1400Z", "2026-11-21T15:00+01:00", "2026-11-21T15:00+0100",
          "20261121T1500+01:00", "20261121T1500+0100", "2026-11-21T10:30-03:30", "20261121T103000-0330",
          "2026-11-21T14:00:00.0009Z", "2026-11-22T13:59+23:59", "2026-11-21T14:00-00:00"}) {
        CHECK(point(text) == ViewPoint(kAfternoon));
    }
    CHECK(point("20261121T140000.25Z") == ViewPoint(kAfternoon + 250));
    CHECK(point("2026-11-21Z") == ViewPoint(kAfternoon + -14 * 3'600'000));
    CHECK(point("2026-11-21+01:00") == ViewPoint(kAfternoon + -15 * 3'600'000));
    CHECK(point("2026-11-21-0330") == ViewPoint(kAfternoon + -(10 * 3'600'000 + 1'800'000)));
    CHECK(point("1970-01-01T00:00+01:00") == ViewPoint(TimestampMs{-kHourMs}));
}

TEST_CASE("view_name: a name, a range, and whether to follow") {
    CHECK(view("0@-15m") == ViewName{0, ViewAgo{15 * 60'000}, std::nullopt, false});
    CHECK(view("all@yesterday") == ViewName{std::nullopt, ViewDay{1}, std::nullopt, false});
    CHECK(view("99999@end+follow") == ViewName{99999, ViewEnd{}, std::nullopt, true});
    CHECK(view("7@yesterday..today") == ViewName{7, ViewDay{1}, ViewBound(ViewDay{0}), false});
    CHECK(view("0@start..end") == ViewName{0, ViewStart{}, ViewBound(ViewEnd{}), false});
    CHECK(view("0@100..50") == ViewName{0, Offset{100}, ViewBound(Offset{50}), false});
    CHECK(view("0@-100..-50") == ViewName{0, ViewLast{100}, ViewBound(ViewLast{50}), false});
    CHECK(view("0@1200..+10m+follow") == ViewName{0, Offset{1200}, ViewBound(ViewAfterFrom{600'000}), true});
    CHECK(view("0@2026-11-21T15:00+01:00..+90s") == ViewName{0, kAfternoon, ViewBound(ViewAfterFrom{90'000}), false});
    CHECK(view("0@2026-11-21T15:00+0100+follow") == ViewName{0, kAfternoon, std::nullopt, true});
    CHECK(view("0@2026-11-21T14:00:00.5..2026-11-22") ==
          ViewName{0, civil(kDay, 14, 0, 0, 500), ViewBound(civil({2026, 11, 22})), false});
}

TEST_CASE("view_name: what has an @ is a view or nothing") {
    CHECK(is_view_name("0@start"));
    CHECK(is_view_name("@"));
    CHECK(is_view_name("nonsense@"));
    CHECK_FALSE(is_view_name("0"));
    CHECK_FALSE(is_view_name("0+follow"));
    CHECK_FALSE(is_view_name(""));
}

TEST_CASE("view_name: names that are refused, with a message") {
    for (const char* const name : {"",
                                   "0",
                                   "0+follow",
                                   "@",
                                   "0@",
                                   "@start",
                                   "00@start",
                                   "01@start",
                                   "-1@start",
                                   "+1@start",
                                   "100000@start",
                                   "4294967296@start",
                                   "99999999999999999999@start",
                                   "0x1@start",
                                   "All@start",
                                   "all @start",
                                   "a@start",
                                   "0@start@end",
                                   "0@@start",
                                   "0@..",
                                   "0@..end",
                                   "0@start..",
                                   "0@start...end",
                                   "0@start..end..end",
                                   "0@start..+follow",
                                   "0@+follow",
                                   "0@start+follow+follow",
                                   "0@start+Follow",
                                   "0@start+",
                                   "0@start ",
                                   "0@ start",
                                   "0@Start",
                                   "0@begin",
                                   "0@+10m",
                                   "0@+10m..end",
                                   "0@start..+10",
                                   "0@start..+",
                                   "0@start..+-10m",
                                   "0@start..+10m5s"}) {
        refuse(name);
    }
    for (const char* const text : {"-",
                                   "--1",
                                   "-s",
                                   "-m",
                                   "-1x",
                                   "-1 s",
                                   "-1S",
                                   "-1.5h",
                                   "-1h30m",
                                   "-1hs",
                                   "-1w",
                                   "-1min",
                                   "- 1s",
                                   "-2932900d",
                                   "-18446744073709551616",
                                   "-99999999999999999999s",
                                   "-9223372036854775807ms",
                                   "18446744073709551616",
                                   "1e3",
                                   "0x10",
                                   "+1",
                                   "1_000",
                                   "ms",
                                   "ms-1",
                                   "ms1s",
                                   "ms253402473600001",
                                   "ms99999999999999999999",
                                   "ms 1",
                                   "Today",
                                   "tomorrow",
                                   "now"}) {
        refuse("0@" + std::string(text));
        refuse("0@start.." + std::string(text) + "x");
    }
}

TEST_CASE("view_name: dates and times that do not exist or are not written so") {
    for (const char* const text : {"2026-1-21",
                                   "2026-11-2",
                                   "2026-11",
                                   "2026T14:00",
                                   "x2026-11-21",
                                   "2026-02-29",
                                   "2026-13-01",
                                   "2026-00-10",
                                   "2026-11-31",
                                   "1969-12-31",
                                   "1969-12-31T23:00Z",
                                   "10000-01-01",
                                   "2026-11-21T",
                                   "2026-11-21T14",
                                   "2026-11-21T14:",
                                   "2026-11-21T14:0",
                                   "2026-11-21T1400",
                                   "20261121T14:00",
                                   "20261121T14",
                                   "20261121T140",
                                   "20261121T14000",
                                   "20261121T1400000",
                                   "20261121T",
                                   "2026-11-21T24:00",
                                   "2026-11-21T14:60",
                                   "2026-11-21T14:00:60",
                                   "2026-11-21T14:00:",
                                   "2026-11-21T14:00:0",
                                   "2026-11-21T14:00:00.",
                                   "2026-11-21T14:00.5",
                                   "2026-11-21T14:00:00.1234567890",
                                   "2026-11-21T14:00:00,5",
                                   "2026-11-21t14:00",
                                   "2026-11-21 14:00",
                                   "2026-11-21T14:00z",
                                   "2026-11-21x",
                                   "2026-11-21+01",
                                   "2026-11-21TZ",
                                   "20261121Z",
                                   "20261121+0100",
                                   "2026-11-21T14:00ZZ",
                                   "2026-11-21T14:00+1",
                                   "2026-11-21T14:00+01",
                                   "2026-11-21T14:00+1:00",
                                   "2026-11-21T14:00+01:0",
                                   "2026-11-21T14:00+24:00",
                                   "2026-11-21T14:00+01:60",
                                   "2026-11-21T14:00+01:00Z",
                                   "2026-11-21T14:00+",
                                   "2026-11-21T14:00 +01:00",
                                   "2026-11-21T14:00CET"}) {
        refuse("0@" + std::string(text));
    }
}

TEST_CASE("view_name: bytes of any kind and length are refused with a short message") {
    refuse(std::string_view("0@start\0", 8));
    refuse("0@\n\x01\xff");
    refuse("0@" + std::string(253, '9'));
    refuse("0@-" + std::string(252, '9') + "d");
    refuse(std::string(300, '0') + "@start");
    refuse("0@" + std::string(100'000, '1'));
    CHECK(view("0@" + std::string(252, '0') + "7").from == ViewPoint(Offset{7}));
}

TEST_CASE("fix_view_point: what is a time becomes a moment, all else stays") {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    const TimestampMs now = kAfternoon;
    const auto fixed = [&](std::string_view text) { return fix_view_point(point(text), now); };
    CHECK(fixed("-15m") == FixedPoint(now + -15 * 60'000));
    CHECK(fixed("-2932899d") == FixedPoint(now + -2932899LL * 24 * kHourMs));
    CHECK(fixed("2026-11-21T15:00") == FixedPoint(now));
    CHECK(fixed("2026-11-21T14:00Z") == FixedPoint(now));
    CHECK(fixed("today") == FixedPoint(now + -15 * kHourMs));
    CHECK(fixed("yesterday") == FixedPoint(now + -39 * kHourMs));
    CHECK(fixed("2026-01-01T01:00") == FixedPoint(k2026));
    CHECK(fixed("ms5") == FixedPoint(TimestampMs{5}));
    CHECK(fixed("12") == FixedPoint(Offset{12}));
    CHECK(fixed("-12") == FixedPoint(ViewLast{12}));
    CHECK(fixed("start") == FixedPoint(ViewStart{}));
    CHECK(fixed("latest") == FixedPoint(ViewEnd{}));
    // The day after the clock was set forward begins 23 hours after the one before.
    CHECK(fix_view_point(ViewDay{1}, TimestampMs{1'774'864'800'000}) == FixedPoint(TimestampMs{1'774'738'800'000}));
    (void)fix_view_point(ViewDay{1}, TimestampMs{INT64_MAX});
    (void)fix_view_point(ViewDay{1}, TimestampMs{0});
    ::unsetenv("TZ");
    ::tzset();
}
