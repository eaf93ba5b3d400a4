#include <topicfs/settings.h>

#include "store/topic.h"

#include <catch2/catch.hpp>

#include <map>

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
          Case{"retention.ms", "1", "9223372036854", "0", "9223372036855"},
          Case{"retention.bytes", "1", "9223372036854775807", "-2", "9223372036854775808"},
          Case{"file.delete.delay.ms", "0", "9223372036854", "-1", "9223372036855"},
          Case{"flush.messages", "1", "9223372036854775807", "0", "9223372036854775808"}}) {
        CAPTURE(tried.key);
        TopicSettings settings;
        CHECK(set_setting(settings, tried.key, tried.low));
        CHECK(*get_setting(settings, tried.key) == tried.low);
        CHECK(set_setting(settings, tried.key, tried.high));
        CHECK(*get_setting(settings, tried.key) == tried.high);
        for (const char* const bad :
             {tried.below, tried.above, "", "x", "1x", "-", "1 s", "0x10", "1.5", "99999999999999999999999"}) {
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

TEST_CASE("Settings: retention is for ever where it is -1") {
    TopicSettings settings;
    CHECK(*get_setting(settings, "retention.ms") == "604800000");
    CHECK(*get_setting(settings, "retention.bytes") == "-1");
    CHECK(*get_setting(settings, "file.delete.delay.ms") == "60000");
    CHECK(set_setting(settings, "retention.ms", "-1"));
    CHECK_FALSE(settings.retention_ms);
    CHECK(set_setting(settings, "retention.bytes", "4096"));
    CHECK(settings.retention_bytes == 4096u);
}

TEST_CASE("Settings: those of a store have their defaults and take their values back") {
    StoreSettings settings;
    for (const auto& [key, text] : std::map<std::string, std::string>{{"log.retention.check.interval.ms", "300000"},
                                                                      {"store.bytes.max", "off"},
                                                                      {"disk.free.min", "auto"},
                                                                      {"disk.pressure", "refuse"},
                                                                      {"trash.retention.ms", "86400000"}}) {
        CAPTURE(key);
        CHECK(*get_setting(settings, key) == text);
    }
    for (const SettingInfo& info : store_setting_infos()) {
        StoreSettings other;
        CHECK(set_setting(other, info.key, *get_setting(settings, info.key)));
        CHECK(other == settings);
    }
    CHECK(set_setting(settings, "disk.pressure", "delete"));
    CHECK(settings.disk_pressure == DiskPressure::kDelete);
    CHECK(set_setting(settings, "disk.pressure", "other").error().code == ErrorCode::kInvalid);
}

TEST_CASE("Settings: what is to stay free is 5 % of the file system and at most 4 GiB, or as set") {
    constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
    StoreSettings settings;
    CHECK(settings.disk_free_min_of(20'000) == 1000);
    CHECK(settings.disk_free_min_of(80 * kGiB) == 4 * kGiB);
    CHECK(settings.disk_free_min_of(1000 * kGiB) == 4 * kGiB);
    REQUIRE(set_setting(settings, "disk.free.min", "0"));
    CHECK(settings.disk_free_min_of(80 * kGiB) == 0);
    REQUIRE(set_setting(settings, "disk.free.min", "12345"));
    CHECK(settings.disk_free_min_of(20'000) == 12345);
    REQUIRE(set_setting(settings, "disk.free.min", "auto"));
    CHECK(settings.disk_free_min_of(20'000) == 1000);
}

TEST_CASE("Settings: times and sizes may have units, and are shown in base units") {
    struct Case {
        const char* key;
        const char* given;
        const char* shown;
    };
    TopicSettings topic;
    for (const Case& tried :
         {Case{"retention.ms", "1h", "3600000"}, Case{"retention.ms", " 7d\n", "604800000"},
          Case{"segment.ms", "15m", "900000"}, Case{"seal.ms", "500ms", "500"}, Case{"flush.ms", "90s", "90000"},
          Case{"file.delete.delay.ms", "0s", "0"}, Case{"segment.bytes", "64MiB", "67108864"},
          Case{"seal.bytes", "64K", "65536"}, Case{"retention.bytes", "1GB", "1000000000"}}) {
        CAPTURE(tried.key);
        REQUIRE(set_setting(topic, tried.key, tried.given));
        CHECK(*get_setting(topic, tried.key) == tried.shown);
    }
    StoreSettings store;
    REQUIRE(set_setting(store, "offsets.retention.minutes", "1d"));
    CHECK(*get_setting(store, "offsets.retention.minutes") == "1440");
    REQUIRE(set_setting(store, "disk.free.min", "1GiB"));
    CHECK(*get_setting(store, "disk.free.min") == "1073741824");
    GroupSettings group;
    REQUIRE(set_setting(group, "max.poll.interval.ms", "5m"));
    CHECK(*get_setting(group, "max.poll.interval.ms") == "300000");
    REQUIRE(set_setting(group, "fetch.min.bytes", "1KiB"));
    CHECK(*get_setting(group, "fetch.min.bytes") == "1024");
}

TEST_CASE("Settings: a refusal says what is wrong with the value, its unit and its range") {
    struct Case {
        const char* key;
        const char* value;
        const char* message;
    };
    TopicSettings topic;
    for (const Case& tried :
         {Case{
              "retention.ms", "7 days",
              "retention.ms: cannot set: '7 days' is no time; it takes -1 (never), or 1 to 9223372036854 milliseconds, "
              "also as 500ms, 90s, 15m, 1h or 7d"},
          Case{"segment.bytes", "1KiB",
               "segment.bytes: cannot set: '1KiB' is out of range; it takes 4096 to 2147483647 bytes, also as 64KiB, "
               "64MiB or 1GiB"},
          Case{"segment.bytes", "1h",
               "segment.bytes: cannot set: '1h' is no size; it takes 4096 to 2147483647 bytes, also as 64KiB, 64MiB or "
               "1GiB"},
          Case{"num.partitions", "3s", "num.partitions: cannot set: '3s' is no whole number; it takes 1 to 100000"},
          Case{"compression.zstd.level", "0",
               "compression.zstd.level: cannot set: '0' is not allowed; it takes -7 to 22, but not 0"},
          Case{"compression.type", "gzip",
               "compression.type: cannot set: 'gzip' is not allowed; it takes none, lz4 or zstd"}}) {
        CAPTURE(tried.key);
        CHECK(set_setting(topic, tried.key, tried.value).error().message() == tried.message);
    }
    CHECK(topic == TopicSettings{});
}
