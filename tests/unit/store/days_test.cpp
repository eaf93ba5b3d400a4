#include "store/views.h"

#include "support/bytes.h"
#include "unit/store/view_fixture.h"

#include <cstdlib>
#include <ctime>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::int64_t kDayMs = 24 * kHourMs;

// Days in Central European time, which sets its clocks on the last Sundays of March and October. By its rules, so that
// no data of zones is needed.
class Days : public Views {
public:
    Days() {
        ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
        ::tzset();
    }
    ~Days() {
        ::unsetenv("TZ");
        ::tzset();
    }
    Days(const Days&) = delete;
    Days& operator=(const Days&) = delete;

    void append_at(const CivilTime& time, std::string_view bytes, std::uint32_t number = 0) {
        clock().advance(from_local(time) - clock().now());
        test::append(*topic, number, bytes);
    }
    std::string listed() {
        const auto days = days_of(*topic);
        REQUIRE(days);
        std::string text;
        for (const CivilDate& day : *days) {
            const auto numbers = partitions_of_day(*topic, day);
            REQUIRE(numbers);
            text += format_date(day) + ":";
            for (const std::uint32_t number : *numbers) {
                text += " " + std::to_string(number);
            }
            text += "\n";
        }
        return text;
    }
    std::string day(const CivilDate& date, std::uint32_t number = 0) {
        const auto view = open_day(topic, date, number, clock().now());
        if (!view) {
            CHECK(view.error().code == ErrorCode::kNotFound);
            return "none";
        }
        const auto extent = (*view)->extent();
        REQUIRE(extent);
        const auto bytes = (*view)->view(0, 1 << 20);
        REQUIRE(bytes);
        std::string text;
        for (const auto& part : bytes->parts()) {
            text += to_text(part);
        }
        CHECK(text.size() == extent->bytes);
        return text + (extent->is_complete ? "|" : "");
    }
};

}  // namespace

TEST_CASE_METHOD(Days, "days: none where nothing was appended") {
    CHECK(listed().empty());
    CHECK(day({2027, 3, 27}) == "none");
}

TEST_CASE_METHOD(Days, "days: only those with records, for each partition, and past ones never change") {
    REQUIRE(topic->add_partition(1, Attributes{}));
    append_at({{2027, 1, 1}, 23, 59, 59, 980}, "a\n");
    append_at({{2027, 1, 2}, 0, 0, 0, 0}, "b\n");
    append_at({{2027, 1, 5}, 12, 0, 0, 0}, "c\n", 1);
    const bool seals = GENERATE(false, true);
    if (seals) {
        seal();
    }
    append_at({{2027, 1, 5}, 13, 0, 0, 0}, "d\n");
    CHECK(listed() == "2027-01-01: 0\n2027-01-02: 0\n2027-01-05: 0 1\n");
    CHECK(day({2027, 1, 1}) == "a\n|");
    CHECK(day({2027, 1, 2}) == "b\n|");
    CHECK(day({2027, 1, 3}) == "none");
    CHECK(day({2027, 1, 5}) == "d\n");
    CHECK(day({2027, 1, 5}, 1) == "c\n");
    clock().advance(kDayMs);
    append("e\n");
    CHECK(day({2027, 1, 5}) == "d\n|");
    CHECK(day({2027, 1, 5}, 1) == "c\n|");
    open();
    CHECK(listed() == "2027-01-01: 0\n2027-01-02: 0\n2027-01-05: 0 1\n2027-01-06: 0\n");
    CHECK(day({2027, 1, 5}) == "d\n|");
}

TEST_CASE_METHOD(Days, "days: of 23 and of 25 hours") {
    // Each hour a line, from before the one until after the other.
    for (const CivilDate& change : {CivilDate{2027, 3, 28}, CivilDate{2027, 10, 31}}) {
        clock().advance(start_of_day(previous_day(change)) - clock().now());
        for (int i = 0; i < 72; ++i) {
            append("x\n");
            clock().advance(kHourMs);
        }
    }
    CHECK(day({2027, 3, 27}).size() == 24 * 2 + 1);
    CHECK(day({2027, 3, 28}).size() == 23 * 2 + 1);
    CHECK(day({2027, 3, 29}).size() == 24 * 2 + 1);
    CHECK(day({2027, 10, 31}).size() == 25 * 2 + 1);
    CHECK(day({2027, 11, 1}).size() == 23 * 2);  // begun
}

TEST_CASE_METHOD(Days, "days: a line belongs to the day on which it was whole") {
    append_at({{2027, 1, 1}, 23, 0, 0, 0}, "a\nbegun ");
    append_at({{2027, 1, 4}, 1, 0, 0, 0}, "and ended\n");
    CHECK(listed() == "2027-01-01: 0\n2027-01-04: 0\n");
    CHECK(day({2027, 1, 1}) == "a\n|");
    CHECK(day({2027, 1, 4}) == "begun and ended\n");
}

TEST_CASE_METHOD(Days, "days: one that the log start has cut into is gone, later ones stay") {
    append_at({{2027, 1, 1}, 12, 0, 0, 0}, "a\nb\n");
    append_at({{2027, 1, 2}, 12, 0, 0, 0}, "c\n");
    seal();
    move_log_start(Position{2}, Offset{1});
    CHECK(listed() == "2027-01-02: 0\n");
    CHECK(day({2027, 1, 1}) == "none");
    CHECK(day({2027, 1, 2}) == "c\n");
}

TEST_CASE_METHOD(Days, "days: after the clock was set back lines stay with the day that was reached") {
    append_at({{2027, 1, 2}, 0, 30, 0, 0}, "a\n");
    clock().step_to(from_local({{2027, 1, 1}, 23, 30, 0, 0}));
    append("b\n");
    CHECK(listed() == "2027-01-02: 0\n");
    CHECK(day({2027, 1, 2}) == "a\nb\n");
    CHECK(day({2027, 1, 1}) == "none");
}
