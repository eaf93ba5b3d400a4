// Removing the oldest: moving the log start on, and giving back to the disk what lies before it.
//
// The log start is durable before it is moved for anybody. What lies before is given back a while later, so that who
// has a file open can go on reading: first the removed end is moved, so that nobody begins to read there, then the
// reads that have begun are waited for, then segments are unlinked and the front of the first that stays is punched.
// Dying anywhere in between leaves bytes before the log start, which the next start gives back.
#include "base/log.h"
#include "log/layout.h"
#include "log/partition_log.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace topicfs {

namespace {

// A reply takes far less; who holds a view for longer lets it be given back later.
constexpr std::chrono::milliseconds kPinPatience{100};
constexpr std::int64_t kRetryMs = 1000;
// A check seals no more than that. What is more is the sealer's, which lets other partitions have their turn.
constexpr std::uint64_t kSealBatchesMax = 16;

}  // namespace

Result<void> BackgroundWork::checkpoint_now(PartitionLog& partition) {
    return partition.checkpoint();
}

Found PartitionLog::log_start() const {
    const std::scoped_lock lock(mutex_);
    return log_start_;
}

Result<void> PartitionLog::retain_by_settings(std::optional<TimestampMs> now) {
    const std::shared_ptr<const TopicSettings> as_set = settings();
    Retention retention;
    if (now && as_set->retention_ms) {
        retention.oldest = *now + -static_cast<std::int64_t>(*as_set->retention_ms);
    }
    retention.stored_bytes = as_set->retention_bytes;
    return retention.oldest || retention.stored_bytes ? retain(retention) : Result<void>();
}

Result<void> PartitionLog::retain(const Retention& retention) {
    const std::scoped_lock one(retention_mutex_);
    if (env_.read_only || failed_) {
        return {};
    }
    std::optional<Found> wanted;
    const auto take = [&](const std::optional<Found>& start) {
        if (start && (!wanted || start->position > wanted->position)) {
            wanted = start;
        }
    };
    if (retention.oldest) {
        TOPICFS_TRY_ASSIGN(const auto start, start_by_time(*retention.oldest));
        take(start);
    }
    if (retention.stored_bytes) {
        TOPICFS_TRY_ASSIGN(const auto start, start_by_bytes(*retention.stored_bytes));
        take(start);
    }
    if (wanted) {
        TOPICFS_TRY(advance_start_locked(*wanted));
    }
    if (retention.stored_bytes && env_.work != nullptr && needs_checkpoint() &&
        disk_bytes() > *retention.stored_bytes) {
        // Of what is kept head has a copy until then.
        env_.work->checkpoint_soon();
    }
    return {};
}

// Where the log starts when all that is older than `oldest` has gone; nothing where nothing has to.
Result<std::optional<Found>> PartitionLog::start_by_time(TimestampMs oldest) {
    TOPICFS_TRY_ASSIGN(const Position log_end, observe());
    if (log_end == start()) {
        return std::optional<Found>();
    }
    // The cheap look first, which decodes nothing: most partitions have nothing to give.
    if (const Place first = place_of(start()); first.segment && start() < sealed_end()) {
        TOPICFS_TRY_ASSIGN(const Segment::Lookup lookup, first.segment->find(start()));
        if (lookup.entry && lookup.entry->last_time >= oldest) {
            return std::optional<Found>();
        }
    }
    TOPICFS_TRY_ASSIGN(const auto byte, first_byte_at(oldest));
    Position young = std::min(byte.value_or(log_end), log_end);
    if (young > sealed_end()) {
        TOPICFS_TRY(seal_as_far_as_can_be(young));
        young = std::min(young, sealed_end());
    }
    if (young < sealed_end()) {
        // The whole batch stays in which it is.
        TOPICFS_TRY_ASSIGN(const Piece piece, sealed_piece(young));
        young = piece.entry().base_position;
    }
    if (young <= start()) {
        return std::optional<Found>();
    }
    TOPICFS_TRY_ASSIGN(const Found found, found_at(young));
    return std::optional(found);
}

