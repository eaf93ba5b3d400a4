// The front of a segment that was given back to the disk: one skippable frame in place of the batches that stood there,
// of which only the first bytes are stored; the rest of it is a hole. Layout in FORMAT.md, "Given back".
//
// Pure; any thread.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace topicfs {

// Less than any batch has, so that it fits where one stood; and than a sector, so that it is written or not.
inline constexpr std::size_t kGivenBackStoredBytes = 64;

struct GivenBack {
    Position base;               // of the first byte that was given back
    Position end;                // the batch behind begins here, or further on
    Offset end_offset;           // of the record that the byte at `end` belongs to
    std::uint64_t file_end = 0;  // where the frame ends in the segment: kGivenBackStoredBytes to 2^32 + 7
    friend bool operator==(const GivenBack&, const GivenBack&) = default;
};

std::array<std::byte, kGivenBackStoredBytes> encode_given_back(const GivenBack& front);
// Of the first bytes of a segment: nothing where no such frame begins there. kDamaged where it fails its check, is cut
// short or out of bounds; kNewerFormat.
Result<std::optional<GivenBack>> decode_given_back(std::span<const std::byte> bytes);

}  // namespace topicfs
