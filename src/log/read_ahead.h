// The threads that decode batches before a sequential reader asks for them, one pool for the whole store.
//
// A task is a range of a partition; who takes it looks the first batch up, leaves the rest to the next thread, and
// decodes. So one reader has as many threads at work as there are. What they decode goes to the BatchCache, which
// bounds how much may lie there unread. Threads: add() from any thread, it does not wait; start() and stop() from the
// owner.
#pragma once

#include <topicfs/types.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace topicfs {

class PartitionLog;

class ReadAhead {
public:
    static constexpr unsigned kThreadsMax = 4;
    // For one reader, as far as the cache's budget allows it.
    static constexpr std::uint64_t kAheadBytesMax = 4u << 20;

    ReadAhead() = default;
    ~ReadAhead() { stop(); }
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // As many threads as there are processors, within kThreadsMax.
    void start();
    // Ends them with the batch that they have in hand. What is queued is forgotten.
    void stop();

    // PartitionLog::load_ahead(from, upto) is to be called. Nothing happens where no thread was started, or too much is
    // to be done already.
    void add(PartitionLog& partition, Position from, Position upto);

private:
    struct Task {
        std::weak_ptr<PartitionLog> partition;
        Position from;
        Position upto;
    };
    void run();

    std::mutex mutex_;
    std::condition_variable added_;
    std::deque<Task> tasks_;
    bool stopped_ = true;
    std::vector<std::thread> threads_;
};

}  // namespace topicfs
