// Making and opening a partition.
#include "base/log.h"
#include "log/layout.h"
#include "log/partition_log.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

namespace topicfs {

Result<void> PartitionLog::create_files(FileSystem& fs, const std::string& directory, TimestampMs now, bool sync) {
    TOPICFS_TRY(Head::create(fs, directory, Position{0}, now, sync));
    RecoveryPoint point;
    point.sequence = 1;
    std::array<std::byte, kRecoveryFileBytes> recovery{};
    const auto slot = encode_recovery_slot(point);
    std::copy(slot.begin(), slot.end(), recovery.begin());
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs, directory + "/" + kRecoveryFileName, O_RDWR | O_CREAT | O_TRUNC));
    TOPICFS_TRY(write_at(fs, file, recovery, 0));
    if (sync) {
        TOPICFS_TRY(fs.fsync(file));
    }
    return sync ? sync_directory(fs, directory) : Result<void>{};
}

Result<std::shared_ptr<PartitionLog>> PartitionLog::open(const PartitionEnvironment& environment, std::string directory,
                                                         std::shared_ptr<const TopicSettings> settings,
                                                         bool power_was_cut) {
    std::shared_ptr<PartitionLog> log(new PartitionLog(environment, std::move(directory), std::move(settings)));
    TOPICFS_TRY(log->recover(power_was_cut));
    return log;
}

Result<void> PartitionLog::recover(bool power_was_cut) {
    RecoveryOptions options;
    options.power_was_cut = power_was_cut;
    options.read_only = env_.read_only;
    options.now = env_.clock.now();
    TOPICFS_TRY_ASSIGN(Recovered recovered, recover_partition(env_.fs, directory_, options));
    if (env_.read_only && power_was_cut) {
        end_limit_ = recovered.end;
    }
    const Position lost_end = recovered.lost_end;
    const bool times_unknown = recovered.times_unknown;
    TOPICFS_TRY(adopt(std::move(recovered)));
    const Position sealed = sealed_end();
    if (!env_.read_only) {
        TOPICFS_TRY_ASSIGN(const Position log_end, end());
        if (log_end > sealed && (times_unknown || !times_->covers(sealed))) {
            auto kept = times_->restart(sealed, options.now);
            if (kept) {
                kept = times_->sync();
            }
            if (!kept) {  // On a full disk, say.
                log_warning(kept.error().message() + "; after a restart these records may have a later time");
            }
        }
        if (log_end > sealed && !power_was_cut && !times_unknown) {
            TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
            TOPICFS_TRY_ASSIGN(const FileInfo info, open->info());
            // Not options.now: a writer that outlived its mount may have gone on since.
            note_times(times_->note_unseen(log_end, {info.mtime_ns / 1'000'000}, env_.clock.now()));
        }
        observed_end_ = std::max(sealed, log_end);
        if (!power_was_cut) {
            TOPICFS_TRY(find_outlived_writers());
        }
        if (lost_end > log_end) {
            if (watched_head()) {
                return make_error(ErrorCode::kBusy, "open", directory_,
                                  "head was cut, and a writer that outlived its mount still appends to it; end that "
                                  "writer first");
            }
            TOPICFS_TRY(skip_lost_positions(lost_end));
        }
        note_opened(std::max(lost_end, log_end));
        schedule_seal(log_end);
        if (const auto all = segments(); !all->empty() && all->front()->base() < start()) {
            schedule_give_back(start(), env_.clock.monotonic_ms());  // Nobody has it open any more.
        }
        close_idle();  // Nothing is kept open for a partition that nobody uses.
    } else {
        note_opened(closed_end_);
    }
    return {};
}

Result<void> PartitionLog::adopt(Recovered recovered) {
    const std::scoped_lock lock(mutex_);
    const RecoveryPoint& point = recovered.point;
    segments_ = std::make_shared<SegmentList>(std::move(recovered.segments));
    head_ = std::move(recovered.head);
    closed_end_ = recovered.end;
    if (head_) {
        head_base_ = head_->base();
        TOPICFS_TRY_ASSIGN(const FileInfo info, head_->info());
        head_disk_bytes_ = info.disk_bytes;
    }
    sealed_end_offset_ = point.sealed_end_offset;
    damaged_ = std::move(recovered.damaged);
    new_segment_ = recovered.new_segment;
    sealed_end_ = point.sealed_end;
    durable_sealed_end_ = point.sealed_end;
    punched_end_ = std::max(point.punched_end, head_base_);
    unpunched_from_ = head_base_;  // Who published the punched end may have died before it punched.
    nul_checked_end_ = std::max(point.sealed_end, point.durable_end);
    counted_to_ = point.sealed_end;
    counted_ = 0;
    if (!times_) {  // A reader beside a daemon comes here again, with others at work.
        log_start_ = {point.log_start, point.log_start_offset};
        removed_end_ = point.log_start;
        times_ = std::make_unique<AppendTimes>(env_.fs, path(times_file_name(head_base_)));
        recovery_ = std::make_unique<RecoveryFile>(env_.fs, path(kRecoveryFileName), recovered.choice);
    }
    times_->load(point.sealed_end, recovered.end, point.last_time);
    times_read_to_ = recovered.end;
    return {};
}

// Durable positions that are lost are never given out again: what head still has is sealed, and a new head begins
// behind them.
Result<void> PartitionLog::skip_lost_positions(Position lost_end) {
    BatchBuilder builder;
    TOPICFS_TRY(seal_due(builder, true));
    TOPICFS_TRY(checkpoint());
    return begin_head(lost_end);
}

}  // namespace topicfs