// Where the log starts when no more is left than `stored_bytes` and what one batch has beyond; nothing where nothing
// has to go. What is unsealed does not count, as nobody knows yet what it will take; no more than `stored_bytes` are.
Result<std::optional<Found>> PartitionLog::start_by_bytes(std::uint64_t stored_bytes) {
    TOPICFS_TRY_ASSIGN(const Position log_end, observe());
    if (log_end - sealed_end() > stored_bytes) {
        TOPICFS_TRY(seal_as_far_as_can_be(log_end));
    }
    std::uint64_t behind = 0;
    const std::shared_ptr<const SegmentList> all = segments();
    std::optional<IndexEntry> first;
    for (auto segment = all->rbegin(); segment != all->rend(); ++segment) {
        const std::uint64_t bytes = (*segment)->bytes();
        if (behind + bytes >= stored_bytes) {
            // The last batch with which there is enough.
            const std::uint64_t at_most = behind + bytes - stored_bytes;
            TOPICFS_TRY_ASSIGN(first, (*segment)->find_file_offset(at_most));
            break;
        }
        behind += bytes;
    }
    if (!first || first->base_position <= start()) {
        return std::optional<Found>();
    }
    TOPICFS_TRY_ASSIGN(const Found found, first_record_in(*first));
    return std::optional(found);
}

// Of a record that begins before and ends in the batch nothing is kept, if another begins in it.
Result<Found> PartitionLog::first_record_in(const IndexEntry& batch) {
    TOPICFS_TRY_ASSIGN(const Found found, found_at(batch.base_position));
    if (found.position == batch.base_position) {
        return found;
    }
    const auto next = find_offset(found.offset + 1);
    return next && next->position < batch.end_position() ? *next : found;
}

Result<std::optional<IndexEntry>> PartitionLog::sealed_batch(Position position) {
    position = std::max(position, start());
    for (const Position end = sealed_end(); position < end;) {
        const Place place = place_of(position);
        if (place.segment) {
            TOPICFS_TRY_ASSIGN(const Segment::Lookup lookup, place.segment->find(position));
            if (lookup.entry) {
                return lookup.entry;
            }
            if (lookup.gap_to && *lookup.gap_to > position) {
                position = *lookup.gap_to;
                continue;
            }
        }
        if (place.next_base <= position) {
            break;
        }
        position = place.next_base;
    }
    return std::optional<IndexEntry>();
}

Result<std::optional<PartitionLog::Removable>> PartitionLog::removable(Position position) {
    TOPICFS_TRY_ASSIGN(const auto batch, sealed_batch(position));
    if (batch) {
        return std::optional(Removable{true, batch->last_time, batch->end_position(), batch->batch_bytes});
    }
    const Position from = std::max(position, sealed_end());
    const Position log_end = observed_end_.load();
    if (failed_ || log_end <= from) {
        return std::optional<Removable>();
    }
    const std::uint64_t bytes = std::min<std::uint64_t>(log_end - from, settings()->seal_bytes);
    const Position end = from + bytes;
    return std::optional(Removable{false, times_->time_at(Position{end.value - 1}), end, bytes});
}

Result<std::uint64_t> PartitionLog::make_room(Position upto) {
    const std::scoped_lock one(retention_mutex_);
    if (env_.read_only || failed_) {
        return std::uint64_t{0};
    }
    const std::uint64_t segments_before = segments_disk_bytes();
    const std::uint64_t stored_before = sealed_stored_bytes_;
    const Position punched_before = unpunched_from_.load();
    std::uint64_t stored_here = 0;
    if (upto > sealed_end()) {
        TOPICFS_TRY(seal_as_far_as_can_be(upto));
        stored_here = sealed_stored_bytes_ - stored_before;
        TOPICFS_TRY(checkpoint_here());
    }
    if (upto > start()) {
        TOPICFS_TRY_ASSIGN(const auto kept, sealed_batch(upto));
        TOPICFS_TRY_ASSIGN(const Found found, kept ? first_record_in(*kept) : found_at(sealed_end()));
        TOPICFS_TRY(advance_start_locked(found));
    }
    TOPICFS_TRY(give_back_due_locked(INT64_MAX));
    // Others may have sealed more meanwhile, which is no loss here.
    const std::uint64_t had =
        segments_before + (sealed_stored_bytes_ - stored_before) + (unpunched_from_.load() - punched_before);
    const std::uint64_t has = segments_disk_bytes() + stored_here;
    return had > has ? had - has : 0;
}

