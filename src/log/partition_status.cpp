// A partition in figures. Nothing here waits for a lock that others hold over I/O.
#include "log/partition_log.h"

#include <algorithm>
#include <cmath>

namespace topicfs {

std::uint64_t PartitionStatus::stored_bytes() const {
    std::uint64_t sum = 0;
    for (const SegmentStatus& segment : segments) {
        sum += segment.stored_bytes;
    }
    return sum;
}

std::uint64_t PartitionStatus::disk_bytes() const {
    std::uint64_t sum = head_disk_bytes + books_disk_bytes;
    for (const SegmentStatus& segment : segments) {
        sum += segment.disk_bytes;
    }
    return sum;
}

// Under growth_mutex_, after bytes from `from` on were seen: their times are asked for here, where AppendTimes is used
// anyway, so that figures need not.
void PartitionLog::note_grown_locked(Position from) {
    const Position seen = observed_end_.load();
    if (seen <= from) {
        return;
    }
    // Not times_->last(): that can be of bytes that are still to come.
    last_append_ms_ = times_->time_at(Position{seen.value - 1}).value;
    if (from <= sealed_end()) {
        unsealed_since_ms_ = times_->time_at(std::max(from, sealed_end())).value;
    }
}

// At the end of opening, before anybody else is there.
void PartitionLog::note_opened(Position end) {
    opened_end_ = end;
    opened_offset_.reset();
    const SealedEnd sealed = sealed_end_pair();
    if (end <= sealed.position) {
        opened_offset_ = sealed.offset;
    }
    last_append_ms_ = end.value == 0 ? 0 : times_->time_at(Position{end.value - 1}).value;
    unsealed_since_ms_ = times_->time_at(sealed.position).value;
    look_at_directory();
}

// The batch with the last byte of what was there at the open is about to be sealed: a part of it was there.
void PartitionLog::note_opened_offset(const SealedEnd& from, std::span<const std::byte> raw,
                                      const TopicSettings& settings) {
    {
        const std::scoped_lock lock(mutex_);
        if (opened_offset_ || opened_end_ > from.position + raw.size() || opened_end_ < from.position) {
            return;
        }
    }
    const std::uint64_t before = count_records(raw.first(opened_end_ - from.position), settings.record_delimiter);
    const std::scoped_lock lock(mutex_);
    opened_offset_ = from.offset + before;
}

// How many whole records there were at the open. What cannot be counted now counts as appended since.
Offset PartitionLog::opened_offset() {
    SealedEnd sealed;
    {
        const std::scoped_lock lock(mutex_);
        if (opened_offset_) {
            return *opened_offset_;
        }
        sealed = {sealed_end_.load(), sealed_end_offset_};
    }
    const auto counted = count_between(sealed.position, opened_end_);
    if (!counted) {
        return sealed.offset;
    }
    const std::scoped_lock lock(mutex_);
    opened_offset_ = opened_offset_.value_or(sealed.offset + *counted);
    return *opened_offset_;
}

TimestampMs PartitionLog::last_append() const {
    if (env_.read_only) {
        const Position seen = times_read_to_.load();
        return seen.value == 0 ? TimestampMs{0} : times_->time_at(Position{seen.value - 1});
    }
    return {last_append_ms_.load()};
}

void PartitionLog::look_at_directory() {
    if (const auto info = env_.fs.info(directory_)) {
        directory_bytes_ = info->disk_bytes;
    }
}

std::uint64_t PartitionLog::books_disk_bytes() const {
    return kRecoveryFileBytes + times_->disk_bytes() + directory_bytes_.load();
}

std::uint64_t PartitionLog::disk_bytes() {
    std::uint64_t sum = books_disk_bytes();
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock lock(mutex_);
        open = head_;
        sum += open ? 0 : head_disk_bytes_;
    }
    sum += segments_disk_bytes();
    if (open) {
        const auto info = open->info();
        sum += info ? info->disk_bytes : 0;
    }
    return sum;
}

