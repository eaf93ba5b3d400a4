#include "format/batch.h"

#include "base/byte_order.h"
#include "format/prologue.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace topicfs {
namespace {

constexpr std::uint32_t kFrameMagic = 0x184D2A5E;  // one of the sixteen that LZ4 and zstd both skip
constexpr std::string_view kMagic = "TFSB";
constexpr std::uint16_t kVersion = 1;

constexpr std::size_t kFrameMagicAt = 0;
constexpr std::size_t kFrameSizeAt = 4;
constexpr std::size_t kMagicAt = 8;
constexpr std::size_t kCrcAt = 12;
constexpr std::size_t kVersionAt = 16;
constexpr std::size_t kCodecAt = 18;
constexpr std::size_t kIncompatibleFlagsAt = 20;
constexpr std::size_t kBaseOffsetAt = 28;
constexpr std::size_t kBasePositionAt = 36;
constexpr std::size_t kRecordCountAt = 44;
constexpr std::size_t kRawBytesAt = 48;
constexpr std::size_t kStoredBytesAt = 52;
constexpr std::size_t kPayloadCrcAt = 56;
constexpr std::size_t kFirstTimeAt = 60;
constexpr std::size_t kLastTimeAt = 68;
constexpr std::size_t kTimesCountAt = 76;
constexpr std::size_t kTimesBytesAt = 80;
constexpr std::size_t kReservedAt = 84;
constexpr std::size_t kReservedBytes = 28;
static_assert(kMagicAt + kMagic.size() == kCrcAt && kCrcAt == kBatchMagicBytes);
static_assert(kReservedAt + kReservedBytes == kBatchHeaderFixedBytes);

// The size field of a skippable frame does not count the magic number and itself.
constexpr std::size_t kSkippableBytes = 8;

constexpr std::size_t kVarintBytesMax = 10;

// LEB128: seven bits a byte, the lowest first, the top bit set on all but the last.
void append_varint(std::vector<std::byte>& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::byte>((value & 0x7F) | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<std::byte>(value));
}

// Takes one off the front of `bytes`; nothing where it is cut, does not fit, or is not in its shortest form.
std::optional<std::uint64_t> take_varint(std::span<const std::byte>& bytes) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < std::min(bytes.size(), kVarintBytesMax); ++i) {
        const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
        const bool is_last_possible = i + 1 == kVarintBytesMax;
        if (is_last_possible && byte > 1) {  // Nine bytes hold 63 bits.
            return std::nullopt;
        }
        value |= (byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) {
            if (byte == 0 && i > 0) {
                return std::nullopt;
            }
            bytes = bytes.subspan(i + 1);
            return value;
        }
    }
    return std::nullopt;
}

std::vector<std::byte> encode_times(const std::vector<BatchTime>& times) {
    std::vector<std::byte> out;
    BatchTime before{0, times.front().time};
    for (const BatchTime& time : times) {
        assert(time.raw_offset >= before.raw_offset && time.time >= before.time);
        append_varint(out, time.raw_offset - before.raw_offset);
        // As unsigned: the difference of any two times fits so.
        append_varint(out, static_cast<std::uint64_t>(time.time.value) - static_cast<std::uint64_t>(before.time.value));
        before = time;
    }
    return out;
}

// Drops every second one; the first and the last stay, so that the times of the whole batch do.
void thin_out(std::vector<BatchTime>& times) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        if (i % 2 == 0 || i + 1 == times.size()) {
            times[kept++] = times[i];
        }
    }
    times.resize(kept);
}

