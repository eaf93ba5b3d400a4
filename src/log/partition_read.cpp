// Reading a partition: each byte from where it is, copied or as a view. Look-ups are in partition_find.cpp.
#include "base/log.h"
#include "log/layout.h"
#include "log/partition_log.h"

#include <algorithm>

namespace topicfs {

namespace {

constexpr std::size_t kSegmentsInUseMax = 4;  // of one partition, with two descriptors each

Error not_found(const std::string& directory, std::string what) {
    return make_error(ErrorCode::kNotFound, "look up", directory, std::move(what));
}

}  // namespace

std::shared_ptr<const PartitionLog::SegmentList> PartitionLog::segments() const {
    const std::scoped_lock lock(mutex_);
    return segments_;
}

template <typename Take>
Result<std::size_t> PartitionLog::gather(Position from, std::size_t bytes, Take take) {
    std::size_t taken = 0;
    while (taken < bytes) {
        const Position at = from + taken;
        std::size_t rest = bytes - taken;
        if (end_limit_) {
            rest = at < *end_limit_ ? std::min<std::uint64_t>(rest, *end_limit_ - at) : 0;
            if (rest == 0) {
                break;
            }
        }
        bool again = false;
        Result<std::size_t> got = take(at, taken, rest, again);
        if (got && again) {
            continue;
        }
        if (!got) {
            // What is good before the damage is served; the next read says what is wrong.
            return taken > 0 ? Result<std::size_t>(taken) : std::move(got);
        }
        if (*got == 0) {
            break;
        }
        taken += *got;
    }
    return taken;
}

// For look-ups: no stream of reads goes on with it.
Result<std::size_t> PartitionLog::read_unnoted(Position from, std::span<std::byte> into) {
    return gather(from, into.size(), [&](Position at, std::size_t filled, std::size_t rest, bool& again) {
        const auto room = into.subspan(filled, rest);
        return at < sealed_end() ? read_sealed(at, room) : read_head(at, room, again);
    });
}

Result<std::size_t> PartitionLog::read(Position from, std::span<std::byte> into) {
    auto got = read_unnoted(from, into);
    note_read(from, got ? *got : 0);
    return got;
}

Result<ByteView> PartitionLog::view_unnoted(Position from, std::size_t bytes_max) {
    ByteView view;
    TOPICFS_TRY(gather(from, bytes_max, [&](Position at, std::size_t, std::size_t rest, bool& again) {
        return at < sealed_end() ? view_sealed(at, rest, view) : view_head(at, rest, view, again);
    }));
    if (view.parts().size() <= kViewPartsMax) {
        return view;
    }
    const auto copy = std::make_shared<Buffer>(env_.cache.buffers().take(view.size()));
    TOPICFS_TRY_ASSIGN(const std::size_t got, read_unnoted(from, copy->bytes().first(view.size())));
    ByteView whole;
    whole.add(std::span<const std::byte>(copy->bytes()).first(got), copy);
    return whole;
}

Result<ByteView> PartitionLog::view(Position from, std::size_t bytes_max) {
    TOPICFS_TRY_ASSIGN(ByteView view, view_unnoted(from, bytes_max));
    note_read(from, view.size());
    return view;
}

Result<PartitionLog::Records> PartitionLog::view_records(Position from, Position upto, std::size_t bytes_max) {
    Records records;
    if (from >= upto) {
        return records;
    }
    TOPICFS_TRY_ASSIGN(records.view, view_unnoted(from, std::min<std::uint64_t>(bytes_max, upto - from)));
    const Position end = from + records.view.size();
    if (end < upto && end > from) {
        TOPICFS_TRY_ASSIGN(const auto whole, last_record_end(from, end));
        records.ends_in_record = !whole;
        records.view.cut(whole.value_or(end) - from);
    }
    // Noted as cut: there the reader goes on.
    note_read(from, records.view.size());
    return records;
}

// Counts what was given to a reader, and lets others decode what a sequential one will want next.
void PartitionLog::note_read(Position from, std::size_t bytes) {
    read_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    if (env_.read_ahead == nullptr || bytes == 0 || from + bytes >= sealed_end()) {
        return;
    }
    const std::uint64_t ahead_bytes =
        std::min<std::uint64_t>(env_.cache.ahead_bytes_max() / 2, ReadAhead::kAheadBytesMax);
    const ReadStreams::Advice advice =
        read_streams_.note(from, from + bytes, ahead_bytes, env_.cache.ahead_bytes_max());
    if (advice.ahead) {
        env_.read_ahead->add(*this, advice.ahead->from, advice.ahead->upto);
    }
    if (advice.passed) {
        drop_passed(*advice.passed);
    }
}

void PartitionLog::drop_passed(const ReadStreams::Range& passed) {
    for (Position from = passed.from; from < passed.upto;) {
        const Place place = place_of(from);
        const Position upto = std::min(place.next_base, passed.upto);
        if (place.segment) {
            env_.cache.drop_passed(place.segment, from, upto);
        }
        if (upto <= from) {
            return;
        }
        from = upto;
    }
}

void PartitionLog::load_ahead(Position from, Position upto) {
    while (from < upto && from < sealed_end() && env_.cache.has_room_ahead()) {
        const Place place = place_of(from);
        if (!place.segment) {
            return;
        }
        if (const auto end = env_.cache.end_of(place.segment, from)) {
            from = *end;
            continue;
        }
        const auto lookup = place.segment->find(from);
        if (!lookup || !lookup->entry) {
            return;  // The reader who comes here says what is wrong.
        }
        const IndexEntry& entry = *lookup->entry;
        if (entry.end_position() < upto) {
            env_.read_ahead->add(*this, entry.end_position(), upto);
        }
        env_.cache.load_ahead(place.segment, entry.base_position, entry.raw_bytes,
                              [&] { return place.segment->read_batch(entry, env_.cache.buffers()); });
        return;
    }
}

Result<std::size_t> PartitionLog::read_head(Position from, std::span<std::byte> into, bool& again) {
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock lock(mutex_);
        open = head_;
        head_used_ = true;
    }
    if (!open || from < open->base()) {
        // Head is closed only when it holds nothing that is not sealed.
        again = from < sealed_end();
        return std::size_t{0};
    }
    TOPICFS_TRY_ASSIGN(const std::size_t got, open->read(from, into));
    TOPICFS_TRY(refresh_if_punched(from, again));
    return got;
}

