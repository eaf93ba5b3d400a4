// The commits of a group: how they move, what they are in offsets, when they are durable.
#include "base/log.h"
#include "store/group_reader.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace topicfs {

namespace {

// A commit is durable a second later at most: the log and the commits are synced in that time.
constexpr std::int64_t kFlushDelayMs = 500;

std::string part_name(const std::string& group, std::uint32_t number) {
    return group + "/" + std::to_string(number);
}

}  // namespace

Result<void> StoredGroup::check_locked(const char* operation) const {
    return retired_.empty() ? Result<void>{} : make_error(ErrorCode::kNotFound, operation, shown_, retired_);
}

void StoredGroup::take_partitions_locked() {
    const auto topic = topic_.lock();
    if (!topic || topic->partition_count() == parts_.size()) {
        return;
    }
    const auto partitions = topic->partitions();
    const bool has_begun =
        std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.slot && part.slot->begun; });
    parts_.resize(std::max(parts_.size(), partitions.size()));
    for (std::size_t number = 0; number < partitions.size(); ++number) {
        parts_[number].partition = partitions[number];
    }
    // Where there are readers the group has begun, and new ones begin where they begin.
    if (const auto begun = has_begun && !readers_.empty() ? begin_locked() : Result<void>{}; !begun) {
        log_error(begun.error().message() + "; until it succeeds the group does not get the new partitions' records");
    }
}

Result<StoredGroup::Part*> StoredGroup::part_locked(std::uint32_t number) {
    take_partitions_locked();
    if (number >= parts_.size()) {
        return make_error(ErrorCode::kNotFound, "open", part_name(shown_, number), "no such partition");
    }
    return &parts_[number];
}

Result<Found> StoredGroup::start_by_setting(StoredPartition& partition) const {
    if (shown_reset() == GroupSettings::Reset::kLatest) {
        return partition.records_end();
    }
    return Found{partition.start(), partition.start_offset()};
}

// Gives all partitions a commit that have none.
Result<void> StoredGroup::begin_locked() {
    const bool has_begun =
        std::any_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.slot && part.slot->begun; });
    const bool at_end = !has_begun && settings_.auto_offset_reset == GroupSettings::Reset::kLatest;
    for (std::uint32_t number = 0; number < parts_.size(); ++number) {
        Part& part = parts_[number];
        if (part.slot) {
            continue;
        }
        Found found{part.partition->start(), part.partition->start_offset()};
        if (at_end) {
            TOPICFS_TRY_ASSIGN(found, part.partition->records_end());
        }
        CommitSlot slot;
        slot.partition = number;
        slot.position = slot.known = found.position;
        slot.known_offset = found.offset;
        slot.begun = true;
        TOPICFS_TRY(write_locked(part, slot, true));
        part.next = found.position;
    }
    return {};
}

Result<void> StoredGroup::write_locked(Part& part, CommitSlot slot, bool exact) {
    TOPICFS_TRY(check_locked("commit to"));
    slot.time = env_.clock.now();
    TOPICFS_TRY(file_.write(slot));
    part.slot = slot;
    part.exact = exact;
    show_locked(slot.partition);
    last_use_ = std::max(last_use_, slot.time);
    schedule_locked(kFlushDelayMs);
    return {};
}

Result<void> StoredGroup::commit_locked(Part& part, Position position) {
    if (!part.slot || position <= part.slot->position) {
        return {};
    }
    CommitSlot slot = *part.slot;
    slot.position = position;
    slot.begun = true;
    return write_locked(part, slot, false);
}

void StoredGroup::schedule_locked(std::int64_t delay_ms) {
    const std::int64_t due = env_.clock.monotonic_ms() + delay_ms;
    if (work_ != nullptr && due < scheduled_) {
        scheduled_ = due;
        work_->group_due(*this, due);
    }
}

// Retention has overtaken the group: where it goes on.
Result<Position> StoredGroup::pass_log_start(std::uint32_t number) {
    std::shared_ptr<StoredPartition> partition;
    {
        const std::scoped_lock lock(mutex_);
        partition = parts_[number].partition;
    }
    TOPICFS_TRY_ASSIGN(const Found found, start_by_setting(*partition));
    const std::scoped_lock lock(mutex_);
    Part& part = parts_[number];
    CommitSlot slot = *part.slot;
    if (slot.position < found.position) {
        const std::uint64_t missed = found.offset - std::min(found.offset, slot.known_offset);
        slot.position = slot.known = found.position;
        slot.known_offset = found.offset;
        slot.missed += missed;
        TOPICFS_TRY(write_locked(part, slot, true));
        log_warning(part_name(shown_, number) + ": retention was faster than the group; it has missed " +
                    std::to_string(missed) + " records, and goes on at offset " + std::to_string(found.offset.value));
    }
    part.next = found.position;
    part.in_record = false;
    return found.position;
}

