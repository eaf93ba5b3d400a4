#include "format/given_back.h"

#include "base/byte_order.h"
#include "format/prologue.h"

#include <algorithm>
#include <limits>

namespace topicfs {
namespace {

constexpr std::uint32_t kFrameMagic = 0x184D2A5D;  // the neighbour of a batch header's
constexpr std::size_t kSkippableBytes = 8;         // magic number and size, which does not count them
constexpr char kMagic[] = "TFSG";
constexpr char kWhat[] = "the front of a segment";
constexpr std::size_t kStructureAt = kSkippableBytes;
constexpr std::size_t kBaseAt = kStructureAt + kPrologueBytes;
constexpr std::size_t kEndAt = 40;
constexpr std::size_t kEndOffsetAt = 48;
constexpr std::size_t kFileEndAt = 56;
static_assert(kBaseAt + sizeof(std::uint64_t) == kEndAt);
static_assert(kFileEndAt + sizeof(std::uint64_t) == kGivenBackStoredBytes);
constexpr std::uint64_t kFileEndMax = std::uint64_t{std::numeric_limits<std::uint32_t>::max()} + kSkippableBytes;

}  // namespace

std::array<std::byte, kGivenBackStoredBytes> encode_given_back(const GivenBack& front) {
    std::array<std::byte, kGivenBackStoredBytes> bytes{};
    store_le<std::uint32_t>(bytes.data(), kFrameMagic);
    store_le<std::uint32_t>(bytes.data() + 4, static_cast<std::uint32_t>(front.file_end - kSkippableBytes));
    store_le<std::uint64_t>(bytes.data() + kBaseAt, front.base.value);
    store_le<std::uint64_t>(bytes.data() + kEndAt, front.end.value);
    store_le<std::uint64_t>(bytes.data() + kEndOffsetAt, front.end_offset.value);
    store_le<std::uint64_t>(bytes.data() + kFileEndAt, front.file_end);
    seal_structure(std::span(bytes).subspan(kStructureAt), kMagic);
    return bytes;
}

Result<std::optional<GivenBack>> decode_given_back(std::span<const std::byte> bytes) {
    if (bytes.size() < sizeof kFrameMagic || load_le<std::uint32_t>(bytes.data()) != kFrameMagic) {
        return std::optional<GivenBack>();
    }
    if (bytes.size() < kGivenBackStoredBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kGivenBackStoredBytes);
    TOPICFS_TRY(check_structure(bytes.subspan(kStructureAt), kMagic, kWhat));
    GivenBack front;
    front.base.value = load_le<std::uint64_t>(bytes.data() + kBaseAt);
    front.end.value = load_le<std::uint64_t>(bytes.data() + kEndAt);
    front.end_offset.value = load_le<std::uint64_t>(bytes.data() + kEndOffsetAt);
    front.file_end = load_le<std::uint64_t>(bytes.data() + kFileEndAt);
    const std::uint64_t frame_bytes = kSkippableBytes + load_le<std::uint32_t>(bytes.data() + 4);
    if (front.file_end != frame_bytes || front.file_end < kGivenBackStoredBytes || front.file_end > kFileEndMax) {
        return damaged_structure(kWhat, "has an impossible length");
    }
    if (front.base > front.end || front.end.value > kPositionMax || front.end_offset.value > kPositionMax) {
        return damaged_structure(kWhat, "has impossible positions");
    }
    return std::optional(front);
}

}  // namespace topicfs
