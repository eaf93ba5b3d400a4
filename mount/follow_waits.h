// Reads and polls of `+follow` files that wait for the log to grow. What waits is a request, not a thread.
//
// One mutex guards the table; it is held when a partition is told that somebody waits, never across a read or an
// answer. Whoever takes a read out of the table answers it, so there is one answer, however growth, interrupts and the
// end of the mount fall together.
//
// Views are looked at by a thread of their own, as that takes look-ups: when one of their partitions has grown, and
// when their time has come. There is one such thread, once a view is waited for.
//
// Only reads at or behind the log end come here, and those are direct ones: for splice(2) and sendfile(2) the kernel
// asks for no page behind the size that it knows, so they never wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "mount/fuse_api.h"
#include "mount/handles.h"
#include "mount/reply.h"

namespace topicfs {

// Any thread.
class FollowWaits {
public:
    struct Read {
        std::shared_ptr<Handle> handle;
        Position position;
        std::size_t bytes_max;
    };
    // Answers a read for which there are bytes by now, or that is at the end of what will not grow any more.
    using Answer = std::function<void(Reply&, const Read&)>;

    // `on_interrupt` is what libfuse calls, with a read's number for data; it is to call interrupt() with that.
    FollowWaits(fuse_interrupt_func_t on_interrupt, Answer answer)
        : on_interrupt_(on_interrupt), answer_(std::move(answer)) {}
    // As join(); no thread serves any more.
    ~FollowWaits() { join(); }
    FollowWaits(const FollowWaits&) = delete;
    FollowWaits& operator=(const FollowWaits&) = delete;

    // Answers the read when there is something, or end-of-file once there will be no more, or end() was called.
    void hold(Reply& reply, Read read);

    // Has the kernel told (once) when there is something behind where the handle's next read begins. Takes `poll`.
    // Returns whether there is something already.
    Result<bool> poll(const std::shared_ptr<Handle>& handle, fuse_pollhandle* poll);
    // At the handle's release.
    void forget(const std::shared_ptr<Handle>& handle);

    // The caller got a signal: answers EINTR if the read still waits.
    void interrupt(std::uint64_t number);

    // The mount ends: all that wait, and whoever comes later, get end-of-file.
    void end();
    bool ended() const;
    // end(), and its thread answers nobody any more when this returns. One thread.
    void join();

    std::size_t waiting() const;

private:
    using Clock = std::chrono::steady_clock;
    class Group;  // those that wait for the same source
    struct Waiting {
        fuse_req_t request;
        Read read;
        // False until the read is in its group. An interrupt that comes before leaves the answer to the thread that
        // holds it: libfuse calls the callback under the request's own lock, and an answer would destroy it.
        bool held = false;
        bool interrupted = false;
    };

    void serve(Group& group);
    std::shared_ptr<Group> group_locked(Handle& handle);
    void leave_locked(Group& group);
    void serve_at_locked(Group& group, Clock::time_point time);
    void serve_views();

    const fuse_interrupt_func_t on_interrupt_;
    const Answer answer_;
    mutable std::mutex mutex_;  // guards what follows, and the groups
    bool ended_ = false;
    std::uint64_t next_number_ = 1;
    std::unordered_map<std::uint64_t, Waiting> waiting_;
    std::map<const void*, std::shared_ptr<Group>> groups_;  // not empty ones, by FollowSource::key()
    std::multimap<Clock::time_point, std::weak_ptr<Group>> due_;
    std::condition_variable due_changed_;
    std::thread views_thread_;
};

}  // namespace topicfs
