// The threads that work behind all partitions of a store: one seals, one flushes and makes checkpoints, one removes
// what retention does not keep, one sees growth (growth_watch.h). Nothing per partition.
//
// Partitions tell by BackgroundWork when they have something to do; idle ones cost nothing. A checkpoint round comes
// every few seconds, or earlier when much was sealed. Threads: seal_at and flush_at from any thread; start() and stop()
// from the owner. stop() finishes the batch in hand and returns with the threads ended; what is queued then stays
// undone.
#pragma once

#include "base/clock.h"
#include "log/partition_log.h"
#include "store/disk_keeper.h"
#include "store/growth_watch.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <thread>
#include <vector>

namespace topicfs {

class Maintenance final : public BackgroundWork {
public:
    using Partitions = std::vector<std::shared_ptr<PartitionLog>>;

    // `check_interval_ms`: log.retention.check.interval.ms as it is. `disk_keeper` is told what grows, and says how
    // much may be on the disk twice, in head and sealed; it lives until stop().
    Maintenance(const Clock& clock, std::function<Partitions()> partitions,
                std::function<std::uint64_t()> check_interval_ms, DiskKeeper& disk_keeper)
        : clock_(clock),
          partitions_(std::move(partitions)),
          check_interval_ms_(std::move(check_interval_ms)),
          disk_keeper_(disk_keeper) {}
    ~Maintenance() override { stop(); }

    Result<void> start();
    void stop();

    void seal_at(PartitionLog& partition, std::int64_t monotonic_ms) override;
    void flush_at(PartitionLog& partition, std::int64_t monotonic_ms) override;
    void checkpoint_soon() override { flushes_.wake(); }
    bool note_copied(std::uint64_t bytes) override;
    Result<void> checkpoint_now(PartitionLog& partition) override;
    void give_back_at(PartitionLog& partition, std::int64_t monotonic_ms) override;
    void retain_soon() override { retentions_.wake(); }
    void watch_head(PartitionLog& partition) override { growth_.watch(partition); }
    void unwatch_head(PartitionLog& partition) override { growth_.unwatch(partition); }
    void note_observed(std::uint64_t bytes) override { disk_keeper_.note_appended(bytes); }
    void waits_for_growth(PartitionLog& partition) override { growth_.waits(partition); }
    void has_grown(PartitionLog& partition) override { growth_.has_grown(partition); }

    // One round now: what was sealed becomes durable and head's copy is given back. Errors are logged and kept in the
    // partitions. Waits for one that is under way.
    void checkpoint(const Partitions& partitions);
    // Moves their log starts on as their settings say; by time only where `now` is given.
    static void retain(const Partitions& partitions, std::optional<TimestampMs> now);

private:
    struct Task {
        std::int64_t due;
        std::weak_ptr<PartitionLog> partition;
        bool operator<(const Task& other) const { return due > other.due; }  // the earliest on top
    };
    // Tasks by due time, waited for by one thread.
    class Queue {
    public:
        void push(Task task);
        // The earliest task once it is due; nothing at `until` or after stop().
        std::shared_ptr<PartitionLog> pop(const Clock& clock, std::int64_t until);
        void wake();
        void stop();
        bool stopped() const;

    private:
        mutable std::mutex mutex_;
        std::condition_variable changed_;
        std::priority_queue<Task> tasks_;
        bool woken_ = false;
        bool stopped_ = false;
    };

    static void checkpoint_locked(const Partitions& partitions);
    Partitions checkpoint_all();
    void run_sealer();
    void run_flusher();
    void run_retainer();

    const Clock& clock_;
    const std::function<Partitions()> partitions_;
    const std::function<std::uint64_t()> check_interval_ms_;
    DiskKeeper& disk_keeper_;
    GrowthWatch growth_;
    Queue seals_;
    Queue flushes_;
    Queue retentions_;                            // what is to be given back
    std::mutex checkpoint_mutex_;                 // one checkpoint at a time
    std::atomic<std::uint64_t> copied_bytes_{0};  // since the last checkpoint
    std::thread sealer_;
    std::thread flusher_;
    std::thread retainer_;
};

}  // namespace topicfs
