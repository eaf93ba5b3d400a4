// The recovery file of a partition: two slots, each in a block of its own and with a CRC; the valid one with the higher
// sequence counts. Layout in FORMAT.md, "Recovery".
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace topicfs {

inline constexpr std::size_t kRecoverySlotBytes = 256;         // written as one unit, less than a sector
inline constexpr std::size_t kRecoverySlotStrideBytes = 4096;  // slot 1 begins here
inline constexpr std::size_t kRecoveryFileBytes = 2 * kRecoverySlotStrideBytes;

// Everything below sealed_end is in segments that were synced before this point was made.
struct RecoveryPoint {
    std::uint64_t sequence = 0;  // from 1; the greater is the newer
    Position log_start;          // a record's start
    Offset log_start_offset;
    Position sealed_end;
    Offset sealed_end_offset;
    Position durable_end;             // of head: bytes below were fsync'd, whatever they look like
    Position punched_end;             // of head: bytes below may be gone
    Position segment_base;            // the segment that sealed_end lies in
    std::uint64_t segment_bytes = 0;  // of that segment: its length at sealed_end; 0 where there is no segment
    TimestampMs last_time;            // the largest time given to any record below sealed_end
    friend bool operator==(const RecoveryPoint&, const RecoveryPoint&) = default;
};

std::array<std::byte, kRecoverySlotBytes> encode_recovery_slot(const RecoveryPoint& point);
// kDamaged or kNewerFormat.
Result<RecoveryPoint> decode_recovery_slot(std::span<const std::byte> bytes);

struct RecoveryChoice {
    RecoveryPoint point;
    unsigned slot = 0;  // 0 or 1
};
// Whether a slot was written by a later version: then the file must be left as it is, whatever the other slot says.
bool has_newer_recovery_format(std::span<const std::byte> file);

// The newer valid slot of a recovery file's content, which may be short; nothing where neither is valid.
std::optional<RecoveryChoice> choose_recovery_point(std::span<const std::byte> file);

}  // namespace topicfs
