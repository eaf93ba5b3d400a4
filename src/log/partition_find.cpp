// Looking up records of a partition by offset and by time.
#include "log/partition_log.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace topicfs {

namespace {

constexpr std::size_t kScanBytes = 1u << 16;

// The index of the `number`-th (from 1) byte that is `delimiter`; bytes.size() where there are fewer.
std::size_t find_nth(std::span<const std::byte> bytes, std::byte delimiter, std::uint64_t number) {
    std::size_t at = 0;
    for (;;) {
        const auto* found = static_cast<const std::byte*>(
            std::memchr(bytes.data() + at, std::to_integer<int>(delimiter), bytes.size() - at));
        if (found == nullptr) {
            return bytes.size();
        }
        at = static_cast<std::size_t>(found - bytes.data());
        if (--number == 0) {
            return at;
        }
        ++at;
        if (at == bytes.size()) {
            return at;
        }
    }
}

Error not_found(const std::string& directory, std::string what) {
    return make_error(ErrorCode::kNotFound, "look up", directory, std::move(what));
}

using EndEntry = Result<std::optional<IndexEntry>> (Segment::*)();

// How many of the segments, from the first on, have an entry `which` for which `is_before` holds; it must hold for a
// prefix of them. A segment that has no batches, because all are lost, says nothing and is passed over.
Result<std::size_t> segments_before(const std::vector<std::shared_ptr<Segment>>& all, EndEntry which,
                                    const std::function<bool(const IndexEntry&)>& is_before,
                                    const std::function<void(const std::shared_ptr<Segment>&)>& note_use) {
    std::size_t low = 0;
    std::size_t high = all.size();
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        std::optional<IndexEntry> entry;
        std::size_t probe = middle;
        for (; probe < high && !entry; ++probe) {
            TOPICFS_TRY_ASSIGN(entry, (all[probe].get()->*which)());
            note_use(all[probe]);
        }
        if (entry && is_before(*entry)) {
            low = probe;
        } else {
            high = middle;
        }
    }
    return low;
}

}  // namespace

// A look-up that had to open a segment leaves as few of them open as a reader does.
std::function<void(const std::shared_ptr<Segment>&)> PartitionLog::note_probe() {
    return [this](const std::shared_ptr<Segment>& segment) {
        if (segment->is_open()) {
            note_use(segment);
        }
    };
}

Result<std::uint64_t> PartitionLog::count_between(Position from, Position to) {
    return count_with(from, to, [this](Position at, std::span<std::byte> into) { return read_unnoted(at, into); });
}

template <typename Read>
Result<std::uint64_t> PartitionLog::count_with(Position from, Position to, Read read) {
    if (from >= to) {
        return std::uint64_t{0};
    }
    const auto delimiter = settings()->record_delimiter;
    std::vector<std::byte> window(kScanBytes);
    std::uint64_t count = 0;
    while (from < to) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), to - from);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read(from, std::span(window).first(want)));
        if (have == 0) {
            break;
        }
        count += count_records(std::span<const std::byte>(window).first(have), delimiter);
        from = from + have;
    }
    return count;
}

// The log end, with the number of whole records before it. What was counted of head is not counted again. No batch is
// decoded for that: head is read, also where it is sealed meanwhile, and where it is given back too the batches know
// the number.
Result<Found> PartitionLog::log_end() {
    for (;;) {
        bool again = false;
        auto found = log_end_once(again);
        if (!found || !again) {
            return found;
        }
    }
}

Result<Found> PartitionLog::log_end_once(bool& again) {
    const SealedEnd sealed = sealed_end_pair();
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    Position from = sealed.position;
    std::uint64_t counted = sealed.offset.value;
    {
        const std::scoped_lock lock(mutex_);
        if (counted_to_ > from && counted_to_ <= log_end) {
            from = counted_to_;
            counted = counted_;
        }
    }
    TOPICFS_TRY_ASSIGN(const std::uint64_t more, count_with(from, log_end, [&](Position at, std::span<std::byte> into) {
                           auto got = read_head(at, into, again);
                           return got && again ? Result<std::size_t>(0) : std::move(got);
                       }));
    if (again) {
        return Found{};
    }
    const std::scoped_lock lock(mutex_);
    if (log_end > counted_to_) {
        counted_to_ = log_end;
        counted_ = counted + more;
    }
    return Found{std::max(from, log_end), Offset{counted + more}};
}

