#include "log/read_streams.h"

#include <algorithm>
#include <utility>

namespace topicfs {

ReadStreams::Advice ReadStreams::note(Position from, Position to, std::uint64_t ahead_bytes, std::uint64_t kept_bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::find_if(streams_.rbegin(), streams_.rend(), [&](const Stream& stream) { return stream.next == from; });
    if (found == streams_.rend()) {
        if (streams_.size() == kStreamsMax) {
            streams_.erase(streams_.begin());
        }
        streams_.push_back({from, to, to, from});
        return {};
    }
    std::rotate(std::prev(found.base()), found.base(), streams_.end());
    Stream& stream = streams_.back();
    stream.next = to;
    stream.ahead_to = std::max(stream.ahead_to, to);
    Advice advice;
    advice.passed = passed_by(stream, kept_bytes);
    if (++stream.reads >= kReadsMin && stream.ahead_to - to <= ahead_bytes / 2 && stream.ahead_to < to + ahead_bytes) {
        advice.ahead = Range{stream.ahead_to, to + ahead_bytes};
        stream.ahead_to = to + ahead_bytes;
    }
    return advice;
}

std::optional<ReadStreams::Range> ReadStreams::passed_by(Stream& stream, std::uint64_t kept_bytes) const {
    if (stream.next - stream.begin <= kept_bytes) {
        return std::nullopt;
    }
    Position upto = stream.next;
    for (const Stream& other : streams_) {
        // One that is further behind will not find in the cache what this one has just read.
        if (other.next < upto && stream.next - other.next < kept_bytes) {
            upto = other.next;
        }
    }
    if (upto < stream.passed_to + kPassedBytesMin) {
        return std::nullopt;
    }
    return Range{std::exchange(stream.passed_to, upto), upto};
}

}  // namespace topicfs
