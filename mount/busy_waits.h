// Requests for what a group's reader still has, such as opens of its stream and resets: they wait for a moment, as
// closing takes one (the kernel tells of it after close(2) has returned, or when a process has died).
//
// What waits is a request, not a thread: else those could all wait, and nobody would hear of the close. Whoever takes a
// request out of the table answers it.
//
// Threads: any.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "mount/fuse_api.h"
#include "mount/reply.h"

namespace topicfs {

class BusyWaits {
public:
    // Does what was asked for, and answers; false (and nothing was answered) where somebody has it.
    using Try = std::function<Result<bool>(Reply&)>;

    explicit BusyWaits(std::chrono::milliseconds patience) : patience_(patience) {}
    // As join(); no thread serves any more.
    ~BusyWaits() { join(); }
    BusyWaits(const BusyWaits&) = delete;
    BusyWaits& operator=(const BusyWaits&) = delete;

    // Tries it at once, and again when somebody has closed: until it answers, or with EBUSY once it has waited
    // so long, or end() was called.
    Result<void> hold(Reply& reply, const char* operation, Try attempt);
    // Somebody has closed.
    void retry();
    // The mount ends.
    void end();
    // end(), and whoever waited is answered when this returns. One thread.
    void join();

private:
    using Clock = std::chrono::steady_clock;
    struct Waiting {
        fuse_req_t request;
        const char* operation;
        Try attempt;
        Clock::time_point until;
    };

    void serve();
    void try_again(std::vector<Waiting> all, bool is_end);

    const std::chrono::milliseconds patience_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::vector<Waiting> waiting_;
    bool retry_ = false;
    bool ended_ = false;
    std::thread thread_;  // once somebody has had to wait
};

}  // namespace topicfs