Result<Found> PartitionLog::find_offset_once(Offset offset) {
    const SealedEnd sealed = sealed_end_pair();
    const Found start = log_start();
    if (offset < start.offset) {
        return not_found(directory_, "offset " + std::to_string(offset.value) + " lies before the log start");
    }
    if (offset == start.offset) {
        return start;
    }
    if (offset > sealed.offset) {
        return find_in_head(offset);
    }
    const std::shared_ptr<const SegmentList> listed = segments();
    const SegmentList& all = *listed;
    // The last segment whose first batch begins below the offset: its records are in order, so a binary search does.
    TOPICFS_TRY_ASSIGN(const std::size_t below,
                       segments_before(
                           all, &Segment::first_entry,
                           [&](const IndexEntry& first) { return first.base_offset < offset; }, note_probe()));
    std::optional<IndexEntry> entry;
    if (below > 0) {
        TOPICFS_TRY_ASSIGN(entry, all[below - 1]->find_offset(offset));
    }
    const auto lost = [&] {
        return make_error(
            ErrorCode::kDamaged, "look up", directory_,
            "the bytes in which the record of offset " + std::to_string(offset.value) + " begins are lost");
    };
    if (!entry) {
        return lost();
    }
    if (!settings()->record_delimiter) {
        return Found{entry->base_position + (offset - entry->base_offset), offset};
    }
    TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(entry->base_position));
    TOPICFS_TRY_ASSIGN(const RawBytes raw, raw_bytes(piece));
    const std::size_t at =
        find_nth(raw.bytes(), std::byte{*settings()->record_delimiter}, offset - piece.entry().base_offset);
    if (at == raw.bytes().size()) {
        return lost();
    }
    return Found{piece.entry().base_position + at + 1, offset};
}

// Counts from the sealed end on: what lies behind it is never much.
Result<Found> PartitionLog::find_in_head(Offset offset) {
    const SealedEnd sealed = sealed_end_pair();
    if (offset <= sealed.offset) {
        return find_offset(offset);  // sealed meanwhile
    }
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    const auto delimiter = settings()->record_delimiter;
    std::uint64_t wanted = offset - sealed.offset;
    if (!delimiter) {
        return wanted <= log_end - sealed.position
                   ? Result<Found>(Found{sealed.position + wanted, offset})
                   : not_found(directory_, "offset " + std::to_string(offset.value) + " lies behind the log end");
    }
    std::vector<std::byte> window(kScanBytes);
    Position at = sealed.position;
    while (at < log_end) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), log_end - at);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_unnoted(at, std::span(window).first(want)));
        if (have == 0) {
            break;
        }
        const auto bytes = std::span<const std::byte>(window).first(have);
        const std::uint64_t here = count_records(bytes, delimiter);
        if (here >= wanted) {
            return Found{at + find_nth(bytes, std::byte{*delimiter}, wanted) + 1, offset};
        }
        wanted -= here;
        at = at + have;
    }
    return not_found(directory_, "offset " + std::to_string(offset.value) + " lies behind the log end");
}

Result<Found> PartitionLog::records_end() {
    TOPICFS_TRY_ASSIGN(const Found found, log_end());
    // Where the next record is to begin.
    return find_offset(found.offset);
}

Result<Found> PartitionLog::find_position_once(Position position) {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (position < start() || position > log_end) {
        return not_found(directory_, "position " + std::to_string(position.value) + " is not in the log");
    }
    return found_at(position);
}

Result<Found> PartitionLog::find_time_once(TimestampMs time) {
    TOPICFS_TRY_ASSIGN(const Position log_end, look());
    TOPICFS_TRY_ASSIGN(const std::optional<Position> byte, first_byte_at(time));
    return found_at(byte.value_or(log_end));
}

Result<TimeBound> PartitionLog::bound_of(TimestampMs time) {
    // Before anything is searched for: all below this log end has its time by then, for good. Where none of it is found
    // to be at or after `time`, the bound lies behind it.
    TOPICFS_TRY_ASSIGN(const Position log_end, look_and_fence(time));
    TOPICFS_TRY_ASSIGN(const std::optional<Position> byte, first_byte_at(time));
    TOPICFS_TRY_ASSIGN(const Found found, found_at(byte.value_or(log_end)));
    return TimeBound{found.position, byte.has_value()};
}

