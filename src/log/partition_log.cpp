// Appending to a partition and syncing it. Opening is in partition_open.cpp, sealing in partition_seal.cpp, reading in
// partition_read.cpp.
#include "log/partition_log.h"

#include "base/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace topicfs {

namespace {

constexpr std::size_t kNulScanBytes = 1u << 16;

template <typename T>
void raise_to(std::atomic<T>& what, T value) {
    T seen = what.load();
    while (seen < value && !what.compare_exchange_weak(seen, value)) {
    }
}

}  // namespace

Result<bool> PartitionLog::retire_if_empty() {
    TOPICFS_TRY_ASSIGN(const bool in_use, others_write());
    if (in_use) {
        return make_error(ErrorCode::kBusy, "remove", directory_, "somebody has it open for appending");
    }
    const std::scoped_lock appends(append_mutex_);
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (log_end != start()) {
        return false;
    }
    retire("the topic was removed");
    return true;
}

void PartitionLog::retire(const std::string& reason) {
    const std::scoped_lock lock(mutex_);
    failure_before_ = failure_;
    failure_ = reason;
    failed_ = true;
}

void PartitionLog::retire_for_good(const std::string& reason) {
    retire(reason);
    removed();
    const std::scoped_lock sealing(seal_mutex_);
}

void PartitionLog::reinstate() {
    const std::scoped_lock lock(mutex_);
    failure_ = std::exchange(failure_before_, {});  // What had failed stays failed.
    failed_ = !failure_.empty();
}

PartitionLog::PartitionLog(const PartitionEnvironment& environment, std::string directory,
                           std::shared_ptr<const TopicSettings> settings)
    : env_(environment), directory_(std::move(directory)), settings_(std::move(settings)) {}

std::shared_ptr<const TopicSettings> PartitionLog::settings() const {
    const std::scoped_lock lock(mutex_);
    return settings_;
}

void PartitionLog::set_settings(std::shared_ptr<const TopicSettings> settings) {
    bool keeps_other = false;
    {
        const std::scoped_lock lock(mutex_);
        keeps_other = settings_->retention_ms != settings->retention_ms ||
                      settings_->retention_bytes != settings->retention_bytes;
        settings_ = std::move(settings);
    }
    if (keeps_other && env_.work != nullptr) {
        env_.work->retain_soon();
    }
    seal_scheduled_ = INT64_MAX;  // What was scheduled by the old settings may be too late by the new ones.
    flush_scheduled_ = INT64_MAX;
    if (const auto log_end = end()) {
        schedule_seal(*log_end);
    }
}

Result<std::shared_ptr<Head>> PartitionLog::head() {
    const std::scoped_lock lock(mutex_);
    head_used_ = true;
    if (!head_) {
        TOPICFS_TRY_ASSIGN(head_, Head::open(env_.fs, directory_, head_base_, Head::Access::kReadAppend));
    }
    return head_;
}

Result<Position> PartitionLog::end() {
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock lock(mutex_);
        if (others_may_write_) {
            TOPICFS_TRY(open_head_locked());  // It is closed then only where it could not be opened before.
        }
        if (end_limit_ || !head_) {
            return end_limit_.value_or(closed_end_);
        }
        open = head_;
    }
    // Asked for first: a batch that is sealed meanwhile may end inside of an append that head had not got yet.
    const Position sealed = sealed_end();
    TOPICFS_TRY_ASSIGN(const Position log_end, open->end());
    return std::max(log_end, sealed);
}

Result<std::size_t> PartitionLog::append(std::span<const std::byte> bytes, std::optional<Position> expected) {
    if (env_.read_only) {
        return make_error(ErrorCode::kReadOnly, "append to", directory_, "the store is open for reading only");
    }
    Position log_end;
    std::size_t stored = 0;
    {
        const std::scoped_lock lock(append_mutex_);
        if (failed_) {
            return make_error(ErrorCode::kReadOnly, "append to", directory_, failure());
        }
        TOPICFS_TRY_ASSIGN(const std::shared_ptr<Head> open, head());
        TOPICFS_TRY_ASSIGN(log_end, open->end());
        if (expected && *expected != log_end) {
            return make_error(ErrorCode::kNotPermitted, "write to", directory_,
                              "the write begins elsewhere than at the log end");
        }
        if (bytes.empty()) {
            return std::size_t{0};
        }
        TOPICFS_TRY_ASSIGN(stored, append_locked(*open, log_end, bytes));
    }
    after_append(log_end + stored, bytes.first(stored));
    const std::shared_ptr<const TopicSettings> now = settings();
    if (now->flush_messages) {
        const std::uint64_t ended = count_records(bytes.first(stored), now->record_delimiter);
        if (*now->flush_messages == 1 || (unflushed_records_ += ended) >= *now->flush_messages) {
            TOPICFS_TRY(sync());
        }
    }
    return stored;
}

