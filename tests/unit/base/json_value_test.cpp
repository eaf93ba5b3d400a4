#include "base/json_value.h"

#include <catch2/catch.hpp>

#include <string>

using namespace topicfs;

TEST_CASE("JsonValue: members and items of each kind are found", "[json]") {
    const auto value = JsonValue::parse(R"({"t":"a\u00e9\n","n":18446744073709551615,"b":true,"z":null,"m":-1,"f":1.5,
        "a":[1,{"x":2},[]]})");
    REQUIRE(value);
    CHECK(value->text("t") == "a\xC3\xA9\n");
    CHECK(value->number("n") == 18446744073709551615u);
    CHECK(value->truth("b"));
    REQUIRE(value->items("a").size() == 3);
    CHECK(value->items("a")[0].number() == 1);
    CHECK(value->items("a")[1].number("x") == 2);
    CHECK(value->items("a")[2].items().empty());
}

TEST_CASE("JsonValue: what is not there, or of another kind, is empty", "[json]") {
    const auto value = JsonValue::parse(R"({"t":"a","z":null,"m":-1,"f":1.5})");
    REQUIRE(value);
    CHECK(value->find("none") == nullptr);
    CHECK(value->find("z") != nullptr);
    CHECK(value->number("t") == 0);
    CHECK(value->number("m") == 0);
    CHECK(value->number("f") == 0);
    CHECK(value->text("z").empty());
    CHECK_FALSE(value->truth("t"));
    CHECK(value->items("t").empty());
    CHECK(value->find("t")->find("x") == nullptr);
}

TEST_CASE("JsonValue: text cut anywhere is refused", "[json]") {
    const std::string text = R"({"a":[1,"two",{"b":true}],"c":null})";
    REQUIRE(JsonValue::parse(text));
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto cut = JsonValue::parse(std::string_view(text).substr(0, size));
        REQUIRE_FALSE(cut);
        CHECK(cut.error().code == ErrorCode::kInvalid);
    }
    CHECK_FALSE(JsonValue::parse(text + "x"));
    CHECK_FALSE(JsonValue::parse("\"\xff\""));
}

TEST_CASE("JsonValue: nested 64 deep it is read, deeper it is refused", "[json]") {
    CHECK(JsonValue::parse(std::string(64, '[') + std::string(64, ']')));
    CHECK_FALSE(JsonValue::parse(std::string(65, '[') + std::string(65, ']')));
    CHECK_FALSE(JsonValue::parse(std::string(1000000, '[')));
}
