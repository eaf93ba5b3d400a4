#include "mount/busy_waits.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace topicfs {

void BusyWaits::join() {
    end();
    if (thread_.joinable()) {
        thread_.join();
    }
}

Result<void> BusyWaits::hold(Reply& reply, const char* operation, Try attempt) {
    TOPICFS_TRY_ASSIGN(const bool is_done, attempt(reply));
    if (is_done) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    if (ended_) {
        return refused(EBUSY, "it has a reader");
    }
    if (!thread_.joinable()) {
        thread_ = std::thread([this] { serve(); });
    }
    waiting_.push_back({reply.hand_over(), operation, std::move(attempt), Clock::now() + patience_});
    retry_ = true;  // The other may have closed since it was tried.
    changed_.notify_one();
    return {};
}

void BusyWaits::retry() {
    const std::lock_guard lock(mutex_);
    retry_ = true;
    changed_.notify_one();
}

void BusyWaits::end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_one();
}

void BusyWaits::serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
        const auto first = std::min_element(waiting_.begin(), waiting_.end(),
                                            [](const Waiting& a, const Waiting& b) { return a.until < b.until; });
        if (first == waiting_.end() && ended_) {
            return;
        }
        if (first == waiting_.end()) {
            retry_ = false;
            changed_.wait(lock);
            continue;
        }
        const Clock::time_point until = first->until;  // Others come while it waits.
        if (!ended_ && !retry_ && changed_.wait_until(lock, until) == std::cv_status::no_timeout) {
            continue;
        }
        retry_ = false;
        std::vector<Waiting> all = std::exchange(waiting_, {});
        const bool is_end = ended_;
        lock.unlock();
        try_again(std::move(all), is_end);
        lock.lock();
    }
}

void BusyWaits::try_again(std::vector<Waiting> all, bool is_end) {
    std::vector<Waiting> left;
    for (Waiting& one : all) {
        const bool is_over = is_end || one.until <= Clock::now();
        answer(one.request, one.operation, [&](Reply& reply) -> Result<void> {
            TOPICFS_TRY_ASSIGN(const bool is_done, one.attempt(reply));
            if (!is_done && is_over) {
                return refused(EBUSY, "it has a reader");
            }
            if (!is_done) {
                left.push_back(one);
                left.back().request = reply.hand_over();
            }
            return {};
        });
    }
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), left.begin(), left.end());
}

}  // namespace topicfs
