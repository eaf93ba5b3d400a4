#include "mount/follow_waits.h"

#include <poll.h>

#include <cerrno>
#include <utility>

namespace topicfs {

class FollowWaits::Group final : public GrowthWaiter {
public:
    Group(FollowWaits& waits, std::shared_ptr<Partition> followed) : partition(std::move(followed)), waits_(waits) {}
    void grown() override { waits_.serve(*this); }

    const std::shared_ptr<Partition> partition;
    // By waits_.mutex_:
    std::set<std::uint64_t> reads;
    std::set<std::shared_ptr<Handle>> polls;

private:
    FollowWaits& waits_;
};

FollowWaits::~FollowWaits() = default;

std::shared_ptr<FollowWaits::Group> FollowWaits::group_locked(const std::shared_ptr<Partition>& partition) {
    std::shared_ptr<Group>& group = groups_[partition.get()];
    if (!group) {
        group = std::make_shared<Group>(*this, partition);
        partition->start_waiting(group);
    }
    return group;
}

void FollowWaits::leave_locked(Group& group) {
    const auto found = groups_.find(group.partition.get());
    if (group.reads.empty() && group.polls.empty() && found != groups_.end() && found->second.get() == &group) {
        group.partition->stop_waiting(found->second);
        groups_.erase(found);
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
            group = group_locked(found->second.read.handle->node->partition);
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
    const bool removed = group.partition->is_removed();
    const auto log_end = group.partition->end();
    const auto waits_on = [&](Position position) { return log_end && position >= *log_end && !removed; };
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
    }
    for (const Waiting& one : ready) {
        answer(one.request, "read", [&](Reply& reply) -> Result<void> {
            answer_(reply, one.read);
            return {};
        });
    }
}

Result<bool> FollowWaits::poll(const std::shared_ptr<Handle>& handle, fuse_pollhandle* poll) {
    const std::shared_ptr<Partition>& partition = handle->node->partition;
    {
        const std::lock_guard lock(mutex_);
        const std::lock_guard handle_lock(handle->mutex);
        if (poll != nullptr) {
            if (handle->poll != nullptr) {
                fuse_pollhandle_destroy(handle->poll);
            }
            handle->poll = poll;
            if (!ended_) {
                group_locked(partition)->polls.insert(handle);
            }
        }
        if (ended_) {
            return true;  // A read gives end-of-file at once.
        }
    }
    // After the partition was told: what comes from now on is notified.
    TOPICFS_TRY_ASSIGN(const Position log_end, partition->end());
    const std::lock_guard handle_lock(handle->mutex);
    return handle->next_position < log_end || partition->is_removed();
}

void FollowWaits::forget(const std::shared_ptr<Handle>& handle) {
    const std::lock_guard lock(mutex_);
    if (const auto found = groups_.find(handle->node->partition.get()); found != groups_.end()) {
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
        const auto group = groups_.find(found->second.read.handle->node->partition.get());
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
        for (auto at = waiting_.begin(); at != waiting_.end();) {
            if (at->second.held) {
                requests.push_back(at->second.request);
                at = waiting_.erase(at);
            } else {
                ++at;  // Its thread sees that this is the end.
            }
        }
        for (const auto& [partition, group] : groups_) {
            for (const std::shared_ptr<Handle>& handle : group->polls) {
                const std::lock_guard handle_lock(handle->mutex);
                if (handle->poll != nullptr) {
                    fuse_lowlevel_notify_poll(handle->poll);
                }
            }
            group->reads.clear();
            group->polls.clear();
            group->partition->stop_waiting(group);
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
