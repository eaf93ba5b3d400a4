// A batch: a skippable frame that holds the header, then one ordinary LZ4 or zstd frame, the payload. Layout in
// FORMAT.md, "Batch". Pure encoding and decoding.
//
// Decoding tells four outcomes apart: a batch, the end of the data, a batch that the data ends in (a torn tail), and
// bytes that are no batch (damage).
#pragma once

#include "codec/codec.h"

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace topicfs {

// Bounds that a decoder checks before it takes memory. Writers keep to them.
inline constexpr std::uint32_t kBatchRawBytesMax = 16u << 20;
inline constexpr std::uint32_t kBatchTimesBytesMax = 64u << 10;
// The frame of an incompressible batch: both libraries' bounds are below this for every raw length.
inline constexpr std::uint32_t batch_stored_bytes_max(std::uint32_t raw_bytes) {
    return raw_bytes + raw_bytes / 128 + 4096;
}
// The skippable frame's own eight bytes, the fixed fields, and the times.
inline constexpr std::size_t kBatchHeaderFixedBytes = 112;
inline constexpr std::size_t kBatchHeaderBytesMax = kBatchHeaderFixedBytes + kBatchTimesBytesMax;

// A header begins with two magic numbers and its size between them.
inline constexpr std::size_t kBatchMagicBytes = 12;

// From `raw_offset` bytes into the batch on, bytes were appended at `time`.
struct BatchTime {
    std::uint32_t raw_offset = 0;
    TimestampMs time;
    friend bool operator==(const BatchTime&, const BatchTime&) = default;
};

struct BatchHeader {
    Codec codec = Codec::kNone;
    Offset base_offset;              // the number of the record that the first byte belongs to
    Position base_position;          // of the first byte
    std::uint32_t record_count = 0;  // records that end in this batch
    std::uint32_t raw_bytes = 0;     // 1..kBatchRawBytesMax
    std::uint32_t stored_bytes = 0;  // of the frame behind the header
    std::uint32_t payload_crc = 0;   // CRC-32C of that frame
    std::vector<BatchTime> times;    // at least one, the first at raw_offset 0; both fields never fall

    std::size_t header_bytes = 0;  // set by decoding and by encode_batch_header: the skippable frame's whole size

    Position end_position() const { return base_position + raw_bytes; }
    Offset end_offset() const { return base_offset + record_count; }
    std::size_t batch_bytes() const { return header_bytes + stored_bytes; }
    friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

// Appends the skippable frame to `out` and sets header.header_bytes. Times that do not fit kBatchTimesBytesMax are
// thinned out first, in `header` too: evenly, the first and the last kept. The header must be within its bounds.
void encode_batch_header(BatchHeader& header, std::vector<std::byte>& out);

enum class BatchOutcome {
    kBatch,    // the header is whole, passes its CRC, and is within bounds
    kEnd,      // no bytes at all
    kTorn,     // what is there begins like a batch header, and ends too early to tell
    kDamaged,  // not a batch header, a wrong CRC, or fields out of bounds
    kNewer,    // a valid header with an incompatible flag or a version that this program does not know
};

struct BatchDecoded {
    BatchOutcome outcome = BatchOutcome::kEnd;
    BatchHeader header;  // where outcome is kBatch
};

// Decodes the header at the start of `bytes`, which may end anywhere (it need not hold the payload).
BatchDecoded decode_batch_header(std::span<const std::byte> bytes);

// The first place at or after `from` where a batch header could begin (all of its magic numbers stand there), or
// bytes.size(). For finding the next batch behind damage; decode_batch_header then says whether it is one. Who searches
// a file piece by piece lets the pieces overlap by kBatchMagicBytes - 1.
std::size_t find_batch_magic(std::span<const std::byte> bytes, std::size_t from);

}  // namespace topicfs
