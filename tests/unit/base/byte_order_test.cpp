#include "base/byte_order.h"

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>

namespace topicfs {
namespace {

TEST_CASE("byte order: the lowest byte of a number comes first") {
    std::array<std::byte, 4> bytes{};
    store_le<std::uint32_t>(bytes.data(), 0x01020304);
    CHECK(bytes == std::array{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}});
}

TEST_CASE("byte order: a number is stored and loaded at any alignment") {
    std::array<std::byte, 24> bytes{};
    for (std::size_t at = 0; at < 16; ++at) {
        store_le<std::int64_t>(bytes.data() + at, -1'795'266'000'000);
        CHECK(load_le<std::int64_t>(bytes.data() + at) == -1'795'266'000'000);
    }
}

}  // namespace
}  // namespace topicfs
