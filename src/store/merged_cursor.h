// A reader's place in the merged order of a topic (merged_log.h), and what comes there: chunk by chunk, at the cost of
// one look-up a batch and partition.
//
// Threads: one at a time. Ownership: keeps the partitions; the Store must outlive it.
#pragma once

#include "store/merged_log.h"

#include <topicfs/store.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace topicfs {

// Bytes of one partition that come together.
struct MergedChunk {
    Partition* partition = nullptr;
    Position from;
    std::size_t bytes = 0;
    TimestampMs time;  // of the first record
};

class MergedCursor {
public:
    // Begins at `at`.
    explicit MergedCursor(const MergedState& at) : begin_(at) {}

    // How far it may go: states of the order, of which each is not before the last. Partitions that are new in it begin
    // with their first byte.
    Result<void> set_limit(const std::vector<std::shared_ptr<Partition>>& partitions, const MergedState& limit);

    // The next chunk, of at most `bytes_max` bytes; with `of_one_time` all its records have its time. Nothing at the
    // limit. After an error of either the cursor is of no use.
    Result<std::optional<MergedChunk>> next(std::size_t bytes_max, bool of_one_time = false);

private:
    struct Track {
        std::shared_ptr<Partition> partition;
        Position at;
        Position limit;
        TimeSteps known;  // from before `at` on; nothing is known of what comes where `at` is where they end
        std::size_t step = 0;
    };
    struct Turn {
        TimestampMs time;
        std::size_t track;
        friend auto operator<=>(const Turn&, const Turn&) = default;
    };
    Result<void> queue(std::size_t track);
    static Position step_end(const Track& track) {
        return track.step + 1 < track.known.steps.size() ? track.known.steps[track.step + 1].from : track.known.upto;
    }

    MergedState begin_;
    std::vector<Track> tracks_;
    std::optional<std::size_t>
        last_;                 // the track of the last chunk, which does not take turns before it is asked again
    std::vector<Turn> turns_;  // a heap, the next one first: of each other track that is not at its limit
};

}  // namespace topicfs
