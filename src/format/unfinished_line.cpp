#include "format/unfinished_line.h"

#include "base/byte_order.h"
#include "format/prologue.h"

#include <algorithm>
#include <cassert>

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSU";
constexpr char kWhat[] = "a frame of an unfinished line";

constexpr std::size_t kGenerationAt = kPrologueBytes;
constexpr std::size_t kIndexAt = 32;
constexpr std::size_t kKindAt = 36;
constexpr std::size_t kPartitionAt = 40;
constexpr std::size_t kDataBytesAt = 44;
constexpr std::size_t kNumberAt = 48;
constexpr std::size_t kReservedAt = 56;
static_assert(kGenerationAt + sizeof(std::uint64_t) == kIndexAt);
static_assert(kNumberAt + sizeof(std::uint64_t) == kReservedAt);
static_assert(kReservedAt + 8 == kUnfinishedFrameHeaderBytes);

constexpr std::uint32_t kNoPartition = 0xFFFFFFFF;

// Whether the fields that the kind has are there, and no others.
bool is_consistent(const UnfinishedFrame& frame) {
    const bool has_data = !frame.data.empty();
    const bool has_partition = frame.partition.has_value();
    const bool is_within_bounds = frame.log_end.value <= kPositionMax && frame.placed <= kPositionMax;
    switch (frame.kind) {
        case UnfinishedKind::kBegin:
            return frame.index == 0;
        case UnfinishedKind::kMore:
            return frame.index > 0 && has_data && !has_partition;
        case UnfinishedKind::kSynced:
            return frame.index > 0 && !has_data && !has_partition;
        case UnfinishedKind::kLine:
            return frame.index > 0 && has_partition && is_within_bounds;
        case UnfinishedKind::kPlaced:
            return frame.index > 0 && !has_data && has_partition && frame.placed > 0 && is_within_bounds;
    }
    return false;
}

// What the chain says up to now; false where the frame does not fit to what came before.
bool apply(const UnfinishedFrame& frame, UnfinishedLine& line) {
    switch (frame.kind) {
        case UnfinishedKind::kBegin:
            line.partition = frame.partition;
            break;
        case UnfinishedKind::kLine:
            line.appended = {*frame.partition, frame.log_end};
            break;
        case UnfinishedKind::kPlaced:
            if (frame.placed > line.bytes.size() || frame.placed < line.placed) {
                return false;
            }
            line.placed = frame.placed;
            line.partition = frame.partition;
            break;
        case UnfinishedKind::kSynced:
            line.synced = true;
            break;
        case UnfinishedKind::kMore:
            break;
    }
    line.bytes.insert(line.bytes.end(), frame.data.begin(), frame.data.end());
    return true;
}

}  // namespace

std::vector<std::byte> encode_unfinished_frame(const UnfinishedFrame& frame) {
    assert(is_consistent(frame) && frame.data.size() <= kUnfinishedDataBytesMax);
    std::vector<std::byte> bytes(frame.bytes());
    std::byte* const at = bytes.data();
    store_le<std::uint64_t>(at + kGenerationAt, frame.generation);
    store_le<std::uint32_t>(at + kIndexAt, frame.index);
    store_le<std::uint16_t>(at + kKindAt, static_cast<std::uint16_t>(frame.kind));
    store_le<std::uint32_t>(at + kPartitionAt, frame.partition.value_or(kNoPartition));
    store_le<std::uint32_t>(at + kDataBytesAt, static_cast<std::uint32_t>(frame.data.size()));
    store_le<std::uint64_t>(at + kNumberAt, frame.kind == UnfinishedKind::kPlaced ? frame.placed : frame.log_end.value);
    std::copy(frame.data.begin(), frame.data.end(), bytes.begin() + kUnfinishedFrameHeaderBytes);
    seal_structure(bytes, kMagic);
    return bytes;
}

Result<UnfinishedFrame> decode_unfinished_frame(std::span<const std::byte> bytes) {
    if (bytes.size() < kUnfinishedFrameHeaderBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    const std::byte* const at = bytes.data();
    const auto data_bytes = load_le<std::uint32_t>(at + kDataBytesAt);
    if (data_bytes > kUnfinishedDataBytesMax || data_bytes > bytes.size() - kUnfinishedFrameHeaderBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kUnfinishedFrameHeaderBytes + data_bytes);
    TOPICFS_TRY(check_structure(bytes, kMagic, kWhat));
    UnfinishedFrame frame;
    frame.kind = static_cast<UnfinishedKind>(load_le<std::uint16_t>(at + kKindAt));
    frame.generation = load_le<std::uint64_t>(at + kGenerationAt);
    frame.index = load_le<std::uint32_t>(at + kIndexAt);
    if (const auto partition = load_le<std::uint32_t>(at + kPartitionAt); partition != kNoPartition) {
        frame.partition = partition;
    }
    const auto number = load_le<std::uint64_t>(at + kNumberAt);
    if (frame.kind == UnfinishedKind::kLine) {
        frame.log_end.value = number;
    } else if (frame.kind == UnfinishedKind::kPlaced) {
        frame.placed = number;
    }
    frame.data = bytes.subspan(kUnfinishedFrameHeaderBytes);
    if (!is_consistent(frame)) {
        return damaged_structure(kWhat, "has a field out of bounds");
    }
    return frame;
}

Result<UnfinishedLine> decode_unfinished_file(std::span<const std::byte> file, bool power_was_cut) {
    UnfinishedLine line;
    UnfinishedLine synced;  // what counts after a power cut, without its bytes
    std::size_t synced_bytes = 0;
    std::uint64_t generation = 0;
    for (std::uint32_t index = 0; !line.appended; ++index) {
        const Result<UnfinishedFrame> frame = decode_unfinished_frame(file);
        if (!frame) {
            if (frame.error().code == ErrorCode::kNewerFormat) {
                return frame.error();
            }
            break;
        }
        generation = index == 0 ? frame->generation : generation;
        const bool goes_on = frame->index == index && frame->generation == generation &&
                             line.bytes.size() + frame->data.size() <= kUnfinishedDataBytesMax;
        if (!goes_on || !apply(*frame, line)) {
            break;
        }
        // Before the line of something synced is appended, that frame is synced too.
        if (power_was_cut && (frame->kind == UnfinishedKind::kSynced || (line.appended && line.synced))) {
            synced.placed = line.placed;
            synced.partition = line.partition;
            synced.appended = line.appended;
            synced.synced = true;
            synced_bytes = line.bytes.size();
        }
        file = file.subspan(frame->bytes());
    }
    if (power_was_cut) {
        synced.bytes = std::move(line.bytes);
        synced.bytes.resize(synced_bytes);
        return synced;
    }
    return line;
}

}  // namespace topicfs
