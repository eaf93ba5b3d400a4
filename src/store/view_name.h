// Names that show a part of a partition or of a topic: NAME@FROM[..TO][+follow].
//
// NAME is a partition's number, as its file is named (decimal, no leading zeros), or `all`. FROM is a point, TO a point
// or a duration from FROM:
//
//     start, earliest           the log start
//     end, latest               the log end
//     1200                      an offset. All digits is always an offset, however many: `20261121` too
//     -100                      the last 100 records
//     -90s                      a duration ago: one whole number and one of the units ms, s, m, h, d (of 24 hours);
//                               none is made of several (`-90m`, not `-1h30m`)
//     2026-11-21                a day's first moment, in the daemon's zone, or with `Z` or a zone's offset
//     2026-11-21T14:00          a time: seconds (`:05`) and then a fraction (`.25`; one to nine digits, of which
//                               milliseconds count) may follow; in the daemon's zone, or with `Z` or a zone's offset
//                               (`+01:00`, `+0100`, `-0330`)
//     20261121T1400             the same, compact: `20261121T140005`, `20261121T140005.25Z`; the two spellings are not
//                               mixed, but for the offset
//     today, yesterday          such a day's first moment, in the daemon's zone
//     ms1763683200000           Unix milliseconds
//     +10m                      as TO only: so long after FROM
//
// Letters are as they stand here. Years are 1970 to 9999; there is no 24:00 and no second 60. A TO before FROM is no
// error here: such a view is empty.
//
// A point says what was written, not which moment that is: today and `-15m` depend on when they are looked up, a local
// time on the zone. That is fix_view_point().
//
// Pure functions; any thread. Nothing is allocated but the message of an error, which is short whatever was given. A
// refused name is kInvalid, with a message for a person that says what is wrong with it.
#pragma once

#include "base/local_time.h"

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace topicfs {

// What a file name can hold.
inline constexpr std::size_t kViewNameBytesMax = 255;
// No duration is longer: as long as all the years there are.
inline constexpr std::int64_t kViewDurationMsMax = kTimestampMax.value;

struct ViewStart {
    friend bool operator==(ViewStart, ViewStart) = default;
};
struct ViewEnd {
    friend bool operator==(ViewEnd, ViewEnd) = default;
};
struct ViewLast {
    std::uint64_t records = 0;
    friend bool operator==(ViewLast, ViewLast) = default;
};
struct ViewAgo {
    std::int64_t ms = 0;  // 0 to kViewDurationMsMax
    friend bool operator==(ViewAgo, ViewAgo) = default;
};
struct ViewDay {
    int days_ago = 0;  // 0: today, 1: yesterday
    friend bool operator==(ViewDay, ViewDay) = default;
};
struct ViewAfterFrom {
    std::int64_t ms = 0;  // 0 to kViewDurationMsMax
    friend bool operator==(ViewAfterFrom, ViewAfterFrom) = default;
};
// CivilTime: in the daemon's zone, valid. TimestampMs: at most kTimestampMax, and not long before 1970.
using ViewPoint = std::variant<ViewStart, ViewEnd, Offset, ViewLast, ViewAgo, CivilTime, TimestampMs, ViewDay>;
using ViewBound =
    std::variant<ViewStart, ViewEnd, Offset, ViewLast, ViewAgo, CivilTime, TimestampMs, ViewDay, ViewAfterFrom>;

struct ViewName {
    std::optional<std::uint32_t> partition;  // nothing: all
    ViewPoint from;
    std::optional<ViewBound> to;
    bool follow = false;
    friend bool operator==(const ViewName&, const ViewName&) = default;
};

// Whether the name can only be that of a view: it has an '@', which no other name in a topic has.
bool is_view_name(std::string_view name);

Result<ViewName> parse_view_name(std::string_view name);

// One point, as FROM.
Result<ViewPoint> parse_view_point(std::string_view text);
// One point, as TO: `+10m` too.
Result<ViewBound> parse_view_bound(std::string_view text);

// A point that says the same whenever it is looked at: what is a time has become its moment.
using FixedPoint = std::variant<ViewStart, ViewEnd, Offset, ViewLast, TimestampMs>;
FixedPoint fix_view_point(const ViewPoint& point, TimestampMs now);
// Any bound but a duration from FROM, as a point.
ViewPoint point_of(const ViewBound& to);
// When a duration from FROM ends, as far as that is known at the look-up, `now`: where FROM is a moment, or `end`.
std::optional<TimestampMs> end_of(ViewAfterFrom duration, const FixedPoint& from, TimestampMs now);

}  // namespace topicfs