std::uint64_t PartitionLog::segments_disk_bytes() const {
    std::uint64_t sum = 0;
    const std::shared_ptr<const SegmentList> all = segments();
    for (const auto& segment : *all) {
        sum += segment->disk_bytes();
    }
    return sum;
}

// As far as a check may. On a full disk what is sealed can go all the same, and makes room for the rest.
Result<void> PartitionLog::seal_as_far_as_can_be(Position upto) {
    auto sealed = seal_upto(std::min(upto, sealed_end() + kSealBatchesMax * settings()->seal_bytes));
    if (!sealed && lacks_room(sealed.error())) {
        note_failed(Work::kSeal, sealed.error());
        return {};
    }
    return sealed;
}

// On a full disk what was sealed before gives room to the rest: head's copy of it by a checkpoint, then itself, at once
// and without file.delete.delay.ms.
Result<void> PartitionLog::seal_for_start(Position upto) {
    for (;;) {
        const Position given_back = given_back_end();
        const Position from = start();
        auto sealed = seal_upto(upto);
        if (sealed || !lacks_room(sealed.error())) {
            return sealed;
        }
        TOPICFS_TRY(checkpoint_here());
        if (given_back_end() == given_back) {
            TOPICFS_TRY(give_back_sealed());
        }
        if (given_back_end() == given_back && start() == from) {
            sealed.error().detail = "what is not compressed yet, from byte " + std::to_string(sealed_end().value) +
                                    " on, has to be before it can be removed, which takes room";
            return sealed;
        }
    }
}

// All but the last batch.
Result<void> PartitionLog::give_back_sealed() {
    const Position end = sealed_end();
    if (end > start()) {
        TOPICFS_TRY_ASSIGN(const auto last, sealed_batch(Position{end.value - 1}));
        if (last) {
            TOPICFS_TRY_ASSIGN(const Found found, first_record_in(*last));
            TOPICFS_TRY(found.position > start() ? move_start(found) : Result<void>());
        }
    }
    return give_back_due_locked(INT64_MAX);
}

Result<void> PartitionLog::advance_start(Found start) {
    const std::scoped_lock one(retention_mutex_);
    if (env_.read_only || failed_) {
        return make_error(ErrorCode::kReadOnly, "move the log start of", directory_,
                          failed_ ? failure() : "the store is open for reading only");
    }
    return advance_start_locked(start);
}

Result<void> PartitionLog::advance_start_locked(Found start) {
    if (start.position <= this->start()) {
        return {};
    }
    if (start.position > sealed_end()) {
        TOPICFS_TRY(seal_for_start(start.position));
    }
    return move_start(start);
}

// To where it is sealed.
Result<void> PartitionLog::move_start(Found start) {
    if (start.position > durable_sealed_end_.load()) {
        TOPICFS_TRY(checkpoint_here());
        if (start.position > durable_sealed_end_.load()) {
            // It has failed meanwhile, which is no error of a checkpoint. Segments are not as far as the log start yet.
            return make_error(ErrorCode::kReadOnly, "move the log start of", directory_,
                              failed_ ? failure() : "what it is moved to is not durable yet");
        }
    }
    TOPICFS_TRY(recovery_->commit([&](RecoveryPoint& point) {
        point.log_start = start.position;
        point.log_start_offset = start.offset;
    }));
    {
        const std::scoped_lock lock(mutex_);
        log_start_ = start;
    }
    schedule_give_back(start.position,
                       env_.clock.monotonic_ms() + static_cast<std::int64_t>(settings()->file_delete_delay_ms));
    return {};
}

Result<void> PartitionLog::checkpoint_here() {
    return env_.work != nullptr ? env_.work->checkpoint_now(*this) : checkpoint();
}

