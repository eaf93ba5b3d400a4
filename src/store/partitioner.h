// Which partition a line appended to a whole topic goes to: the one that Kafka's default partitioner picks for its key.
//
// The hash is Kafka's Java client's, org.apache.kafka.common.utils.Utils.murmur2 (Apache License 2.0; Austin Appleby's
// MurmurHash2, 32 bits, seed 0x9747b28c, bytes little-endian), and the partition
// Utils.toPositive(murmur2(key)) % partitions, as in BuiltInPartitioner.partitionForKey. So a key has the same
// partition here and in a Kafka topic with as many partitions. The test has the values of Kafka's UtilsTest.
//
// Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace topicfs {

std::int32_t murmur2(std::span<const std::byte> bytes);

// Below `partitions`, which must not be 0 (asserted).
std::uint32_t partition_of_key(std::span<const std::byte> key, std::uint32_t partitions);

// The bytes of `line` before the first `separator` (the setting key.separator); nothing where it has none, or where
// `separator` is empty (off): such a line may go to any partition. A line that begins with the separator has the empty
// key, which is a key like any other. The line's delimiter may be in `line` or not. Points into `line`.
std::optional<std::span<const std::byte>> key_of_line(std::span<const std::byte> line, std::string_view separator);

}  // namespace topicfs
