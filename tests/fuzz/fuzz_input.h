// What the fuzz programs share: choices taken off the front of an input, and checksums made right.
//
// A decoder refuses nearly every input at its checksum, which a fuzzer cannot guess. So each program spends a bit of
// its input on whether the checksum is made right first.
#pragma once

#include "base/byte_order.h"
#include "base/crc32c.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace topicfs::fuzz {

class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : rest_(std::as_bytes(std::span(data, size))) {}

    // 0 where nothing is left.
    std::uint8_t take_byte() {
        if (rest_.empty()) {
            return 0;
        }
        const auto byte = std::to_integer<std::uint8_t>(rest_.front());
        rest_ = rest_.subspan(1);
        return byte;
    }
    std::uint32_t take_number() {
        std::uint32_t number = 0;
        for (int i = 0; i < 4; ++i) {
            number = (number << 8) | take_byte();
        }
        return number;
    }
    // All that is left, in memory of exactly its size.
    std::vector<std::byte> take_rest() {
        std::vector<std::byte> bytes(rest_.begin(), rest_.end());
        rest_ = {};
        return bytes;
    }

private:
    std::span<const std::byte> rest_;
};

// Puts the checksum of `bytes`, taken with zeros in its place, to `at`.
inline void fix_crc(std::span<std::byte> bytes, std::size_t at) {
    if (bytes.size() >= at + sizeof(std::uint32_t)) {
        store_le<std::uint32_t>(bytes.data() + at, 0);
        store_le<std::uint32_t>(bytes.data() + at, crc32c(bytes));
    }
}

// Ends the program with a finding, in every build.
inline void require(bool truth, const char* what) {
    if (!truth) {
        std::fprintf(stderr, "does not hold: %s\n", what);
        std::abort();
    }
}

}  // namespace topicfs::fuzz
