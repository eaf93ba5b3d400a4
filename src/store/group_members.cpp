// Who has which partition of a group.
#include "base/log.h"
#include "store/group_reader.h"

#include <algorithm>

namespace topicfs {

namespace {

// So long a partition is kept for who wanted it by its number.
constexpr std::int64_t kClaimMs = 1000;

}  // namespace

Result<std::shared_ptr<GroupReader>> StoredGroup::open_reader(std::optional<std::uint32_t> number) {
    const auto topic = topic_.lock();
    if (!topic) {
        return make_error(ErrorCode::kNotFound, "open", shown_, "the topic was removed");
    }
    const auto in_use = topic->use();
    TOPICFS_TRY(topic->check_changes("consume"));
    const auto reader = std::make_shared<StoredGroupReader>(shared_from_this(), number);
    Tells tells;
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY(check_locked("open"));
    take_partitions_locked();
    expire_locked(tells);
    TOPICFS_TRY(number ? take_by_number_locked(*number) : Result<void>{});
    TOPICFS_TRY(begin_locked());
    reader->is_open_ = true;
    reader->last_call_ms_ = env_.clock.monotonic_ms();
    readers_.push_back(reader.get());
    last_use_ = env_.clock.now();
    if (number) {
        assign_locked(*number, *reader, tells);
    }
    rebalance_locked(tells);
    schedule_expiry_locked();
    return std::shared_ptr<GroupReader>(reader);
}

// The partition has no reader when this returns.
Result<void> StoredGroup::take_by_number_locked(std::uint32_t number) {
    TOPICFS_TRY_ASSIGN(Part* const part, part_locked(number));
    if (part->owner == nullptr) {
        return {};
    }
    const bool is_shared = !part->owner->number_;
    if (is_shared && part->is_movable()) {
        release_locked(number);
        return {};
    }
    if (is_shared) {
        part->claimed_until = env_.clock.monotonic_ms() + kClaimMs;
        unbalanced_ = true;
        schedule_locked(kClaimMs + 1);
    }
    return make_error(ErrorCode::kBusy, "open", shown_ + "/" + std::to_string(number),
                      is_shared ? "a reader of all has records of it in hand" : "it has a reader");
}

void StoredGroup::assign_locked(std::uint32_t number, StoredGroupReader& reader, Tells& tells) {
    Part& part = parts_[number];
    part.owner = &reader;
    part.claimed_until = 0;
    show_locked(number);
    reader.owned_.push_back(number);
    for (const auto& waiter : reader.waiters_) {
        part.partition->start_waiting(waiter);
    }
    tells.add(reader.waiters_);
}

void StoredGroup::release_locked(std::uint32_t number) {
    Part& part = parts_[number];
    for (const auto& waiter : part.owner->waiters_) {
        part.partition->stop_waiting(waiter);
    }
    std::erase(part.owner->owned_, number);
    part.owner = nullptr;
    show_locked(number);
    if (part.is_in_hand()) {
        part.next.reset();  // The next one begins at the commit.
    }
    part.in_record = false;
    part.in_use = false;
}

void StoredGroup::release_all_locked(StoredGroupReader& reader) {
    while (!reader.owned_.empty()) {
        release_locked(reader.owned_.back());
    }
    std::erase(readers_, &reader);
    last_use_ = std::max(last_use_, env_.clock.now());
}

bool StoredGroup::has_expired_locked(const StoredGroupReader& reader) const {
    return settings_.max_poll_interval_ms && !reader.in_call_ && reader.waiters_.empty() &&
           env_.clock.monotonic_ms() - reader.last_call_ms_ >
               static_cast<std::int64_t>(*settings_.max_poll_interval_ms);
}

void StoredGroup::expire_locked(Tells& tells) {
    const std::vector<StoredGroupReader*> all = readers_;
    for (StoredGroupReader* const reader : all) {
        if (has_expired_locked(*reader)) {
            log_warning(shown_ + ": a reader has not come back for max.poll.interval.ms; what it had goes to others");
            reader->lost_ = true;
            release_all_locked(*reader);
            tells.add(reader->waiters_);
        }
    }
}

void StoredGroup::schedule_expiry_locked() {
    if (!settings_.max_poll_interval_ms || readers_.empty()) {
        return;
    }
    const auto interval = static_cast<std::int64_t>(*settings_.max_poll_interval_ms);
    const std::int64_t now = env_.clock.monotonic_ms();
    std::int64_t delay = interval;
    for (const StoredGroupReader* const reader : readers_) {
        const bool is_here = reader->in_call_ || !reader->waiters_.empty();
        delay = std::min(delay, is_here ? interval : reader->last_call_ms_ + interval - now);
    }
    schedule_locked(std::max<std::int64_t>(delay, 0) + 1);
}

void StoredGroup::rebalance_locked(Tells& tells) {
    std::vector<StoredGroupReader*> members;
    std::copy_if(readers_.begin(), readers_.end(), std::back_inserter(members),
                 [](const StoredGroupReader* reader) { return !reader->number_; });
    unbalanced_ = false;
    const std::int64_t now = env_.clock.monotonic_ms();
    for (std::uint32_t number = 0; number < parts_.size(); ++number) {
        Part& part = parts_[number];
        const bool is_claimed = part.claimed_until > now;
        if (is_claimed && part.owner != nullptr && !part.owner->number_ && part.is_movable()) {
            release_locked(number);
        }
        unbalanced_ = unbalanced_ || is_claimed;
        if (part.owner == nullptr && !is_claimed && !members.empty()) {
            const auto fewest = std::min_element(members.begin(), members.end(), [](const auto* a, const auto* b) {
                return a->owned_.size() < b->owned_.size();
            });
            assign_locked(number, **fewest, tells);
        }
    }
    while (move_one_locked(members, tells)) {
    }
}

// Where one has two more than another, or still more: one partition from who has many to who has the fewest. False
// where that is not so, or none can be moved now.
bool StoredGroup::move_one_locked(const std::vector<StoredGroupReader*>& members, Tells& tells) {
    if (members.size() < 2) {
        return false;
    }
    std::vector<StoredGroupReader*> by_size = members;
    std::stable_sort(by_size.begin(), by_size.end(),
                     [](const auto* a, const auto* b) { return a->owned_.size() > b->owned_.size(); });
    StoredGroupReader& poor = *by_size.back();
    for (StoredGroupReader* const rich : by_size) {
        if (rich->owned_.size() < poor.owned_.size() + 2) {
            return false;
        }
        unbalanced_ = true;  // Until it turns out otherwise: it is looked at again when somebody comes back.
        const auto movable = std::find_if(rich->owned_.rbegin(), rich->owned_.rend(),
                                          [&](std::uint32_t number) { return parts_[number].is_movable(); });
        if (movable != rich->owned_.rend()) {
            const std::uint32_t number = *movable;
            release_locked(number);
            assign_locked(number, poor, tells);
            return true;
        }
    }
    return false;
}

void StoredGroup::partitions_added() {
    Tells tells;
    const std::scoped_lock lock(mutex_);
    take_partitions_locked();
    rebalance_locked(tells);
}

void StoredGroup::close_reader(StoredGroupReader& reader) {
    Tells tells;
    const std::scoped_lock lock(mutex_);
    release_all_locked(reader);
    reader.is_open_ = false;
    rebalance_locked(tells);
}

void StoredGroup::add_waiters(const StoredGroupReader& reader, Tells& tells) {
    tells.add(reader.waiters_);
}

void StoredGroup::keep() {
    {
        const std::scoped_lock lock(mutex_);
        scheduled_ = INT64_MAX;
    }
    if (const auto durable = make_durable(); !durable) {
        const std::scoped_lock lock(mutex_);
        if (flush_failure_.failed(durable.error())) {
            log_error(durable.error().message() + "; commits of the group outlive no power cut");
        }
    }
    Tells tells;
    const std::scoped_lock lock(mutex_);
    expire_locked(tells);
    rebalance_locked(tells);
    schedule_expiry_locked();
}

bool StoredGroup::is_in_use() const {
    const std::scoped_lock lock(mutex_);
    return !readers_.empty();
}

}  // namespace topicfs
