// Appends that do not come through append(): lending head to writers, seeing that it has grown, telling who waits.
#include "log/layout.h"
#include "log/partition_log.h"

#include "base/log.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace topicfs {

namespace {

constexpr std::size_t kCountBytes = 1u << 16;

class LentHead final : public AppendFile {
public:
    LentHead(std::shared_ptr<PartitionLog> log, File file) : log_(std::move(log)), file_(std::move(file)) {}
    ~LentHead() override { log_->head_returned(); }
    int fd() const override { return file_.fd.get(); }
    void close_fd() override { file_ = {}; }
    bool usable() const override { return !log_->has_failed(); }

private:
    const std::shared_ptr<PartitionLog> log_;
    File file_;
};

}  // namespace

Result<std::shared_ptr<AppendFile>> PartitionLog::append_file() {
    if (env_.read_only || failed_) {
        return make_error(ErrorCode::kReadOnly, "append to", directory_,
                          failed_ ? failure() : "the store is open for reading only");
    }
    if (removed_) {
        return make_error(ErrorCode::kReadOnly, "append to", directory_, "the topic was removed");
    }
    if (settings()->flush_messages == 1) {
        return make_error(ErrorCode::kInvalid, "append to", directory_, "flush.messages is 1");
    }
    // So that head is not replaced meanwhile.
    const std::scoped_lock appends(append_mutex_);
    TOPICFS_TRY(head());
    Position base;
    {
        const std::scoped_lock lock(mutex_);
        base = head_base_;
    }
    TOPICFS_TRY_ASSIGN(File file, open_file(env_.fs, path(head_file_name(base)), O_RDONLY));
    TOPICFS_TRY(env_.fs.has_writers(file));  // Only whether it can be told: we have it open ourselves.
    {
        const std::scoped_lock lock(growth_mutex_);
        note_times(times_->mark_seen(observed_end_.load()));
    }
    auto lent = std::make_shared<LentHead>(shared_from_this(), std::move(file));
    {
        const std::scoped_lock lock(mutex_);
        ++lent_;
        others_may_write_ = true;
    }
    if (env_.work != nullptr) {
        env_.work->watch_head(*this);
    }
    return std::shared_ptr<AppendFile>(std::move(lent));
}

void PartitionLog::head_returned() {
    // Whether the last writer has closed the file by now is found out when it is idle.
    const std::scoped_lock lock(mutex_);
    --lent_;
}

// The file that others may append to at present; null where nobody does.
std::shared_ptr<Head> PartitionLog::watched_head() {
    const std::scoped_lock lock(mutex_);
    return others_may_write_ ? head_ : nullptr;
}

Result<Position> PartitionLog::observe() {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (env_.read_only || log_end <= observed_end_.load()) {
        return log_end;
    }
    Position from;
    {
        const std::scoped_lock lock(growth_mutex_);
        from = observed_end_.load();
        if (log_end <= from) {
            return log_end;
        }
        note_times(times_->note_seen(from, log_end, env_.clock.now()));
        observed_end_ = log_end;
        note_grown_locked(from);
    }
    if (env_.work != nullptr) {
        env_.work->note_observed(log_end - from);
    }
    after_growth(from, log_end);
    return log_end;
}

void PartitionLog::note_times(const Result<bool>& stored) {
    if (!stored) {
        note_failed(Work::kTimes, stored.error(), "; after a restart these records may have a later time");
    } else if (*stored) {
        note_done(Work::kTimes);
    }
}

// What append() does for its own bytes: sealing and flushing are told.
void PartitionLog::after_growth(Position from, Position log_end) {
    if (env_.work == nullptr) {
        return;
    }
    schedule_seal(log_end);
    schedule_flush();
    const std::shared_ptr<const TopicSettings> now = settings();
    if (now->flush_messages) {
        const std::uint64_t ended = count_appended(from, log_end);
        if ((unflushed_records_ += ended) >= *now->flush_messages) {
            env_.work->flush_at(*this, 0);
        }
    }
}

std::uint64_t PartitionLog::count_appended(Position from, Position to) {
    const auto delimiter = settings()->record_delimiter;
    std::vector<std::byte> window(kCountBytes);
    std::uint64_t count = 0;
    while (from < to) {
        const auto have =
            read_unnoted(from, std::span(window).first(std::min<std::uint64_t>(window.size(), to - from)));
        if (!have || *have == 0) {
            break;  // The reader will say why.
        }
        count += count_records(std::span<const std::byte>(window).first(*have), delimiter);
        from = from + *have;
    }
    return count;
}

// ---- Waiting for growth
// ------------------------------------------------------------------------------------------------

void PartitionLog::start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    {
        const std::scoped_lock lock(mutex_);
        waiters_.push_back(waiter);
        has_waiters_ = true;
    }
    if (env_.work != nullptr) {
        env_.work->waits_for_growth(*this);
    }
}

void PartitionLog::stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = std::find(waiters_.begin(), waiters_.end(), waiter); found != waiters_.end()) {
        waiters_.erase(found);
    }
    has_waiters_ = !waiters_.empty();
}

void PartitionLog::tell_waiters() {
    std::vector<std::shared_ptr<GrowthWaiter>> told;
    {
        const std::scoped_lock lock(mutex_);
        told = waiters_;
    }
    for (const auto& waiter : told) {
        waiter->grown();
    }
}

void PartitionLog::removed() {
    removed_ = true;
    if (env_.work != nullptr) {
        env_.work->has_grown(*this);
    }
}

