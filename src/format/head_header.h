// The first block of a head file. Layout in FORMAT.md, "Head".
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace topicfs {

// The block itself. Behind it is a hole up to where the raw bytes begin.
inline constexpr std::size_t kHeadHeaderBytes = 4096;
// Where raw bytes begin. Writes of a whole power of two are as well aligned in head as in a plain file, so that the
// page cache holds each in one large folio: of those behind one block of 4 KiB it makes five or more of each 64 KiB,
// which took a third of the speed (ext4, Linux 6.18).
inline constexpr std::uint32_t kHeadDataAt = 65536;
// In heads of version 1.
inline constexpr std::uint32_t kHeadDataAtOfVersion1 = 4096;

struct HeadHeader {
    Position base;                        // position of the first raw byte
    TimestampMs created;                  // when the head was made
    std::uint32_t data_at = kHeadDataAt;  // file offset = data_at + position - base
    friend bool operator==(const HeadHeader&, const HeadHeader&) = default;
};

// The log end of a head whose file has `size` bytes.
inline Position head_end(const HeadHeader& header, std::uint64_t size) {
    return header.base + (size > header.data_at ? size - header.data_at : 0);
}

// Of version 1 where `data_at` is that version's.
std::array<std::byte, kHeadHeaderBytes> encode_head_header(const HeadHeader& header);

// `bytes` is the start of a head file, as much as there is of it. kDamaged, or kNewerFormat.
Result<HeadHeader> decode_head_header(std::span<const std::byte> bytes);

}  // namespace topicfs
