// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4: reflected polynomial 0x82F63B78, start and final xor 0xFFFFFFFF.
//
// By the processor's own instruction where it has one (x86 SSE 4.2), else by tables. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace topicfs {

// The checksum of `bytes` following on bytes whose checksum is `before` (0 where there are none), so that
// crc32c(b, crc32c(a)) is the checksum of a and b joined.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0);

// The table implementation, whatever the processor can do; for tests.
std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace topicfs
