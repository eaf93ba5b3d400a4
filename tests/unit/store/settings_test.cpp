#include <topicfs/settings.h>

#include "store/topic.h"

#include <catch2/catch.hpp>

using namespace topicfs;

TEST_CASE("Settings: every one has a value that it takes back") {
    TopicSettings settings;
    for (const SettingInfo& info : topic_setting_infos()) {
        CAPTURE(info.key);
        const auto value = get_setting(settings, info.key);
        REQUIRE(value);
        TopicSettings other;
        REQUIRE(set_setting(other, info.key, *value));
        CHECK(other == settings);
        REQUIRE(set_setting(other, info.key, "  " + *value + "\n"));
        CHECK(other == settings);
    }
    CHECK(get_setting(settings, "no.such").error().code == ErrorCode::kNotFound);
}

TEST_CASE("Settings: each byte can be the delimiter and comes back from a text file") {
    for (unsigned byte = 0; byte < 256; ++byte) {
        CAPTURE(byte);
        TopicSettings settings;
        settings.record_delimiter = static_cast<std::uint8_t>(byte);
        TextFile file{"topic", 1, {}};
        encode_settings(settings, file);
        const auto read = decode_text_file(encode_text_file(file), "topic", 1);
        REQUIRE(read);
        TopicSettings decoded;
        decode_settings(*read, decoded);
        CHECK(decoded == settings);
    }
}

TEST_CASE("Settings: a key separator of any bytes comes back from a text file") {
    std::string all;
    for (unsigned byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
    }
    std::vector<std::string> separators = {"", "off", "none", "of", "offf", "\\", "\\x6f", ": "};
    for (std::size_t at = 0; at < all.size(); at += 16) {
        separators.push_back(all.substr(at, 16));
    }
    for (const std::string& separator : separators) {
        CAPTURE(separator);
        TopicSettings settings;
        settings.key_separator = separator;
        TextFile file{"topic", 1, {}};
        encode_settings(settings, file);
        const auto read = decode_text_file(encode_text_file(file), "topic", 1);
        REQUIRE(read);
        TopicSettings decoded;
        decode_settings(*read, decoded);
        CHECK(decoded == settings);
    }
}

TEST_CASE("Settings: key.separator is off, or up to 16 bytes") {
    TopicSettings settings;
    CHECK(*get_setting(settings, "key.separator") == "off");
    CHECK(set_setting(settings, "key.separator", "\\t"));
    CHECK(settings.key_separator == "\t");
    CHECK(*get_setting(settings, "key.separator") == "\\x09");
    CHECK(set_setting(settings, "key.separator", "\\x20|\\x20\n"));
    CHECK(settings.key_separator == " | ");
    for (const char* const bad : {"", "\\", "\\q", "\\x1", "a b", "01234567890123456", "\xff", "\x7f"}) {
        CAPTURE(bad);
        CHECK(set_setting(settings, "key.separator", bad).error().code == ErrorCode::kInvalid);
    }
    CHECK(settings.key_separator == " | ");
    CHECK(set_setting(settings, "key.separator", "off"));
    CHECK(settings.key_separator.empty());
}

TEST_CASE("Settings: the bounds of a range are in it, what is beyond is refused and changes nothing") {
    struct Case {
        const char* key;
        const char* low;
        const char* high;
        const char* below;
        const char* above;
    };
    for (const Case& tried :
         {Case{"num.partitions", "1", "100000", "0", "100001"},
          Case{"segment.bytes", "4096", "2147483647", "4095", "2147483648"},
          Case{"seal.bytes", "1", "16777216", "0", "16777217"}, Case{"compression.lz4.level", "1", "12", "0", "13"},
          Case{"compression.zstd.level", "-7", "22", "-8", "23"},
          Case{"seal.ms", "1", "9223372036854", "-1", "9223372036855"},
          Case{"flush.messages", "1", "9223372036854775807", "0", "9223372036854775808"}}) {
        CAPTURE(tried.key);
        TopicSettings settings;
        CHECK(set_setting(settings, tried.key, tried.low));
        CHECK(*get_setting(settings, tried.key) == tried.low);
        CHECK(set_setting(settings, tried.key, tried.high));
        CHECK(*get_setting(settings, tried.key) == tried.high);
        for (const char* const bad :
             {tried.below, tried.above, "", "x", "1x", "0x10", "1.5", "99999999999999999999999"}) {
            CAPTURE(bad);
            CHECK(set_setting(settings, tried.key, bad).error().code == ErrorCode::kInvalid);
        }
        CHECK(*get_setting(settings, tried.key) == tried.high);
    }
}

TEST_CASE("Settings: an unknown or invalid one in a file leaves the default") {
    TopicSettings settings;
    decode_settings({"topic", 1, {{"setting.seal.ms", "7"}, {"setting.no.such", "1"}, {"setting.seal.bytes", "no"}}},
                    settings);
    TopicSettings expected;
    expected.seal_ms = 7;
    CHECK(settings == expected);
}
