#include "record_format.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <ctime>
#include <string>

using namespace topicfs;

namespace {

const RecordPlace kPlace{"orders", 3, Offset{12}, TimestampMs{1'763'683'200'123}};

std::string formatted(std::string_view format, std::string_view record = "hello", const RecordPlace& place = kPlace) {
    const auto parsed = RecordFormat::parse(format);
    REQUIRE(parsed);
    std::string out = ">";
    parsed->add(out, place, record);
    return out;
}

std::string as_json(std::string_view record, const RecordPlace& place = kPlace) {
    std::string out;
    add_as_json(out, place, record);
    return out;
}

}  // namespace

TEST_CASE("RecordFormat: each letter and each escape") {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    CHECK(formatted("") == ">");
    CHECK(formatted("%t [%p] at %o: %s\\n") == ">orders [3] at 12: hello\n");
    CHECK(formatted("%S %T %d") == ">5 1763683200123 2025-11-21T00:00:00.123+00:00");
    CHECK(formatted("100%%%s") == ">100%hello");
    CHECK(formatted("%s\\0\\t\\r\\\\\\x41\\xfF") == std::string(">hello\0\t\r\\A\xff", 12));
    CHECK(formatted("%s", std::string_view("a\0%s", 4)) == std::string(">a\0%s", 5));
    CHECK(formatted("%T|%d", "", {"t", 0, Offset{0}, std::nullopt}) == ">-1|");
}

TEST_CASE("RecordFormat: what it does not know is refused, with what it is") {
    for (const char* const text : {"%", "%x", "a%", "\\", "\\q", "\\x1", "\\xg0", "%s%k"}) {
        CAPTURE(text);
        const auto parsed = RecordFormat::parse(text);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == ErrorCode::kInvalid);
        CHECK(parsed.error().message().find("in the format") != std::string::npos);
    }
}

TEST_CASE("add_as_json: a line a record, what is no UTF-8 as base64") {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    const std::string front =
        R"({"topic":"orders","partition":3,"offset":12,"time":"2025-11-21T00:00:00.123+00:00","timestamp":1763683200123,)";
    CHECK(as_json("a \"b\"\t\xc3\xa4") == front + "\"record\":\"a \\\"b\\\"\\t\xc3\xa4\"}\n");
    CHECK(as_json("") == front + "\"record\":\"\"}\n");
    CHECK(as_json("\xff") == front + "\"record_base64\":\"/w==\"}\n");
    CHECK(as_json("\xff\xfe") == front + "\"record_base64\":\"//4=\"}\n");
    CHECK(as_json("abc\xff\xfe\xfd") == front + "\"record_base64\":\"YWJj//79\"}\n");
    CHECK(as_json("x", {"t", 0, Offset{0}, std::nullopt}) ==
          "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"time\":null,\"timestamp\":null,\"record\":\"x\"}\n");
}