// The times of a batch of `raw_bytes`; nothing where the bytes are not exactly `count` that never fall.
std::optional<std::vector<BatchTime>> decode_times(std::span<const std::byte> bytes, std::uint32_t count,
                                                   TimestampMs first, std::uint32_t raw_bytes) {
    if (count == 0 || count > bytes.size() / 2) {  // Each takes two bytes at least.
        return std::nullopt;
    }
    std::vector<BatchTime> times;
    times.reserve(count);
    std::uint64_t raw_offset = 0;
    TimestampMs time = first;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::optional<std::uint64_t> offset_delta = take_varint(bytes);
        const std::optional<std::uint64_t> time_delta = take_varint(bytes);
        if (!offset_delta || !time_delta || (i == 0 && (*offset_delta != 0 || *time_delta != 0))) {
            return std::nullopt;
        }
        // How much room there is up to the largest time; unsigned, as it can be more than an int64 holds.
        const std::uint64_t time_room = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) -
                                        static_cast<std::uint64_t>(time.value);
        if (*offset_delta >= raw_bytes - raw_offset || *time_delta > time_room) {
            return std::nullopt;
        }
        raw_offset += *offset_delta;
        time.value = static_cast<std::int64_t>(static_cast<std::uint64_t>(time.value) + *time_delta);
        times.push_back({static_cast<std::uint32_t>(raw_offset), time});
    }
    if (!bytes.empty()) {
        return std::nullopt;
    }
    return times;
}

bool is_within_bounds(const BatchHeader& header) {
    if (header.raw_bytes == 0 || header.raw_bytes > kBatchRawBytesMax || header.record_count > header.raw_bytes) {
        return false;
    }
    if (header.stored_bytes == 0 || header.stored_bytes > batch_stored_bytes_max(header.raw_bytes)) {
        return false;
    }
    return header.base_position.value <= kPositionMax - header.raw_bytes &&
           header.base_offset.value <= kPositionMax - header.record_count;
}

// The header in `frame`, which is whole, of version 1, and has passed its check; nothing where a field is out of
// bounds.
std::optional<BatchHeader> decode_fields(std::span<const std::byte> frame) {
    const std::byte* const at = frame.data();
    BatchHeader header;
    header.codec = static_cast<Codec>(load_le<std::uint8_t>(at + kCodecAt));
    header.base_offset.value = load_le<std::uint64_t>(at + kBaseOffsetAt);
    header.base_position.value = load_le<std::uint64_t>(at + kBasePositionAt);
    header.record_count = load_le<std::uint32_t>(at + kRecordCountAt);
    header.raw_bytes = load_le<std::uint32_t>(at + kRawBytesAt);
    header.stored_bytes = load_le<std::uint32_t>(at + kStoredBytesAt);
    header.payload_crc = load_le<std::uint32_t>(at + kPayloadCrcAt);
    header.header_bytes = frame.size();
    if (!is_within_bounds(header) ||
        load_le<std::uint32_t>(at + kTimesBytesAt) != frame.size() - kBatchHeaderFixedBytes) {
        return std::nullopt;
    }
    std::optional<std::vector<BatchTime>> times =
        decode_times(frame.subspan(kBatchHeaderFixedBytes), load_le<std::uint32_t>(at + kTimesCountAt),
                     TimestampMs{load_le<std::int64_t>(at + kFirstTimeAt)}, header.raw_bytes);
    if (!times || times->back().time.value != load_le<std::int64_t>(at + kLastTimeAt)) {
        return std::nullopt;
    }
    header.times = std::move(*times);
    return header;
}

// Whether `bytes`, cut where it may be, is what a batch header begins with.
bool begins_like_batch(std::span<const std::byte> bytes) {
    std::array<std::byte, sizeof kFrameMagic> frame_magic{};
    store_le(frame_magic.data(), kFrameMagic);
    if (std::memcmp(bytes.data(), frame_magic.data(), std::min(bytes.size(), frame_magic.size())) != 0) {
        return false;
    }
    if (bytes.size() <= kMagicAt) {
        return true;
    }
    return std::memcmp(bytes.data() + kMagicAt, kMagic.data(), std::min(bytes.size() - kMagicAt, kMagic.size())) == 0;
}

}  // namespace

