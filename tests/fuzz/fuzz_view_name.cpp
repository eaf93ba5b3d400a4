// A view's name, and a point of one. What is understood has values within bounds that the rest of the program relies
// on; what is refused has a message of one short line.
#include "fuzz/fuzz_input.h"
#include "store/view_name.h"

#include <topicfs/store.h>

#include <string>
#include <variant>

using namespace topicfs;

namespace {

constexpr std::int64_t kDayMs = 86'400'000;

struct Check {
    void operator()(ViewStart) const {}
    void operator()(ViewEnd) const {}
    void operator()(Offset) const {}
    void operator()(ViewLast) const {}
    void operator()(ViewAgo ago) const { duration(ago.ms); }
    void operator()(ViewAfterFrom after) const { duration(after.ms); }
    void operator()(const CivilTime& time) const { fuzz::require(is_valid(time), "a local time exists"); }
    void operator()(TimestampMs time) const {
        fuzz::require(time >= TimestampMs{-kDayMs} && time <= kTimestampMax, "a moment is within bounds");
    }
    void operator()(ViewDay day) const { fuzz::require(day.days_ago >= 0 && day.days_ago <= 1, "two days have names"); }
    static void duration(std::int64_t ms) {
        fuzz::require(ms >= 0 && ms <= kViewDurationMsMax, "a duration is within bounds");
    }
};

void check_refusal(const Error& error) {
    fuzz::require(error.code == ErrorCode::kInvalid, "what is refused is kInvalid");
    fuzz::require(error.message().size() < 400, "a message is short");
    fuzz::require(error.message().find('\n') == std::string::npos, "a message is one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    const std::vector<std::byte> rest = input.take_rest();
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), rest.size());
    if ((choice & 1) != 0) {
        const Result<ViewPoint> point = parse_view_point(text);
        if (!point) {
            check_refusal(point.error());
            return 0;
        }
        std::visit(Check{}, *point);
        (void)fix_view_point(*point, TimestampMs{1'795'269'600'000});
        const Result<ViewBound> bound = parse_view_bound(text);
        fuzz::require(bound.has_value() && bound->index() == point->index(), "a FROM is a TO");
        return 0;
    }
    const Result<ViewName> view = parse_view_name(text);
    if (!view) {
        check_refusal(view.error());
        return 0;
    }
    fuzz::require(is_view_name(text) && text.size() <= kViewNameBytesMax, "a view's name looks like one");
    fuzz::require(view->partition.value_or(0) < kPartitionsMax, "a partition's number is within bounds");
    std::visit(Check{}, view->from);
    if (view->to) {
        std::visit(Check{}, *view->to);
    }
    return 0;
}
