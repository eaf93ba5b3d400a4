#include "mount/lock_waits.h"

#include <cerrno>
#include <utility>

namespace topicfs {

namespace {

void answer_granted(const std::vector<fuse_req_t>& requests) {
    for (fuse_req_t request : requests) {
        fuse_reply_err(request, 0);
    }
}

}  // namespace

void LockWaits::answer_outcome(Reply& reply, LockTable::Outcome outcome) {
    switch (outcome) {
        case LockTable::Outcome::kGranted:
            return reply.done();
        case LockTable::Outcome::kRefused:
            return reply.error(EAGAIN);
        case LockTable::Outcome::kDeadlock:
            return reply.error(EDEADLK);
        case LockTable::Outcome::kNoRoom:
            return reply.error(ENOLCK);
        case LockTable::Outcome::kWaiting:
            return;
    }
}

std::vector<fuse_req_t> LockWaits::take(const LockTable::Granted& granted) {
    std::vector<fuse_req_t> requests;
    requests.reserve(granted.size());
    for (const LockTable::Waiter waiter : granted) {
        const auto found = waiting_.find(waiter);
        requests.push_back(found->second.request);
        waiting_.erase(found);
    }
    return requests;
}

void LockWaits::lock(Reply& reply, bool wait, const Ask& ask) {
    if (wait) {
        return lock_waiting(reply, ask);
    }
    LockTable::Answer answer;
    std::vector<fuse_req_t> granted;
    {
        const std::lock_guard lock(mutex_);
        answer = ask(table_, std::nullopt);
        granted = take(answer.granted);
    }
    answer_outcome(reply, answer.outcome);
    answer_granted(granted);
}

void LockWaits::lock_waiting(Reply& reply, const Ask& ask) {
    fuse_req_t request = reply.request();
    LockTable::Waiter waiter = 0;
    {
        const std::lock_guard lock(mutex_);
        waiter = next_waiter_++;
        waiting_.emplace(waiter, Waiting{request});
    }
    // The callback gets a number, not an address: it may be called by another thread when the request was answered long
    // ago.
    void* const number =
        reinterpret_cast<void*>(static_cast<std::uintptr_t>(waiter));  // NOLINT(performance-no-int-to-ptr)
    fuse_req_interrupt_func(request, on_interrupt_, number);
    LockTable::Answer answer;
    std::vector<fuse_req_t> granted;
    bool interrupted = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(waiter);
        interrupted = found->second.interrupted;
        try {
            if (!interrupted) {
                answer = ask(table_, waiter);
            }
        } catch (...) {
            waiting_.erase(found);
            throw;
        }
        if (!interrupted && answer.outcome == LockTable::Outcome::kWaiting) {
            found->second.asked = true;
            reply.hand_over();
        } else {
            waiting_.erase(found);
        }
        granted = take(answer.granted);
    }
    if (interrupted) {
        reply.error(EINTR);
    } else {
        answer_outcome(reply, answer.outcome);
    }
    answer_granted(granted);
}

void LockWaits::unlock(const std::function<LockTable::Granted(LockTable&)>& change) {
    std::vector<fuse_req_t> granted;
    {
        const std::lock_guard lock(mutex_);
        granted = take(change(table_));
    }
    answer_granted(granted);
}

std::optional<PosixLock> LockWaits::find_conflict(LockTable::FileNumber file, const PosixLock& wanted) const {
    const std::lock_guard lock(mutex_);
    return table_.find_conflict(file, wanted);
}

void LockWaits::interrupt(LockTable::Waiter waiter) {
    fuse_req_t request = nullptr;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(waiter);
        if (found == waiting_.end()) {
            return;
        }
        if (!found->second.asked) {
            found->second.interrupted = true;
            return;
        }
        table_.cancel(waiter);
        request = found->second.request;
        waiting_.erase(found);
    }
    fuse_reply_err(request, EINTR);
}

void LockWaits::cancel_all() {
    std::unordered_map<LockTable::Waiter, Waiting> waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting.swap(waiting_);
        for (const auto& [waiter, unused] : waiting) {
            table_.cancel(waiter);
        }
    }
    for (const auto& [unused, one] : waiting) {
        fuse_reply_err(one.request, ENOLCK);
    }
}

std::size_t LockWaits::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

}  // namespace topicfs
