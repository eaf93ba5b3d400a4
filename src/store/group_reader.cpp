#include "store/group_reader.h"

#include "base/log.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace topicfs {

namespace {

constexpr std::uint64_t kNothingAhead = 1;  // for readiness(): one byte more tells all that is whole

}  // namespace

// Under call_mutex_; made and ended under the group's mutex.
class StoredGroupReader::Call {
public:
    explicit Call(StoredGroupReader& reader) : reader_(reader) {
        const std::scoped_lock lock(reader_.group_->mutex_);
        const bool may_expire = reader_.is_open_ && !reader_.lost_;
        if (may_expire && reader_.group_->has_expired_locked(reader_)) {
            reader_.lost_ = true;
            reader_.group_->release_all_locked(reader_);
            reader_.group_->rebalance_locked(tells_);
        }
        reader_.in_call_ = true;
    }
    ~Call() {
        const std::scoped_lock lock(reader_.group_->mutex_);
        reader_.in_call_ = false;
        reader_.last_call_ms_ = reader_.group_->env_.clock.monotonic_ms();
        reader_.group_->schedule_expiry_locked();
        if (reader_.group_->unbalanced_) {
            reader_.group_->rebalance_locked(tells_);
        }
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

private:
    StoredGroup::Tells tells_;
    StoredGroupReader& reader_;
};

StoredGroupReader::~StoredGroupReader() {
    if (const auto closed = close(); !closed) {
        log_error(closed.error().message());
    }
}

Result<void> StoredGroupReader::check_locked() {
    TOPICFS_TRY(group_->check_locked("read"));
    if (!is_open_ || lost_) {
        Error error = system_error(EIO, "read", group_->shown_);
        error.detail = lost_ ? "the reader did not come back for max.poll.interval.ms, and has lost its partitions"
                             : "the reader was closed";
        return error;
    }
    return {};
}

Result<void> StoredGroupReader::check_place(std::uint64_t at, const char* operation) const {
    if (at < returned_ || at > given_) {
        return make_error(ErrorCode::kInvalid, operation, group_->shown_,
                          "byte " + std::to_string(at) + " was not given, or was come back for already");
    }
    return {};
}

Result<void> StoredGroupReader::commit_to_locked(std::uint64_t at) {
    for (const Stretch& stretch : stretches_) {
        if (stretch.begin > at || (stretch.begin == at && stretch.bytes > 0)) {
            break;
        }
        const std::uint64_t bytes = std::min(stretch.bytes, at - stretch.begin);
        TOPICFS_TRY(group_->commit_locked(group_->parts_[stretch.partition], stretch.position + bytes));
    }
    return {};
}

// What is committed and is not asked for again.
void StoredGroupReader::forget_locked() {
    std::erase_if(stretches_, [&](const Stretch& stretch) {
        const auto& slot = group_->parts_[stretch.partition].slot;
        return stretch.end() <= returned_ && slot && slot->position >= stretch.position_end();
    });
}

// In a call.
Result<void> StoredGroupReader::come_back(std::uint64_t at) {
    StoredGroup::Tells tells;
    const std::scoped_lock lock(group_->mutex_);
    TOPICFS_TRY(check_locked());
    TOPICFS_TRY(check_place(at, "read"));
    if (group_->settings_.enable_auto_commit) {
        TOPICFS_TRY(commit_to_locked(at));
    }
    returned_ = at;
    forget_locked();
    if (group_->unbalanced_) {
        group_->rebalance_locked(tells);
    }
    return {};
}

Result<ByteView> StoredGroupReader::fetch(std::uint64_t at, std::size_t bytes_max) {
    const std::scoped_lock one(call_mutex_);
    const Call call(*this);
    TOPICFS_TRY(come_back(at));
    return at < given_ ? give_again(at, bytes_max) : give(bytes_max);
}

Result<ByteView> StoredGroupReader::fetch_enough(std::uint64_t at, std::size_t bytes_max) {
    const std::scoped_lock one(call_mutex_);
    const Call call(*this);
    TOPICFS_TRY(come_back(at));
    if (at < given_) {
        return give_again(at, bytes_max);
    }
    std::uint64_t bytes_min = 1;
    {
        const std::scoped_lock lock(group_->mutex_);
        bytes_min = group_->settings_.fetch_min_bytes;
    }
    if (bytes_min > 1) {
        TOPICFS_TRY_ASSIGN(const Readiness readiness, readiness_in_call());
        if (!readiness.is_ready && !readiness.is_over) {
            return ByteView();
        }
    }
    return give(bytes_max);
}

Result<void> StoredGroupReader::commit(std::uint64_t at) {
    const std::scoped_lock one(call_mutex_);
    const Call call(*this);
    StoredGroup::Tells tells;
    const std::scoped_lock lock(group_->mutex_);
    TOPICFS_TRY(check_locked());
    if (at > given_) {
        TOPICFS_TRY(check_place(at, "commit"));
    }
    TOPICFS_TRY(commit_to_locked(at));
    forget_locked();
    if (group_->unbalanced_) {
        group_->rebalance_locked(tells);
    }
    return {};
}

// The same bytes as before. Of a stretch that was given in one piece there is a record's end where it ends.
Result<ByteView> StoredGroupReader::give_again(std::uint64_t at, std::size_t bytes_max) {
    Stretch found;
    std::shared_ptr<StoredPartition> partition;
    {
        const std::scoped_lock lock(group_->mutex_);
        const auto stretch = std::find_if(stretches_.begin(), stretches_.end(),
                                          [&](const Stretch& s) { return s.begin <= at && at < s.end(); });
        if (stretch == stretches_.end()) {
            return make_error(ErrorCode::kInvalid, "read", group_->shown_, "these bytes were committed already");
        }
        found = *stretch;
        partition = group_->parts_[found.partition].partition;
    }
    const Position from = found.position + (at - found.begin);
    auto records = partition->log()->view_records(from, found.position_end(), bytes_max);
    if (!records) {
        Error error = std::move(records).error();
        // kNotFound: retention has taken them since.
        error.code = error.code == ErrorCode::kNotFound ? ErrorCode::kDamaged : error.code;
        return error;
    }
    return std::move(records->view);
}

// The partitions in the order in which they are looked at; only that one in whose record the reader is.
std::vector<std::uint32_t> StoredGroupReader::turns_locked() const {
    std::vector<std::uint32_t> turns = owned_;
    std::sort(turns.begin(), turns.end());
    for (const std::uint32_t number : turns) {
        if (group_->parts_[number].in_record) {
            return {number};
        }
    }
    std::rotate(turns.begin(), std::upper_bound(turns.begin(), turns.end(), last_served_), turns.end());
    return turns;
}

Result<std::optional<StoredGroupReader::Place>> StoredGroupReader::enter(std::uint32_t number) {
    const std::scoped_lock lock(group_->mutex_);
    StoredGroup::Part& part = group_->parts_[number];
    if (part.owner != this) {
        return std::optional<Place>();
    }
    TOPICFS_TRY(part.slot ? Result<void>{} : group_->begin_locked());
    part.in_use = true;
    return std::optional(
        Place{number, part.partition, part.next, part.slot->position, part.in_record, part.whole_end, part.searched});
}

void StoredGroupReader::leave(const Place& place) {
    const std::scoped_lock lock(group_->mutex_);
    StoredGroup::Part& part = group_->parts_[place.number];
    if (part.owner == this) {
        part.in_use = false;
        part.next = place.next;
        part.in_record = place.in_record;
    }
    part.whole_end = std::max(part.whole_end, place.whole_end);
    part.searched = std::max(part.searched, place.searched);
}

// Finds out where the reader goes on, and whether the next `wanted_bytes` from there on are of whole records, as far as
// that is not known.
Result<void> StoredGroupReader::prepare(Place& place, std::uint64_t wanted_bytes) {
    PartitionLog& log = *place.partition->log();
    if (!place.next && place.committed >= log.start()) {
        const auto found = log.find_position(place.committed);
        if (!found && found.error().code != ErrorCode::kDamaged) {
            return found.error();
        }
        // Where nobody can tell where the record begins, what is left of it is given.
        place.next = found ? found->position : place.committed;
    }
    if (!place.next || *place.next < log.start()) {
        const Position gone = place.next.value_or(place.committed);
        TOPICFS_TRY_ASSIGN(place.next, group_->pass_log_start(place.number));
        if (std::exchange(place.in_record, false)) {
            // Else what comes next would be taken for the rest of the record whose front was given.
            Error error = make_error(ErrorCode::kDamaged, "read", group_->shown_,
                                     "retention was faster than the reader; the rest of a record is gone");
            error.position = gone.value;
            return error;
        }
    }
    const Position next = *place.next;
    if (wanted_bytes <= kPositionMax - next.value && next + wanted_bytes <= place.whole_end) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const Position log_end, log.end());
    const Position from = std::max({place.whole_end, place.searched, next});
    if (from >= log_end) {
        return {};
    }
    std::optional<Position> lost;
    for (Position low = from; low < log_end;) {
        const auto end = log.last_record_end(low, log_end);
        if (end && *end) {
            place.whole_end = **end;
            place.searched = log_end;
            return {};
        }
        if (end) {
            break;
        }
        if (end.error().code != ErrorCode::kDamaged || !end.error().position) {
            return end.error();
        }
        const Position damaged{*end.error().position};
        lost = lost.value_or(damaged);
        low = std::max(log.damage_end(damaged), damaged + 1);
    }
    if (lost) {
        // No record ends behind the lost bytes (yet). What is before them gets no more.
        place.whole_end = std::max(place.whole_end, *lost);
    } else {
        place.searched = log_end;
    }
    return {};
}

