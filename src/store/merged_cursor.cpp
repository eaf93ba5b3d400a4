#include "store/merged_cursor.h"

#include <algorithm>
#include <functional>

namespace topicfs {

Result<void> MergedCursor::set_limit(const std::vector<std::shared_ptr<Partition>>& partitions,
                                     const MergedState& limit) {
    for (std::size_t i = tracks_.size(); i < partitions.size(); ++i) {
        tracks_.push_back({partitions[i], begin_.of(i), begin_.of(i), {{}, begin_.of(i)}, 0});
    }
    for (std::size_t i = 0; i < tracks_.size(); ++i) {
        const bool was_at_limit = tracks_[i].at >= tracks_[i].limit;
        tracks_[i].limit = std::max(tracks_[i].limit, limit.of(i));
        if (was_at_limit && tracks_[i].at < tracks_[i].limit && last_ != i) {
            TOPICFS_TRY(queue(i));
        }
    }
    return {};
}

// Has the track take turns, by the time of what it has next.
Result<void> MergedCursor::queue(std::size_t track) {
    Track& queued = tracks_[track];
    if (queued.at >= queued.known.upto) {
        TOPICFS_TRY_ASSIGN(queued.known, queued.partition->time_steps(queued.at, queued.limit));
        queued.step = 0;
    }
    while (queued.at >= step_end(queued)) {
        ++queued.step;
    }
    turns_.push_back({queued.known.steps[queued.step].time, track});
    std::push_heap(turns_.begin(), turns_.end(), std::greater<>());
    return {};
}

Result<std::optional<MergedChunk>> MergedCursor::next(std::size_t bytes_max, bool of_one_time) {
    if (last_ && tracks_[*last_].at < tracks_[*last_].limit) {
        TOPICFS_TRY(queue(*last_));
    }
    last_.reset();
    if (turns_.empty() || bytes_max == 0) {
        return std::optional<MergedChunk>();
    }
    std::pop_heap(turns_.begin(), turns_.end(), std::greater<>());
    const std::size_t number = turns_.back().track;
    turns_.pop_back();
    Track& track = tracks_[number];
    const TimestampMs time = track.known.steps[track.step].time;
    // Up to where it is another's turn.
    const auto goes_on = [&] {
        return !of_one_time && track.step + 1 < track.known.steps.size() &&
               (turns_.empty() || Turn{track.known.steps[track.step + 1].time, number} < turns_.front());
    };
    while (step_end(track) - track.at < bytes_max && goes_on()) {
        ++track.step;
    }
    const Position to = std::min(step_end(track), track.limit);
    const MergedChunk chunk{track.partition.get(), track.at, std::min<std::uint64_t>(bytes_max, to - track.at), time};
    track.at = track.at + chunk.bytes;
    last_ = number;
    return std::optional(chunk);
}

}  // namespace topicfs
