// Where a group is to be set, as people write it.
#include "base/text.h"
#include "store/view_name.h"

#include <topicfs/group.h>

#include <algorithm>

namespace topicfs {

namespace {

// "+N"; nothing where it is something else. A sign and digits only: "-15m" is a time.
Result<std::optional<GroupPoint>> parse_shift(std::string_view text) {
    const std::string_view digits = text.substr(text.empty() ? 0 : 1);
    const bool is_shift = !digits.empty() && (text[0] == '+' || text[0] == '-') &&
                          std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_shift) {
        return std::optional<GroupPoint>();
    }
    const auto records = parse_signed(digits);
    if (!records) {
        return make_error(ErrorCode::kInvalid, "reset to", std::string(text.substr(0, 64)),
                          "it is no number of records");
    }
    return std::optional<GroupPoint>(GroupShift{text[0] == '-' ? -*records : *records});
}

}  // namespace

Result<GroupPoint> parse_group_point(std::string_view text, TimestampMs now) {
    text = trim(text);
    TOPICFS_TRY_ASSIGN(const std::optional<GroupPoint> shift, parse_shift(text));
    if (shift) {
        return *shift;
    }
    TOPICFS_TRY_ASSIGN(const ViewPoint point, parse_view_point(text));
    const FixedPoint fixed = fix_view_point(point, now);
    if (std::holds_alternative<ViewStart>(fixed)) {
        return GroupPoint(GroupEarliest{});
    }
    if (std::holds_alternative<ViewEnd>(fixed)) {
        return GroupPoint(GroupLatest{});
    }
    if (const auto* offset = std::get_if<Offset>(&fixed)) {
        return GroupPoint(*offset);
    }
    if (const auto* time = std::get_if<TimestampMs>(&fixed)) {
        return GroupPoint(*time);
    }
    return make_error(ErrorCode::kInvalid, "reset to", std::string(text.substr(0, 64)), "it is no place in a log");
}

}  // namespace topicfs