// Empty where there is nothing for now. Changes what `place` says of the reader only where it gives something, or an
// error.
Result<ByteView> StoredGroupReader::look(Place& place, std::size_t bytes_max) {
    TOPICFS_TRY(prepare(place, bytes_max));
    const Position from = *place.next;
    if (from >= place.whole_end || bytes_max == 0) {
        return ByteView();
    }
    PartitionLog& log = *place.partition->log();
    auto records = log.view_records(from, place.whole_end, bytes_max);
    if (!records) {
        if (const Position end = log.damage_end(from); records.error().code == ErrorCode::kDamaged && end > from) {
            place.next = end;
            place.in_record = false;
            // For whom the error is logged: what to reset the group to. Whether a record begins right behind the
            // damage, or the rest of one is there, only what is damaged could tell.
            if (const auto behind = log.find_position(end)) {
                const Offset next{behind->offset.value + (log.find_offset(behind->offset) ? 0 : 1)};
                records.error().detail +=
                    "; the next whole record behind the damage has offset " + std::to_string(next.value);
            }
        }
        return std::move(records).error();
    }
    if (!records->view.empty()) {
        place.in_record = records->ends_in_record;
        place.next = from + records->view.size();
    }
    return std::move(records->view);
}

Result<ByteView> StoredGroupReader::give(std::size_t bytes_max) {
    std::vector<std::uint32_t> turns;
    {
        const std::scoped_lock lock(group_->mutex_);
        turns = turns_locked();
    }
    for (const std::uint32_t number : turns) {
        TOPICFS_TRY_ASSIGN(std::optional<Place> place, enter(number));
        if (!place) {
            continue;
        }
        const std::optional<Position> before = place->next;
        auto view = look(*place, bytes_max);
        {
            const std::scoped_lock lock(group_->mutex_);
            const bool has_passed = !view && before && place->next != before;
            if (view && !view->empty()) {
                const Position from{place->next->value - view->size()};
                if (!stretches_.empty() && stretches_.back().partition == number &&
                    stretches_.back().position_end() == from) {
                    stretches_.back().bytes += view->size();
                } else {
                    stretches_.push_back({given_, view->size(), number, from});
                }
                given_ += view->size();
                last_served_ = number;
                some_since_ms_.reset();
            } else if (has_passed && view.error().code == ErrorCode::kDamaged) {
                stretches_.push_back({given_, 0, number, *place->next});
                last_served_ = number;
            }
        }
        leave(*place);
        if (!view || !view->empty()) {
            return view;
        }
    }
    return ByteView();
}

