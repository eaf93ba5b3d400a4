// Wall-clock time in the process's zone (TZ, else /etc/localtime) and back.
//
// The one rule: a wall-clock time means the first moment at which the local clock shows that time or a later one. So
// a time that occurs twice, because the clock was set back, is the first of both; one that is skipped, because it was
// set forward, is the moment of the jump; and a day begins at its first moment, also where midnight is skipped or
// occurs twice. A day that is skipped as a whole begins when the next one does: it is empty.
//
// Threads: any, as long as nobody changes the environment meanwhile. A change of TZ counts from the next call on.
#pragma once

#include <topicfs/types.h>

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace topicfs {

inline constexpr int kCivilYearMin = 1970;
inline constexpr int kCivilYearMax = 9999;

// The largest time that is spoken of: 10000-01-03T00:00:00Z, behind the year 9999 of every zone.
inline constexpr TimestampMs kTimestampMax{253'402'473'600'000};

// A day of the (proleptic) Gregorian calendar.
struct CivilDate {
    int year = kCivilYearMin;
    int month = 1;  // 1 to 12
    int day = 1;    // 1 to 31
    friend auto operator<=>(const CivilDate&, const CivilDate&) = default;
};

struct CivilTime {
    CivilDate date;
    int hour = 0;         // 0 to 23
    int minute = 0;       // 0 to 59
    int second = 0;       // 0 to 59: leap seconds have no name here, as they have no number in Unix time
    int millisecond = 0;  // 0 to 999
    friend auto operator<=>(const CivilTime&, const CivilTime&) = default;
};

// Whether there is such a day, in the years 1970 to 9999.
bool is_valid(const CivilDate& date);
bool is_valid(const CivilTime& time);

// What follows takes valid dates and times only (asserted).

// By the rule above.
TimestampMs from_local(const CivilTime& time);
// The same for a clock that runs `offset_s` seconds (less than a day) ahead of UTC.
TimestampMs from_utc_offset(const CivilTime& time, int offset_s);

// The date that the local clock shows. Where the clock is set back over midnight a date comes back: a day as a range of
// time is start_of_day() of it and of the next one.
CivilDate local_date_of(TimestampMs time);
TimestampMs start_of_day(const CivilDate& date);
// The day whose range of time holds `time`. Differs from local_date_of() only after the clock was set back over
// midnight.
CivilDate day_of(TimestampMs time);

// By the calendar; the result can be out of the years that are valid, by a day.
CivilDate next_day(const CivilDate& date);
CivilDate previous_day(const CivilDate& date);

// "2026-11-21"; and back, nothing for any other spelling or where there is no such day.
std::string format_date(const CivilDate& date);
std::optional<CivilDate> parse_date(std::string_view text);

}  // namespace topicfs
