// A bounded cache of decoded batches, one for the whole store: least recently used goes first. Readers that want the
// same batch at the same time decode it once.
//
// Threads: any. What is handed out stays valid as long as its holder keeps it, whatever the cache drops meanwhile.
#pragma once

#include "log/buffer_pool.h"
#include "log/segment.h"

#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace topicfs {

class BatchCache {
public:
    using Batch = std::shared_ptr<const Segment::Decoded>;

    explicit BatchCache(std::size_t bytes_max);

    // The batch of `segment` that begins at `base`; `load` is called where it is not there, without a lock held. A
    // failure is not kept.
    Result<Batch> get(const std::shared_ptr<Segment>& segment, Position base,
                      const std::function<Result<Segment::Decoded>()>& load);

    // The batch of `segment` that holds `position`, where it is here. So a read inside of a batch needs no look-up in
    // the index.
    Batch find(const std::shared_ptr<Segment>& segment, Position position);

    std::size_t bytes() const;
    // For what is loaded. What nobody uses counts as this cache's, too.
    BufferPool& buffers() { return *buffers_; }

private:
    // The segment's address names it; `owner` tells whether it is still that segment.
    using Key = std::pair<const Segment*, Position>;
    struct Slot {
        Batch batch;  // empty while it is being loaded
        std::weak_ptr<Segment> owner;
        std::list<Key>::iterator recency;  // valid once batch is set
    };
    Batch use_locked(std::map<Key, Slot>::iterator found, const std::shared_ptr<Segment>& segment);
    void drop_over_budget(std::vector<Batch>& dropped);

    const std::shared_ptr<BufferPool> buffers_;
    const std::size_t bytes_max_;
    mutable std::mutex mutex_;
    std::condition_variable loaded_;
    std::map<Key, Slot> slots_;
    std::list<Key> recency_;  // most recent first
    std::size_t bytes_ = 0;
};

}  // namespace topicfs
