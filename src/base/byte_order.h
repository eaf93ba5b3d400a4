// Little-endian numbers in byte buffers, at any alignment. Everything that topicfs stores is little-endian.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>

namespace topicfs {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte_order.h has no byte-swapping build");

// The caller answers for sizeof(T) bytes at `from`.
template <std::integral T>
T load_le(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

// The caller answers for sizeof(T) bytes at `to`.
template <std::integral T>
void store_le(std::byte* to, T value) {
    std::memcpy(to, &value, sizeof value);
}

}  // namespace topicfs