// Called after a read of head from `from` on: whether that may have seen holes.
Result<void> PartitionLog::refresh_if_punched(Position from, bool& again) {
    if (!env_.read_only) {
        again = punched_end_.load() > from;
        return {};
    }
    TOPICFS_TRY_ASSIGN(const auto choice, RecoveryFile::load(env_.fs, path(kRecoveryFileName)));
    if (choice && choice->point.punched_end > from) {
        RecoveryOptions options;
        options.read_only = true;
        options.now = env_.clock.now();
        TOPICFS_TRY_ASSIGN(Recovered recovered, recover_partition(env_.fs, directory_, options));
        again = recovered.point.sealed_end > from;
        if (again) {
            TOPICFS_TRY(adopt(std::move(recovered)));
        }
    }
    return {};
}

Result<std::size_t> PartitionLog::read_sealed(Position from, std::span<std::byte> into) {
    TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(from));
    if (from < removed_end_.load()) {
        return removed_position(from);
    }
    auto copied = piece.segment->copy_raw(*piece.batch, from - piece.entry().base_position, into);
    return copied ? std::move(copied) : removed_or(from, std::move(copied).error());
}

// What is better copied (see FileWindows), where head cannot be mapped, and beside a daemon, which does not wait for
// this process before it punches.
Result<std::size_t> PartitionLog::view_copy(Position from, std::size_t bytes, ByteView& view, bool& again) {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return std::size_t{0};
    }
    const auto copy =
        std::make_shared<Buffer>(env_.cache.buffers().take(std::min<std::uint64_t>(bytes, log_end - from)));
    TOPICFS_TRY_ASSIGN(const std::size_t got, read_head(from, copy->bytes(), again));
    if (!again) {
        view.add(std::span<const std::byte>(copy->bytes()).first(got), copy);
    }
    return got;
}

