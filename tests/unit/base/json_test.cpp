#include "base/json.h"

#include <catch2/catch.hpp>

#include <limits>
#include <string>

namespace topicfs {
namespace {

std::string json_of(std::string_view text) {
    JsonWriter json;
    json.value(text);
    return json.text();
}

TEST_CASE("JsonWriter: writes keys in the order given") {
    JsonWriter json;
    json.begin_object().member("zeta", 1).member("alpha", "two").key("list").begin_array();
    json.value(true).null().value(std::int64_t{-3}).end_array().end_object();
    CHECK(json.text() == R"({"zeta":1,"alpha":"two","list":[true,null,-3]})");
}

TEST_CASE("JsonWriter: indents by two for people") {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("a").begin_array().value(1).value(2).end_array().end_object();
    CHECK(json.text() == "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
}

TEST_CASE("JsonWriter: writes the largest and smallest numbers exactly") {
    JsonWriter json;
    json.begin_array();
    json.value(std::numeric_limits<std::uint64_t>::max()).value(std::numeric_limits<std::int64_t>::min());
    json.value(std::numeric_limits<std::uint32_t>::max()).value(0.5).end_array();
    CHECK(json.text() == "[18446744073709551615,-9223372036854775808,4294967295,0.5]");
}

TEST_CASE("JsonWriter: a number that JSON cannot say is null") {
    JsonWriter json;
    json.begin_array();
    json.value(std::numeric_limits<double>::infinity()).value(std::numeric_limits<double>::quiet_NaN());
    json.end_array();
    CHECK(json.text() == "[null,null]");
}

TEST_CASE("JsonWriter: escapes what JSON does not allow in a string") {
    CHECK(json_of("a\"b\\c\nd\x01"
                  "e") == R"("a\"b\\c\nd\u0001e")");
    CHECK(json_of(std::string_view("a\0b", 3)) == R"("a\u0000b")");
}

TEST_CASE("JsonWriter: leaves valid UTF-8 as it is") {
    const std::string text = "\u00e4 \u20ac \U0001F600 \uD7FF \uE000 \U0010FFFF";
    CHECK(json_of(text) == "\"" + text + "\"");
}

TEST_CASE("JsonWriter: replaces invalid UTF-8 by U+FFFD") {
    const std::string sign = "\xEF\xBF\xBD";
    CHECK(json_of("a\xFFz") == "\"a" + sign + "z\"");                               // a byte that never occurs
    CHECK(json_of("a\x80z") == "\"a" + sign + "z\"");                               // a continuation of nothing
    CHECK(json_of("a\xE2\x82z") == "\"a" + sign + "z\"");                           // a sequence that is broken off
    CHECK(json_of("a\xE2\x82") == "\"a" + sign + "\"");                             // one that the end cuts
    CHECK(json_of("\xC0\xAF") == "\"" + sign + sign + "\"");                        // an overlong form of '/'
    CHECK(json_of("\xED\xA0\x80") == "\"" + sign + sign + sign + "\"");             // a surrogate
    CHECK(json_of("\xF4\x90\x80\x80") == "\"" + sign + sign + sign + sign + "\"");  // above U+10FFFF
}

TEST_CASE("JsonWriter: replaces invalid UTF-8 in keys too") {
    JsonWriter json;
    json.begin_object().member("k\xFF", "v").end_object();
    CHECK(json.text() == "{\"k\xEF\xBF\xBD\":\"v\"}");
}

}  // namespace
}  // namespace topicfs
