// Tells the sequential readers of one partition from those that read here and there, by position alone: a read that
// begins where an earlier one ended continues it.
//
// Threads: any. Takes no memory until something is read.
#pragma once

#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace topicfs {

class ReadStreams {
public:
    // More readers than these at different places of one partition are not recognized.
    static constexpr std::size_t kStreamsMax = 16;
    // One that continues by chance is no stream yet.
    static constexpr unsigned kReadsMin = 3;

    struct Range {
        Position from;
        Position upto;
        friend bool operator==(const Range&, const Range&) = default;
    };
    struct Advice {
        // What it will want soon, up to `ahead_bytes` behind the read; nothing while most of that was asked for before.
        std::optional<Range> ahead;
        // What it has left behind and nobody comes after it for: only of one that has read more than `kept_bytes`,
        // which would not find it in a cache of that size when it began again.
        std::optional<Range> passed;
        friend bool operator==(const Advice&, const Advice&) = default;
    };
    // [from, to) was read. Nothing is advised where that does not continue a sequential reader.
    Advice note(Position from, Position to, std::uint64_t ahead_bytes, std::uint64_t kept_bytes);

private:
    // Passed in pieces: each costs a look into the cache.
    static constexpr std::uint64_t kPassedBytesMin = 256u << 10;

    struct Stream {
        Position begin;
        Position next;       // where it goes on
        Position ahead_to;   // asked for up to here
        Position passed_to;  // told as passed up to here
        unsigned reads = 1;
    };
    std::optional<Range> passed_by(Stream& stream, std::uint64_t kept_bytes) const;

    std::mutex mutex_;
    std::vector<Stream> streams_;  // most recent last
};

}  // namespace topicfs