// The record that begins at `position`, whose bytes are damaged, by the one that ends there: nothing where none does,
// or that is damaged too.
std::optional<Found> StoredGroup::find_by_end_before(StoredPartition& partition, Position position) const {
    const auto topic = topic_.lock();
    const auto delimiter = topic ? topic->settings().record_delimiter : std::nullopt;
    if (!delimiter || position <= partition.start()) {
        return std::nullopt;
    }
    const Position last{position.value - 1};
    std::array<std::byte, 1> byte{};
    const auto got = partition.read(last, byte);
    const auto found = partition.find_position(last);
    if (!got || *got == 0 || byte[0] != static_cast<std::byte>(*delimiter) || !found) {
        return std::nullopt;
    }
    return Found{position, Offset{found->offset.value + 1}};
}

Result<StoredGroup::Committed> StoredGroup::committed_now(std::uint32_t number) {
    std::shared_ptr<StoredPartition> partition;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(const Part* const part, part_locked(number));
        partition = part->partition;
    }
    return look_up_committed(number, std::move(partition), shown(number));
}

Result<StoredGroup::Committed> StoredGroup::look_up_committed(std::uint32_t number, std::shared_ptr<StoredPartition> of,
                                                              Shown shown) {
    Committed committed;
    committed.partition = std::move(of);
    committed.has_reader = shown.has_reader;
    std::optional<CommitSlot>& slot = shown.slot;
    if (env_.read_only) {
        // As far as the daemon has come by now.
        CommitFile file(env_.fs, directory_ + "/" + kCommitFileName);
        if (const auto loaded = file.load(); loaded && number < loaded->slots.size() && loaded->slots[number]) {
            slot = loaded->slots[number];
            shown.exact = false;
        }
    }
    StoredPartition& partition = *committed.partition;
    committed.missed = slot ? slot->missed : 0;
    if (!slot || slot->position < partition.start()) {
        TOPICFS_TRY_ASSIGN(committed.found, start_by_setting(partition));
        if (slot) {
            committed.missed += committed.found.offset - std::min(committed.found.offset, slot->known_offset);
        }
        return committed;
    }
    if (shown.exact) {
        committed.found = {slot->known, slot->known_offset};
        return committed;
    }
    auto found = partition.find_position(slot->position);
    if (!found && found.error().code == ErrorCode::kNotFound && env_.read_only) {
        found = partition.records_end();
    }
    if (!found && found.error().code == ErrorCode::kDamaged) {
        if (const auto before = find_by_end_before(partition, slot->position)) {
            found = *before;
        }
    }
    TOPICFS_TRY(found);
    committed.found = *found;
    // Only so that it need not be looked up again: who writes a commit at this moment is not waited for.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    Part* const part = lock.owns_lock() && number < parts_.size() ? &parts_[number] : nullptr;
    if (part != nullptr && part->slot && part->slot->position == slot->position) {
        part->slot->known = found->position;
        part->slot->known_offset = found->offset;
        part->exact = true;
        show_locked(number);
    }
    return committed;
}

Result<Offset> StoredGroup::committed(std::uint32_t number) {
    TOPICFS_TRY_ASSIGN(const Committed committed, committed_now(number));
    return committed.found.offset;
}

Result<Found> StoredGroup::find_point(std::uint32_t number, const GroupPoint& point) {
    std::shared_ptr<StoredPartition> kept;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(const Part* const part, part_locked(number));
        kept = part->partition;
    }
    StoredPartition& partition = *kept;
    Offset offset;
    if (std::holds_alternative<GroupEarliest>(point)) {
        return Found{partition.start(), partition.start_offset()};
    }
    if (std::holds_alternative<GroupLatest>(point)) {
        return partition.records_end();
    }
    if (const auto* time = std::get_if<TimestampMs>(&point)) {
        return partition.find_time(*time);
    }
    if (const auto* wanted = std::get_if<Offset>(&point)) {
        offset = *wanted;
    } else {
        // Only here, as it can lie where nothing can be read any more.
        TOPICFS_TRY_ASSIGN(const Committed committed, committed_now(number));
        const std::int64_t records = std::get<GroupShift>(point).records;
        const std::uint64_t from = committed.found.offset.value;
        const std::uint64_t back = records < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(records) : 0;
        if (back > from) {
            return make_error(ErrorCode::kInvalid, "reset", part_name(shown_, number),
                              "it is at offset " + std::to_string(from) + ", so there is no record so far back");
        }
        offset.value = records < 0 ? from - back : from + static_cast<std::uint64_t>(records);
    }
    auto found = partition.find_offset(offset);
    if (!found && found.error().code == ErrorCode::kNotFound) {
        return make_error(ErrorCode::kInvalid, "reset", part_name(shown_, number),
                          "no record can be read at offset " + std::to_string(offset.value));
    }
    return found;
}

