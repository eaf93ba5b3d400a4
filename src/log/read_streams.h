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

    struct Ahead {
        Position from;
        Position upto;
        friend bool operator==(const Ahead&, const Ahead&) = default;
    };
    // [from, to) was read. Where that continues a sequential reader: what it will want soon, up to `ahead_bytes` behind
    // `to`; nothing while most of that was asked for before.
    std::optional<Ahead> note(Position from, Position to, std::uint64_t ahead_bytes);

private:
    struct Stream {
        Position next;      // where it goes on
        Position ahead_to;  // asked for up to here
        unsigned reads = 1;
    };
    std::mutex mutex_;
    std::vector<Stream> streams_;  // most recent last
};

}  // namespace topicfs