Result<std::size_t> PartitionLog::append_locked(Head& open, Position log_end, std::span<const std::byte> bytes) {
    if (bytes.size() > kPositionMax - log_end.value) {
        return system_error(EFBIG, "append to", directory_);
    }
    {
        // The time is noted first: so no byte in head is ever without one. What others have put there since the last
        // look comes before.
        const std::scoped_lock lock(growth_mutex_);
        const Position seen = observed_end_.load();
        const TimestampMs now = env_.clock.now();
        // What was looked at keeps its time, also where others have put it there since `log_end` was asked for.
        note_times(seen < log_end ? times_->note_seen(seen, log_end, now) : times_->note(std::max(seen, log_end), now));
        observed_end_ = std::max(observed_end_.load(), log_end);
        note_grown_locked(seen);
    }
    auto stored = open.append(bytes);
    if (stored) {
        const std::scoped_lock lock(growth_mutex_);
        const Position seen = observed_end_.load();
        observed_end_ = std::max(seen, log_end + *stored);
        note_grown_locked(seen);
        if (watched_head()) {
            note_times(times_->mark_seen(observed_end_.load(), env_.clock.now()));
        }
    }
    if (!stored && !may_be_tried_again(stored.error())) {
        fail(stored.error());
    }
    return stored;
}

void PartitionLog::after_append(Position log_end, std::span<const std::byte> stored) {
    if (stored.empty() || env_.work == nullptr) {
        return;
    }
    schedule_seal(log_end);
    schedule_flush();
    if (has_waiters_) {
        env_.work->has_grown(*this);
    }
}

void PartitionLog::schedule_flush() {
    const std::optional<std::uint64_t> flush_ms = settings()->flush_ms;
    std::int64_t none = INT64_MAX;
    if (flush_ms && flush_scheduled_.load() == none) {
        const std::int64_t due = env_.clock.monotonic_ms() + static_cast<std::int64_t>(*flush_ms);
        if (flush_scheduled_.compare_exchange_strong(none, due)) {
            env_.work->flush_at(*this, due);
        }
    }
}

// Tells the sealer when the bytes up to `log_end` are due, unless it knows of something earlier.
void PartitionLog::schedule_seal(Position log_end) {
    const Position sealed = sealed_end();
    if (env_.work == nullptr || log_end <= sealed || failed_) {
        return;
    }
    const std::shared_ptr<const TopicSettings> now = settings();
    const bool full = log_end - sealed >= now->seal_bytes;
    std::int64_t scheduled = seal_scheduled_.load();
    if (scheduled != INT64_MAX && (!full || scheduled == 0)) {
        return;
    }
    std::int64_t due = 0;  // as soon as can be
    if (!full) {
        const std::int64_t age = env_.clock.now() - times_->time_at(sealed);
        const auto seal_ms = static_cast<std::int64_t>(now->seal_ms);
        due = env_.clock.monotonic_ms() + seal_ms - std::clamp<std::int64_t>(age, 0, seal_ms);
    }
    while (due < scheduled) {
        if (seal_scheduled_.compare_exchange_weak(scheduled, due)) {
            env_.work->seal_at(*this, due);
            return;
        }
    }
}

