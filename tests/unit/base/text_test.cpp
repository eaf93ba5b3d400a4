#include "base/text.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>
#include <string>

namespace topicfs {
namespace {

// Sets the time zone for a scope.
class ZoneGuard {
public:
    explicit ZoneGuard(const char* zone) {
        const char* const before = std::getenv("TZ");
        had_zone_ = before != nullptr;
        before_ = had_zone_ ? before : "";
        ::setenv("TZ", zone, 1);
        ::tzset();
    }
    ~ZoneGuard() {
        had_zone_ ? ::setenv("TZ", before_.c_str(), 1) : ::unsetenv("TZ");
        ::tzset();
    }
    ZoneGuard(const ZoneGuard&) = delete;
    ZoneGuard& operator=(const ZoneGuard&) = delete;

private:
    bool had_zone_ = false;
    std::string before_;
};

TEST_CASE("parse_unsigned: takes decimal digits and nothing else") {
    CHECK(parse_unsigned("0") == 0u);
    CHECK(parse_unsigned("007") == 7u);
    CHECK(parse_unsigned("18446744073709551615") == 18446744073709551615u);
    for (const char* const text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x10", "1e3", "18446744073709551616"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_unsigned(text).has_value());
    }
}

TEST_CASE("parse_signed: takes a minus sign besides") {
    CHECK(parse_signed("-1") == -1);
    CHECK(parse_signed("9223372036854775807") == INT64_MAX);
    CHECK(parse_signed("-9223372036854775808") == INT64_MIN);
    for (const char* const text : {"", "-", "--1", "+1", "- 1", "9223372036854775808", "-9223372036854775809"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_signed(text).has_value());
    }
}

TEST_CASE("trim: takes white space off both ends only") {
    CHECK(trim(" \t\r\n a b \v\f") == "a b");
    CHECK(trim("a") == "a");
    CHECK(trim(" \n ").empty());
    CHECK(trim("").empty());
}

TEST_CASE("split_lines: a last line without a newline counts, an end behind a newline does not") {
    using Lines = std::vector<std::string_view>;
    CHECK(split_lines("").empty());
    CHECK(split_lines("a") == Lines{"a"});
    CHECK(split_lines("a\n") == Lines{"a"});
    CHECK(split_lines("a\n\nb") == Lines{"a", "", "b"});
    CHECK(split_lines("\n") == Lines{""});
}

TEST_CASE("zero_padded: fills up to the width and cuts nothing") {
    CHECK(zero_padded(7, 3) == "007");
    CHECK(zero_padded(1234, 3) == "1234");
    CHECK(zero_padded(0, 1) == "0");
    CHECK(zero_padded(18446744073709551615u, 20) == "18446744073709551615");
}

TEST_CASE("human_bytes: bytes are whole, larger units have one digit behind the point") {
    CHECK(human_bytes(0) == "0 B");
    CHECK(human_bytes(640) == "640 B");
    CHECK(human_bytes(1023) == "1023 B");
    CHECK(human_bytes(1024) == "1.0 KiB");
    CHECK(human_bytes(1536) == "1.5 KiB");
    CHECK(human_bytes(1'503'238'554) == "1.4 GiB");
    CHECK(human_bytes(18446744073709551615u) == "16.0 EiB");
}

TEST_CASE("human_bytes: never shows 1024 of a unit") {
    CHECK(human_bytes((1u << 20) - 1) == "1.0 MiB");
    CHECK(human_bytes((1u << 30) - 1) == "1.0 GiB");
    CHECK(human_bytes(1023 * 1024) == "1023.0 KiB");
}

TEST_CASE("human_time: shows local time with its zone, to the millisecond") {
    {
        const ZoneGuard zone("UTC");
        CHECK(human_time(1'795'266'000'007) == "2026-11-21T13:00:00.007+00:00");
        CHECK(human_time(-1) == "1969-12-31T23:59:59.999+00:00");
    }
    {
        const ZoneGuard zone("TEST-1");
        CHECK(human_time(1'795'266'000'000) == "2026-11-21T14:00:00.000+01:00");
    }
    {
        const ZoneGuard zone("TEST+3:30");
        CHECK(human_time(1'795'266'000'000) == "2026-11-21T09:30:00.000-03:30");
    }
}

TEST_CASE("human_time: a time beyond all calendars is a number") {
    CHECK_FALSE(human_time(INT64_MAX).empty());
    CHECK_FALSE(human_time(INT64_MIN).empty());
}

}  // namespace
}  // namespace topicfs