Result<Offset> PartitionLog::end_offset() {
    TOPICFS_TRY_ASSIGN(const Found found, log_end());
    return found.offset;
}

PartitionCounts PartitionLog::counts() const {
    const auto failures = [&](Work work) { return failure_counts_[static_cast<std::size_t>(work)].load(); };
    PartitionCounts counts;
    counts.read_bytes = read_bytes_;
    counts.sealed_bytes = sealed_raw_bytes_;
    counts.sealed_stored_bytes = sealed_stored_bytes_;
    counts.sealed_batches = sealed_batches_;
    counts.seal_failures = failures(Work::kSeal);
    counts.checkpoint_failures = failures(Work::kCheckpoint);
    counts.look_failures = failures(Work::kLook);
    counts.times_failures = failures(Work::kTimes);
    counts.new_head_failures = failures(Work::kNewHead);
    counts.retention_failures = failures(Work::kRetention);
    return counts;
}

// Under mutex_. What was read since the last look, by the mean length of the records that there are: it never falls.
std::uint64_t PartitionLog::count_read_records_locked(const PartitionStatus& status) {
    const std::uint64_t bytes = status.end - std::min(status.start, status.end);
    if (status.counts.read_bytes > read_bytes_counted_ && bytes > 0) {
        const auto read = static_cast<long double>(status.counts.read_bytes - read_bytes_counted_);
        const auto records = static_cast<long double>(status.end_offset - status.start_offset);
        read_records_ += read * records / static_cast<long double>(bytes);
        read_bytes_counted_ = status.counts.read_bytes;
    }
    return static_cast<std::uint64_t>(std::llround(read_records_));
}

Result<PartitionStatus> PartitionLog::status() {
    PartitionStatus status;
    const Offset opened = opened_offset();
    const auto found = log_end();
    if (!found) {
        status.unreadable = found.error().message();
    }
    const Found start = log_start();
    status.start = start.position;
    status.start_offset = start.offset;
    status.durable_sealed_end = durable_sealed_end_.load();
    status.last_append = last_append();
    status.books_disk_bytes = books_disk_bytes();
    status.counts = counts();
    const TimestampMs now = env_.clock.now();
    const std::shared_ptr<const TopicSettings> settings = this->settings();
    std::shared_ptr<Head> open;
    std::shared_ptr<const SegmentList> all;
    {
        const std::scoped_lock lock(mutex_);
        status.sealed_end = sealed_end();
        status.end = std::max(found ? found->position : observed_end_.load(), status.sealed_end);
        // What was counted last lies behind what is sealed, or does not count any more.
        const Offset known =
            std::max(sealed_end_offset_, counted_to_ > status.sealed_end ? Offset{counted_} : Offset{});
        status.end_offset = found ? found->offset : known;
        status.seal = seal_status(status.end - status.sealed_end, *settings);
        status.damaged = damaged_;
        status.failed = failure_;
        status.counts.read_records = count_read_records_locked(status);
        status.head_disk_bytes = head_disk_bytes_;
        open = head_;
        all = segments_;
    }
    for (std::size_t i = 0; i < all->size(); ++i) {
        Segment& segment = *(*all)[i];
        const Position to = i + 1 < all->size() ? (*all)[i + 1]->base() : status.sealed_end;
        status.segments.push_back({segment.base(), to, segment.kept_bytes(), segment.disk_bytes()});
    }
    if (status.seal.lag_bytes > 0) {
        status.seal.lag_ms = std::max<std::int64_t>(0, now - TimestampMs{unsealed_since_ms_.load()});
    }
    status.counts.appended_bytes = status.end - std::min(opened_end_, status.end);
    status.counts.appended_records = status.end_offset - std::min(opened, status.end_offset);
    if (open) {
        const auto info = open->info();
        status.head_disk_bytes = info ? info->disk_bytes : 0;
    }
    return status;
}

}  // namespace topicfs
