// The thread that works behind the groups of a store: it makes commits durable soon after they were made, sees to it
// that readers who do not come back lose their partitions, and drops what nobody uses.
//
// One thread for all groups, apart from the flusher, whose syncs of whole file systems take their time. A group that
// has nothing to do costs nothing. Threads: group_due() from any; start() and stop() from the owner.
#pragma once

#include "base/clock.h"
#include "store/group.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace topicfs {

class GroupKeeper final : public GroupWork {
public:
    // `round` is called each minute.
    GroupKeeper(const Clock& clock, std::function<void()> round) : clock_(clock), round_(std::move(round)) {}
    ~GroupKeeper() override { stop(); }

    void start();
    // What is queued stays undone.
    void stop();
    void group_due(StoredGroup& group, std::int64_t monotonic_ms) override;

private:
    struct Task {
        std::int64_t due;
        std::weak_ptr<StoredGroup> group;
        bool operator<(const Task& other) const { return due > other.due; }  // the earliest on top
    };
    void run();

    const Clock& clock_;
    const std::function<void()> round_;
    std::mutex mutex_;  // guards what follows; not held while a group is worked on
    std::condition_variable changed_;
    std::priority_queue<Task> tasks_;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace topicfs
