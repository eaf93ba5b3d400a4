// The first block of a head file. Layout in FORMAT.md, "Head".
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <span>

namespace topicfs {

// Raw bytes begin behind one block: file offset = kHeadHeaderBytes + position - base.
inline constexpr std::size_t kHeadHeaderBytes = 4096;

struct HeadHeader {
    Position base;        // position of the first raw byte
    TimestampMs created;  // when the head was made
    friend bool operator==(const HeadHeader&, const HeadHeader&) = default;
};

std::array<std::byte, kHeadHeaderBytes> encode_head_header(const HeadHeader& header);

// `bytes` is the start of a head file, as much as there is of it. kDamaged, or kNewerFormat.
Result<HeadHeader> decode_head_header(std::span<const std::byte> bytes);

}  // namespace topicfs
