// A bounded cache of decoded batches, one for the whole store: least recently used goes first. Readers that want the
// same batch at the same time decode it once.
//
// Threads: any. What is handed out stays valid as long as its holder keeps it, whatever the cache drops meanwhile.
#pragma once

#include "log/buffer_pool.h"
#include "log/segment.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace topicfs {

class BatchCache {
public:
    using Batch = std::shared_ptr<const Segment::Decoded>;

    explicit BatchCache(std::size_t bytes_max);

    // The batch of `segment` that begins at `base`; `load` is called where it is not there, without a lock held. Waits
    // for who loads it already, but not for ever for one that loads ahead, as that is done when nothing else is to do
    // (see base/background.h). A failure is not kept.
    Result<Batch> get(const std::shared_ptr<Segment>& segment, Position base,
                      const std::function<Result<Segment::Decoded>()>& load);

    // The batch of `segment` that holds `position`, where it is here. So a read inside of a batch needs no look-up in
    // the index.
    Batch find(const std::shared_ptr<Segment>& segment, Position position);

    // For reading ahead: loads it and keeps it, unless somebody did or does, or too much lies here unread already.
    // `raw_bytes` is what it will take. A failure is left to who reads.
    void load_ahead(const std::shared_ptr<Segment>& segment, Position base, std::size_t raw_bytes,
                    const std::function<Result<Segment::Decoded>()>& load);
    // Where the batch that holds `position` ends, if it is here.
    std::optional<Position> end_of(const std::shared_ptr<Segment>& segment, Position position) const;
    // How much may lie here that was loaded ahead and not asked for since; and whether there is room for more.
    std::size_t ahead_bytes_max() const;
    bool has_room_ahead() const;

    // The batches of `segment` that begin or go on in [from, upto) and end there go, as nobody is expected to come for
    // them: the next are decoded into their memory, which the processor has at hand. What was not asked for yet stays,
    // and what takes no memory.
    void drop_passed(const std::shared_ptr<Segment>& segment, Position from, Position upto);

    std::size_t bytes() const;
    // Asked for and here, or on the way, loaded by somebody else; and loaded by who asked. Any time, without waiting.
    struct Counts {
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
    };
    Counts counts() const { return {hits_.load(), misses_.load()}; }
    // How long a reader waits for a batch that is loaded ahead before it loads it itself, beside what decoding takes.
    // Tests wait for ever, or not at all; before the first reader.
    void set_ahead_patience(std::chrono::microseconds patience) { ahead_patience_ = patience; }
    // In force at once: what is over it goes.
    void set_bytes_max(std::size_t bytes_max);
    // For what is loaded. What nobody uses counts as this cache's, too.
    BufferPool& buffers() { return *buffers_; }

private:
    // The segment's address names it; `owner` tells whether it is still that segment.
    using Key = std::pair<const Segment*, Position>;
    struct Slot {
        std::uint64_t id = 0;  // of this use of the key
        unsigned loaders = 1;
        Batch batch;                  // empty while it is being loaded
        std::size_t ahead_bytes = 0;  // what it counts as loaded ahead, until it is asked for
        std::weak_ptr<Segment> owner;
        std::list<Key>::iterator recency;  // valid once batch is set
    };
    using Slots = std::map<Key, Slot>;
    Slot& add_locked(const Key& key, const std::shared_ptr<Segment>& segment);
    bool wait_for_load(std::unique_lock<std::mutex>& lock, const Key& key);
    void end_load_locked(const Key& key, std::uint64_t id);
    Slots::const_iterator find_locked(const Segment* segment, Position position) const;
    Result<Batch> fill(std::unique_lock<std::mutex>& lock, const Key& key,
                       const std::function<Result<Segment::Decoded>()>& load);
    void erase_locked(Slots::iterator slot);
    void note_asked_for(Slot& slot);
    Batch use_locked(Slots::iterator found, const std::shared_ptr<Segment>& segment);
    void drop_over_budget(std::vector<Batch>& dropped);

    const std::shared_ptr<BufferPool> buffers_;
    // Some three times what decoding a small batch takes a thread that has a processor for itself.
    std::chrono::microseconds ahead_patience_{1000};
    mutable std::mutex mutex_;  // guards what follows
    std::size_t bytes_max_;
    std::size_t ahead_bytes_ = 0;
    std::condition_variable loaded_;
    Slots slots_;
    std::uint64_t last_id_ = 0;
    std::list<Key> recency_;  // most recent first
    std::size_t bytes_ = 0;
    std::atomic<std::uint64_t> hits_{0};
    std::atomic<std::uint64_t> misses_{0};
};

}  // namespace topicfs
