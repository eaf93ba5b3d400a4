#include "store/trash_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace topicfs {

namespace {

// Far less than what a clock of the standard library can add to the present moment.
constexpr std::int64_t kWaitMsMax = 24 * 3600 * 1000;

}  // namespace

void TrashKeeper::start() {
    thread_ = std::thread([this] { run(); });
}

void TrashKeeper::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

void TrashKeeper::wake() {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

void TrashKeeper::run() {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        woken_ = false;
        lock.unlock();
        const std::int64_t wait_ms = std::min(round_(), kWaitMsMax);
        lock.lock();
        changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return woken_ || stopped_; });
    }
}

}  // namespace topicfs
