#include "log/append_times.h"

#include <fcntl.h>

#include <algorithm>

namespace topicfs {

namespace {

// Of kTimesSlots: with this many entries unsealed the interval grows, so that the rest lasts for half an hour.
constexpr std::size_t kEntriesBeforeCoarse = kTimesSlots / 2;
constexpr std::int64_t kCoarseIntervalMs = 1000;
constexpr std::int64_t kNever = INT64_MAX;

}  // namespace

void AppendTimes::load(Position from, Position to, TimestampMs floor) {
    const std::scoped_lock lock(mutex_);
    entries_.clear();
    floor_ = floor;
    const auto content = read_small_file(fs_, path_, kTimesSlots * kTimesEntryBytes).value_or(std::string());
    const std::vector<TimesEntry> stored = decode_times_file(std::as_bytes(std::span(content)));
    for (const TimesEntry& entry : stored) {
        next_sequence_ = entry.sequence + 1;
        if (entry.position > to) {
            continue;
        }
        if (entry.position <= from) {
            entries_.clear();  // Only the last one at or below `from` says the time at `from`.
        }
        entries_.push_back({entry.position, std::max(entry.time, floor)});
    }
}

Result<void> AppendTimes::restart(Position from, TimestampMs time) {
    const std::scoped_lock lock(mutex_);
    time = std::max({time, floor_, entries_.empty() ? floor_ : entries_.back().time});
    entries_.clear();
    entries_.push_back({from, time});
    // A gap in the sequence numbers parts the new entries from what the ring still holds.
    next_sequence_ += 2;
    return store({next_sequence_++, from, time});
}

Result<void> AppendTimes::sync() {
    const std::scoped_lock lock(mutex_);
    return file_ ? fs_.fdatasync(file_) : Result<void>{};
}

std::int64_t AppendTimes::interval_ms() const {
    if (entries_.size() < kEntriesBeforeCoarse) {
        return kResolutionMs;
    }
    return entries_.size() < kTimesSlots - 1 ? kCoarseIntervalMs : kNever;
}

Result<void> AppendTimes::note(Position end, TimestampMs now) {
    const std::scoped_lock lock(mutex_);
    if (!entries_.empty()) {
        const Entry& newest = entries_.back();
        if (now - newest.time < interval_ms() || interval_ms() == kNever) {
            return {};
        }
    } else {
        now = std::max(now, floor_);
    }
    entries_.push_back({end, now});
    return store({next_sequence_++, end, now});
}

Result<void> AppendTimes::store(const TimesEntry& entry) {
    if (!file_) {
        TOPICFS_TRY_ASSIGN(file_, fs_.open(path_, O_RDWR | O_CREAT));
    }
    return write_at(fs_, file_, encode_times_entry(entry), times_file_offset(entry.sequence));
}

TimestampMs AppendTimes::time_at_locked(Position position) const {
    const auto after = std::upper_bound(entries_.begin(), entries_.end(), position,
                                        [](Position p, const Entry& entry) { return p < entry.position; });
    return after == entries_.begin() ? floor_ : std::prev(after)->time;
}

TimestampMs AppendTimes::time_at(Position position) const {
    const std::scoped_lock lock(mutex_);
    return time_at_locked(position);
}

std::vector<BatchTime> AppendTimes::slice(Position from, Position to) const {
    const std::scoped_lock lock(mutex_);
    std::vector<BatchTime> times{{0, time_at_locked(from)}};
    auto entry = std::upper_bound(entries_.begin(), entries_.end(), from,
                                  [](Position p, const Entry& e) { return p < e.position; });
    for (; entry != entries_.end() && entry->position < to; ++entry) {
        const auto raw_offset = static_cast<std::uint32_t>(entry->position - from);
        if (times.back().raw_offset == raw_offset) {
            times.back().time = entry->time;
        } else {
            times.push_back({raw_offset, entry->time});
        }
    }
    return times;
}

std::optional<Position> AppendTimes::find(Position from, TimestampMs time) const {
    const std::scoped_lock lock(mutex_);
    if (time_at_locked(from) >= time) {
        return from;
    }
    const auto entry = std::lower_bound(entries_.begin(), entries_.end(), time,
                                        [](const Entry& e, TimestampMs t) { return e.time < t; });
    if (entry == entries_.end()) {
        return std::nullopt;
    }
    return std::max(from, entry->position);
}

void AppendTimes::forget_before(Position position) {
    const std::scoped_lock lock(mutex_);
    while (entries_.size() > 1 && entries_[1].position <= position) {
        floor_ = entries_.front().time;
        entries_.pop_front();
    }
}

bool AppendTimes::covers(Position position) const {
    const std::scoped_lock lock(mutex_);
    return !entries_.empty() && entries_.front().position <= position;
}

TimestampMs AppendTimes::last() const {
    const std::scoped_lock lock(mutex_);
    return entries_.empty() ? floor_ : entries_.back().time;
}

void AppendTimes::close_file() {
    const std::scoped_lock lock(mutex_);
    if (file_) {
        (void)fs_.close(std::move(file_)).has_value();
        file_ = {};
    }
}

}  // namespace topicfs
