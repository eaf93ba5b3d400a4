#include "format/head_header.h"

#include "base/byte_order.h"
#include "format/prologue.h"

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSH";
constexpr char kWhat[] = "the head header";
constexpr std::size_t kBaseAt = kPrologueBytes;
constexpr std::size_t kCreatedAt = 32;
constexpr std::size_t kDataAtAt = 40;
static_assert(kBaseAt + sizeof(std::uint64_t) == kCreatedAt);
static_assert(kCreatedAt + sizeof(std::int64_t) == kDataAtAt);
constexpr std::uint16_t kVersion = 2;

}  // namespace

std::array<std::byte, kHeadHeaderBytes> encode_head_header(const HeadHeader& header) {
    std::array<std::byte, kHeadHeaderBytes> bytes{};
    store_le<std::uint64_t>(bytes.data() + kBaseAt, header.base.value);
    store_le<std::int64_t>(bytes.data() + kCreatedAt, header.created.value);
    if (header.data_at == kHeadDataAtOfVersion1) {
        seal_structure(bytes, kMagic, 1);
        return bytes;
    }
    store_le<std::uint32_t>(bytes.data() + kDataAtAt, header.data_at);
    seal_structure(bytes, kMagic, kVersion);
    return bytes;
}

Result<HeadHeader> decode_head_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kHeadHeaderBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kHeadHeaderBytes);
    TOPICFS_TRY_ASSIGN(const std::uint16_t version, check_structure(bytes, kMagic, kWhat, kVersion));
    HeadHeader header;
    header.base.value = load_le<std::uint64_t>(bytes.data() + kBaseAt);
    header.created.value = load_le<std::int64_t>(bytes.data() + kCreatedAt);
    header.data_at = version == 1 ? kHeadDataAtOfVersion1 : load_le<std::uint32_t>(bytes.data() + kDataAtAt);
    if (version > 1 && header.data_at != kHeadDataAt) {
        return damaged_structure(kWhat, "has raw bytes where they cannot be");
    }
    if (header.base.value > kPositionMax) {
        return damaged_structure(kWhat, "has an impossible base position");
    }
    return header;
}

}  // namespace topicfs
