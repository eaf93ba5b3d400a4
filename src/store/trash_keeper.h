// The thread that looks through the trash now and then.
//
// A thread of its own, as removing the files of a large topic takes its time. Threads: wake() from any; start() and
// stop() from the owner.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace topicfs {

class TrashKeeper {
public:
    // `round` returns in how many milliseconds it is to be called again.
    explicit TrashKeeper(std::function<std::int64_t()> round) : round_(std::move(round)) {}
    ~TrashKeeper() { stop(); }
    TrashKeeper(const TrashKeeper&) = delete;
    TrashKeeper& operator=(const TrashKeeper&) = delete;

    void start();
    void stop();
    // The next round begins now.
    void wake();

private:
    void run();

    const std::function<std::int64_t()> round_;
    std::mutex mutex_;  // guards what follows; not held over a round
    std::condition_variable changed_;
    bool woken_ = false;
    bool stopped_ = false;
    std::thread thread_;
};

}  // namespace topicfs
