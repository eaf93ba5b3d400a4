#include "store/maintenance.h"

#include "base/background.h"
#include "base/believed_time.h"
#include "base/log.h"

#include <algorithm>
#include <chrono>

namespace topicfs {

namespace {

constexpr std::int64_t kCheckpointIntervalMs = 5000;
// Raw bytes: so much more than that head never holds beside its segment.
constexpr std::uint64_t kCheckpointBytes = 256u << 20;
// With more dirty partitions than this one syncfs costs less than a sync of each.
constexpr std::size_t kSyncEachMax = 16;
constexpr std::int64_t kForever = INT64_MAX;

void note_checkpoint(PartitionLog& partition, const Result<void>& result) {
    if (result) {
        partition.note_done(PartitionLog::Work::kCheckpoint);
    } else {
        partition.note_failed(PartitionLog::Work::kCheckpoint, result.error());
    }
}

void note_retention(PartitionLog& partition, const Result<void>& result) {
    if (result) {
        partition.note_done(PartitionLog::Work::kRetention);
    } else {
        partition.note_failed(PartitionLog::Work::kRetention, result.error());
    }
}

}  // namespace

void Maintenance::Queue::push(Task task) {
    const std::scoped_lock lock(mutex_);
    const bool first = tasks_.empty() || task.due < tasks_.top().due;
    tasks_.push(std::move(task));
    if (first) {
        changed_.notify_one();
    }
}

std::shared_ptr<PartitionLog> Maintenance::Queue::pop(const Clock& clock, std::int64_t until) {
    std::unique_lock lock(mutex_);
    while (!stopped_ && !woken_) {
        const std::int64_t now = clock.monotonic_ms();
        if (!tasks_.empty() && tasks_.top().due <= now) {
            std::shared_ptr<PartitionLog> partition = tasks_.top().partition.lock();
            tasks_.pop();
            if (partition) {
                return partition;
            }
            continue;  // Its topic was removed.
        }
        const std::int64_t due = std::min(until, tasks_.empty() ? kForever : tasks_.top().due);
        if (until <= now) {
            break;
        }
        if (due == kForever) {
            changed_.wait(lock);
        } else {
            changed_.wait_for(lock, std::chrono::milliseconds(due - now));
        }
    }
    woken_ = false;
    return nullptr;
}

void Maintenance::Queue::wake() {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    changed_.notify_all();
}

void Maintenance::Queue::stop() {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
}

bool Maintenance::Queue::stopped() const {
    const std::scoped_lock lock(mutex_);
    return stopped_;
}

Result<void> Maintenance::start() {
    TOPICFS_TRY(growth_.start());
    sealer_ = std::thread([this] { run_sealer(); });
    flusher_ = std::thread([this] { run_flusher(); });
    retainer_ = std::thread([this] { run_retainer(); });
    return {};
}

void Maintenance::stop() {
    growth_.stop();
    seals_.stop();
    flushes_.stop();
    retentions_.stop();
    if (retainer_.joinable()) {
        retainer_.join();
    }
    if (sealer_.joinable()) {
        sealer_.join();
    }
    if (flusher_.joinable()) {
        flusher_.join();
    }
}

void Maintenance::seal_at(PartitionLog& partition, std::int64_t monotonic_ms) {
    seals_.push({monotonic_ms, partition.weak_from_this()});
}

void Maintenance::flush_at(PartitionLog& partition, std::int64_t monotonic_ms) {
    flushes_.push({monotonic_ms, partition.weak_from_this()});
}

void Maintenance::run_sealer() {
    become_background_thread();
    BatchBuilder builder;
    while (!seals_.stopped()) {
        const std::shared_ptr<PartitionLog> partition = seals_.pop(clock_, kForever);
        if (!partition) {
            continue;
        }
        const auto sealed = partition->seal_due(builder);
        if (!sealed) {
            partition->note_failed(PartitionLog::Work::kSeal, sealed.error());
            continue;
        }
        if (*sealed > 0) {
            partition->note_done(PartitionLog::Work::kSeal);
        }
        if (copied_bytes_ >= disk_keeper_.copied_max()) {
            (void)checkpoint_all();  // There is no room to seal more before that.
        }
    }
}

bool Maintenance::note_copied(std::uint64_t bytes) {
    disk_keeper_.room()->note_used(bytes);
    const std::uint64_t copied = copied_bytes_ += bytes;
    const std::uint64_t max = disk_keeper_.copied_max();
    if (copied < max && copied >= std::min(kCheckpointBytes, max / 2)) {
        flushes_.wake();
    }
    return copied < max;
}

Maintenance::Partitions Maintenance::checkpoint_all() {
    copied_bytes_ = 0;
    Partitions all = partitions_();
    checkpoint(all);
    return all;
}

void Maintenance::run_flusher() {
    become_background_thread();
    std::int64_t next = clock_.monotonic_ms() + kCheckpointIntervalMs;
    while (!flushes_.stopped()) {
        if (const auto partition = flushes_.pop(clock_, next)) {
            partition->flush_due();
            continue;
        }
        if (flushes_.stopped()) {
            break;
        }
        for (const auto& partition : checkpoint_all()) {
            partition->close_idle();
        }
        next = clock_.monotonic_ms() + kCheckpointIntervalMs;
    }
}

void Maintenance::give_back_at(PartitionLog& partition, std::int64_t monotonic_ms) {
    retentions_.push({monotonic_ms, partition.weak_from_this()});
}

Result<void> Maintenance::checkpoint_now(PartitionLog& partition) {
    const std::scoped_lock lock(checkpoint_mutex_);
    return partition.checkpoint();
}

void Maintenance::run_retainer() {
    become_background_thread();
    BelievedTime time;
    const TimestampMs begin = clock_.now();
    const std::int64_t begin_ms = clock_.monotonic_ms();
    const auto interval = [this] { return static_cast<std::int64_t>(check_interval_ms_()); };
    // Bytes are what they are; the clock is believed later.
    time.look(begin, begin_ms, interval());
    retain(partitions_(), std::nullopt);
    std::int64_t checked = begin_ms;
    while (!retentions_.stopped()) {
        if (const auto partition = retentions_.pop(clock_, checked + interval())) {
            note_retention(*partition, partition->give_back_due());
            continue;
        }
        if (retentions_.stopped()) {
            break;
        }
        // Either it is time, or a setting has changed, that of the interval perhaps. Who changes one before the clock
        // is believed means the one that he sees; a step that came since the start counts for nothing yet.
        const TimestampMs now = clock_.now();
        const std::int64_t now_ms = clock_.monotonic_ms();
        const TimestampMs since_begin = begin + (now_ms - begin_ms);
        retain(partitions_(), time.look(now, now_ms, interval()).value_or(std::min(now, since_begin)));
        if (now_ms >= checked + interval()) {
            checked = now_ms;
        }
    }
}

void Maintenance::retain(const Partitions& partitions, std::optional<TimestampMs> now) {
    for (const auto& partition : partitions) {
        if (!partition->is_removed()) {  // What is in the trash stays as it is.
            note_retention(*partition, partition->retain_by_settings(now));
        }
    }
}

void Maintenance::checkpoint(const Partitions& partitions) {
    const std::scoped_lock lock(checkpoint_mutex_);
    checkpoint_locked(partitions);
}

void Maintenance::checkpoint_locked(const Partitions& partitions) {
    Partitions dirty;
    std::copy_if(partitions.begin(), partitions.end(), std::back_inserter(dirty),
                 [](const auto& partition) { return partition->needs_checkpoint(); });
    if (dirty.size() <= kSyncEachMax) {
        for (const auto& partition : dirty) {
            note_checkpoint(*partition, partition->checkpoint());
        }
        return;
    }
    // One sync makes the segments of all durable, a second one their recovery points.
    std::vector<PartitionLog::Checkpoint> checkpoints;
    for (const auto& partition : dirty) {
        checkpoints.push_back(partition->begin_checkpoint());
    }
    auto synced = dirty.front()->sync_file_system();
    for (std::size_t i = 0; synced && i < dirty.size(); ++i) {
        if (const auto published = dirty[i]->publish_checkpoint(checkpoints[i]); !published) {
            note_checkpoint(*dirty[i], published);
        }
    }
    if (synced) {
        synced = dirty.front()->sync_file_system();
    }
    for (std::size_t i = 0; i < dirty.size(); ++i) {
        if (!synced) {
            dirty[i]->fail(synced.error());
        } else if (checkpoints[i].sequence != 0) {
            note_checkpoint(*dirty[i], dirty[i]->finish_checkpoint(checkpoints[i]));
        }
    }
}

}  // namespace topicfs
