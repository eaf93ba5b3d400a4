#include "log/append_times.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

namespace topicfs {

namespace {

// Of kTimesSlots: with this many entries unsealed the interval grows, so that the rest lasts for half an hour.
constexpr std::size_t kEntriesBeforeCoarse = kTimesSlots / 2;
constexpr std::int64_t kCoarseIntervalMs = 1000;
constexpr std::int64_t kNever = INT64_MAX;
// How far a file's mtime can be behind the clock: it goes by the kernel's ticks, of which there are 100 a second or
// more.
constexpr std::int64_t kClockTickMs = 10;
// How often the end of what was seen goes to the file between two entries: half as often as entries may come.
constexpr std::int64_t kMarkIntervalMs = AppendTimes::kResolutionMs / 2;

}  // namespace

AppendTimes::~AppendTimes() {
    fs_.spare_files().remove(*this);
}

void AppendTimes::load(Position from, Position to, TimestampMs floor) {
    const std::scoped_lock lock(mutex_);
    load_locked(from, to, floor);
}

void AppendTimes::reload(Position from, Position to) {
    const std::scoped_lock lock(mutex_);
    load_locked(from, to, floor_);
}

void AppendTimes::load_locked(Position from, Position to, TimestampMs floor) {
    entries_.clear();
    floor_ = floor;
    newest_is_stored_ = false;
    const auto content = read_small_file(fs_, path_, kTimesSlots * kTimesEntryBytes).value_or(std::string());
    file_bytes_ = content.size();
    const std::vector<TimesEntry> stored = decode_times_file(std::as_bytes(std::span(content)));
    for (const TimesEntry& entry : stored) {
        next_sequence_ = entry.sequence + 1;
        newest_is_stored_ = entry.position <= to;
        if (!newest_is_stored_) {
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
    return store(std::array{Entry{from, time}});
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

bool AppendTimes::is_due(TimestampMs now) const {
    if (entries_.empty()) {
        return true;
    }
    return interval_ms() != kNever && is_later_step(now, entries_.back().time);
}

bool AppendTimes::is_later_step(TimestampMs time, TimestampMs than) const {
    const std::int64_t interval = std::min(interval_ms(), kCoarseIntervalMs);
    return time.value / interval > than.value / interval;
}

Result<bool> AppendTimes::note(Position end, TimestampMs now) {
    const std::scoped_lock lock(mutex_);
    if (!is_due(now)) {
        return false;
    }
    now = std::max(now, floor_);
    if (!entries_.empty() && entries_.back().position == end) {
        entries_.back().time = now;
    } else {
        entries_.push_back({end, now});
    }
    return store_new(std::array{Entry{end, now}});
}

Result<bool> AppendTimes::note_seen(Position from, Position to, TimestampMs now) {
    const std::scoped_lock lock(mutex_);
    if (!is_due(now)) {
        return mark_locked(to, now);
    }
    now = std::max(now, floor_);
    if (!entries_.empty() && entries_.back().position == from) {
        entries_.back().time = now;
    } else {
        entries_.push_back({from, now});
    }
    entries_.push_back({to, now});
    return store_new(std::array{Entry{from, now}, Entry{to, now}});
}

Result<bool> AppendTimes::mark_seen(Position end, std::optional<TimestampMs> now) {
    const std::scoped_lock lock(mutex_);
    return mark_locked(end, now);
}

// An entry of the last one's time. Where that is such a one too it is moved; in the file as well, but not at each of
// thousands of looks a second.
Result<bool> AppendTimes::mark_locked(Position end, std::optional<TimestampMs> now) {
    if (entries_.empty() || entries_.back().position >= end) {
        return false;
    }
    const bool is_mark = entries_.size() > 1 && std::prev(entries_.end(), 2)->time == entries_.back().time;
    if (is_mark) {
        entries_.back().position = end;
    } else if (interval_ms() != kNever) {
        entries_.push_back({end, entries_.back().time});
        newest_is_stored_ = false;
    } else {
        return false;
    }
    if (now && *now >= marked_at_ && *now - marked_at_ < kMarkIntervalMs) {
        return false;
    }
    marked_at_ = now.value_or(marked_at_);
    next_sequence_ -= newest_is_stored_ ? 1 : 0;
    return store_new(std::array{entries_.back()});
}

Result<bool> AppendTimes::fence(Position end, TimestampMs now, Haste haste) {
    const std::scoped_lock lock(mutex_);
    const bool at_once = haste == Haste::kAtOnce && entries_.size() < kEntriesBeforeCoarse / 2 && !entries_.empty() &&
                         entries_.back().time < now;
    if (!at_once && !is_due(now)) {
        return false;
    }
    return fence_locked(end, std::max(now, floor_));
}

Result<bool> AppendTimes::fence_ahead(Position end, TimestampMs time, std::optional<std::int64_t> monotonic_ms) {
    const std::scoped_lock lock(mutex_);
    if (time <= (entries_.empty() ? floor_ : entries_.back().time)) {
        return false;
    }
    if (monotonic_ms) {
        const std::int64_t interval = interval_ms();
        if (interval == kNever || (ahead_at_ && *monotonic_ms - *ahead_at_ < interval)) {
            return false;
        }
        ahead_at_ = monotonic_ms;
    }
    return fence_locked(end, time);
}

std::optional<std::int64_t> AppendTimes::fence_interval_ms() const {
    const std::scoped_lock lock(mutex_);
    return interval_ms() == kNever ? std::nullopt : std::optional(interval_ms());
}

Result<bool> AppendTimes::fence_locked(Position end, TimestampMs time) {
    if (!entries_.empty() && entries_.back().position == end) {
        entries_.back().time = time;
        // In the same place of the file: where nothing is appended any number of fences takes no more room there.
        next_sequence_ -= newest_is_stored_ ? 1 : 0;
    } else {
        entries_.push_back({end, time});
    }
    return store_new(std::array{entries_.back()});
}

Result<bool> AppendTimes::note_unseen(Position to, TimestampMs written, TimestampMs now) {
    Position from;
    {
        const std::scoped_lock lock(mutex_);
        if (entries_.empty() || entries_.back().position >= to || !is_later_step(written, entries_.back().time)) {
            return false;
        }
        if (written > now) {
            return false;  // The clock was set back meanwhile: the two times cannot be compared.
        }
        from = entries_.back().position;
        const std::int64_t slack_ms = 2 * std::min(interval_ms(), kCoarseIntervalMs);
        if (written - entries_.back().time <= slack_ms) {
            now = std::min(now, written + kClockTickMs);
        }
    }
    return note_seen(from, to, now);
}

// With one write, but at the ring's end: a look at a busy head costs one.
Result<void> AppendTimes::store(std::span<const Entry> entries) {
    newest_is_stored_ = false;
    if (!file_) {
        TOPICFS_TRY_ASSIGN(file_, open_file(fs_, path_, O_RDWR | O_CREAT));
        fs_.spare_files().add(*this);
    }
    std::array<std::byte, 2 * kTimesEntryBytes> bytes{};
    std::size_t filled = 0;
    std::uint64_t at = times_file_offset(next_sequence_);
    for (const Entry& entry : entries) {
        if (filled > 0 && times_file_offset(next_sequence_) == 0) {
            TOPICFS_TRY(write_at(fs_, file_, std::span<const std::byte>(bytes).first(filled), at));
            file_bytes_ = std::max(file_bytes_.load(), at + filled);
            filled = 0;
            at = 0;
        }
        const auto encoded = encode_times_entry({next_sequence_++, entry.position, entry.time});
        std::copy(encoded.begin(), encoded.end(), bytes.begin() + static_cast<std::ptrdiff_t>(filled));
        filled += kTimesEntryBytes;
    }
    TOPICFS_TRY(write_at(fs_, file_, std::span<const std::byte>(bytes).first(filled), at));
    file_bytes_ = std::max(file_bytes_.load(), at + filled);
    newest_is_stored_ = true;
    return {};
}

Result<bool> AppendTimes::store_new(std::span<const Entry> entries) {
    TOPICFS_TRY(store(entries));
    return true;
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

void AppendTimes::change_file(std::string path, Position position) {
    const std::scoped_lock lock(mutex_);
    close_file_locked();
    const TimestampMs newest = entries_.empty() ? floor_ : entries_.back().time;
    floor_ = position.value == 0 ? floor_ : time_at_locked(Position{position.value - 1});
    entries_.clear();
    entries_.push_back({position, newest});
    path_ = std::move(path);
    next_sequence_ = 0;
    file_bytes_ = 0;
    newest_is_stored_ = false;
}

std::uint64_t AppendTimes::disk_bytes() const {
    constexpr std::uint64_t kBlockBytes = 4096;
    return (file_bytes_.load() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

void AppendTimes::close_file() {
    const std::scoped_lock lock(mutex_);
    close_file_locked();
}

void AppendTimes::close_file_locked() {
    if (file_) {
        fs_.spare_files().remove(*this);
        (void)fs_.close(std::move(file_)).has_value();
        file_ = {};
    }
}

bool AppendTimes::let_go(Effort /*effort*/) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !file_) {
        return false;
    }
    (void)fs_.close(std::move(file_)).has_value();
    file_ = {};
    return true;
}

}  // namespace topicfs
