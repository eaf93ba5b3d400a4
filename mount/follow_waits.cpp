#include "mount/follow_waits.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"
#include "mount/follow_source.h"

namespace topicfs {

namespace {

// The wall clock can be set while a view waits for a moment: it is looked at this often.
constexpr std::chrono::milliseconds kAskAgainMax{1000};
constexpr std::chrono::milliseconds kAskAgainMin{1};

std::chrono::milliseconds until(TimestampMs time) {
    const std::chrono::milliseconds left(time - system_clock().now());
    return std::clamp(left, kAskAgainMin, kAskAgainMax);
}

}  // namespace

class FollowWaits::Group final : public GrowthWaiter, public std::enable_shared_from_this<Group> {
public:
    Group(FollowWaits& waits, FollowSource followed) : source(std::move(followed)), waits_(waits) {}
    void grown() override {
        if (!source.is_costly()) {
            return waits_.serve(*this);
        }
        const std::lock_guard lock(waits_.mutex_);
        waits_.serve_at_locked(*this, Clock::now());
    }

    const FollowSource source;
    // By waits_.mutex_:
    std::set<std::uint64_t> reads;
    std::set<std::shared_ptr<Handle>> polls;
    Clock::time_point due = Clock::time_point::max();  // when it is served by its thread

private:
    FollowWaits& waits_;
};

void FollowWaits::join() {
    end();
    if (views_thread_.joinable()) {
        views_thread_.join();
    }
}

std::shared_ptr<FollowWaits::Group> FollowWaits::group_locked(Handle& handle) {
    FollowSource source(handle);
    std::shared_ptr<Group>& group = groups_[source.key()];
    if (!group) {
        group = std::make_shared<Group>(*this, std::move(source));
        group->source.start_waiting(group);
    }
    return group;
}

void FollowWaits::leave_locked(Group& group) {
    const auto found = groups_.find(group.source.key());
    if (group.reads.empty() && group.polls.empty() && found != groups_.end() && found->second.get() == &group) {
        group.source.stop_waiting(found->second);
        groups_.erase(found);
    }
}

void FollowWaits::serve_at_locked(Group& group, Clock::time_point time) {
    if (ended_ || time >= group.due) {
        return;
    }
    group.due = time;
    due_.emplace(time, group.weak_from_this());
    if (!views_thread_.joinable()) {
        views_thread_ = std::thread([this] { serve_views(); });
    }
    due_changed_.notify_one();
}

void FollowWaits::serve_views() {
    std::unique_lock lock(mutex_);
    while (!ended_) {
        if (due_.empty()) {
            due_changed_.wait(lock);
            continue;
        }
        const auto first = due_.begin();
        const Clock::time_point time = first->first;
        if (Clock::now() < time) {
            due_changed_.wait_until(lock, time);
            continue;
        }
        const std::shared_ptr<Group> group = first->second.lock();
        due_.erase(first);
        if (group && group->due == time) {  // else it was served earlier
            group->due = Clock::time_point::max();
            lock.unlock();
            serve(*group);
            lock.lock();
        }
    }
}

void FollowWaits::hold(Reply& reply, Read read) {
    fuse_req_t request = reply.request();
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(mutex_);
        number = next_number_++;
        waiting_.emplace(number, Waiting{request, std::move(read)});
    }
    // The callback gets a number, not an address: it may be called by another thread when the request was answered long
    // ago.
    void* const data =
        reinterpret_cast<void*>(static_cast<std::uintptr_t>(number));  // NOLINT(performance-no-int-to-ptr)
    fuse_req_interrupt_func(request, on_interrupt_, data);
    std::shared_ptr<Group> group;
    bool interrupted = false;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(number);
        interrupted = found->second.interrupted;
        if (interrupted || ended_) {
            waiting_.erase(found);
        } else {
            group = group_locked(*found->second.read.handle);
            group->reads.insert(number);
            found->second.held = true;
            reply.hand_over();
        }
    }
    if (interrupted) {
        return reply.error(EINTR);
    }
    if (!group) {
        return reply.end_of_file();
    }
    serve(*group);  // for what came before the partition knew that somebody waits
}