Result<TimestampMs> PartitionLog::time_of(Position position) {
    TOPICFS_TRY_ASSIGN(const Position log_end, look());
    if (position < start() || position >= log_end) {
        return not_found(directory_, "position " + std::to_string(position.value) + " is not in the log");
    }
    const Position sealed = sealed_end();
    if (position < sealed) {
        TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(position));
        const auto& times = piece.batch->times;
        const std::uint64_t raw_offset = position - piece.entry().base_position;
        const auto later = std::upper_bound(times.begin(), times.end(), raw_offset,
                                            [](std::uint64_t at, const BatchTime& t) { return at < t.raw_offset; });
        return later == times.begin() ? times.front().time : std::prev(later)->time;
    }
    const TimestampMs time = times_->time_at(position);
    if (durable_sealed_end_.load() > sealed) {
        return time_of(position);  // As in first_byte_at().
    }
    return time;
}

// The log end, below which every byte has its time for good: what nobody has looked at yet gets the present one.
// Without this a look-up now would take such bytes for older than a look-up later does.
Result<Position> PartitionLog::look() {
    TOPICFS_TRY_ASSIGN(const Position log_end, observe());
    // A reader beside a daemon takes over what that has noted.
    if (env_.read_only && times_read_to_.exchange(log_end) != log_end) {
        times_->reload(sealed_end(), log_end);
    }
    return log_end;
}

// As look(). Where the clock has reached `time`, but no entry says so, that is noted at the log end: what is there is
// older, what comes is not, for good, also should the clock be set back. (An entry for each such look-up would be too
// many: AppendTimes leaves it where the last one is younger than its resolution.)
Result<Position> PartitionLog::look_and_fence(TimestampMs time) {
    TOPICFS_TRY_ASSIGN(const Position log_end, look());
    const TimestampMs now = env_.clock.now();
    if (env_.read_only || failed_ || now < time || times_->last() >= time) {
        return log_end;
    }
    return fence(now, false, Haste::kUsual);
}

// Notes at the log end, which it returns, that what comes is not older than `time`: the present one, or with `ahead` a
// later one. Does nothing where the last note is too young.
Result<Position> PartitionLog::fence(TimestampMs time, bool ahead, Haste haste) {
    if (!failed_) {
        TOPICFS_TRY(head());  // Once it is idle it is closed, and the file of times with it.
    }
    Position from;
    Position log_end;
    {
        const std::scoped_lock lock(growth_mutex_);
        from = observed_end_.load();
        TOPICFS_TRY_ASSIGN(log_end, end());
        const TimestampMs now = env_.clock.now();
        auto noted = from < log_end ? times_->note_seen(from, log_end, now) : Result<bool>(false);
        if (noted) {
            noted = ahead ? times_->fence_ahead(log_end, time, env_.clock.monotonic_ms())
                          : times_->fence(log_end, time, haste);
        }
        note_times(noted);
        observed_end_ = std::max(from, log_end);
        note_grown_locked(from);
    }
    if (from < log_end) {
        after_growth(from, log_end);
    }
    return log_end;
}

// The first byte with a time of at least `time`: in the log, or right at its end where the next append has one.
Result<std::optional<Position>> PartitionLog::first_byte_at(TimestampMs time) {
    const SealedEnd sealed = sealed_end_pair();
    const std::shared_ptr<const SegmentList> listed = segments();
    const SegmentList& all = *listed;
    TOPICFS_TRY_ASSIGN(
        const std::size_t low,
        segments_before(
            all, &Segment::last_entry, [&](const IndexEntry& last) { return last.last_time < time; }, note_probe()));
    for (std::size_t i = low; i < all.size(); ++i) {  // The first, unless all its batches are lost.
        TOPICFS_TRY_ASSIGN(const auto entry, all[i]->find_time(time));
        if (entry && entry->base_position < sealed.position) {
            const Position first_kept = start();
            if (entry->end_position() <= first_kept) {
                return std::optional(first_kept);  // It may have been given back.
            }
            TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(std::max(entry->base_position, first_kept)));
            const auto& times = piece.batch->times;
            const auto first =
                std::find_if(times.begin(), times.end(), [&](const BatchTime& t) { return t.time >= time; });
            return std::optional(piece.entry().base_position + (first == times.end() ? 0 : first->raw_offset));
        }
    }
    const std::optional<Position> in_head = times_->find(sealed.position, time);
    if (durable_sealed_end_.load() > sealed.position) {
        return first_byte_at(time);  // A checkpoint may have made the times forget what is in segments now.
    }
    return in_head;
}

