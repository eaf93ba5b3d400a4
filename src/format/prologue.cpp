#include "format/prologue.h"

#include "base/byte_order.h"
#include "base/crc32c.h"

#include <array>
#include <cassert>
#include <cstring>
#include <string>

namespace topicfs {
namespace {

constexpr std::size_t kMagicAt = 0;
constexpr std::size_t kMagicBytes = 4;
constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kIncompatibleFlagsAt = 12;
constexpr std::size_t kCompatibleFlagsAt = 16;
static_assert(kCompatibleFlagsAt + 4 + 4 == kPrologueBytes, "four reserved bytes end the prologue");

}  // namespace

void seal_structure(std::span<std::byte> bytes, std::string_view magic, std::uint16_t version) {
    assert(bytes.size() >= kPrologueBytes && magic.size() == kMagicBytes);
    std::memset(bytes.data(), 0, kPrologueBytes);
    std::memcpy(bytes.data() + kMagicAt, magic.data(), kMagicBytes);
    store_le<std::uint16_t>(bytes.data() + kVersionAt, version);
    store_le<std::uint32_t>(bytes.data() + kCrcAt, crc_without_field(bytes, kCrcAt));
}

Result<std::uint16_t> check_structure(std::span<const std::byte> bytes, std::string_view magic, const char* what,
                                      std::uint16_t newest) {
    assert(bytes.size() >= kPrologueBytes && magic.size() == kMagicBytes);
    if (std::memcmp(bytes.data() + kMagicAt, magic.data(), kMagicBytes) != 0) {
        return damaged_structure(what, "does not begin with its magic number");
    }
    if (load_le<std::uint32_t>(bytes.data() + kCrcAt) != crc_without_field(bytes, kCrcAt)) {
        return damaged_structure(what, "does not match its checksum");
    }
    const auto version = load_le<std::uint16_t>(bytes.data() + kVersionAt);
    if (version == 0 || version > newest || load_le<std::uint32_t>(bytes.data() + kIncompatibleFlagsAt) != 0) {
        return newer_structure(what);
    }
    return version;
}

std::uint32_t crc_without_field(std::span<const std::byte> bytes, std::size_t crc_at) {
    constexpr std::array<std::byte, sizeof(std::uint32_t)> kZeros{};
    assert(crc_at + kZeros.size() <= bytes.size());
    std::uint32_t crc = crc32c(bytes.first(crc_at));
    crc = crc32c(kZeros, crc);
    return crc32c(bytes.subspan(crc_at + kZeros.size()), crc);
}

Error damaged_structure(const char* what, const char* why) {
    return make_error(ErrorCode::kDamaged, "decode", "", std::string(what) + " " + why);
}

Error newer_structure(const char* what) {
    return make_error(ErrorCode::kNewerFormat, "decode", "",
                      std::string(what) + " was written by a later version of topicfs");
}

}  // namespace topicfs
