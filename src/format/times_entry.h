// The times file of a head: a ring of entries, position -> time of what is in head. Layout in FORMAT.md, "Times".
//
// An entry says: from `position` on, bytes were appended at `time`. Entry n (from 0) stands in slot n mod kTimesSlots,
// so the newest kTimesSlots entries are there, each with its own CRC.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace topicfs {

inline constexpr std::size_t kTimesEntryBytes = 32;
inline constexpr std::uint64_t kTimesSlots = 4096;

struct TimesEntry {
    std::uint64_t sequence = 0;
    Position position;
    TimestampMs time;
    friend bool operator==(const TimesEntry&, const TimesEntry&) = default;
};

inline constexpr std::uint64_t times_file_offset(std::uint64_t sequence) {
    return (sequence % kTimesSlots) * kTimesEntryBytes;
}

std::array<std::byte, kTimesEntryBytes> encode_times_entry(const TimesEntry& entry);
// kDamaged or kNewerFormat; an empty slot (all zeros) is kDamaged too.
Result<TimesEntry> decode_times_entry(std::span<const std::byte> bytes);

// The valid entries of a file's content by sequence; of them the longest run at the end that has consecutive sequence
// numbers and positions and times that never fall. Content may be short or cut inside an entry.
std::vector<TimesEntry> decode_times_file(std::span<const std::byte> file);

}  // namespace topicfs
