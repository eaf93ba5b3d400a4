// What a decoder must meet: its input cut at each byte, and with each bit flipped.
//
// Each variant is copied into memory of exactly its size, so that the address sanitizer sees a read behind its end.
#pragma once

#include "support/bytes.h"

#include <cstddef>
#include <span>

namespace topicfs::test {

// Calls `check(cut, size)` for each size below that of `whole`.
template <typename Check>
void for_each_truncation(std::span<const std::byte> whole, const Check& check) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        check(cut, size);
    }
}

// Calls `check(flipped, bit)` for each bit of `whole`.
template <typename Check>
void for_each_bit_flip(std::span<const std::byte> whole, const Check& check) {
    Bytes flipped(whole.begin(), whole.end());
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        const std::byte mask{static_cast<unsigned char>(1u << (bit % 8))};
        flipped[bit / 8] ^= mask;
        check(flipped, bit);
        flipped[bit / 8] ^= mask;
    }
}

}  // namespace topicfs::test