// The record that `position` is a byte of, or that begins there; `position` is at most the log end.
Result<Found> PartitionLog::found_at(Position position) {
    const auto delimiter = settings()->record_delimiter;
    const Found start = log_start();
    if (position <= start.position) {
        return start;
    }
    const Position before{position.value - 1};
    const SealedEnd sealed = sealed_end_pair();
    std::uint64_t ended = 0;  // records that end before `position`
    std::byte last{};         // the byte before it
    if (before < sealed.position) {
        const auto piece = sealed_piece(before);
        if (!piece && piece.error().code == ErrorCode::kDamaged) {
            return found_behind_loss(position, sealed);
        }
        TOPICFS_TRY(piece);
        TOPICFS_TRY_ASSIGN(const RawBytes raw, raw_bytes(*piece));
        const auto bytes = raw.bytes().first(position - piece->entry().base_position);
        ended = piece->entry().base_offset.value + count_records(bytes, delimiter);
        last = bytes.back();
    } else {
        TOPICFS_TRY_ASSIGN(const std::uint64_t counted, count_between(sealed.position, position));
        ended = sealed.offset.value + counted;
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_unnoted(before, std::span(&last, 1)));
        if (have == 0) {
            return make_error(ErrorCode::kDamaged, "look up", directory_, "head has become shorter");
        }
    }
    if (!delimiter || last == std::byte{*delimiter}) {
        return Found{position, Offset{ended}};
    }
    return begin_of_record(Offset{ended}, before);
}

// As found_at() where the byte before is lost: nobody can tell where the record begins that goes on here.
Result<Found> PartitionLog::found_behind_loss(Position position, const SealedEnd& sealed) {
    if (position >= sealed.position) {
        return Found{position, sealed.offset};
    }
    TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(position));
    return Found{position, piece.entry().base_offset};
}

// Where the record `offset` begins, of which `inside` is a byte.
Result<Found> PartitionLog::begin_of_record(Offset offset, Position inside) {
    const Found start = log_start();
    auto found = offset < start.offset ? Result<Found>(start) : find_offset(offset);
    if (found || found.error().code != ErrorCode::kDamaged) {
        return found;
    }
    // What the offsets go by is lost: read back from there, as far as bytes can be had.
    const std::byte delimiter{settings()->record_delimiter.value_or(0)};
    std::vector<std::byte> window(kScanBytes);
    for (Position upto = inside + 1;;) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), upto - start.position);
        const auto into = std::span(window).first(want);
        const Position from{upto.value - want};
        const auto have = read_unnoted(from, into);
        if (want == 0 || !have || *have < want) {
            return Found{upto, offset};
        }
        const auto last = std::find(into.rbegin(), into.rend(), delimiter);
        if (last != into.rend()) {
            return Found{from + static_cast<std::uint64_t>(into.rend() - last), offset};
        }
        upto = from;
    }
}

// Beside a daemon, which removes meanwhile.
template <typename Find>
auto PartitionLog::again_if_removed(Find find) -> decltype(find()) {
    for (;;) {
        const Position before = start();
        auto found = find();
        if (found || !env_.read_only) {
            return found;
        }
        look_for_removed();
        if (start() == before) {
            return found;
        }
    }
}

Result<Found> PartitionLog::find_offset(Offset offset) {
    return again_if_removed([&] { return find_offset_once(offset); });
}

Result<Found> PartitionLog::find_position(Position position) {
    return again_if_removed([&] { return find_position_once(position); });
}

Result<Found> PartitionLog::find_time(TimestampMs time) {
    return again_if_removed([&] { return find_time_once(time); });
}

}  // namespace topicfs
