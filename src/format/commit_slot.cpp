#include "format/commit_slot.h"

#include "base/byte_order.h"
#include "format/prologue.h"

#include <algorithm>

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSC";
constexpr char kWhat[] = "the commit";

constexpr std::size_t kSequenceAt = kPrologueBytes;
constexpr std::size_t kPositionAt = 32;
constexpr std::size_t kKnownAt = 40;
constexpr std::size_t kKnownOffsetAt = 48;
constexpr std::size_t kMissedAt = 56;
constexpr std::size_t kTimeAt = 64;
constexpr std::size_t kPartitionAt = 72;
constexpr std::size_t kBegunAt = 76;
static_assert(kSequenceAt + sizeof(std::uint64_t) == kPositionAt);
static_assert(kBegunAt + sizeof(std::uint16_t) <= kCommitSlotBytes);
static_assert(kCommitSlotBytes <= 512 && 512 % kCommitSlotBytes == 0,
              "a slot lies within one sector of any disk, so that it is never half new");

bool is_within_bounds(const CommitSlot& slot) {
    return slot.sequence > 0 && slot.known <= slot.position &&
           std::max({slot.sequence, slot.position.value, slot.known_offset.value, slot.missed}) <= kPositionMax;
}

}  // namespace

std::array<std::byte, kCommitSlotBytes> encode_commit_slot(const CommitSlot& slot) {
    std::array<std::byte, kCommitSlotBytes> bytes{};
    std::byte* const at = bytes.data();
    store_le<std::uint64_t>(at + kSequenceAt, slot.sequence);
    store_le<std::uint64_t>(at + kPositionAt, slot.position.value);
    store_le<std::uint64_t>(at + kKnownAt, slot.known.value);
    store_le<std::uint64_t>(at + kKnownOffsetAt, slot.known_offset.value);
    store_le<std::uint64_t>(at + kMissedAt, slot.missed);
    store_le<std::int64_t>(at + kTimeAt, slot.time.value);
    store_le<std::uint32_t>(at + kPartitionAt, slot.partition);
    store_le<std::uint16_t>(at + kBegunAt, slot.begun ? 1 : 0);
    seal_structure(bytes, kMagic);
    return bytes;
}

Result<CommitSlot> decode_commit_slot(std::span<const std::byte> bytes) {
    if (bytes.size() < kCommitSlotBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kCommitSlotBytes);
    TOPICFS_TRY(check_structure(bytes, kMagic, kWhat));
    const std::byte* const at = bytes.data();
    CommitSlot slot;
    slot.sequence = load_le<std::uint64_t>(at + kSequenceAt);
    slot.position.value = load_le<std::uint64_t>(at + kPositionAt);
    slot.known.value = load_le<std::uint64_t>(at + kKnownAt);
    slot.known_offset.value = load_le<std::uint64_t>(at + kKnownOffsetAt);
    slot.missed = load_le<std::uint64_t>(at + kMissedAt);
    slot.time.value = load_le<std::int64_t>(at + kTimeAt);
    slot.partition = load_le<std::uint32_t>(at + kPartitionAt);
    const auto begun = load_le<std::uint16_t>(at + kBegunAt);
    slot.begun = begun == 1;
    if (begun > 1 || !is_within_bounds(slot)) {
        return damaged_structure(kWhat, "has a field out of bounds");
    }
    return slot;
}

Result<CommitChoice> choose_commit(std::span<const std::byte> file, std::uint32_t partition) {
    CommitChoice choice;
    for (unsigned index = 0; index < kCommitSlots; ++index) {
        const std::uint64_t at = commit_slot_at(partition, index);
        const auto bytes = file.subspan(std::min<std::uint64_t>(at, file.size()));
        const auto here = bytes.first(std::min(bytes.size(), kCommitSlotBytes));
        if (std::all_of(here.begin(), here.end(), [](std::byte b) { return b == std::byte{0}; })) {
            continue;  // never written
        }
        const auto slot = decode_commit_slot(here);
        if (!slot && slot.error().code == ErrorCode::kNewerFormat) {
            return slot.error();
        }
        if (!slot || slot->partition != partition) {
            ++choice.damaged;
        } else if (!choice.slot || slot->sequence > choice.slot->sequence) {
            choice.slot = *slot;
            choice.index = index;
        }
    }
    return choice;
}

}  // namespace topicfs