void FollowWaits::serve(Group& group) {
    const auto available = group.source.available();
    // Where that fails, a read says why.
    const auto waits_on = [&](Position position) {
        return available && position >= available->end && !available->is_over;
    };
    std::vector<Waiting> ready;
    {
        const std::lock_guard lock(mutex_);
        for (auto at = group.reads.begin(); at != group.reads.end();) {
            const auto found = waiting_.find(*at);
            if (waits_on(found->second.read.position)) {
                ++at;
                continue;
            }
            ready.push_back(std::move(found->second));
            waiting_.erase(found);
            at = group.reads.erase(at);
        }
        for (auto at = group.polls.begin(); at != group.polls.end();) {
            Handle& handle = **at;
            const std::lock_guard handle_lock(handle.mutex);
            if (waits_on(handle.next_position)) {
                ++at;
                continue;
            }
            if (handle.poll != nullptr) {
                fuse_lowlevel_notify_poll(handle.poll);
            }
            at = group.polls.erase(at);
        }
        leave_locked(group);
        if (available && available->ask_again_at && !(group.reads.empty() && group.polls.empty())) {
            serve_at_locked(group, Clock::now() + until(*available->ask_again_at));
        }
    }
    for (const Waiting& one : ready) {
        answer(one.request, "read", [&](Reply& reply) -> Result<void> {
            answer_(reply, one.read);
            return {};
        });
    }
}

Result<bool> FollowWaits::poll(const std::shared_ptr<Handle>& handle, fuse_pollhandle* poll) {
    std::shared_ptr<Group> group;
    {
        const std::lock_guard lock(mutex_);
        const std::lock_guard handle_lock(handle->mutex);
        if (poll != nullptr) {
            if (handle->poll != nullptr) {
                fuse_pollhandle_destroy(handle->poll);
            }
            handle->poll = poll;
            if (!ended_) {
                group = group_locked(*handle);
                group->polls.insert(handle);
            }
        }
        if (ended_) {
            return true;  // A read gives end-of-file at once.
        }
    }
    // After the source was told: what comes from now on is notified.
    TOPICFS_TRY_ASSIGN(const FollowSource::Available available, FollowSource(*handle).available());
    if (group && available.ask_again_at) {
        const std::lock_guard lock(mutex_);
        serve_at_locked(*group, Clock::now() + until(*available.ask_again_at));
    }
    const std::lock_guard handle_lock(handle->mutex);
    return handle->next_position < available.end || available.is_over;
}

void FollowWaits::forget(const std::shared_ptr<Handle>& handle) {
    const std::lock_guard lock(mutex_);
    if (const auto found = groups_.find(FollowSource(*handle).key()); found != groups_.end()) {
        const std::shared_ptr<Group> group = found->second;
        group->polls.erase(handle);
        leave_locked(*group);
    }
    const std::lock_guard handle_lock(handle->mutex);
    if (handle->poll != nullptr) {
        fuse_pollhandle_destroy(std::exchange(handle->poll, nullptr));
    }
}

void FollowWaits::interrupt(std::uint64_t number) {
    fuse_req_t request = nullptr;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(number);
        if (found == waiting_.end()) {
            return;
        }
        if (!found->second.held) {
            found->second.interrupted = true;
            return;
        }
        request = found->second.request;
        const auto group = groups_.find(FollowSource(*found->second.read.handle).key());
        if (group != groups_.end()) {
            const std::shared_ptr<Group> kept = group->second;
            kept->reads.erase(number);
            leave_locked(*kept);
        }
        waiting_.erase(found);
    }
    fuse_reply_err(request, EINTR);
}

void FollowWaits::end() {
    std::vector<fuse_req_t> requests;
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        due_changed_.notify_all();
        for (auto at = waiting_.begin(); at != waiting_.end();) {
            if (at->second.held) {
                requests.push_back(at->second.request);
                at = waiting_.erase(at);
            } else {
                ++at;  // Its thread sees that this is the end.
            }
        }
        for (const auto& [key, group] : groups_) {
            for (const std::shared_ptr<Handle>& handle : group->polls) {
                const std::lock_guard handle_lock(handle->mutex);
                if (handle->poll != nullptr) {
                    fuse_lowlevel_notify_poll(handle->poll);
                }
            }
            group->reads.clear();
            group->polls.clear();
            group->source.stop_waiting(group);
        }
        groups_.clear();
    }
    for (fuse_req_t request : requests) {
        fuse_reply_buf(request, nullptr, 0);
    }
}

bool FollowWaits::ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
}

std::size_t FollowWaits::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

}  // namespace topicfs
