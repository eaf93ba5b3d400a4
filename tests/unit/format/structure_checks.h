// Checks that hold for every structure that begins with a prologue, and for others with a checksum.
#pragma once

#include "base/byte_order.h"
#include "base/crc32c.h"
#include "support/bytes.h"
#include "support/damage.h"

#include <topicfs/error.h>

#include <catch2/catch.hpp>

#include <span>

namespace topicfs::test {

// Cut at any byte, and with any bit flipped, `bytes` is damaged.
template <typename Decode>
void check_damage(std::span<const std::byte> bytes, const Decode& decode) {
    for_each_truncation(bytes, [&](const Bytes& cut, std::size_t size) {
        const auto decoded = decode(cut);
        if (decoded.has_value() || decoded.error().code != ErrorCode::kDamaged) {
            FAIL("cut at byte " << size);
        }
    });
    for_each_bit_flip(bytes, [&](const Bytes& flipped, std::size_t bit) {
        const auto decoded = decode(flipped);
        if (decoded.has_value() || decoded.error().code != ErrorCode::kDamaged) {
            FAIL("bit " << bit << " flipped");
        }
    });
    SUCCEED();
}

// A structure with the field at `at` set and its checksum, at `crc_at`, made right again.
template <typename T>
Bytes with_field(std::span<const std::byte> bytes, std::size_t at, T value, std::size_t crc_at) {
    Bytes changed(bytes.begin(), bytes.end());
    store_le<T>(changed.data() + at, value);
    store_le<std::uint32_t>(changed.data() + crc_at, 0);
    store_le<std::uint32_t>(changed.data() + crc_at, crc32c(changed));
    return changed;
}

// `bytes` begins with a prologue: another version or an incompatible flag make it newer, and only where the checksum is
// right; a compatible flag and the reserved fields change nothing.
template <typename Decode>
void check_versions(std::span<const std::byte> bytes, const Decode& decode, std::uint16_t unknown_version = 2) {
    constexpr std::size_t kCrcAt = 4;
    constexpr std::size_t kVersionAt = 8;
    constexpr std::size_t kIncompatibleFlagsAt = 12;
    constexpr std::size_t kCompatibleFlagsAt = 16;
    CHECK(decode(with_field<std::uint16_t>(bytes, kVersionAt, unknown_version, kCrcAt)).error().code ==
          ErrorCode::kNewerFormat);
    for (int bit = 0; bit < 32; ++bit) {
        const Bytes newer = with_field<std::uint32_t>(bytes, kIncompatibleFlagsAt, 1u << bit, kCrcAt);
        CHECK(decode(newer).error().code == ErrorCode::kNewerFormat);
        Bytes damaged = newer;
        damaged.back() ^= std::byte{1};
        CHECK(decode(damaged).error().code == ErrorCode::kDamaged);
    }
    const Bytes compatible = with_field<std::uint32_t>(bytes, kCompatibleFlagsAt, 0xFFFFFFFF, kCrcAt);
    CHECK(decode(compatible).value() == decode(bytes).value());
    const Bytes reserved = with_field<std::uint8_t>(bytes, bytes.size() - 1, 0xFF, kCrcAt);
    CHECK(decode(reserved).value() == decode(bytes).value());
}

}  // namespace topicfs::test
