#include "store/views.h"

#include <set>

namespace topicfs {

namespace {

Error no_such_day(const CivilDate& day) {
    return make_error(ErrorCode::kNotFound, "look up", format_date(day), "no records of that day");
}

// The records of a day in one partition.
struct DayRange {
    Found from;
    Found to;
    bool is_cut = false;  // the log start is in it: there may have been more
    bool is_there() const { return !is_cut && from.position < to.position; }
};

Result<DayRange> range_of_day(Partition& partition, const CivilDate& day) {
    DayRange range;
    TOPICFS_TRY_ASSIGN(range.from, partition.find_time(start_of_day(day)));
    TOPICFS_TRY_ASSIGN(range.to, partition.find_time(start_of_day(next_day(day))));
    range.is_cut = range.from.offset.value > 0 && range.from.offset <= partition.start_offset() &&
                   range.from.position < range.to.position;
    return range;
}

// Goes from the first record of a day to the first of a later one.
Result<void> add_days(Partition& partition, std::set<CivilDate>& days) {
    TOPICFS_TRY_ASSIGN(const Found end, partition.records_end());
    Found at{partition.start(), partition.start_offset()};
    while (at.offset < end.offset) {
        TOPICFS_TRY_ASSIGN(const Found next, partition.find_offset(at.offset + 1));
        TOPICFS_TRY_ASSIGN(const TimestampMs time, partition.time_of(Position{next.position.value - 1}));
        const CivilDate day = day_of(time);
        if (at.offset.value == 0 || at.offset > partition.start_offset()) {
            days.insert(day);
        }
        TOPICFS_TRY_ASSIGN(at, partition.find_time(start_of_day(next_day(day))));
    }
    return {};
}

}  // namespace

Result<std::vector<CivilDate>> days_of(Topic& topic) {
    std::set<CivilDate> days;
    for (std::uint32_t number = 0; number < topic.partition_count(); ++number) {
        TOPICFS_TRY_ASSIGN(const auto partition, topic.partition(number));
        TOPICFS_TRY(add_days(*partition, days));
    }
    return std::vector<CivilDate>(days.begin(), days.end());
}

Result<std::vector<std::uint32_t>> partitions_of_day(Topic& topic, const CivilDate& day) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; number < topic.partition_count(); ++number) {
        TOPICFS_TRY_ASSIGN(const auto partition, topic.partition(number));
        TOPICFS_TRY_ASSIGN(const DayRange range, range_of_day(*partition, day));
        if (range.is_there()) {
            numbers.push_back(number);
        }
    }
    return numbers;
}

Result<std::shared_ptr<LogView>> open_day(const std::shared_ptr<Topic>& topic, const CivilDate& day,
                                          std::optional<std::uint32_t> partition, TimestampMs now) {
    const std::uint32_t first = partition.value_or(0);
    const std::uint32_t end = partition ? *partition + 1 : topic->partition_count();
    bool is_there = false;
    for (std::uint32_t number = first; number < end; ++number) {
        TOPICFS_TRY_ASSIGN(const auto one, topic->partition(number));
        TOPICFS_TRY_ASSIGN(const DayRange range, range_of_day(*one, day));
        if (range.is_cut) {
            return no_such_day(day);
        }
        is_there = is_there || range.is_there();
    }
    if (!is_there) {
        return no_such_day(day);
    }
    return open_view(topic, {partition, start_of_day(day), ViewBound(start_of_day(next_day(day))), false}, now);
}

}  // namespace topicfs