Result<GroupReader::Readiness> StoredGroupReader::readiness() {
    const std::scoped_lock one(call_mutex_);
    const Call call(*this);
    return readiness_in_call();
}

Result<GroupReader::Readiness> StoredGroupReader::readiness_in_call() {
    Readiness readiness;
    std::vector<std::uint32_t> turns;
    std::uint64_t bytes_min = 1;
    std::int64_t wait_ms = 0;
    {
        const std::scoped_lock lock(group_->mutex_);
        const auto topic = group_->topic_.lock();
        readiness.is_over = !group_->retired_.empty() || !topic || topic->removal() ||
                            (!owned_.empty() && group_->parts_[owned_[0]].partition->is_removed());
        if (const auto usable = check_locked(); !usable) {
            readiness.is_ready = true;
            return readiness;
        }
        turns = turns_locked();
        bytes_min = group_->settings_.fetch_min_bytes;
        wait_ms = static_cast<std::int64_t>(group_->settings_.fetch_max_wait_ms);
    }
    std::uint64_t bytes = 0;
    for (const std::uint32_t number : turns) {
        auto place = enter(number);
        if (!place) {
            readiness.is_ready = true;
            return readiness;
        }
        if (!*place) {
            continue;
        }
        const Place before = **place;
        const auto prepared = prepare(**place, bytes_min == 1 ? kNothingAhead : kPositionMax);
        leave(prepared ? **place : before);
        if (!prepared) {
            readiness.is_ready = true;  // fetch() meets the same and tells.
            return readiness;
        }
        const Position next = *(*place)->next;
        bytes += (*place)->whole_end > next ? (*place)->whole_end - next : 0;
        if (bytes >= bytes_min) {
            readiness.is_ready = true;
            return readiness;
        }
    }
    const std::scoped_lock lock(group_->mutex_);
    if (bytes == 0) {
        some_since_ms_.reset();
        return readiness;
    }
    const std::int64_t now = group_->env_.clock.monotonic_ms();
    some_since_ms_ = some_since_ms_.value_or(now);
    const std::int64_t left = *some_since_ms_ + wait_ms - now;
    readiness.is_ready = left <= 0;
    if (left > 0) {
        readiness.ask_again_at = group_->env_.clock.now() + left;
    }
    return readiness;
}

