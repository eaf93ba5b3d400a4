#include "log/read_streams.h"

#include <algorithm>

namespace topicfs {

std::optional<ReadStreams::Ahead> ReadStreams::note(Position from, Position to, std::uint64_t ahead_bytes) {
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::find_if(streams_.rbegin(), streams_.rend(), [&](const Stream& stream) { return stream.next == from; });
    if (found == streams_.rend()) {
        if (streams_.size() == kStreamsMax) {
            streams_.erase(streams_.begin());
        }
        streams_.push_back({to, to});
        return std::nullopt;
    }
    std::rotate(std::prev(found.base()), found.base(), streams_.end());
    Stream& stream = streams_.back();
    stream.next = to;
    stream.ahead_to = std::max(stream.ahead_to, to);
    if (++stream.reads < kReadsMin || stream.ahead_to - to > ahead_bytes / 2) {
        return std::nullopt;
    }
    const Ahead ahead{stream.ahead_to, to + ahead_bytes};
    stream.ahead_to = ahead.upto;
    return ahead.from < ahead.upto ? std::optional(ahead) : std::nullopt;
}

}  // namespace topicfs
