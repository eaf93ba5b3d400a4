#include "format/index_entry.h"

#include "base/byte_order.h"
#include "format/batch.h"
#include "format/prologue.h"

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSI";
constexpr char kHeaderWhat[] = "the index header";
constexpr char kEntryWhat[] = "an index entry";

constexpr std::size_t kSegmentBaseAt = kPrologueBytes;
static_assert(kSegmentBaseAt + sizeof(std::uint64_t) <= kIndexHeaderBytes);

// An entry has no prologue: the header's version and flags are those of the whole file.
constexpr std::size_t kCrcAt = 0;
constexpr std::size_t kRecordCountAt = 4;
constexpr std::size_t kBaseOffsetAt = 8;
constexpr std::size_t kBasePositionAt = 16;
constexpr std::size_t kFileOffsetAt = 24;
constexpr std::size_t kFirstTimeAt = 32;
constexpr std::size_t kLastTimeAt = 40;
constexpr std::size_t kRawBytesAt = 48;
constexpr std::size_t kBatchBytesAt = 52;
constexpr std::size_t kReservedAt = 56;
static_assert(kReservedAt + 8 == kIndexEntryBytes);

bool is_within_bounds(const IndexEntry& entry) {
    if (entry.raw_bytes == 0 || entry.raw_bytes > kBatchRawBytesMax || entry.record_count > entry.raw_bytes) {
        return false;
    }
    if (entry.batch_bytes <= kBatchHeaderFixedBytes ||
        entry.batch_bytes > kBatchHeaderBytesMax + batch_stored_bytes_max(entry.raw_bytes)) {
        return false;
    }
    return entry.base_position.value <= kPositionMax - entry.raw_bytes &&
           entry.base_offset.value <= kPositionMax - entry.record_count &&
           entry.file_offset <= kPositionMax - entry.batch_bytes && entry.first_time <= entry.last_time;
}

}  // namespace

std::array<std::byte, kIndexHeaderBytes> encode_index_header(const IndexHeader& header) {
    std::array<std::byte, kIndexHeaderBytes> bytes{};
    store_le<std::uint64_t>(bytes.data() + kSegmentBaseAt, header.segment_base.value);
    seal_structure(bytes, kMagic);
    return bytes;
}

std::array<std::byte, kIndexEntryBytes> encode_index_entry(const IndexEntry& entry) {
    std::array<std::byte, kIndexEntryBytes> bytes{};
    std::byte* const at = bytes.data();
    store_le<std::uint32_t>(at + kRecordCountAt, entry.record_count);
    store_le<std::uint64_t>(at + kBaseOffsetAt, entry.base_offset.value);
    store_le<std::uint64_t>(at + kBasePositionAt, entry.base_position.value);
    store_le<std::uint64_t>(at + kFileOffsetAt, entry.file_offset);
    store_le<std::int64_t>(at + kFirstTimeAt, entry.first_time.value);
    store_le<std::int64_t>(at + kLastTimeAt, entry.last_time.value);
    store_le<std::uint32_t>(at + kRawBytesAt, entry.raw_bytes);
    store_le<std::uint32_t>(at + kBatchBytesAt, entry.batch_bytes);
    store_le<std::uint32_t>(at + kCrcAt, crc_without_field(bytes, kCrcAt));
    return bytes;
}

Result<IndexHeader> decode_index_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kIndexHeaderBytes) {
        return damaged_structure(kHeaderWhat, "is cut short");
    }
    bytes = bytes.first(kIndexHeaderBytes);
    TOPICFS_TRY(check_structure(bytes, kMagic, kHeaderWhat));
    const IndexHeader header{Position{load_le<std::uint64_t>(bytes.data() + kSegmentBaseAt)}};
    if (header.segment_base.value > kPositionMax) {
        return damaged_structure(kHeaderWhat, "has an impossible base position");
    }
    return header;
}

Result<IndexEntry> decode_index_entry(std::span<const std::byte> bytes) {
    if (bytes.size() < kIndexEntryBytes) {
        return damaged_structure(kEntryWhat, "is cut short");
    }
    bytes = bytes.first(kIndexEntryBytes);
    const std::byte* const at = bytes.data();
    if (load_le<std::uint32_t>(at + kCrcAt) != crc_without_field(bytes, kCrcAt)) {
        return damaged_structure(kEntryWhat, "does not match its checksum");
    }
    IndexEntry entry;
    entry.record_count = load_le<std::uint32_t>(at + kRecordCountAt);
    entry.base_offset.value = load_le<std::uint64_t>(at + kBaseOffsetAt);
    entry.base_position.value = load_le<std::uint64_t>(at + kBasePositionAt);
    entry.file_offset = load_le<std::uint64_t>(at + kFileOffsetAt);
    entry.first_time.value = load_le<std::int64_t>(at + kFirstTimeAt);
    entry.last_time.value = load_le<std::int64_t>(at + kLastTimeAt);
    entry.raw_bytes = load_le<std::uint32_t>(at + kRawBytesAt);
    entry.batch_bytes = load_le<std::uint32_t>(at + kBatchBytesAt);
    if (!is_within_bounds(entry)) {
        return damaged_structure(kEntryWhat, "has a field out of bounds");
    }
    return entry;
}

}  // namespace topicfs
