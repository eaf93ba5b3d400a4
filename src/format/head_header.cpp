#include "format/head_header.h"

#include "base/byte_order.h"
#include "format/prologue.h"

namespace topicfs {
namespace {

constexpr char kMagic[] = "TFSH";
constexpr char kWhat[] = "the head header";
constexpr std::size_t kBaseAt = kPrologueBytes;
constexpr std::size_t kCreatedAt = 32;
static_assert(kBaseAt + sizeof(std::uint64_t) == kCreatedAt);

}  // namespace

std::array<std::byte, kHeadHeaderBytes> encode_head_header(const HeadHeader& header) {
    std::array<std::byte, kHeadHeaderBytes> bytes{};
    store_le<std::uint64_t>(bytes.data() + kBaseAt, header.base.value);
    store_le<std::int64_t>(bytes.data() + kCreatedAt, header.created.value);
    seal_structure(bytes, kMagic);
    return bytes;
}

Result<HeadHeader> decode_head_header(std::span<const std::byte> bytes) {
    if (bytes.size() < kHeadHeaderBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kHeadHeaderBytes);
    TOPICFS_TRY(check_structure(bytes, kMagic, kWhat));
    HeadHeader header;
    header.base.value = load_le<std::uint64_t>(bytes.data() + kBaseAt);
    header.created.value = load_le<std::int64_t>(bytes.data() + kCreatedAt);
    if (header.base.value > kPositionMax) {
        return damaged_structure(kWhat, "has an impossible base position");
    }
    return header;
}

}  // namespace topicfs
