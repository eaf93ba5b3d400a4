#include "log/read_ahead.h"

#include "base/background.h"
#include "log/partition_log.h"

#include <algorithm>
#include <utility>

namespace topicfs {

namespace {

constexpr std::size_t kTasksMax = 256;

}  // namespace

void ReadAhead::start() {
    stopped_ = false;
    const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1U, kThreadsMax);
    for (unsigned i = 0; i < count; ++i) {
        threads_.emplace_back([this] { run(); });
    }
}

void ReadAhead::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        tasks_.clear();
    }
    added_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void ReadAhead::add(PartitionLog& partition, Position from, Position upto) {
    {
        const std::scoped_lock lock(mutex_);
        if (stopped_ || tasks_.size() >= kTasksMax) {
            return;
        }
        tasks_.push_back({partition.weak_from_this(), from, upto});
    }
    added_.notify_one();
}

void ReadAhead::run() {
    become_background_thread();
    for (;;) {
        Task task;
        {
            std::unique_lock lock(mutex_);
            added_.wait(lock, [&] { return stopped_ || !tasks_.empty(); });
            if (stopped_) {
                return;
            }
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        if (const auto partition = task.partition.lock()) {
            partition->load_ahead(task.from, task.upto);
        }
    }
}

}  // namespace topicfs
