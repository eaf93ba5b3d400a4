#include "base/crc32c.h"

#include "base/byte_order.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace topicfs {
namespace {

// RFC 3720 appendix B.4 gives the polynomial 0x1EDC6F41; this is it with its bits in reverse order.
constexpr std::uint32_t kPolynomialReflected = 0x82F63B78;

// The tables of slicing-by-8: M. Kounavis and F. Berry, "A Systematic Approach to Building High Performance
// Software-Based CRC Generators", ISCC 2005. Table k maps a byte to its share of the remainder when k more bytes follow
// it within a step.
constexpr std::size_t kSlices = 8;
using Table = std::array<std::uint32_t, 256>;

constexpr std::array<Table, kSlices> make_tables() {
    std::array<Table, kSlices> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) {
            remainder = (remainder & 1) != 0 ? (remainder >> 1) ^ kPolynomialReflected : remainder >> 1;
        }
        tables[0][byte] = remainder;
    }
    for (std::size_t slice = 1; slice < kSlices; ++slice) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t shorter = tables[slice - 1][byte];
            tables[slice][byte] = (shorter >> 8) ^ tables[0][shorter & 0xFF];
        }
    }
    return tables;
}

constexpr std::array<Table, kSlices> kTables = make_tables();

// Both updates take and give the register as it is between the start and the final xor.
std::uint32_t update_by_tables(std::uint32_t state, std::span<const std::byte> bytes) {
    while (bytes.size() >= kSlices) {
        const std::uint64_t mixed = load_le<std::uint64_t>(bytes.data()) ^ state;
        state = 0;
        for (std::size_t i = 0; i < kSlices; ++i) {
            state ^= kTables[kSlices - 1 - i][(mixed >> (8 * i)) & 0xFF];
        }
        bytes = bytes.subspan(kSlices);
    }
    for (const std::byte byte : bytes) {
        state = (state >> 8) ^ kTables[0][(state ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
    }
    return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t update_by_instruction(std::uint32_t state,
                                                                      std::span<const std::byte> bytes) {
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t wide = state;
    for (; left >= sizeof wide; at += sizeof wide, left -= sizeof wide) {
        wide = _mm_crc32_u64(wide, load_le<std::uint64_t>(at));
    }
    state = static_cast<std::uint32_t>(wide);
    for (; left > 0; ++at, --left) {
        state = _mm_crc32_u8(state, std::to_integer<unsigned char>(*at));
    }
    return state;
}
#endif

using Update = std::uint32_t (*)(std::uint32_t, std::span<const std::byte>);

Update choose_update() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return update_by_instruction;
    }
#endif
    return update_by_tables;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
    static const Update update = choose_update();
    return ~update(~before, bytes);
}

std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t before) {
    return ~update_by_tables(~before, bytes);
}

}  // namespace topicfs
