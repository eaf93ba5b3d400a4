#include "store/partitioner.h"

#include "base/byte_order.h"

#include <cassert>

namespace topicfs {

std::int32_t murmur2(std::span<const std::byte> bytes) {
    constexpr std::uint32_t kSeed = 0x9747b28c;
    constexpr std::uint32_t kFactor = 0x5bd1e995;
    constexpr int kShift = 24;
    // Java's arithmetic wraps, and so does that of unsigned numbers.
    std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(bytes.size());
    for (; bytes.size() >= sizeof(std::uint32_t); bytes = bytes.subspan(sizeof(std::uint32_t))) {
        std::uint32_t word = load_le<std::uint32_t>(bytes.data()) * kFactor;
        word ^= word >> kShift;
        hash = hash * kFactor ^ word * kFactor;
    }
    if (!bytes.empty()) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            hash ^= std::to_integer<std::uint32_t>(bytes[i]) << (8 * i);
        }
        hash *= kFactor;
    }
    hash ^= hash >> 13;
    hash *= kFactor;
    hash ^= hash >> 15;
    return static_cast<std::int32_t>(hash);
}

std::uint32_t partition_of_key(std::span<const std::byte> key, std::uint32_t partitions) {
    assert(partitions != 0);
    constexpr std::uint32_t kAllButSign = 0x7fffffff;
    return (static_cast<std::uint32_t>(murmur2(key)) & kAllButSign) % partitions;
}

std::optional<std::span<const std::byte>> key_of_line(std::span<const std::byte> line, std::string_view separator) {
    if (separator.empty()) {
        return std::nullopt;
    }
    const std::string_view text(reinterpret_cast<const char*>(line.data()), line.size());
    const std::size_t found = text.find(separator);
    return found == std::string_view::npos ? std::nullopt : std::optional(line.first(found));
}

}  // namespace topicfs
