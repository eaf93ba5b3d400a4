// The index file of a segment: a header, then one entry a batch, in order. Layout in FORMAT.md, "Index".
//
// An index is never truth: it is rebuilt from its segment whenever it is missing, short or wrong.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace topicfs {

inline constexpr std::size_t kIndexHeaderBytes = 64;
inline constexpr std::size_t kIndexEntryBytes = 64;

struct IndexHeader {
    Position segment_base;
    friend bool operator==(const IndexHeader&, const IndexHeader&) = default;
};

struct IndexEntry {
    Offset base_offset;
    Position base_position;
    std::uint64_t file_offset = 0;  // where the batch begins in the segment
    TimestampMs first_time;
    TimestampMs last_time;
    std::uint32_t raw_bytes = 0;
    std::uint32_t batch_bytes = 0;  // header and payload in the segment
    std::uint32_t record_count = 0;
    Position end_position() const { return base_position + raw_bytes; }
    Offset end_offset() const { return base_offset + record_count; }
    std::uint64_t file_end() const { return file_offset + batch_bytes; }
    friend bool operator==(const IndexEntry&, const IndexEntry&) = default;
};

std::array<std::byte, kIndexHeaderBytes> encode_index_header(const IndexHeader& header);
std::array<std::byte, kIndexEntryBytes> encode_index_entry(const IndexEntry& entry);
// kDamaged or kNewerFormat; `bytes` must be at least the structure's size, else kDamaged.
Result<IndexHeader> decode_index_header(std::span<const std::byte> bytes);
// kDamaged where the CRC or a bound fails.
Result<IndexEntry> decode_index_entry(std::span<const std::byte> bytes);

}  // namespace topicfs
