// A bounded cache of decoded batches, one for the whole store: least recently used goes first. Readers that want the
// same batch at the same time decode it once.
//
// Threads: any. What is handed out stays valid as long as its holder keeps it, whatever the cache drops meanwhile.
#pragma once

#include "log/segment.h"

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>

namespace topicfs {

class BatchCache {
public:
    using Batch = std::shared_ptr<const Segment::Decoded>;

    explicit BatchCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    // The batch of `segment` that begins at `base`; `load` is called where it is not there, without a lock held. A
    // failure is not kept.
    Result<Batch> get(const std::shared_ptr<Segment>& segment, Position base,
                      const std::function<Result<Segment::Decoded>()>& load);

    std::size_t bytes() const;

private:
    // The segment's address names it; `owner` tells whether it is still that segment.
    using Key = std::pair<const Segment*, Position>;
    struct Slot {
        Batch batch;  // empty while it is being loaded
        std::weak_ptr<Segment> owner;
        std::list<Key>::iterator recency;  // valid once batch is set
    };
    void drop_over_budget();

    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::condition_variable loaded_;
    std::map<Key, Slot> slots_;
    std::list<Key> recency_;  // most recent first
    std::size_t bytes_ = 0;
};

}  // namespace topicfs
