#include "store/view_name.h"

#include "base/text.h"

#include <topicfs/store.h>

#include <algorithm>
#include <array>
#include <string>

namespace topicfs {

namespace {

constexpr std::string_view kFollow = "+follow";
constexpr std::string_view kBetween = "..";
constexpr std::string_view kMilliseconds = "ms";
constexpr std::size_t kShownBytesMax = 64;
constexpr std::size_t kFractionDigitsMax = 9;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_number(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

// Short, and without what could disturb a log line.
std::string shown(std::string_view text) {
    std::string safe(text.substr(0, kShownBytesMax));
    std::replace_if(
        safe.begin(), safe.end(), [](char c) { return c < ' ' || c == 0x7f; }, '?');
    return "'" + safe + (text.size() > kShownBytesMax ? "…'" : "'");
}

Error refused(std::string_view text, const char* why) {
    return make_error(ErrorCode::kInvalid, "understand", {}, shown(text) + ": " + why);
}

// Takes pieces off the front of a text.
class Pieces {
public:
    explicit Pieces(std::string_view text) : rest_(text) {}

    bool take(std::string_view piece) {
        const bool found = rest_.starts_with(piece);
        rest_.remove_prefix(found ? piece.size() : 0);
        return found;
    }
    // A number of exactly so many digits (a few).
    bool take_digits(std::size_t count, int& number) {
        if (rest_.size() < count || !is_number(rest_.substr(0, count))) {
            return false;
        }
        number = 0;
        for (std::size_t i = 0; i < count; ++i) {
            number = number * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(count);
        return true;
    }
    // The digits of a fraction of a second, of which the first three count.
    bool take_milliseconds(int& milliseconds) {
        std::size_t digits = 0;
        int factor = 100;
        milliseconds = 0;
        for (; !rest_.empty() && is_digit(rest_[0]); rest_.remove_prefix(1), ++digits) {
            milliseconds += (rest_[0] - '0') * factor;
            factor /= 10;
        }
        return digits >= 1 && digits <= kFractionDigitsMax;
    }
    bool at_end() const { return rest_.empty(); }
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

Result<std::int64_t> parse_duration(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t ms;
    };
    static constexpr std::array<Unit, 5> kUnits = {
        {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
    const auto digits = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
    for (const Unit& unit : kUnits) {
        if (digits > 0 && text.substr(digits) == unit.name) {
            const auto number = parse_unsigned(text.substr(0, digits));
            if (!number || *number > static_cast<std::uint64_t>(kViewDurationMsMax / unit.ms)) {
                return refused(text, "is too long a duration");
            }
            return static_cast<std::int64_t>(*number) * unit.ms;
        }
    }
    return refused(text, "is not a duration: one whole number and one of ms, s, m, h, d");
}

Result<std::uint64_t> parse_count(std::string_view text) {
    const auto number = parse_unsigned(text);
    if (!number) {
        return refused(text, "is too large a number");
    }
    return *number;
}

// Z, +01:00, +0100, -0330; seconds ahead of UTC.
Result<int> parse_offset(std::string_view text) {
    if (text == "Z") {
        return 0;
    }
    Pieces pieces(text);
    const bool is_behind = text.starts_with('-');
    int hours = 0;
    int minutes = 0;
    bool good = (pieces.take("+") || pieces.take("-")) && pieces.take_digits(2, hours);
    pieces.take(":");
    good = good && pieces.take_digits(2, minutes) && pieces.at_end() && hours < 24 && minutes < 60;
    if (!good) {
        return refused(text, "is not a zone: Z, +HH:MM or +HHMM");
    }
    const int seconds = hours * 3600 + minutes * 60;
    return is_behind ? -seconds : seconds;
}

// A date, in either spelling, and behind a T a time; the zone is left.
bool take_time(Pieces& pieces, CivilTime& time) {
    if (!pieces.take_digits(4, time.date.year)) {
        return false;
    }
    const bool is_extended = pieces.take("-");
    const std::string_view between_days = is_extended ? "-" : "";
    const std::string_view between_hours = is_extended ? ":" : "";
    if (!pieces.take_digits(2, time.date.month) || !pieces.take(between_days) ||
        !pieces.take_digits(2, time.date.day)) {
        return false;
    }
    if (!pieces.take("T")) {
        return is_extended;
    }
    if (!pieces.take_digits(2, time.hour) || !pieces.take(between_hours) || !pieces.take_digits(2, time.minute)) {
        return false;
    }
    const bool has_seconds = is_extended ? pieces.take(":") : !pieces.at_end() && is_digit(pieces.rest().front());
    if (!has_seconds) {
        return true;
    }
    return pieces.take_digits(2, time.second) && (!pieces.take(".") || pieces.take_milliseconds(time.millisecond));
}

Result<ViewPoint> parse_time(std::string_view text) {
    Pieces pieces(text);
    CivilTime time;
    if (!take_time(pieces, time)) {
        return refused(text,
                       "is no point of a view: start, end, an offset, -N, a duration ago as -15m, a date, a time as "
                       "2026-11-21T14:00, today, yesterday, or ms and Unix milliseconds");
    }
    if (!is_valid(time)) {
        return refused(text, "there is no such date or time in the years 1970 to 9999");
    }
    if (pieces.at_end()) {
        return ViewPoint(time);
    }
    TOPICFS_TRY_ASSIGN(const int offset_s, parse_offset(pieces.rest()));
    return ViewPoint(from_utc_offset(time, offset_s));
}

Result<ViewPoint> parse_moment(std::string_view text) {
    const auto ms = parse_unsigned(text.substr(kMilliseconds.size()));
    if (!ms || *ms > static_cast<std::uint64_t>(kTimestampMax.value)) {
        return refused(text, "lies behind the year 9999");
    }
    return ViewPoint(TimestampMs{static_cast<std::int64_t>(*ms)});
}

Result<std::optional<std::uint32_t>> parse_partition(std::string_view text) {
    if (text == "all") {
        return std::optional<std::uint32_t>();
    }
    const auto number = parse_unsigned(text);
    if (!is_number(text) || (text.size() > 1 && text[0] == '0') || !number || *number >= kPartitionsMax) {
        return refused(text, "is neither a partition's number nor all");
    }
    return std::optional(static_cast<std::uint32_t>(*number));
}

}  // namespace

bool is_view_name(std::string_view name) {
    return name.find('@') != std::string_view::npos;
}

Result<ViewPoint> parse_view_point(std::string_view text) {
    if (text == "start" || text == "earliest") {
        return ViewPoint(ViewStart{});
    }
    if (text == "end" || text == "latest") {
        return ViewPoint(ViewEnd{});
    }
    if (text == "today" || text == "yesterday") {
        return ViewPoint(ViewDay{text == "today" ? 0 : 1});
    }
    if (is_number(text)) {
        TOPICFS_TRY_ASSIGN(const std::uint64_t offset, parse_count(text));
        return ViewPoint(Offset{offset});
    }
    if (text.starts_with('-')) {
        const std::string_view rest = text.substr(1);
        if (is_number(rest)) {
            TOPICFS_TRY_ASSIGN(const std::uint64_t records, parse_count(rest));
            return ViewPoint(ViewLast{records});
        }
        TOPICFS_TRY_ASSIGN(const std::int64_t ms, parse_duration(rest));
        return ViewPoint(ViewAgo{ms});
    }
    if (text.starts_with(kMilliseconds) && is_number(text.substr(kMilliseconds.size()))) {
        return parse_moment(text);
    }
    return parse_time(text);
}

Result<ViewBound> parse_view_bound(std::string_view text) {
    if (text.starts_with('+')) {
        TOPICFS_TRY_ASSIGN(const std::int64_t ms, parse_duration(text.substr(1)));
        return ViewBound(ViewAfterFrom{ms});
    }
    TOPICFS_TRY_ASSIGN(const ViewPoint point, parse_view_point(text));
    return std::visit([](const auto& same) { return ViewBound(same); }, point);
}

Result<ViewName> parse_view_name(std::string_view name) {
    if (name.size() > kViewNameBytesMax) {
        return refused(name, "is longer than 255 bytes");
    }
    const std::size_t at = name.find('@');
    if (at == std::string_view::npos) {
        return refused(name, "is not a view, which has an @ in its name");
    }
    ViewName view;
    TOPICFS_TRY_ASSIGN(view.partition, parse_partition(name.substr(0, at)));
    std::string_view range = name.substr(at + 1);
    view.follow = range.ends_with(kFollow);
    range.remove_suffix(view.follow ? kFollow.size() : 0);
    const std::size_t between = range.find(kBetween);
    TOPICFS_TRY_ASSIGN(view.from, parse_view_point(range.substr(0, between)));
    if (between != std::string_view::npos) {
        TOPICFS_TRY_ASSIGN(view.to, parse_view_bound(range.substr(between + kBetween.size())));
    }
    return view;
}

ViewPoint point_of(const ViewBound& to) {
    struct AsPoint {
        ViewPoint operator()(ViewAfterFrom) const { return ViewStart{}; }  // not called
        ViewPoint operator()(const ViewStart& same) const { return same; }
        ViewPoint operator()(const ViewEnd& same) const { return same; }
        ViewPoint operator()(const Offset& same) const { return same; }
        ViewPoint operator()(const ViewLast& same) const { return same; }
        ViewPoint operator()(const ViewAgo& same) const { return same; }
        ViewPoint operator()(const CivilTime& same) const { return same; }
        ViewPoint operator()(const TimestampMs& same) const { return same; }
        ViewPoint operator()(const ViewDay& same) const { return same; }
    };
    return std::visit(AsPoint{}, to);
}

std::optional<TimestampMs> end_of(ViewAfterFrom duration, const FixedPoint& from, TimestampMs now) {
    if (const auto* const moment = std::get_if<TimestampMs>(&from)) {
        return *moment + duration.ms;
    }
    return std::holds_alternative<ViewEnd>(from) ? std::optional(now + duration.ms) : std::nullopt;
}

FixedPoint fix_view_point(const ViewPoint& point, TimestampMs now) {
    struct Fix {
        TimestampMs now;
        FixedPoint operator()(ViewAgo ago) const { return now + -ago.ms; }
        FixedPoint operator()(const CivilTime& time) const { return from_local(time); }
        FixedPoint operator()(ViewDay day) const {
            CivilDate date = day_of(now);
            for (int i = 0; i < day.days_ago; ++i) {
                date = previous_day(date);
            }
            // A clock that is set to no sensible year has no days.
            return is_valid(date) ? start_of_day(date) : now;
        }
        FixedPoint operator()(TimestampMs moment) const { return moment; }
        FixedPoint operator()(Offset offset) const { return offset; }
        FixedPoint operator()(ViewStart start) const { return start; }
        FixedPoint operator()(ViewEnd end) const { return end; }
        FixedPoint operator()(ViewLast last) const { return last; }
    };
    return std::visit(Fix{now}, point);
}

}  // namespace topicfs
