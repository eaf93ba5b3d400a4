#include "log/batch_cache.h"

namespace topicfs {

namespace {

// What lies ready for the next batches, of the whole budget. A budget of a few batches has nothing to spare.
constexpr std::size_t free_share(std::size_t bytes_max) {
    constexpr std::size_t kSmallBytes = 8u << 20;
    return bytes_max < kSmallBytes ? 0 : bytes_max / 8;
}

}  // namespace

BatchCache::BatchCache(std::size_t bytes_max)
    : buffers_(std::make_shared<BufferPool>(free_share(bytes_max))), bytes_max_(bytes_max - free_share(bytes_max)) {}

// What is at `found`, as a batch of `segment`: nothing where it is being loaded, or is of a segment that was at this
// address before; the latter is dropped.
BatchCache::Batch BatchCache::use_locked(std::map<Key, Slot>::iterator found, const std::shared_ptr<Segment>& segment) {
    Slot& slot = found->second;
    if (!slot.batch) {
        return nullptr;
    }
    if (slot.owner.lock() == segment) {
        recency_.splice(recency_.begin(), recency_, slot.recency);
        return slot.batch;
    }
    bytes_ -= slot.batch->memory_bytes();
    recency_.erase(slot.recency);
    slots_.erase(found);
    return nullptr;
}

BatchCache::Batch BatchCache::find(const std::shared_ptr<Segment>& segment, Position position) {
    const std::scoped_lock lock(mutex_);
    const auto next = slots_.upper_bound(Key{segment.get(), position});
    if (next == slots_.begin()) {
        return nullptr;
    }
    const auto found = std::prev(next);
    const bool holds = found->first.first == segment.get() && found->second.batch &&
                       position < found->second.batch->entry.end_position();
    return holds ? use_locked(found, segment) : nullptr;
}

Result<BatchCache::Batch> BatchCache::get(const std::shared_ptr<Segment>& segment, Position base,
                                          const std::function<Result<Segment::Decoded>()>& load) {
    const Key key{segment.get(), base};
    std::vector<Batch> dropped;  // goes without the lock
    std::unique_lock lock(mutex_);
    for (auto found = slots_.find(key); found != slots_.end(); found = slots_.find(key)) {
        const bool is_loading = !found->second.batch;
        if (Batch batch = use_locked(found, segment)) {
            return batch;
        }
        if (is_loading) {
            loaded_.wait(lock);
        }
    }
    slots_[key].owner = segment;
    lock.unlock();
    Result<Segment::Decoded> decoded = Error{};
    try {
        decoded = load();
    } catch (...) {
        lock.lock();
        slots_.erase(key);
        loaded_.notify_all();
        throw;
    }
    lock.lock();
    loaded_.notify_all();
    if (!decoded) {
        slots_.erase(key);
        return std::move(decoded).error();
    }
    Slot& slot = slots_[key];
    slot.batch = std::make_shared<const Segment::Decoded>(std::move(decoded).value());
    recency_.push_front(key);
    slot.recency = recency_.begin();
    bytes_ += slot.batch->memory_bytes();
    Batch batch = slot.batch;
    drop_over_budget(dropped);
    lock.unlock();
    return batch;
}

void BatchCache::drop_over_budget(std::vector<Batch>& dropped) {
    while (bytes_ > bytes_max_ && !recency_.empty()) {
        const auto oldest = slots_.find(recency_.back());
        bytes_ -= oldest->second.batch->memory_bytes();
        dropped.push_back(std::move(oldest->second.batch));
        slots_.erase(oldest);
        recency_.pop_back();
    }
}

std::size_t BatchCache::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

}  // namespace topicfs