void PartitionLog::schedule_give_back(Position upto, std::int64_t due_ms) {
    {
        const std::scoped_lock lock(mutex_);
        give_backs_.push_back({upto, due_ms});
    }
    if (env_.work != nullptr) {
        env_.work->give_back_at(*this, due_ms);
    }
}

Result<void> PartitionLog::give_back_due() {
    const std::scoped_lock one(retention_mutex_);
    return give_back_due_locked(env_.clock.monotonic_ms());
}

Result<void> PartitionLog::give_back_due_locked(std::int64_t due_ms) {
    Position upto;
    {
        const std::scoped_lock lock(mutex_);
        for (GiveBack& each : give_backs_) {
            if (each.due_ms <= due_ms) {
                upto = std::max(upto, each.upto);
                each.due_ms = 0;  // Also where it cannot be done at once.
            }
        }
    }
    if (upto.value == 0) {
        return {};
    }
    const auto done = give_back(upto);
    if (done && *done) {
        const std::scoped_lock lock(mutex_);
        std::erase_if(give_backs_, [&](const GiveBack& each) { return each.upto <= upto; });
        return {};
    }
    if (env_.work != nullptr) {
        env_.work->give_back_at(*this, env_.clock.monotonic_ms() + kRetryMs);
    }
    return done ? Result<void>() : Result<void>(done.error());
}

// False where somebody still reads it.
Result<bool> PartitionLog::give_back(Position upto) {
    removed_end_ = std::max(removed_end_.load(), upto);
    if (!sealed_pins_.wait_for_earlier(kPinPatience)) {
        return false;
    }
    TOPICFS_TRY(remove_segments(upto));
    const std::shared_ptr<const SegmentList> all = segments();
    if (!all->empty() && all->front()->base() < upto) {
        TOPICFS_TRY(give_back_front(*all->front(), upto));
    }
    return true;
}

// Those that end before `upto`. The newest stays, also where a power cut would leave another one the newest.
Result<void> PartitionLog::remove_segments(Position upto) {
    const std::shared_ptr<const SegmentList> all = segments();
    const Position newest = recovery_->point().segment_base;
    std::size_t gone = 0;
    while (gone + 1 < all->size() && (*all)[gone + 1]->base() <= upto && (*all)[gone]->base() < newest) {
        ++gone;
    }
    // In order, so that what a crash leaves has no gap.
    for (std::size_t i = 0; i < gone; ++i) {
        const Segment& segment = *(*all)[i];
        for (const std::string& name : {segment.path(), path(index_file_name(segment.base()))}) {
            if (auto removed = env_.fs.unlink(name); !removed && !is_errno(removed.error(), ENOENT)) {
                return removed;
            }
        }
        const std::scoped_lock lock(mutex_);
        auto changed = std::make_shared<SegmentList>(*segments_);
        changed->erase(changed->begin());
        std::erase(in_use_, (*all)[i]);
        segments_ = std::move(changed);
    }
    return {};
}

// Of the oldest segment, the batches that end before `upto`.
Result<void> PartitionLog::give_back_front(Segment& segment, Position upto) {
    GivenBack front;
    front.base = segment.base();
    TOPICFS_TRY_ASSIGN(Segment::Lookup lookup, segment.find(upto));
    if (!lookup.entry && lookup.gap_to) {
        TOPICFS_TRY_ASSIGN(lookup, segment.find(*lookup.gap_to));
    }
    if (const auto& kept = lookup.entry) {
        front.end = kept->base_position;
        front.end_offset = kept->base_offset;
        front.file_end = kept->file_offset;
    } else {
        // All of it: only the newest segment stays like that.
        TOPICFS_TRY_ASSIGN(const auto last, segment.last_entry());
        if (!last || last->end_position() > upto) {
            return {};
        }
        front.end = last->end_position();
        front.end_offset = last->end_offset();
        front.file_end = last->file_end();
    }
    return front.file_end == 0 ? Result<void>() : segment.give_back(front);
}

}  // namespace topicfs
