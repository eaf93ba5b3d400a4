#include "base/local_time.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <ctime>

namespace topicfs {

namespace {

constexpr std::int64_t kMsPerSecond = 1000;
constexpr std::int64_t kSecondsPerHour = 3600;
constexpr std::int64_t kSecondsPerDay = 24 * kSecondsPerHour;
// TZ can say up to 24:59:59, and summer time may be an hour more.
constexpr std::int64_t kOffsetSecondsMax = 26 * kSecondsPerHour;
// A zone never changes its offset twice within such a span.
constexpr std::int64_t kStepSeconds = 2 * kSecondsPerHour;

bool is_leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in_month(int year, int month) {
    static constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : kDays[static_cast<std::size_t>(month - 1)];
}

// Seconds since the epoch of a clock that shows UTC.
std::int64_t seconds_of(const CivilTime& time) {
    // Years counted from March, so that the day a leap year has more is its last.
    const std::int64_t year = time.date.month <= 2 ? time.date.year - 1 : time.date.year;
    const std::int64_t month = (time.date.month + 9) % 12;
    const std::int64_t day_of_year = (153 * month + 2) / 5 + time.date.day - 1;
    constexpr std::int64_t kDaysToEpoch = 719468;  // from 0000-03-01
    const std::int64_t days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - kDaysToEpoch;
    return days * kSecondsPerDay + time.hour * kSecondsPerHour + time.minute * 60 + time.second;
}

std::int64_t floor_seconds(TimestampMs time) {
    const std::int64_t seconds = time.value / kMsPerSecond;
    return time.value % kMsPerSecond < 0 ? seconds - 1 : seconds;
}

std::tm local_at(std::int64_t seconds) {
    const std::time_t time = seconds;
    std::tm local{};
    if (::localtime_r(&time, &local) == nullptr) {
        ::gmtime_r(&time, &local);  // A year that no calendar shows: any date will do.
    }
    return local;
}

std::int64_t offset_at(std::int64_t seconds) {
    return local_at(seconds).tm_gmtoff;
}

// The first moment in (from, to] at which the offset is no longer what it is at `from`.
std::int64_t find_change(std::int64_t from, std::int64_t to) {
    const std::int64_t before = offset_at(from);
    while (to - from > 1) {
        const std::int64_t middle = from + (to - from) / 2;
        (offset_at(middle) == before ? from : to) = middle;
    }
    return to;
}

}  // namespace

bool is_valid(const CivilDate& date) {
    return date.year >= kCivilYearMin && date.year <= kCivilYearMax && date.month >= 1 && date.month <= 12 &&
           date.day >= 1 && date.day <= days_in_month(date.year, date.month);
}

bool is_valid(const CivilTime& time) {
    const auto below = [](int value, int bound) { return value >= 0 && value < bound; };
    return is_valid(time.date) && below(time.hour, 24) && below(time.minute, 60) && below(time.second, 60) &&
           below(time.millisecond, 1000);
}

// Between two changes of the zone's offset the local clock runs evenly, so each such piece is looked at once: the first
// that comes to show `time` or later has the moment.
TimestampMs from_local(const CivilTime& time) {
    assert(is_valid(time));
    ::tzset();  // localtime_r() need not look at TZ itself.
    const std::int64_t shown = seconds_of(time);
    for (std::int64_t begin = shown - kOffsetSecondsMax; begin <= shown + kOffsetSecondsMax;) {
        const std::int64_t offset = offset_at(begin);
        std::int64_t end = begin + kStepSeconds;
        if (offset_at(end) != offset) {
            end = find_change(begin, end);
        }
        const std::int64_t exact = shown - offset;
        if (exact < end) {
            return exact < begin ? TimestampMs{begin * kMsPerSecond}  // It was skipped.
                                 : TimestampMs{exact * kMsPerSecond + time.millisecond};
        }
        begin = end;
    }
    return {shown * kMsPerSecond + time.millisecond};  // No zone is that far from UTC.
}

TimestampMs from_utc_offset(const CivilTime& time, int offset_s) {
    assert(is_valid(time));
    return {(seconds_of(time) - offset_s) * kMsPerSecond + time.millisecond};
}

CivilDate local_date_of(TimestampMs time) {
    ::tzset();
    const std::tm local = local_at(floor_seconds(time));
    // The last year that a tm can say is of no use as a date; it must not overflow.
    return {static_cast<int>(std::min<std::int64_t>(std::int64_t{local.tm_year} + 1900, INT32_MAX)), local.tm_mon + 1,
            local.tm_mday};
}

TimestampMs start_of_day(const CivilDate& date) {
    CivilTime midnight;
    midnight.date = date;
    return from_local(midnight);
}

CivilDate day_of(TimestampMs time) {
    const CivilDate shown = local_date_of(time);
    if (!is_valid(shown)) {
        return shown;
    }
    const CivilDate next = next_day(shown);
    return is_valid(next) && start_of_day(next) <= time ? next : shown;
}

CivilDate next_day(const CivilDate& date) {
    if (date.day < days_in_month(date.year, date.month)) {
        return {date.year, date.month, date.day + 1};
    }
    return date.month < 12 ? CivilDate{date.year, date.month + 1, 1} : CivilDate{date.year + 1, 1, 1};
}

CivilDate previous_day(const CivilDate& date) {
    if (date.day > 1) {
        return {date.year, date.month, date.day - 1};
    }
    return date.month > 1 ? CivilDate{date.year, date.month - 1, days_in_month(date.year, date.month - 1)}
                          : CivilDate{date.year - 1, 12, 31};
}

std::string format_date(const CivilDate& date) {
    const auto part = [](int value, unsigned width) { return zero_padded(static_cast<std::uint64_t>(value), width); };
    return part(date.year, 4) + "-" + part(date.month, 2) + "-" + part(date.day, 2);
}

std::optional<CivilDate> parse_date(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') {
        return std::nullopt;
    }
    const auto year = parse_unsigned(text.substr(0, 4));
    const auto month = parse_unsigned(text.substr(5, 2));
    const auto day = parse_unsigned(text.substr(8, 2));
    if (!year || !month || !day) {
        return std::nullopt;
    }
    const CivilDate date{static_cast<int>(*year), static_cast<int>(*month), static_cast<int>(*day)};
    return is_valid(date) ? std::optional(date) : std::nullopt;
}

}  // namespace topicfs
