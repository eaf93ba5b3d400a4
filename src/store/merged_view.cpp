#include "store/merged_view.h"

#include <algorithm>

namespace topicfs {

namespace {

constexpr std::size_t kPlacesMax = 8;
// A reader whose requests do not come in order: so far it is less to go there from a known place than to look it up.
constexpr std::uint64_t kWalkBytesMax = 4u << 20;
// A reader who goes backwards: so far before him a place is looked up, and places are remembered on the way to him.
constexpr std::uint64_t kLookBehindBytes = 256u << 10;
constexpr std::uint64_t kRememberBytes = 64u << 10;
// Of a view that is copied otherwise, as the kernel would have more to do with the parts than with the bytes.
constexpr std::size_t kViewedChunksMax = MergedView::kPartsMax / 2;
constexpr std::int64_t kAskAgainMs = 10;

// Where they lie. More parts than there may be, or fewer bytes than wanted: before damage.
Result<ByteView> view_of(const std::vector<MergedChunk>& chunks) {
    ByteView all;
    for (const MergedChunk& chunk : chunks) {
        auto viewed = chunk.partition->view(chunk.from, chunk.bytes);
        if (!viewed) {
            return all.empty() ? std::move(viewed) : Result<ByteView>(std::move(all));
        }
        const auto owner = std::make_shared<const ByteView>(std::move(viewed).value());
        for (const auto part : owner->parts()) {
            all.add(part, owner);
        }
        if (owner->size() < chunk.bytes) {
            break;
        }
    }
    return all;
}

Result<ByteView> copy_of(const std::vector<MergedChunk>& chunks) {
    std::size_t bytes = 0;
    for (const MergedChunk& chunk : chunks) {
        bytes += chunk.bytes;
    }
    const auto buffer = std::make_shared_for_overwrite<std::byte[]>(bytes);
    const std::span into(buffer.get(), bytes);
    std::size_t filled = 0;
    for (const MergedChunk& chunk : chunks) {
        const auto got = chunk.partition->read(chunk.from, into.subspan(filled, chunk.bytes));
        if (!got && filled == 0) {
            return got.error();
        }
        filled += got.value_or(0);
        if (!got || *got < chunk.bytes) {
            break;
        }
    }
    ByteView view;
    view.add(std::span<const std::byte>(into).first(filled), buffer);
    return view;
}

}  // namespace

MergedView::MergedView(std::shared_ptr<Topic> topic) : log_(std::move(topic)) {
    log_.on_added([this](Partition& partition) {
        for (const auto& waiter : waiters_) {
            partition.start_waiting(waiter);
        }
    });
}

Result<std::shared_ptr<MergedView>> MergedView::open(std::shared_ptr<Topic> topic, const ViewPoint& from,
                                                     const std::optional<ViewBound>& to, TimestampMs now) {
    std::shared_ptr<MergedView> view(new MergedView(std::move(topic)));
    // Once, so that `@end..end` and `@-5..end` mean one and the same end.
    TOPICFS_TRY(view->log_.look(Haste::kAtOnce));
    const FixedPoint fixed_from = fix_view_point(from, now);
    TOPICFS_TRY_ASSIGN(view->from_, view->begin(fixed_from));
    if (const auto* const duration = to ? std::get_if<ViewAfterFrom>(&*to) : nullptr) {
        const auto end = end_of(*duration, fixed_from, now);
        view->to_ = end ? Bound(*end) : Bound(*duration);
    } else if (to) {
        TOPICFS_TRY_ASSIGN(view->to_, view->begin(fix_view_point(point_of(*to), now)));
    }
    TOPICFS_TRY(view->extent());
    return view;
}

Result<MergedView::Bound> MergedView::begin(const FixedPoint& point) {
    if (std::holds_alternative<ViewStart>(point)) {
        return Bound(log_.start());
    }
    if (std::holds_alternative<ViewEnd>(point)) {
        return Bound(log_.settled());
    }
    if (const auto* const offset = std::get_if<Offset>(&point)) {
        return Bound(*offset);
    }
    if (const auto* const time = std::get_if<TimestampMs>(&point)) {
        return Bound(*time);
    }
    TOPICFS_TRY_ASSIGN(const std::uint64_t end, log_.settled_offset());
    const std::uint64_t there = end - std::min(log_.start_offset(), end);
    auto found = log_.at_offset(end - std::min(std::get<ViewLast>(point).records, there));
    if (!found && found.error().code == ErrorCode::kNotFound) {
        return Bound(log_.start());  // A log start has moved meanwhile.
    }
    TOPICFS_TRY(found);
    return Bound(found->value_or(log_.settled()));
}

// Whether it is decided by now.
Result<bool> MergedView::decide(Bound& bound) {
    std::optional<MergedState> found;
    if (const auto* const offset = std::get_if<Offset>(&bound)) {
        TOPICFS_TRY_ASSIGN(found, log_.at_offset(offset->value));
    } else if (const auto* const time = std::get_if<TimestampMs>(&bound)) {
        TOPICFS_TRY_ASSIGN(found, log_.at_time(*time));
    } else if (const auto* const duration = std::get_if<ViewAfterFrom>(&bound)) {
        const auto* const from = std::get_if<MergedState>(&from_);
        TOPICFS_TRY_ASSIGN(const auto moment, from == nullptr ? std::optional<TimestampMs>() : log_.time_of(*from));
        if (moment) {
            bound = *moment + duration->ms;
            return decide(bound);
        }
    } else {
        return true;
    }
    if (found) {
        bound = std::move(*found);
    }
    return found.has_value();
}

// TO is decided before FROM: so a FROM that is not lies behind a TO that is.
Result<void> MergedView::look_locked() {
    const bool is_removed = log_.is_removed();  // Before the look: what came before that is still read.
    TOPICFS_TRY(log_.look());
    const bool to_needs_from = to_ && std::holds_alternative<ViewAfterFrom>(*to_);
    bool to_decided = false;
    if (to_ && !to_needs_from) {
        TOPICFS_TRY_ASSIGN(to_decided, decide(*to_));
    }
    TOPICFS_TRY_ASSIGN(const bool from_decided, decide(from_));
    if (to_needs_from) {
        TOPICFS_TRY_ASSIGN(to_decided, decide(*to_));
    }
    if (from_decided) {
        const MergedState& from = std::get<MergedState>(from_);
        MergedState limit = MergedState::later(from, to_decided ? std::get<MergedState>(*to_) : log_.settled());
        if (extent_.bytes != limit.bytes() - from.bytes()) {
            TOPICFS_TRY_ASSIGN(extent_.last_time, log_.last_time_before(limit, from));
            extent_.bytes = limit.bytes() - from.bytes();
        }
        limit_ = std::move(limit);
    }
    is_final_ = to_decided || log_.is_read_only();
    extent_.is_complete = is_final_ || (is_removed && log_.is_all_settled());
    extent_.ask_again_at = std::nullopt;
    if (!extent_.is_complete) {
        extent_.ask_again_at = log_.ask_again_at();
        if (is_removed) {  // It ends soon, and nobody may tell of it.
            const TimestampMs at = log_.looked_at() + kAskAgainMs;
            extent_.ask_again_at = std::min(extent_.ask_again_at.value_or(at), at);
        }
        const auto* const to_time = to_ ? std::get_if<TimestampMs>(&*to_) : nullptr;
        if (to_time != nullptr) {
            const TimestampMs at = std::max(*to_time, log_.looked_at() + kAskAgainMs);
            extent_.ask_again_at = std::min(extent_.ask_again_at.value_or(at), at);
        }
    }
    return {};
}

Result<LogView::Extent> MergedView::extent() {
    const std::scoped_lock lock(mutex_);
    if (!is_final_) {
        TOPICFS_TRY(look_locked());
    }
    return extent_;
}

Result<ByteView> MergedView::view(std::uint64_t offset, std::size_t bytes_max) {
    std::vector<MergedChunk> chunks;
    {
        const std::scoped_lock lock(mutex_);
        const bool is_known = offset < extent_.bytes && bytes_max <= extent_.bytes - offset;
        if (!is_known && !is_final_) {
            TOPICFS_TRY(look_locked());
        }
        if (offset >= extent_.bytes) {
            return ByteView();
        }
        TOPICFS_TRY_ASSIGN(chunks, plan(offset, std::min<std::uint64_t>(bytes_max, extent_.bytes - offset)));
    }
    if (chunks.size() <= kViewedChunksMax) {
        auto viewed = view_of(chunks);
        if (!viewed || viewed->parts().size() <= kPartsMax) {
            return viewed;
        }
    }
    return copy_of(chunks);
}

// Fewer bytes before what cannot be looked up.
Result<std::vector<MergedChunk>> MergedView::plan(std::uint64_t offset, std::uint64_t bytes) {
    TOPICFS_TRY_ASSIGN(Place place, place_at(offset));
    std::vector<MergedChunk> chunks;
    for (std::uint64_t planned = 0; planned < bytes;) {
        const auto chunk = place.cursor.next(bytes - planned);
        if (!chunk && !chunks.empty()) {
            return chunks;
        }
        TOPICFS_TRY(chunk);
        if (!*chunk) {
            break;
        }
        chunks.push_back(**chunk);
        planned += (*chunk)->bytes;
        place.offset += (*chunk)->bytes;
    }
    remember(std::move(place));
    return chunks;
}

void MergedView::remember(Place place) {
    std::erase_if(places_, [&](const Place& known) { return known.offset == place.offset; });
    if (places_.size() >= kPlacesMax) {
        places_.erase(places_.begin());
    }
    places_.push_back(std::move(place));
}

Result<std::vector<LogView::Chunk>> MergedView::describe(std::uint64_t offset, std::size_t count_max) {
    const std::scoped_lock lock(mutex_);
    std::vector<Chunk> chunks;
    if (offset >= extent_.bytes && !is_final_) {
        TOPICFS_TRY(look_locked());
    }
    if (offset >= extent_.bytes) {
        return chunks;
    }
    TOPICFS_TRY_ASSIGN(Place place, place_at(offset));
    while (chunks.size() < count_max) {
        const auto next = place.cursor.next(extent_.bytes - place.offset, true);
        if (!next) {
            return chunks.empty() ? Result<std::vector<Chunk>>(next.error()) : std::move(chunks);
        }
        if (!*next) {
            break;
        }
        const MergedChunk& chunk = **next;
        chunks.push_back({chunk.partition->number(), chunk.from, chunk.bytes, chunk.time});
        place.offset += chunk.bytes;
    }
    remember(std::move(place));
    return chunks;
}

Result<MergedView::Place> MergedView::place_at(std::uint64_t offset) {
    auto nearest = places_.end();  // at or before it
    auto ahead = places_.end();    // behind it
    for (auto place = places_.begin(); place != places_.end(); ++place) {
        auto& best = place->offset <= offset ? nearest : ahead;
        const bool is_better = best == places_.end() || (place->offset <= offset) == (place->offset >= best->offset);
        best = is_better ? place : best;
    }
    if (nearest != places_.end() && nearest->offset == offset) {
        Place place = std::move(*nearest);
        places_.erase(nearest);
        TOPICFS_TRY(place.cursor.set_limit(log_.partitions(), limit_));
        return place;
    }
    const bool goes_back = ahead != places_.end() && ahead->offset - offset <= kLookBehindBytes;
    std::optional<Place> place;
    if (nearest != places_.end() && offset - nearest->offset <= kWalkBytesMax) {
        place = *nearest;  // What is passed over may still be asked for.
    }
    if (goes_back) {
        places_.erase(ahead);
    }
    if (!place && goes_back) {
        const std::uint64_t begin = offset - std::min(offset, kLookBehindBytes);
        auto state = log_.at_bytes(std::get<MergedState>(from_), begin);
        if (state) {
            place = Place{begin, MergedCursor(*state)};
        } else if (state.error().code != ErrorCode::kNotFound) {
            return std::move(state).error();
        }
    }
    if (!place) {
        TOPICFS_TRY_ASSIGN(const MergedState state, log_.at_bytes(std::get<MergedState>(from_), offset));
        place = Place{offset, MergedCursor(state)};
    }
    TOPICFS_TRY(walk(*place, offset, goes_back));
    return std::move(*place);
}

// From a place on to `offset`. Who goes backwards will want what lies between: places there are remembered.
Result<void> MergedView::walk(Place& place, std::uint64_t offset, bool goes_back) {
    TOPICFS_TRY(place.cursor.set_limit(log_.partitions(), limit_));
    while (place.offset < offset) {
        if (goes_back) {
            remember(place);
        }
        const std::uint64_t step = goes_back ? std::min(offset, place.offset + kRememberBytes) : offset;
        while (place.offset < step) {
            TOPICFS_TRY_ASSIGN(const auto passed, place.cursor.next(step - place.offset));
            place.offset += passed ? passed->bytes : step - place.offset;
        }
    }
    return {};
}

void MergedView::start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::scoped_lock lock(mutex_);
    waiters_.push_back(waiter);
    for (const auto& partition : log_.partitions()) {
        partition->start_waiting(waiter);
    }
}

void MergedView::stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = std::find(waiters_.begin(), waiters_.end(), waiter); found != waiters_.end()) {
        waiters_.erase(found);
    }
    for (const auto& partition : log_.partitions()) {
        partition->stop_waiting(waiter);
    }
}

}  // namespace topicfs