Result<void> PartitionLog::sync() {
    if (env_.read_only) {
        return {};
    }
    if (failed_) {
        Error error = system_error(EIO, "sync", directory_);
        error.detail = failure();
        return error;
    }
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock lock(mutex_);
        open = head_;
    }
    if (!open) {
        return {};  // It is closed only once all of it is durable.
    }
    unflushed_records_ = 0;
    TOPICFS_TRY_ASSIGN(const Position log_end, open->end());
    if (log_end <= synced_end_.load()) {
        return {};
    }
    auto synced = open->sync();
    if (synced) {
        synced = record_durable_nuls(*open, log_end);
    }
    if (!synced && lacks_descriptors(synced.error())) {
        return synced;  // No sync returns that: what failed was to open a file.
    }
    if (!synced) {
        fail(synced.error());
        return synced;
    }
    raise_to(synced_end_, log_end);
    return {};
}

// What a power cut leaves unwritten looks like NULs. So where synced bytes hold NULs of their own, the recovery point
// says that they are durable, before the sync is answered.
Result<void> PartitionLog::record_durable_nuls(Head& open, Position log_end) {
    std::array<std::byte, kNulScanBytes> window;
    Position at = nul_checked_end_.load();
    bool found = false;
    while (at < log_end && !found) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), log_end - at);
        TOPICFS_TRY_ASSIGN(const std::size_t have, open.read(at, std::span(window).first(want)));
        found = std::memchr(window.data(), 0, have) != nullptr;
        if (have == 0) {
            break;
        }
        at = at + have;
    }
    if (found) {
        TOPICFS_TRY(
            recovery_->commit([&](RecoveryPoint& point) { point.durable_end = std::max(point.durable_end, log_end); }));
    }
    raise_to(nul_checked_end_, log_end);
    return {};
}

void PartitionLog::flush_due() {
    flush_scheduled_ = INT64_MAX;
    if (const auto synced = sync(); !synced) {
        log_error(synced.error().message());
    }
}

void PartitionLog::fail(const Error& error) {
    {
        const std::scoped_lock lock(mutex_);
        if (failed_) {
            return;
        }
        failure_ = error.message();
        failed_ = true;
    }
    log_error(directory_ + ": takes no more appends until the store is opened again: " + error.message());
}

void PartitionLog::note_failed(Work work, const Error& error, std::string_view consequence) {
    const std::string message = error.message() + std::string(consequence);
    failure_counts_[static_cast<std::size_t>(work)].fetch_add(1, std::memory_order_relaxed);
    if (!failures_[static_cast<std::size_t>(work)].failed(error)) {
        log_debug(message + " (again)");
    } else if (work == Work::kTimes || work == Work::kNewHead) {
        log_warning(message);
    } else {
        log_error(message);
    }
}

void PartitionLog::note_done(Work work) {
    constexpr std::array<const char*, kWorks> kNames = {"sealing",       "the checkpoint", "looking for growth",
                                                        "keeping times", "a new head",     "retention"};
    if (const auto failures = failures_[static_cast<std::size_t>(work)].succeeded(); failures > 0) {
        log_info(directory_ + ": " + kNames[static_cast<std::size_t>(work)] + " succeeds again, after " +
                 std::to_string(failures) + (failures == 1 ? " failure" : " failures"));
    }
}

std::string PartitionLog::failure() const {
    const std::scoped_lock lock(mutex_);
    return failure_;
}

void PartitionLog::close_idle() {
    const std::unique_lock appends(append_mutex_, std::try_to_lock);
    if (!appends.owns_lock() || env_.read_only) {
        return;
    }
    std::shared_ptr<const SegmentList> idle;
    bool unwatch = false;
    bool is_closed = false;
    {
        const std::scoped_lock lock(mutex_);
        idle = segments_;
        const bool watched = others_may_write_;
        if (head_ && !head_used_ && lent_ == 0) {
            if (const auto closed = close_head_locked(); !closed) {
                log_debug(closed.error().message());  // It stays open, as far as it is; the next round tries again.
            }
        }
        head_used_ = false;
        unwatch = watched && !others_may_write_;
        is_closed = !head_;
    }
    if (is_closed) {
        times_->close_file();  // Not under mutex_: it waits for who writes to the file.
    }
    if (unwatch && env_.work != nullptr) {
        env_.work->unwatch_head(*this);  // Not under mutex_: it asks for the head of others.
    }
    if (const auto replaced = replace_long_head(); !replaced) {
        note_failed(Work::kNewHead, replaced.error(), "; head stays as it is");
    }
    for (const auto& segment : *idle) {
        segment->close_idle();
    }
}

}  // namespace topicfs
