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

// A reader gives a batch that is being loaded ahead so long as decoding takes at this speed: zstd has more than twice
// of it where it has a processor for itself.
constexpr std::size_t kAheadBytesPerMicrosecond = 500;

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
        hits_.fetch_add(1, std::memory_order_relaxed);
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

BatchCache::Slot& BatchCache::add_locked(const Key& key, const std::shared_ptr<Segment>& segment) {
    Slot& slot = slots_[key];
    slot.id = ++last_id_;
    slot.owner = segment;
    return slot;
}

// A load came to nothing: the slot goes with the last one who tried.
void BatchCache::end_load_locked(const Key& key, std::uint64_t id) {
    const auto found = slots_.find(key);
    if (found != slots_.end() && found->second.id == id && !found->second.batch && --found->second.loaders == 0) {
        erase_locked(found);
    }
    loaded_.notify_all();
}

// Loads what the slot of `key` is for. The lock is held before and after, but not meanwhile.
Result<BatchCache::Batch> BatchCache::fill(std::unique_lock<std::mutex>& lock, const Key& key,
                                           const std::function<Result<Segment::Decoded>()>& load) {
    const std::uint64_t id = slots_.find(key)->second.id;
    lock.unlock();
    Result<Segment::Decoded> decoded = Error{};
    try {
        decoded = load();
    } catch (...) {
        lock.lock();
        end_load_locked(key, id);
        throw;
    }
    if (!decoded) {
        lock.lock();
        end_load_locked(key, id);
        return std::move(decoded).error();
    }
    const Batch batch = std::make_shared<const Segment::Decoded>(std::move(decoded).value());
    lock.lock();
    loaded_.notify_all();
    const auto found = slots_.find(key);
    if (found == slots_.end() || found->second.id != id || found->second.batch) {
        return batch;  // Another was faster.
    }
    Slot& slot = found->second;
    slot.batch = batch;
    recency_.push_front(key);
    slot.recency = recency_.begin();
    bytes_ += batch->memory_bytes();
    return batch;
}

// Waits until the load of what is at `key` has ended, well or not; false where the caller is to load it as well.
bool BatchCache::wait_for_load(std::unique_lock<std::mutex>& lock, const Key& key) {
    const std::uint64_t id = slots_.find(key)->second.id;
    // The slot, as long as it is only being loaded ahead.
    const auto loaded_ahead = [&]() -> Slot* {
        const auto found = slots_.find(key);
        const bool waits = found != slots_.end() && found->second.id == id && !found->second.batch;
        return waits && found->second.ahead_bytes > 0 && found->second.loaders == 1 ? &found->second : nullptr;
    };
    const Slot* const slot = loaded_ahead();
    if (slot == nullptr) {
        loaded_.wait(lock);
        return true;
    }
    const auto patience = ahead_patience_ + std::chrono::microseconds(slot->ahead_bytes / kAheadBytesPerMicrosecond);
    if (loaded_.wait_for(lock, patience, [&] { return loaded_ahead() == nullptr; })) {
        return true;
    }
    ++loaded_ahead()->loaders;
    return false;
}

Result<BatchCache::Batch> BatchCache::get(const std::shared_ptr<Segment>& segment, Position base,
                                          const std::function<Result<Segment::Decoded>()>& load) {
    const Key key{segment.get(), base};
    std::vector<Batch> dropped;  // goes without the lock
    std::unique_lock lock(mutex_);
    bool is_added = false;
    for (auto found = slots_.find(key); found != slots_.end() && !is_added; found = slots_.find(key)) {
        const bool is_loading = !found->second.batch;
        if (Batch batch = use_locked(found, segment)) {
            return batch;
        }
        is_added = is_loading && !wait_for_load(lock, key);
    }
    if (!is_added) {
        add_locked(key, segment);
    }
    misses_.fetch_add(1, std::memory_order_relaxed);
    auto batch = fill(lock, key, load);
    if (const auto found = slots_.find(key); found != slots_.end()) {
        note_asked_for(found->second);
    }
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
    Slot& slot = add_locked(key, segment);
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

void BatchCache::drop_passed(const std::shared_ptr<Segment>& segment, Position from, Position upto) {
    std::vector<Batch> dropped;  // goes without the lock
    const std::scoped_lock lock(mutex_);
    auto slot = slots_.upper_bound(Key{segment.get(), from});
    if (const auto first = find_locked(segment.get(), from); first != slots_.end()) {
        slot = slots_.find(first->first);
    }
    while (slot != slots_.end() && slot->first.first == segment.get() && slot->first.second < upto) {
        const auto next = std::next(slot);
        const Batch& batch = slot->second.batch;
        if (batch && slot->second.ahead_bytes == 0 && !batch->is_stored() && batch->entry.end_position() <= upto) {
            dropped.push_back(batch);
            erase_locked(slot);
        }
        slot = next;
    }
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