// ---- Letting go of head
// ------------------------------------------------------------------------------------------------

// Under append_mutex_ and mutex_. Whether somebody beside us has head open for writing. Our own descriptor would count,
// so head is closed on return: the caller opens it again, or sees to it that nobody needs it. (A reader that still
// holds it makes this true; the next time it is looked at that one is gone.)
Result<bool> PartitionLog::others_write_locked(FileInfo& info) {
    TOPICFS_TRY_ASSIGN(const File file, open_file(env_.fs, path(head_file_name(head_base_)), O_RDONLY));
    head_.reset();
    const auto writers = env_.fs.has_writers(file);
    TOPICFS_TRY_ASSIGN(info, env_.fs.info(file));  // Behind the last write of one who is gone.
    // Where the file system has no leases, or gives us none, head was never lent. Where it cannot be told at present
    // there may be writers.
    return writers ? *writers : !is_errno(writers.error(), EINVAL) && !is_errno(writers.error(), EACCES);
}

// Under append_mutex_ and mutex_.
Result<void> PartitionLog::open_head_locked() {
    if (!head_) {
        TOPICFS_TRY_ASSIGN(head_, Head::open(env_.fs, directory_, head_base_, Head::Access::kReadAppend));
    }
    return {};
}

Result<bool> PartitionLog::others_write() {
    const std::scoped_lock locks(append_mutex_, mutex_);
    if (!others_may_write_) {
        return false;
    }
    FileInfo info;
    auto writers = others_write_locked(info);
    TOPICFS_TRY(open_head_locked());
    return writers;
}

// At the start: a writer can have outlived the daemon that gave it head.
Result<void> PartitionLog::find_outlived_writers() {
    {
        const std::scoped_lock locks(append_mutex_, mutex_);
        FileInfo info;
        TOPICFS_TRY_ASSIGN(others_may_write_, others_write_locked(info));
        TOPICFS_TRY(open_head_locked());
        if (!others_may_write_) {
            return {};
        }
    }
    log_info(directory_ + ": a writer that outlived its mount still appends; it loses nothing");
    if (env_.work != nullptr) {
        env_.work->watch_head(*this);
    }
    return {};
}

// Under append_mutex_ and mutex_. Closes head where all of it is durable in segments and nobody else writes to it.
Result<void> PartitionLog::close_head_locked() {
    if (observed_end_.load() > durable_sealed_end_.load()) {
        return {};  // Known without the descriptor, which head may not have at present.
    }
    TOPICFS_TRY_ASSIGN(FileInfo info, head_->info());
    const auto end_of = [&, header = head_->header()] { return head_end(header, info.size); };
    if (end_of() > durable_sealed_end_.load()) {
        return {};
    }
    if (others_may_write_) {
        TOPICFS_TRY_ASSIGN(const bool writers, others_write_locked(info));
        if (writers || end_of() > durable_sealed_end_.load()) {
            return open_head_locked();
        }
        others_may_write_ = false;
    }
    head_.reset();
    closed_end_ = std::max(end_of(), durable_sealed_end_.load());
    head_disk_bytes_ = info.disk_bytes;
    return {};
}

// Under append_mutex_, with head closed: nobody can open it meanwhile.
Result<void> PartitionLog::replace_long_head() {
    Position base;
    {
        const std::scoped_lock lock(mutex_);
        if (head_ || others_may_write_ || lent_ > 0 || closed_end_ - head_base_ < env_.replace_head_bytes ||
            closed_end_ != durable_sealed_end_.load()) {
            return {};
        }
        base = closed_end_;
    }
    TOPICFS_TRY(begin_head(base));
    note_done(Work::kNewHead);
    return {};
}

// A new head at `base`, in place of the old one, of which nothing is needed any more.
Result<void> PartitionLog::begin_head(Position base) {
    const Position old_base = head_base_;
    Result<void> begun = Head::create(env_.fs, directory_, base, env_.clock.now());
    if (begun) {
        begun = recovery_->commit([&](RecoveryPoint& point) {
            point.sealed_end = base;
            point.punched_end = base;
        });
    }
    if (!begun) {
        // The next start takes the newest head, whatever is appended to the old one by then: so it goes again.
        if (const auto undone = remove_head(base); !undone) {
            fail(undone.error());
        }
        return begun;
    }
    times_->change_file(path(times_file_name(base)), base);
    use_new_head(base);
    // What cannot be removed now the next start removes.
    for (const std::string& old : {head_file_name(old_base), times_file_name(old_base)}) {
        if (const auto gone = env_.fs.unlink(path(old)); !gone && !is_errno(gone.error(), ENOENT)) {
            log_warning(gone.error().message());
        }
    }
    return {};
}

Result<void> PartitionLog::remove_head(Position base) {
    if (auto gone = env_.fs.unlink(path(head_file_name(base))); !gone && !is_errno(gone.error(), ENOENT)) {
        return gone;
    }
    return sync_directory(env_.fs, directory_);
}

void PartitionLog::use_new_head(Position base) {
    const std::scoped_lock lock(mutex_);
    head_.reset();
    head_base_ = base;
    head_disk_bytes_ = kHeadHeaderBytes;
    closed_end_ = base;
    counted_to_ = base;
    counted_ = sealed_end_offset_.value;
    sealed_end_ = base;
    durable_sealed_end_ = base;
    punched_end_ = base;
    unpunched_from_ = base;
    punch_waits_ = false;
    nul_checked_end_ = base;
    observed_end_ = base;
}

}  // namespace topicfs