void encode_batch_header(BatchHeader& header, std::vector<std::byte>& out) {
    assert(is_within_bounds(header));
    assert(!header.times.empty() && header.times.front().raw_offset == 0);
    assert(header.times.back().raw_offset < header.raw_bytes);
    std::vector<std::byte> times = encode_times(header.times);
    while (times.size() > kBatchTimesBytesMax) {
        thin_out(header.times);
        times = encode_times(header.times);
    }
    header.header_bytes = kBatchHeaderFixedBytes + times.size();

    const std::size_t begin = out.size();
    out.resize(begin + kBatchHeaderFixedBytes);
    out.insert(out.end(), times.begin(), times.end());
    std::byte* const at = out.data() + begin;
    store_le<std::uint32_t>(at + kFrameMagicAt, kFrameMagic);
    store_le<std::uint32_t>(at + kFrameSizeAt, static_cast<std::uint32_t>(header.header_bytes - kSkippableBytes));
    std::memcpy(at + kMagicAt, kMagic.data(), kMagic.size());
    store_le<std::uint16_t>(at + kVersionAt, kVersion);
    store_le<std::uint8_t>(at + kCodecAt, static_cast<std::uint8_t>(header.codec));
    store_le<std::uint64_t>(at + kBaseOffsetAt, header.base_offset.value);
    store_le<std::uint64_t>(at + kBasePositionAt, header.base_position.value);
    store_le<std::uint32_t>(at + kRecordCountAt, header.record_count);
    store_le<std::uint32_t>(at + kRawBytesAt, header.raw_bytes);
    store_le<std::uint32_t>(at + kStoredBytesAt, header.stored_bytes);
    store_le<std::uint32_t>(at + kPayloadCrcAt, header.payload_crc);
    store_le<std::int64_t>(at + kFirstTimeAt, header.times.front().time.value);
    store_le<std::int64_t>(at + kLastTimeAt, header.times.back().time.value);
    store_le<std::uint32_t>(at + kTimesCountAt, static_cast<std::uint32_t>(header.times.size()));
    store_le<std::uint32_t>(at + kTimesBytesAt, static_cast<std::uint32_t>(times.size()));
    store_le<std::uint32_t>(at + kCrcAt, crc_without_field(std::span(out).subspan(begin), kCrcAt));
}

BatchDecoded decode_batch_header(std::span<const std::byte> bytes) {
    if (bytes.empty()) {
        return {BatchOutcome::kEnd, {}};
    }
    if (!begins_like_batch(bytes)) {
        return {BatchOutcome::kDamaged, {}};
    }
    if (bytes.size() < kSkippableBytes) {
        return {BatchOutcome::kTorn, {}};
    }
    const std::size_t frame_bytes = kSkippableBytes + load_le<std::uint32_t>(bytes.data() + kFrameSizeAt);
    if (frame_bytes < kBatchHeaderFixedBytes || frame_bytes > kBatchHeaderBytesMax) {
        return {BatchOutcome::kDamaged, {}};
    }
    if (bytes.size() < frame_bytes) {
        return {BatchOutcome::kTorn, {}};
    }
    const std::span<const std::byte> frame = bytes.first(frame_bytes);
    if (load_le<std::uint32_t>(frame.data() + kCrcAt) != crc_without_field(frame, kCrcAt)) {
        return {BatchOutcome::kDamaged, {}};
    }
    // From here on what is strange is not damage: somebody wrote it so.
    if (load_le<std::uint16_t>(frame.data() + kVersionAt) != kVersion ||
        load_le<std::uint32_t>(frame.data() + kIncompatibleFlagsAt) != 0 ||
        load_le<std::uint8_t>(frame.data() + kCodecAt) >= kCodecCount) {
        return {BatchOutcome::kNewer, {}};
    }
    std::optional<BatchHeader> header = decode_fields(frame);
    if (!header) {
        return {BatchOutcome::kDamaged, {}};
    }
    return {BatchOutcome::kBatch, std::move(*header)};
}

std::size_t find_batch_magic(std::span<const std::byte> bytes, std::size_t from) {
    while (from < bytes.size() && bytes.size() - from >= kBatchMagicBytes) {
        // The four letters are rarer in logs than any byte of the frame's magic number, so they are what is searched.
        const std::span<const std::byte> rest = bytes.subspan(from + kMagicAt);
        const void* const found = ::memmem(rest.data(), rest.size(), kMagic.data(), kMagic.size());
        if (found == nullptr) {
            break;
        }
        from += static_cast<std::size_t>(static_cast<const std::byte*>(found) - rest.data());
        if (load_le<std::uint32_t>(bytes.data() + from + kFrameMagicAt) == kFrameMagic) {
            return from;
        }
        ++from;
    }
    return bytes.size();
}

}  // namespace topicfs