Result<std::size_t> PartitionLog::view_head(Position from, std::size_t bytes, ByteView& view, bool& again) {
    if (env_.read_only) {
        return view_copy(from, bytes, view, again);
    }
    const HeadPins::Pin pin = head_pins_.take();
    again = punched_end_.load() > from;  // in segments, all of it
    if (again) {
        return std::size_t{0};
    }
    std::shared_ptr<Head> open;
    {
        const std::scoped_lock lock(mutex_);
        open = head_;
        head_used_ = true;
    }
    if (!open || from < open->base()) {
        // Head is closed only when it holds nothing that is not sealed.
        again = from < sealed_end();
        return std::size_t{0};
    }
    TOPICFS_TRY_ASSIGN(const Position log_end, open->end());
    if (from >= log_end) {
        return std::size_t{0};
    }
    const auto added = open->view(from, std::min<std::uint64_t>(bytes, log_end - from), view);
    if (!added || *added == 0) {
        return view_copy(from, bytes, view, again);
    }
    view.keep(pin);
    return *added;
}

Result<std::size_t> PartitionLog::view_sealed(Position from, std::size_t bytes, ByteView& view) {
    TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(from));
    if (from < removed_end_.load()) {
        return removed_position(from);
    }
    const std::size_t skip = from - piece.entry().base_position;
    const std::size_t wanted = std::min<std::size_t>(bytes, piece.entry().raw_bytes - skip);
    if (!piece.batch->is_stored()) {
        view.add(piece.batch->raw.bytes().subspan(skip, wanted), piece.batch);
        return wanted;
    }
    if (!env_.read_only) {  // else a daemon may be at work, which does not wait for this process before it punches
        const auto added = piece.segment->view_stored(*piece.batch, skip, wanted, view);
        if (added && *added > 0) {
            view.keep(piece.pin);
            return *added;
        }
    }
    // Better copied, or it cannot be mapped. If it cannot be read either, this says why.
    const auto copy = std::make_shared<Buffer>(env_.cache.buffers().take(wanted));
    auto got = piece.segment->copy_raw(*piece.batch, skip, copy->bytes());
    if (!got) {
        return removed_or(from, std::move(got).error());
    }
    view.add(std::span<const std::byte>(copy->bytes()).first(*got), copy);
    return *got;
}

Result<BatchCache::Batch> PartitionLog::decoded(const std::shared_ptr<Segment>& segment, const IndexEntry& entry) {
    return env_.cache.get(segment, entry.base_position,
                          [&] { return segment->read_batch(entry, env_.cache.buffers()); });
}

Result<PartitionLog::RawBytes> PartitionLog::raw_bytes(const Piece& piece) {
    RawBytes raw{piece.batch, {}};
    if (piece.batch->is_stored()) {
        raw.copy = env_.cache.buffers().take(piece.entry().raw_bytes);
        TOPICFS_TRY(piece.segment->copy_raw(*piece.batch, 0, raw.copy.bytes()));
    }
    return raw;
}

// A reader that goes through many segments leaves their descriptors behind: only the last few stay open.
void PartitionLog::note_use(const std::shared_ptr<Segment>& segment) {
    std::shared_ptr<Segment> oldest;
    {
        const std::scoped_lock lock(mutex_);
        if (!in_use_.empty() && in_use_.front() == segment) {
            return;
        }
        std::erase(in_use_, segment);
        in_use_.insert(in_use_.begin(), segment);
        if (in_use_.size() > kSegmentsInUseMax) {
            oldest = std::move(in_use_.back());
            in_use_.pop_back();
        }
    }
    if (oldest) {
        oldest->close_idle();
    }
}

PartitionLog::Place PartitionLog::place_of(Position position) const {
    const std::shared_ptr<const SegmentList> all = segments();
    const auto next = std::upper_bound(all->begin(), all->end(), position,
                                       [](Position p, const auto& segment) { return p < segment->base(); });
    return {next == all->begin() ? nullptr : *std::prev(next), next == all->end() ? sealed_end() : (*next)->base()};
}

