// What a consumer group keeps of one partition: how far its readers have come. Slots stand in the group's commit file,
// three for each partition, each in a block of its own. Layout in FORMAT.md, "Commits".
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

inline constexpr std::size_t kCommitSlotBytes = 128;  // written as one unit, less than a sector
inline constexpr std::size_t kCommitBlockBytes = 4096;
inline constexpr unsigned kCommitSlots = 3;  // of a partition
inline constexpr std::uint32_t kCommitsPerBlock = kCommitBlockBytes / kCommitSlotBytes;

struct CommitSlot {
    std::uint64_t sequence = 0;  // from 1; the greatest is the newest
    std::uint32_t partition = 0;
    bool begun = false;   // a reader has begun by it; else it was set for one that is to come
    Position position;    // a reader has come back for all before it: the commit is the record's begin at or before
    Position known;       // a record's begin at or before `position`
    Offset known_offset;  // of that record
    std::uint64_t missed = 0;  // records that were gone before the group got them
    TimestampMs time;          // when it was written
    friend bool operator==(const CommitSlot&, const CommitSlot&) = default;
};

// Where a slot begins in the file.
constexpr std::uint64_t commit_slot_at(std::uint32_t partition, unsigned slot) {
    return (std::uint64_t{partition / kCommitsPerBlock} * kCommitSlots + slot) * kCommitBlockBytes +
           std::uint64_t{partition % kCommitsPerBlock} * kCommitSlotBytes;
}
// The length of a file that has the slots of so many partitions.
constexpr std::uint64_t commit_file_bytes(std::uint32_t partitions) {
    return (std::uint64_t{partitions} + kCommitsPerBlock - 1) / kCommitsPerBlock * kCommitSlots * kCommitBlockBytes;
}

std::array<std::byte, kCommitSlotBytes> encode_commit_slot(const CommitSlot& slot);
// kDamaged or kNewerFormat.
Result<CommitSlot> decode_commit_slot(std::span<const std::byte> bytes);

// What a commit file has of a partition.
struct CommitChoice {
    std::optional<CommitSlot> slot;  // the newest valid one
    unsigned index = 0;              // which
    unsigned damaged = 0;            // that are neither valid nor empty
};
// The file may be short. kNewerFormat where a slot was written by a later version.
Result<CommitChoice> choose_commit(std::span<const std::byte> file, std::uint32_t partition);

}  // namespace topicfs
