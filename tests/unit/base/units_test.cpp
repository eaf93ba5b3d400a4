#include "base/units.h"

#include <catch2/catch.hpp>

using namespace topicfs;

namespace {

std::string refusal(std::string_view text, Unit unit) {
    const auto amount = parse_amount(text, unit);
    return amount ? "taken" : amount.error().detail;
}

}  // namespace

TEST_CASE("Units: a time is a number of milliseconds, or has a unit") {
    CHECK(*parse_amount("0", Unit::kMilliseconds) == 0);
    CHECK(*parse_amount("1234", Unit::kMilliseconds) == 1234);
    CHECK(*parse_amount("500ms", Unit::kMilliseconds) == 500);
    CHECK(*parse_amount("90s", Unit::kMilliseconds) == 90'000);
    CHECK(*parse_amount("15m", Unit::kMilliseconds) == 900'000);
    CHECK(*parse_amount("1h", Unit::kMilliseconds) == 3'600'000);
    CHECK(*parse_amount("7d", Unit::kMilliseconds) == 604'800'000);
    for (const char* const bad :
         {"", "d", "7w", "7D", "7 d", " 7d", "7d ", "-7d", "+7d", "1.5h", "1h30m", "0x10", "7dd"}) {
        CAPTURE(bad);
        CHECK(refusal(bad, Unit::kMilliseconds) == "is no time");
    }
}

TEST_CASE("Units: a time that is counted in minutes is a whole number of them") {
    CHECK(*parse_amount("15", Unit::kMinutes) == 15);
    CHECK(*parse_amount("15m", Unit::kMinutes) == 15);
    CHECK(*parse_amount("7d", Unit::kMinutes) == 10080);
    CHECK(*parse_amount("120s", Unit::kMinutes) == 2);
    CHECK(*parse_amount("18446744073709551615", Unit::kMinutes) == 18446744073709551615u);
    CHECK(refusal("90s", Unit::kMinutes) == "is no whole number of minutes");
    CHECK(refusal("1MiB", Unit::kMinutes) == "is no time");
}

TEST_CASE("Units: a size is a number of bytes, or has a unit by 1024 or by 1000") {
    CHECK(*parse_amount("4096", Unit::kBytes) == 4096);
    CHECK(*parse_amount("4096B", Unit::kBytes) == 4096);
    for (const char* const one_kibi : {"1K", "1k", "1KiB", "1kib", "1KIB"}) {
        CAPTURE(one_kibi);
        CHECK(*parse_amount(one_kibi, Unit::kBytes) == 1024);
    }
    CHECK(*parse_amount("64kB", Unit::kBytes) == 64'000);
    CHECK(*parse_amount("64MiB", Unit::kBytes) == 67'108'864);
    CHECK(*parse_amount("64M", Unit::kBytes) == 67'108'864);
    CHECK(*parse_amount("64MB", Unit::kBytes) == 64'000'000);
    CHECK(*parse_amount("1GiB", Unit::kBytes) == 1'073'741'824);
    CHECK(*parse_amount("1G", Unit::kBytes) == 1'073'741'824);
    CHECK(*parse_amount("1GB", Unit::kBytes) == 1'000'000'000);
    CHECK(*parse_amount("2TiB", Unit::kBytes) == 2'199'023'255'552);
    CHECK(*parse_amount("2T", Unit::kBytes) == 2'199'023'255'552);
    CHECK(*parse_amount("2TB", Unit::kBytes) == 2'000'000'000'000);
    for (const char* const bad : {"", "B", "K", "1KB1", "1 MiB", "1.5G", "-1", "1h", "1X", "1iB", "1Ki"}) {
        CAPTURE(bad);
        CHECK(refusal(bad, Unit::kBytes) == "is no size");
    }
}

TEST_CASE("Units: what does not fit is too large, not something else") {
    CHECK(*parse_amount("18446744073709551615", Unit::kBytes) == 18446744073709551615u);
    CHECK(refusal("18446744073709551616", Unit::kBytes) == "is too large");
    CHECK(*parse_amount("16777215T", Unit::kBytes) == 16777215ull << 40);
    CHECK(refusal("16777216T", Unit::kBytes) == "is too large");
    CHECK(refusal("213503982335d", Unit::kMilliseconds) == "is too large");
}

TEST_CASE("Units: a bare number has none") {
    CHECK(*parse_amount("12", Unit::kNone) == 12);
    CHECK(refusal("12s", Unit::kNone) == "is no whole number");
    CHECK(refusal("12K", Unit::kNone) == "is no whole number");
}
