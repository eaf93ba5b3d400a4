// What the fixed-size binary structures begin with: magic, checksum, version and flags. Layout in FORMAT.md,
// "Prologue".
//
// Inside format/ only. Pure; any thread.
#pragma once

#include <topicfs/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace topicfs {

inline constexpr std::size_t kPrologueBytes = 24;

// Writes the prologue of the structure that is all of `bytes`, whose other fields are in place already: `magic` (four
// bytes), the version, no flags, and last the checksum over the whole structure.
void seal_structure(std::span<std::byte> bytes, std::string_view magic, std::uint16_t version = 1);

// The version. kDamaged where magic or checksum is wrong, kNewerFormat where they are right and the version is above
// `newest`, or an incompatible flag is unknown. `what` names the structure in the error.
Result<std::uint16_t> check_structure(std::span<const std::byte> bytes, std::string_view magic, const char* what,
                                      std::uint16_t newest = 1);

// The checksum of `bytes` with the four at `crc_at` counted as zeros.
std::uint32_t crc_without_field(std::span<const std::byte> bytes, std::size_t crc_at);

Error damaged_structure(const char* what, const char* why);
Error newer_structure(const char* what);

}  // namespace topicfs