Result<std::vector<GroupReader::Chunk>> StoredGroupReader::describe(std::uint64_t at, std::size_t count_max) {
    const std::scoped_lock one(call_mutex_);
    const Call call(*this);
    std::deque<Stretch> stretches;
    {
        const std::scoped_lock lock(group_->mutex_);
        TOPICFS_TRY(check_locked());
        stretches = stretches_;
    }
    std::vector<Chunk> chunks;
    for (Stretch stretch : stretches) {
        if (stretch.end() <= at) {
            continue;
        }
        const std::uint64_t skip = at > stretch.begin ? at - stretch.begin : 0;
        stretch.begin += skip;
        stretch.position = stretch.position + skip;
        stretch.bytes -= skip;
        TOPICFS_TRY(describe_stretch(stretch, count_max, chunks));
        if (chunks.size() >= count_max) {
            break;
        }
    }
    return chunks;
}

Result<void> StoredGroupReader::describe_stretch(const Stretch& stretch, std::size_t count_max,
                                                 std::vector<Chunk>& chunks) {
    std::shared_ptr<StoredPartition> partition;
    {
        const std::scoped_lock lock(group_->mutex_);
        partition = group_->parts_[stretch.partition].partition;
    }
    const auto add = [&](Position from, Position to, std::optional<TimestampMs> time) {
        if (from < to && chunks.size() < count_max) {
            chunks.push_back({stretch.partition, from, to - from, time});
        }
    };
    PartitionLog& log = *partition->log();
    const Position end = stretch.position_end();
    // What retention has taken since has no time here.
    const Position from = std::clamp(log.start(), stretch.position, end);
    add(stretch.position, from, std::nullopt);
    if (from == end) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const Found last, log.find_position(end));
    // Nor has a record of which only a piece was given.
    const Position whole = std::clamp(last.position, from, end);
    TOPICFS_TRY_ASSIGN(const Found first, log.find_position(from));
    for (Position at = first.position; at < whole && chunks.size() < count_max;) {
        TOPICFS_TRY_ASSIGN(const TimeSteps steps, log.time_steps(at, whole));
        for (std::size_t i = 0; i < steps.steps.size(); ++i) {
            const Position to = i + 1 < steps.steps.size() ? steps.steps[i + 1].from : steps.upto;
            add(std::max(steps.steps[i].from, from), std::min(to, end), steps.steps[i].time);
        }
        if (steps.upto <= at) {
            break;
        }
        at = steps.upto;
    }
    add(whole, end, std::nullopt);
    return {};
}

void StoredGroupReader::start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::scoped_lock lock(group_->mutex_);
    waiters_.push_back(waiter);
    for (const std::uint32_t number : owned_) {
        group_->parts_[number].partition->start_waiting(waiter);
    }
}

void StoredGroupReader::stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::scoped_lock lock(group_->mutex_);
    if (const auto found = std::find(waiters_.begin(), waiters_.end(), waiter); found != waiters_.end()) {
        waiters_.erase(found);
        for (const std::uint32_t number : owned_) {
            group_->parts_[number].partition->stop_waiting(waiter);
        }
    }
    last_call_ms_ = group_->env_.clock.monotonic_ms();
    group_->schedule_expiry_locked();
}

Result<void> StoredGroupReader::sync() {
    return group_->make_durable();
}

Result<void> StoredGroupReader::close() {
    const std::scoped_lock one(call_mutex_);
    {
        const std::scoped_lock lock(group_->mutex_);
        if (!is_open_) {
            return {};
        }
    }
    group_->close_reader(*this);
    return group_->make_durable();
}

}  // namespace topicfs
