#include "store/group_keeper.h"

#include <chrono>

namespace topicfs {

namespace {

constexpr std::int64_t kRoundMs = 60'000;

}  // namespace

void GroupKeeper::start() {
    thread_ = std::thread([this] { run(); });
}

void GroupKeeper::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

void GroupKeeper::group_due(StoredGroup& group, std::int64_t monotonic_ms) {
    const std::scoped_lock lock(mutex_);
    tasks_.push({monotonic_ms, group.weak_from_this()});
    if (tasks_.top().due == monotonic_ms) {
        changed_.notify_all();
    }
}

void GroupKeeper::run() {
    std::int64_t next_round = clock_.monotonic_ms();
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        const std::int64_t now = clock_.monotonic_ms();
        if (!tasks_.empty() && tasks_.top().due <= now) {
            const std::shared_ptr<StoredGroup> group = tasks_.top().group.lock();
            tasks_.pop();
            lock.unlock();
            if (group) {
                group->keep();
            }
            lock.lock();
        } else if (next_round <= now) {
            next_round = now + kRoundMs;
            lock.unlock();
            round_();
            lock.lock();
        } else {
            const std::int64_t due = tasks_.empty() ? next_round : std::min(next_round, tasks_.top().due);
            changed_.wait_for(lock, std::chrono::milliseconds(due - now));
        }
    }
}

}  // namespace topicfs