Result<Offset> StoredGroup::find(std::uint32_t number, const GroupPoint& point) {
    TOPICFS_TRY_ASSIGN(const Found found, find_point(number, point));
    Tells tells;
    const std::scoped_lock lock(mutex_);
    expire_locked(tells);
    TOPICFS_TRY_ASSIGN(const Part* const part, part_locked(number));
    if (part->owner != nullptr) {
        return make_error(ErrorCode::kBusy, "reset", part_name(shown_, number), "it has a reader");
    }
    return found.offset;
}

Result<void> StoredGroup::reset(std::uint32_t number, const GroupPoint& point) {
    const auto topic = topic_.lock();
    if (!topic) {
        return make_error(ErrorCode::kNotFound, "reset", shown_, "the topic was removed");
    }
    const auto in_use = topic->use();
    TOPICFS_TRY(topic->check_changes("reset a group of"));
    TOPICFS_TRY_ASSIGN(const Found found, find_point(number, point));
    Tells tells;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_locked("reset"));
        expire_locked(tells);
        TOPICFS_TRY_ASSIGN(Part* const part, part_locked(number));
        const auto refuse = [&](ErrorCode code, std::string why) {
            return make_error(code, "reset", part_name(shown_, number), std::move(why));
        };
        if (part->owner != nullptr && !settings_.enable_auto_commit && std::holds_alternative<Offset>(point)) {
            if (found.position < part->slot->position || !part->next || found.position > *part->next) {
                return refuse(ErrorCode::kInvalid, "its reader was not given this offset since the last commit");
            }
            TOPICFS_TRY(commit_locked(*part, found.position));
            part->owner->forget_locked();
            rebalance_locked(tells);
            return {};
        }
        if (part->owner != nullptr) {
            return refuse(ErrorCode::kBusy, "it has a reader");
        }
        CommitSlot slot = part->slot.value_or(CommitSlot{});
        slot.partition = number;
        slot.position = slot.known = found.position;
        slot.known_offset = found.offset;
        TOPICFS_TRY(write_locked(*part, slot, true));
        part->next.reset();
        part->in_record = false;
    }
    return make_durable();
}

// A commit that is to be made durable.
struct StoredGroup::Pending {
    std::uint32_t number = 0;
    std::shared_ptr<StoredPartition> partition;
    Position position;
    std::optional<Found> found;
    std::uint64_t sequence = 0;
};

// The log up to the commit is durable when this returns, and the commit's offset known as far as that can be.
Result<void> StoredGroup::look_up(Pending& pending) {
    PartitionLog& log = *pending.partition->log();
    if (!pending.found && pending.position >= log.start()) {
        if (const auto found = log.find_position(pending.position)) {
            pending.found = *found;
        }
    }
    return pending.position > log.durable_end() ? log.sync() : Result<void>{};
}

Result<void> StoredGroup::make_durable(bool although_retired) {
    const std::scoped_lock flush(flush_mutex_);
    std::vector<Pending> all;
    {
        const std::scoped_lock lock(mutex_);
        if (env_.read_only || (!retired_.empty() && !although_retired)) {
            return {};
        }
        for (std::uint32_t number = 0; number < parts_.size(); ++number) {
            const Part& part = parts_[number];
            if (part.slot && part.slot->sequence > part.durable_sequence) {
                const std::optional<Found> known =
                    part.exact ? std::optional(Found{part.slot->known, part.slot->known_offset}) : std::nullopt;
                all.push_back({number, part.partition, part.slot->position, known, 0});
            }
        }
    }
    if (all.empty()) {
        return {};
    }
    Result<void> result;
    for (Pending& pending : all) {
        // Where a log fails the others' commits become durable all the same. This one's may lie behind the log end
        // after a power cut: the next start looks.
        if (auto done = look_up(pending); !done) {
            result = std::move(done);
        }
    }
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(although_retired ? Result<void>{} : check_locked("commit to"));
        for (Pending& pending : all) {
            Part& part = parts_[pending.number];
            if (pending.found && part.slot->position >= pending.position &&
                part.slot->known < pending.found->position) {
                part.slot->known = pending.found->position;
                part.slot->known_offset = pending.found->offset;
                part.exact = part.slot->position == pending.position;
                CommitSlot slot = *part.slot;
                TOPICFS_TRY(file_.write(slot));
                part.slot = slot;
                show_locked(pending.number);
            }
            // What came since is behind what was made durable in the log.
            pending.sequence = part.slot->position == pending.position ? part.slot->sequence : 0;
        }
    }
    TOPICFS_TRY(file_.sync());
    const std::scoped_lock lock(mutex_);
    for (const Pending& pending : all) {
        Part& part = parts_[pending.number];
        part.durable_sequence = std::max(part.durable_sequence, pending.sequence);
    }
    if (readers_.empty()) {
        file_.close();
    }
    if (result) {
        (void)flush_failure_.succeeded();
    }
    return result;
}

}  // namespace topicfs
