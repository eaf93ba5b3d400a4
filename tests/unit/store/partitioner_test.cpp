#include "store/partitioner.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>

using namespace topicfs;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::optional<std::string> key(std::string_view line, std::string_view separator) {
    const auto found = key_of_line(bytes_of(line), separator);
    return found ? std::optional(std::string(reinterpret_cast<const char*>(found->data()), found->size()))
                 : std::nullopt;
}

}  // namespace

TEST_CASE("murmur2: Kafka's own test values") {
    CHECK(murmur2(bytes_of("21")) == -973932308);
    CHECK(murmur2(bytes_of("foobar")) == -790332482);
    CHECK(murmur2(bytes_of("a-little-bit-long-string")) == -985981536);
    CHECK(murmur2(bytes_of("a-little-bit-longer-string")) == -1486304829);
    CHECK(murmur2(bytes_of("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")) == -58897971);
    CHECK(murmur2(bytes_of("abc")) == 479470107);
}

TEST_CASE("murmur2: bytes with the high bit are not signed, at any place of a word") {
    // The hash takes in every byte, so equal hashes would tell of bytes that were lost.
    std::map<std::int32_t, std::string> seen;
    for (std::size_t size = 1; size <= 9; ++size) {
        for (std::size_t at = 0; at < size; ++at) {
            for (const char c : {'\x7f', '\x80', '\xff'}) {
                std::string text(size, '\0');
                text[at] = c;
                const auto [other, is_new] = seen.emplace(murmur2(bytes_of(text)), text);
                CAPTURE(size, at, other->second);
                CHECK(is_new);
            }
        }
    }
}

TEST_CASE("partition_of_key: a negative hash loses its sign bit, as in Kafka") {
    CHECK(partition_of_key(bytes_of("abc"), 10) == 479470107 % 10);
    CHECK(partition_of_key(bytes_of("21"), 1000) == (static_cast<std::uint32_t>(-973932308) & 0x7fffffff) % 1000);
    CHECK(partition_of_key(bytes_of("foobar"), 7) == (static_cast<std::uint32_t>(-790332482) & 0x7fffffff) % 7);
    CHECK(partition_of_key(bytes_of("foobar"), 1) == 0);
    CHECK(partition_of_key({}, 100000) < 100000);
}

TEST_CASE("partition_of_key: keys are spread over all partitions") {
    std::array<int, 12> counts{};
    for (int i = 0; i < 12000; ++i) {
        ++counts[partition_of_key(bytes_of("user-" + std::to_string(i)), counts.size())];
    }
    CHECK(*std::min_element(counts.begin(), counts.end()) > 800);
    CHECK(*std::max_element(counts.begin(), counts.end()) < 1200);
}

TEST_CASE("key_of_line: what stands before the first separator") {
    CHECK(key("user7\tbought\tmilk\n", "\t") == "user7");
    CHECK(key("a::b::c\n", "::") == "a");
    CHECK(key("a:b::c\n", "::") == "a:b");
    CHECK(key("\tno name\n", "\t") == "");
    CHECK(key("key only:", ":") == "key only");
    CHECK_FALSE(key("no separator\n", "\t"));
    CHECK_FALSE(key("off: off\n", ""));
    CHECK_FALSE(key("", ":"));
    CHECK_FALSE(key("a:\n", "::"));
    CHECK(key(std::string_view("a\0b|c", 5), "|") == std::string("a\0b", 3));
}