// The decoded batch that holds `position`, which is below the sealed end. kNotFound where that was given back.
Result<PartitionLog::Piece> PartitionLog::sealed_piece(Position position) {
    HeadPins::Pin pin = sealed_pins_.take();
    auto piece = find_sealed_piece(position);
    if (!piece) {
        look_for_removed();
    }
    const Position removed = removed_end_.load();
    // What is behind the log start of its batch is there still, and may be asked for by where the batch begins.
    if (piece ? piece->entry().end_position() <= removed : position < removed) {
        return removed_position(position);
    }
    TOPICFS_TRY(piece);
    piece->pin = std::move(pin);
    return piece;
}

// Beside a daemon, which removes without asking this process: what lies before the log start of now is to be read no
// more. Where that cannot be told it stays as it was.
void PartitionLog::look_for_removed() {
    if (!env_.read_only) {
        return;
    }
    const auto choice = RecoveryFile::load(env_.fs, path(kRecoveryFileName));
    if (!choice || !*choice) {
        return;
    }
    const RecoveryPoint& point = (*choice)->point;
    const std::scoped_lock lock(mutex_);
    if (point.log_start > log_start_.position) {
        log_start_ = {point.log_start, point.log_start_offset};
        removed_end_ = point.log_start;
        auto left = std::make_shared<SegmentList>(*segments_);
        while (left->size() > 1 && (*left)[1]->base() <= point.log_start) {
            std::erase(in_use_, left->front());
            left->erase(left->begin());
        }
        segments_ = std::move(left);
    }
}

// For what went wrong at reading `position`.
Error PartitionLog::removed_or(Position position, Error error) {
    look_for_removed();
    return position < removed_end_.load() ? removed_position(position) : std::move(error);
}

Error PartitionLog::removed_position(Position position) const {
    return not_found(directory_, "position " + std::to_string(position.value) + " lies before the log start");
}

Result<PartitionLog::Piece> PartitionLog::find_sealed_piece(Position position) {
    const Place place = place_of(position);
    const std::shared_ptr<Segment>& segment = place.segment;
    if (!segment) {
        if (position < removed_end_.load()) {
            return removed_position(position);
        }
        return damage(start(), place.next_base, "no segment holds these bytes");
    }
    note_use(segment);
    if (auto batch = env_.cache.find(segment, position)) {
        return Piece{segment, std::move(batch), nullptr};
    }
    std::optional<IndexEntry> tried;
    for (;;) {
        TOPICFS_TRY_ASSIGN(const Segment::Lookup lookup, segment->find(position));
        if (!lookup.entry) {
            return damage(lookup.gap_from, lookup.gap_to.value_or(place.next_base), "no batch holds these bytes");
        }
        auto batch = decoded(segment, *lookup.entry);
        if (batch) {
            return Piece{segment, std::move(batch).value(), nullptr};
        }
        if (batch.error().code != ErrorCode::kDamaged) {
            return std::move(batch).error();
        }
        if (tried == lookup.entry) {
            return damage(lookup.entry->base_position, lookup.entry->end_position(),
                          segment->path() + ": " + batch.error().detail);
        }
        tried = lookup.entry;  // The index may have been what was wrong.
    }
}

Position PartitionLog::damage_end(Position position) const {
    const std::scoped_lock lock(mutex_);
    for (const DamagedRange& range : damaged_) {
        if (range.from <= position && position < range.to) {
            position = range.to;
        }
    }
    return position;
}

// Notes a range that cannot be served, once, and makes the error for it.
Error PartitionLog::damage(Position from, Position to, const std::string& reason) {
    look_for_removed();
    const Position removed = removed_end_.load();
    if (to <= removed) {
        return removed_position(from);
    }
    from = std::max(from, removed);
    Error error =
        make_error(ErrorCode::kDamaged, "read", directory_,
                   "positions " + std::to_string(from.value) + " to " + std::to_string(to.value) + ": " + reason);
    error.position = from.value;
    bool known = false;
    {
        const std::scoped_lock lock(mutex_);
        known = std::any_of(damaged_.begin(), damaged_.end(),
                            [&](const DamagedRange& range) { return range.from <= from && to <= range.to; });
        if (!known) {
            damaged_.push_back({from, to, reason});
        }
    }
    if (!known) {
        log_error(error.message());
    }
    return error;
}

}  // namespace topicfs
