#include "log/batch_cache.h"

#include <algorithm>
#include <utility>

namespace topicfs {

namespace {

// What lies ready for the next batches, unused: of a large budget a part, and something beside the smallest.
constexpr std::size_t kFreeBytesMin = 2u << 20;

constexpr std::size_t free_bytes_of(std::size_t bytes_max) {
    return std::max(bytes_max / 8, kFreeBytesMin);
}

constexpr std::size_t batch_bytes_of(std::size_t bytes_max) {
    return bytes_max >= 8 * kFreeBytesMin ? bytes_max - bytes_max / 8 : bytes_max;
}

// What is loaded ahead may take this part of the budget: the rest is for what is being read.
constexpr std::size_t kAheadPart = 2;

}  // namespace

BatchCache::BatchCache(std::size_t bytes_max)
    : buffers_(std::make_shared<BufferPool>(free_bytes_of(bytes_max))), bytes_max_(batch_bytes_of(bytes_max)) {}

void BatchCache::set_bytes_max(std::size_t bytes_max) {
    buffers_->set_free_bytes_max(free_bytes_of(bytes_max));
    std::vector<Batch> dropped;  // goes without the lock
    const std::scoped_lock lock(mutex_);
    bytes_max_ = batch_bytes_of(bytes_max);
    drop_over_budget(dropped);
}

void BatchCache::note_asked_for(Slot& slot) {
    ahead_bytes_ -= std::exchange(slot.ahead_bytes, 0);
}

void BatchCache::erase_locked(Slots::iterator slot) {
    note_asked_for(slot->second);
    if (slot->second.batch) {
        bytes_ -= slot->second.batch->memory_bytes();
        recency_.erase(slot->second.recency);
    }
    slots_.erase(slot);
}

// What is at `found`, as a batch of `segment`: nothing where it is being loaded, or is of a segment that was at this
// address before; the latter is dropped.
BatchCache::Batch BatchCache::use_locked(Slots::iterator found, const std::shared_ptr<Segment>& segment) {
    Slot& slot = found->second;
    if (!slot.batch) {
        return nullptr;
    }
    if (slot.owner.lock() == segment) {
        note_asked_for(slot);
        recency_.splice(recency_.begin(), recency_, slot.recency);
        return slot.batch;
    }
    erase_locked(found);
    return nullptr;
}

// The slot of a loaded batch that holds the position; end() where there is none.
BatchCache::Slots::const_iterator BatchCache::find_locked(const Segment* segment, Position position) const {
    const auto next = slots_.upper_bound(Key{segment, position});
    if (next == slots_.begin()) {
        return slots_.end();
    }
    const auto found = std::prev(next);
    const bool holds =
        found->first.first == segment && found->second.batch && position < found->second.batch->entry.end_position();
    return holds ? found : slots_.end();
}

BatchCache::Batch BatchCache::find(const std::shared_ptr<Segment>& segment, Position position) {
    const std::scoped_lock lock(mutex_);
    const auto found = find_locked(segment.get(), position);
    return found == slots_.end() ? nullptr : use_locked(slots_.find(found->first), segment);
}

std::optional<Position> BatchCache::end_of(const std::shared_ptr<Segment>& segment, Position position) const {
    const std::scoped_lock lock(mutex_);
    const auto found = find_locked(segment.get(), position);
    return found != slots_.end() && found->second.owner.lock() == segment
               ? std::optional(found->second.batch->entry.end_position())
               : std::nullopt;
}

// Loads what the slot of `key` is for. The lock is held before and after, but not meanwhile.
Result<BatchCache::Batch> BatchCache::fill(std::unique_lock<std::mutex>& lock, const Key& key,
                                           const std::function<Result<Segment::Decoded>()>& load) {
    lock.unlock();
    Result<Segment::Decoded> decoded = Error{};
    try {
        decoded = load();
    } catch (...) {
        lock.lock();
        erase_locked(slots_.find(key));
        loaded_.notify_all();
        throw;
    }
    lock.lock();
    loaded_.notify_all();
    const auto found = slots_.find(key);
    if (!decoded) {
        erase_locked(found);
        return std::move(decoded).error();
    }
    Slot& slot = found->second;
    slot.batch = std::make_shared<const Segment::Decoded>(std::move(decoded).value());
    recency_.push_front(key);
    slot.recency = recency_.begin();
    bytes_ += slot.batch->memory_bytes();
    return slot.batch;
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
    auto batch = fill(lock, key, load);
    drop_over_budget(dropped);
    lock.unlock();
    return batch;
}

void BatchCache::load_ahead(const std::shared_ptr<Segment>& segment, Position base, std::size_t raw_bytes,
                            const std::function<Result<Segment::Decoded>()>& load) {
    const Key key{segment.get(), base};
    std::vector<Batch> dropped;  // goes without the lock
    std::unique_lock lock(mutex_);
    if (const auto found = slots_.find(key); found != slots_.end()) {
        if (found->second.owner.lock() == segment) {
            return;
        }
        if (!found->second.batch) {
            return;  // It is loaded for a segment that is about to go.
        }
        erase_locked(found);
    }
    if (ahead_bytes_ + raw_bytes > bytes_max_ / kAheadPart) {
        return;
    }
    Slot& slot = slots_[key];
    slot.owner = segment;
    slot.ahead_bytes = raw_bytes;
    ahead_bytes_ += raw_bytes;
    (void)fill(lock, key, load).has_value();
    drop_over_budget(dropped);
    lock.unlock();
}

std::size_t BatchCache::ahead_bytes_max() const {
    const std::scoped_lock lock(mutex_);
    return bytes_max_ / kAheadPart;
}

bool BatchCache::has_room_ahead() const {
    const std::scoped_lock lock(mutex_);
    return ahead_bytes_ < bytes_max_ / kAheadPart;
}

void BatchCache::drop_over_budget(std::vector<Batch>& dropped) {
    while (bytes_ > bytes_max_ && !recency_.empty()) {
        const auto oldest = slots_.find(recency_.back());
        dropped.push_back(oldest->second.batch);
        erase_locked(oldest);
    }
}

std::size_t BatchCache::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

}  // namespace topicfs
