#include "log/batch_cache.h"

namespace topicfs {

Result<BatchCache::Batch> BatchCache::get(const std::shared_ptr<Segment>& segment, Position base,
                                          const std::function<Result<Segment::Decoded>()>& load) {
    const Key key{segment.get(), base};
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto found = slots_.find(key);
        if (found == slots_.end()) {
            break;
        }
        Slot& slot = found->second;
        if (slot.batch && slot.owner.lock() == segment) {
            recency_.splice(recency_.begin(), recency_, slot.recency);
            return slot.batch;
        }
        if (slot.batch) {  // of a segment that was at this address before
            bytes_ -= slot.batch->raw.size();
            recency_.erase(slot.recency);
            slots_.erase(found);
            break;
        }
        loaded_.wait(lock);
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
    bytes_ += slot.batch->raw.size();
    Batch batch = slot.batch;
    drop_over_budget();
    return batch;
}

void BatchCache::drop_over_budget() {
    while (bytes_ > bytes_max_ && !recency_.empty()) {
        const auto oldest = slots_.find(recency_.back());
        bytes_ -= oldest->second.batch->raw.size();
        slots_.erase(oldest);
        recency_.pop_back();
    }
}

std::size_t BatchCache::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

}  // namespace topicfs
