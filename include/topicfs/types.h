// The three numbers that must not be mixed up: an Offset counts records, a Position counts bytes, a TimestampMs counts
// milliseconds since 1970-01-01T00:00:00Z. Each is a type of its own; differences are plain integers.
#pragma once

#include <compare>
#include <cstdint>

namespace topicfs {

// A record's number in its partition, from 0.
struct Offset {
    std::uint64_t value = 0;
    friend auto operator<=>(const Offset&, const Offset&) = default;
    friend Offset operator+(Offset offset, std::uint64_t records) { return {offset.value + records}; }
    friend std::uint64_t operator-(Offset a, Offset b) { return a.value - b.value; }
};

// A byte's number in its partition, from 0.
struct Position {
    std::uint64_t value = 0;
    friend auto operator<=>(const Position&, const Position&) = default;
    friend Position operator+(Position position, std::uint64_t bytes) { return {position.value + bytes}; }
    friend std::uint64_t operator-(Position a, Position b) { return a.value - b.value; }
};

// Milliseconds since the Unix epoch; negative before it.
struct TimestampMs {
    std::int64_t value = 0;
    friend auto operator<=>(const TimestampMs&, const TimestampMs&) = default;
    friend TimestampMs operator+(TimestampMs time, std::int64_t milliseconds) { return {time.value + milliseconds}; }
    friend std::int64_t operator-(TimestampMs a, TimestampMs b) { return a.value - b.value; }
};

// Which way appends through a mount take: into the kernel's page cache past the daemon, or through it.
enum class WritePath { kAuto, kPassthrough, kDaemon };

// What is done where the store may take no more of the disk: appends are refused, or the oldest records are removed.
enum class DiskPressure { kRefuse, kDelete };

// How batches are compressed. Persisted in batch headers: never renumber.
enum class Codec : std::uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };

// No position is ever this large: a partition ends below 2^63 bytes, what off_t can say.
inline constexpr std::uint64_t kPositionMax = (std::uint64_t{1} << 63) - 1;

// Of Partition::settle(). What it notes takes room: who asks over and over waits for his turn, who asks once need not.
enum class Haste { kUsual, kAtOnce };

}  // namespace topicfs
