#include "format/recovery_point.h"

#include "base/byte_order.h"
#include "format/prologue.h"

#include <algorithm>

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSR";
constexpr char kWhat[] = "the recovery point";

constexpr std::size_t kSequenceAt = kPrologueBytes;
constexpr std::size_t kLogStartAt = 32;
constexpr std::size_t kLogStartOffsetAt = 40;
constexpr std::size_t kSealedEndAt = 48;
constexpr std::size_t kSealedEndOffsetAt = 56;
constexpr std::size_t kDurableEndAt = 64;
constexpr std::size_t kPunchedEndAt = 72;
constexpr std::size_t kSegmentBaseAt = 80;
constexpr std::size_t kSegmentBytesAt = 88;
constexpr std::size_t kLastTimeAt = 96;
static_assert(kSequenceAt + sizeof(std::uint64_t) == kLogStartAt);
static_assert(kLastTimeAt + sizeof(std::int64_t) <= kRecoverySlotBytes);
static_assert(kRecoverySlotBytes <= 512, "a slot lies within one sector of any disk, so that it is never half new");

bool is_within_bounds(const RecoveryPoint& point) {
    const std::uint64_t largest = std::max({point.log_start.value, point.log_start_offset.value, point.sealed_end.value,
                                            point.sealed_end_offset.value, point.durable_end.value,
                                            point.punched_end.value, point.segment_base.value, point.segment_bytes});
    return point.sequence > 0 && largest <= kPositionMax;
}

// What stands where the slot begins, or nothing where the file is too short for that.
std::span<const std::byte> slot_of(std::span<const std::byte> file, unsigned slot) {
    return file.subspan(std::min(file.size(), slot * kRecoverySlotStrideBytes));
}

}  // namespace

std::array<std::byte, kRecoverySlotBytes> encode_recovery_slot(const RecoveryPoint& point) {
    std::array<std::byte, kRecoverySlotBytes> bytes{};
    std::byte* const at = bytes.data();
    store_le<std::uint64_t>(at + kSequenceAt, point.sequence);
    store_le<std::uint64_t>(at + kLogStartAt, point.log_start.value);
    store_le<std::uint64_t>(at + kLogStartOffsetAt, point.log_start_offset.value);
    store_le<std::uint64_t>(at + kSealedEndAt, point.sealed_end.value);
    store_le<std::uint64_t>(at + kSealedEndOffsetAt, point.sealed_end_offset.value);
    store_le<std::uint64_t>(at + kDurableEndAt, point.durable_end.value);
    store_le<std::uint64_t>(at + kPunchedEndAt, point.punched_end.value);
    store_le<std::uint64_t>(at + kSegmentBaseAt, point.segment_base.value);
    store_le<std::uint64_t>(at + kSegmentBytesAt, point.segment_bytes);
    store_le<std::int64_t>(at + kLastTimeAt, point.last_time.value);
    seal_structure(bytes, kMagic);
    return bytes;
}

Result<RecoveryPoint> decode_recovery_slot(std::span<const std::byte> bytes) {
    if (bytes.size() < kRecoverySlotBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kRecoverySlotBytes);
    TOPICFS_TRY(check_structure(bytes, kMagic, kWhat));
    const std::byte* const at = bytes.data();
    RecoveryPoint point;
    point.sequence = load_le<std::uint64_t>(at + kSequenceAt);
    point.log_start.value = load_le<std::uint64_t>(at + kLogStartAt);
    point.log_start_offset.value = load_le<std::uint64_t>(at + kLogStartOffsetAt);
    point.sealed_end.value = load_le<std::uint64_t>(at + kSealedEndAt);
    point.sealed_end_offset.value = load_le<std::uint64_t>(at + kSealedEndOffsetAt);
    point.durable_end.value = load_le<std::uint64_t>(at + kDurableEndAt);
    point.punched_end.value = load_le<std::uint64_t>(at + kPunchedEndAt);
    point.segment_base.value = load_le<std::uint64_t>(at + kSegmentBaseAt);
    point.segment_bytes = load_le<std::uint64_t>(at + kSegmentBytesAt);
    point.last_time.value = load_le<std::int64_t>(at + kLastTimeAt);
    if (!is_within_bounds(point)) {
        return damaged_structure(kWhat, "has a field out of bounds");
    }
    return point;
}

bool has_newer_recovery_format(std::span<const std::byte> file) {
    for (unsigned slot = 0; slot < 2; ++slot) {
        const Result<RecoveryPoint> point = decode_recovery_slot(slot_of(file, slot));
        if (!point.has_value() && point.error().code == ErrorCode::kNewerFormat) {
            return true;
        }
    }
    return false;
}

std::optional<RecoveryChoice> choose_recovery_point(std::span<const std::byte> file) {
    std::optional<RecoveryChoice> choice;
    for (unsigned slot = 0; slot < 2; ++slot) {
        const Result<RecoveryPoint> point = decode_recovery_slot(slot_of(file, slot));
        if (point.has_value() && (!choice || point->sequence > choice->point.sequence)) {
            choice = RecoveryChoice{*point, slot};
        }
    }
    return choice;
}

}  // namespace topicfs
