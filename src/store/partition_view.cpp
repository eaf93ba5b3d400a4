#include "store/partition_view.h"

#include <algorithm>

namespace topicfs {

namespace {

bool is_not_found(const Error& error) {
    return error.code == ErrorCode::kNotFound;
}

}  // namespace

Result<std::shared_ptr<PartitionView>> PartitionView::open(std::shared_ptr<Partition> partition, const ViewPoint& from,
                                                           const std::optional<ViewBound>& to, TimestampMs now) {
    std::shared_ptr<PartitionView> view(new PartitionView(std::move(partition)));
    // Once, so that `@end..end` and `@-5..end` mean one and the same end.
    TOPICFS_TRY_ASSIGN(const Found records_end, view->partition_->records_end());
    const FixedPoint fixed_from = fix_view_point(from, now);
    TOPICFS_TRY_ASSIGN(view->from_, view->begin(fixed_from, records_end));
    if (const auto* const duration = to ? std::get_if<ViewAfterFrom>(&*to) : nullptr) {
        const auto end = end_of(*duration, fixed_from, now);
        view->to_ = end ? Bound(*end) : Bound(*duration);
    } else if (to) {
        TOPICFS_TRY_ASSIGN(view->to_, view->begin(fix_view_point(point_of(*to), now), records_end));
    }
    // What is there is decided by the log as it is now, and what cannot be looked up is known now.
    TOPICFS_TRY(view->range());
    return view;
}

Result<PartitionView::Bound> PartitionView::begin(const FixedPoint& point, const Found& records_end) {
    if (std::holds_alternative<ViewStart>(point)) {
        return Bound(partition_->start());
    }
    if (std::holds_alternative<ViewEnd>(point)) {
        return Bound(records_end.position);
    }
    if (const auto* const offset = std::get_if<Offset>(&point)) {
        return Bound(*offset);
    }
    if (const auto* const time = std::get_if<TimestampMs>(&point)) {
        return Bound(*time);
    }
    const std::uint64_t there = records_end.offset - std::min(partition_->start_offset(), records_end.offset);
    const std::uint64_t records = std::min(std::get<ViewLast>(point).records, there);
    const auto found = partition_->find_offset(Offset{records_end.offset.value - records});
    if (!found && is_not_found(found.error())) {
        return Bound(partition_->start());  // The log start has moved meanwhile.
    }
    TOPICFS_TRY(found);
    return Bound(found->position);
}

Result<PartitionView::Range> PartitionView::range() {
    const std::scoped_lock lock(mutex_);
    if (!last_ || !last_->is_complete) {
        TOPICFS_TRY_ASSIGN(last_, range_locked());
    }
    return *last_;
}

Result<LogView::Extent> PartitionView::extent() {
    const bool is_removed = partition_->is_removed();  // Before the end: what came before that is still read.
    TOPICFS_TRY_ASSIGN(const Range now, range());
    Extent extent{now.bytes(), now.is_complete || is_removed, now.to_time};
    if (now.bytes() > 0) {
        auto time = partition_->time_of(Position{now.to.value - 1});
        if (time) {
            extent.last_time = *time;
        } else if (!is_not_found(time.error()) && time.error().code != ErrorCode::kDamaged) {
            return std::move(time).error();
        }
    }
    return extent;
}

Result<ByteView> PartitionView::view(std::uint64_t offset, std::size_t bytes_max) {
    std::optional<Range> known;
    {
        const std::scoped_lock lock(mutex_);
        known = last_;
    }
    if (!known || offset > known->bytes() || bytes_max > known->bytes() - offset) {
        TOPICFS_TRY_ASSIGN(known, range());
    }
    if (offset >= known->bytes()) {
        return ByteView();
    }
    return partition_->view(known->from + offset, std::min<std::uint64_t>(bytes_max, known->bytes() - offset));
}

Result<std::vector<LogView::Chunk>> PartitionView::describe(std::uint64_t offset, std::size_t count_max) {
    TOPICFS_TRY_ASSIGN(const Range known, range());
    std::vector<Chunk> chunks;
    if (offset >= known.bytes()) {
        return chunks;
    }
    const std::uint32_t number = partition_->number();
    Position at = known.from + offset;
    TOPICFS_TRY_ASSIGN(const Found record, partition_->find_position(at));
    TOPICFS_TRY_ASSIGN(const Found whole, partition_->records_end());
    const Position to = std::min(known.to, whole.position);
    for (Position from = record.position; at < to && chunks.size() < count_max; from = at) {
        auto piece = partition_->time_steps(from, to);
        if (!piece && !chunks.empty()) {
            return chunks;
        }
        TOPICFS_TRY(piece);
        for (std::size_t i = 0; i < piece->steps.size() && chunks.size() < count_max; ++i) {
            const Position end = i + 1 < piece->steps.size() ? piece->steps[i + 1].from : piece->upto;
            if (at < end) {
                chunks.push_back({number, at, end - at, piece->steps[i].time});
                at = end;
            }
        }
    }
    if (at < known.to && at >= to && chunks.size() < count_max) {
        chunks.push_back({number, at, known.to - at, std::nullopt});
    }
    return chunks;
}

// TO is looked up before FROM: so a FROM that is not decided lies behind a TO that is.
Result<PartitionView::Range> PartitionView::range_locked() {
    const bool to_needs_from = to_ && std::holds_alternative<ViewAfterFrom>(*to_);
    Looked to;
    if (to_ && !to_needs_from) {
        TOPICFS_TRY_ASSIGN(to, look(*to_));
    }
    TOPICFS_TRY_ASSIGN(const Looked from, look(from_));
    if (to_needs_from) {
        TOPICFS_TRY_ASSIGN(to, look_for_duration(std::get<ViewAfterFrom>(*to_), from));
    } else if (!to_) {
        TOPICFS_TRY_ASSIGN(to.position, partition_->end());
    }
    const Position nowhere = to.is_decided ? to.position : from.position;
    Range range{nowhere, nowhere, to.is_decided, to.is_decided};
    if (from.is_decided) {
        range = {from.position, std::max(from.position, to.position), true, to.is_decided};
    }
    if (to_ && std::holds_alternative<TimestampMs>(*to_)) {
        range.to_time = std::get<TimestampMs>(*to_);
    }
    return range;
}

// Looks once more for what is not decided.
Result<PartitionView::Looked> PartitionView::look(Bound& bound) {
    Looked looked;
    if (const auto* const position = std::get_if<Position>(&bound)) {
        return Looked{*position, true};
    }
    if (const auto* const offset = std::get_if<Offset>(&bound)) {
        TOPICFS_TRY_ASSIGN(looked, look_for_offset(*offset));
    } else {
        TOPICFS_TRY_ASSIGN(const TimeBound found, partition_->bound_of(std::get<TimestampMs>(bound)));
        looked = {found.position, found.is_final};
    }
    if (looked.is_decided) {
        bound = looked.position;
    }
    return looked;
}

Result<PartitionView::Looked> PartitionView::look_for_offset(Offset offset) {
    // Asked for first: an offset that is not found then begins at or behind it.
    TOPICFS_TRY_ASSIGN(const Position log_end, partition_->end());
    auto found = partition_->find_offset(offset);
    if (found) {
        return Looked{found->position, true};
    }
    if (is_not_found(found.error()) && offset >= partition_->start_offset()) {
        return Looked{log_end, false};
    }
    return std::move(found).error();
}

// TO as a duration from FROM: once the record at FROM is there it becomes a moment like any other.
Result<PartitionView::Looked> PartitionView::look_for_duration(ViewAfterFrom duration, const Looked& from) {
    if (!from.is_decided) {
        return from;
    }
    auto time = partition_->time_of(from.position);
    if (!time) {
        if (is_not_found(time.error()) && from.position >= partition_->start()) {
            return Looked{from.position, false};  // Nothing is behind FROM either.
        }
        return std::move(time).error();
    }
    to_ = Bound(*time + duration.ms);
    return look(*to_);
}

}  // namespace topicfs
