// A consumer group of a stored topic: its files, its commits, who has which partition. What a caller sees is in
// topicfs/group.h; one reader is in group_reader.h.
//
// Files, in topics/T/groups/G: `group`, a text file with id, owner, mode, settings and last use, replaced whole; and
// `commits` (commit_file.h). What is kept of a partition is the position that its reader has come back at, which costs
// one small write a read; the record's begin there, and its offset, are looked for when somebody asks or the commit is
// made durable.
//
// A group begins when its first reader is opened: all partitions that have no commit then get one, by
// auto.offset.reset. Partitions that are added later begin at their log start.
//
// Sharing: who is opened for a number has that partition. All others belong to the readers of `all`, unless there is
// none: the numbers that two of them have differ by one at most, as far as partitions can be moved. One can while its
// reader has no records of it in hand: he has come back for all that he was given (it is committed), and he is not in
// the middle of a record or of a call. What could not be moved is looked at again when he comes back. Who wants a
// partition by its number and finds records of it in hand gets kBusy, but the reader of `all` gives it up
// when he comes back, and nobody else gets it for a second: to be asked for again.
//
// Threads: any. mutex_ guards all of the group and of its readers; it is held over the write of a commit (128 bytes to
// the page cache) and over the start of a group, over no other I/O. Waiters are told when it is free. Lock order: a
// topic's changes, its use; a group's changes; a call of a reader; flush; mutex_; then the topic's and the partitions'.
// status() does not take mutex_: it is told of a copy, which each change of a commit or a reader renews.
#pragma once

#include "base/repeated_failure.h"
#include "store/commit_file.h"
#include "store/topic.h"

#include <topicfs/group.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topicfs {

class StoredGroup;
class StoredGroupReader;

inline constexpr const char* kGroupsDirectory = "groups";  // in a topic's
inline constexpr const char* kGroupFileName = "group";
inline constexpr const char* kCommitFileName = "commits";
inline constexpr unsigned kGroupFileVersion = 1;
inline constexpr std::uint32_t kGroupIdsEnd = 1u << 20;

// Who makes commits durable behind the readers.
class GroupWork {
public:
    virtual ~GroupWork() = default;
    // At that time of the monotonic clock, or soon after, call keep(). Must not block.
    virtual void group_due(StoredGroup& group, std::int64_t monotonic_ms) = 0;
};

class StoredGroup final : public Group, public std::enable_shared_from_this<StoredGroup> {
public:
    // The files of a group in a directory, which is made; all durable on return but the directory's own name.
    static Result<void> create_files(const PartitionEnvironment& environment, const std::string& directory,
                                     std::uint32_t id, std::uint32_t partitions, const Attributes& attributes);
    // What is damaged is logged, and the group goes on by what is left; kNewerFormat.
    static Result<std::shared_ptr<StoredGroup>> open(const PartitionEnvironment& environment, GroupWork* work,
                                                     const std::shared_ptr<StoredTopic>& topic, std::string name);

    StoredGroup(const PartitionEnvironment& environment, GroupWork* work, const std::shared_ptr<StoredTopic>& topic,
                std::string name);

    const std::string& name() const override { return name_; }
    std::uint32_t id() const override { return id_; }
    Result<std::shared_ptr<GroupReader>> open_reader(std::optional<std::uint32_t> number) override;
    Result<Offset> committed(std::uint32_t number) override;
    Result<Offset> find(std::uint32_t number, const GroupPoint& point) override;
    Result<void> reset(std::uint32_t number, const GroupPoint& point) override;
    Result<std::vector<GroupPartitionStatus>> status() override;
    // As status(), without looking for records in segments: of a commit that moved just now the offset is told that
    // was known before, half a second ago at most. What is damaged does not hinder it.
    std::vector<GroupPartitionStatus> known_status();
    bool is_in_use() const override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    GroupSettings settings() const override;
    Result<void> set(std::string_view key, std::string_view value) override;

    // Makes all commits durable, after the logs they speak of.
    Result<void> make_durable(bool although_retired = false);
    // What is due: commits become durable, readers that do not come back lose their partitions.
    void keep();
    // The topic has more partitions.
    void partitions_added();
    // Nobody has used it since; the time of the last use is kept coarsely. False where it is in use.
    bool is_unused_since(TimestampMs time) const;
    void save_last_use(std::int64_t resolution_ms);
    // Takes nothing more, for that reason; false, and nothing is done, where it has readers and `if_unused`.
    bool retire(std::string reason, bool if_unused);
    void reinstate();
    // Who waits is told that his topic is in the trash; and back from there it counts as used: nobody could use it.
    void topic_removed();
    void topic_brought_back();
    void set_id(std::uint32_t id) { id_ = id; }
    // Its text file could not be read at the open.
    bool has_lost_text() const { return lost_text_; }

private:
    friend class StoredGroupReader;

    // Those who are to be told once the mutex is free: declared before it is taken.
    class Tells {
    public:
        Tells() = default;
        Tells(const Tells&) = delete;
        Tells& operator=(const Tells&) = delete;
        ~Tells() {
            for (const auto& waiter : waiters_) {
                waiter->grown();
            }
        }
        void add(const std::vector<std::shared_ptr<GrowthWaiter>>& waiters) {
            waiters_.insert(waiters_.end(), waiters.begin(), waiters.end());
        }

    private:
        std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
    };

    struct Part {
        std::shared_ptr<StoredPartition> partition;
        std::optional<CommitSlot> slot;
        bool exact = false;  // slot->known is where the record of slot->position begins
        std::uint64_t durable_sequence = 0;
        StoredGroupReader* owner = nullptr;
        bool in_use = false;           // its reader is looking for bytes of it at this moment
        std::optional<Position> next;  // where the reader is given more from; nothing: at the commit
        bool in_record = false;        // `next` is inside of a record
        Position whole_end;            // bytes below belong to whole records
        Position searched;             // no record ends from there to here
        std::int64_t claimed_until = 0;
        bool is_in_hand() const { return in_record || (next && slot && *next > slot->position); }
        bool is_movable() const { return !in_use && !is_in_hand(); }
    };

    // group_file.cpp
    Result<void> load_text();
    Result<void> load_commits();
    Result<void> clamp_to_log(std::uint32_t number);
    std::string text() const;
    Result<void> save();
    bool is_saved() const;
    Result<void> check_topic() const;

    // group_commits.cpp
    Result<void> check_locked(const char* operation) const;
    Result<Part*> part_locked(std::uint32_t number);
    void take_partitions_locked();
    Result<void> begin_locked();
    // `exact`: slot.known is where the record of slot.position begins.
    Result<void> write_locked(Part& part, CommitSlot slot, bool exact);
    void show_locked(std::uint32_t number);
    void show_settings_locked();
    Result<void> commit_locked(Part& part, Position position);
    void schedule_locked(std::int64_t delay_ms);
    Result<Found> start_by_setting(StoredPartition& partition) const;
    Result<Position> pass_log_start(std::uint32_t number);
    struct Committed {
        Found found;
        std::uint64_t missed = 0;
        std::shared_ptr<StoredPartition> partition;
        bool has_reader = false;
    };
    std::optional<Found> find_by_end_before(StoredPartition& partition, Position position) const;
    Result<Committed> committed_now(std::uint32_t number);
    // What figures are made of: a copy, so that they wait for nobody who writes a commit.
    struct Shown {
        std::optional<CommitSlot> slot;
        bool exact = false;
        bool has_reader = false;
    };
    Shown shown(std::uint32_t number) const;
    GroupSettings::Reset shown_reset() const;
    Result<Committed> look_up_committed(std::uint32_t number, std::shared_ptr<StoredPartition> of, Shown shown);
    Committed known_committed(const StoredPartition& partition, const Shown& shown, Offset end_offset) const;
    static GroupPartitionStatus status_of(std::uint32_t number, const Committed& committed, Offset end_offset);
    Result<Found> find_point(std::uint32_t number, const GroupPoint& point);
    struct Pending;
    Result<void> look_up(Pending& pending);

    // group_members.cpp
    void assign_locked(std::uint32_t number, StoredGroupReader& reader, Tells& tells);
    void release_locked(std::uint32_t number);
    void release_all_locked(StoredGroupReader& reader);
    void expire_locked(Tells& tells);
    bool has_expired_locked(const StoredGroupReader& reader) const;
    void rebalance_locked(Tells& tells);
    bool move_one_locked(const std::vector<StoredGroupReader*>& members, Tells& tells);
    void schedule_expiry_locked();
    Result<void> take_by_number_locked(std::uint32_t number);
    void close_reader(StoredGroupReader& reader);
    static void add_waiters(const StoredGroupReader& reader, Tells& tells);

    const PartitionEnvironment env_;
    GroupWork* const work_;
    const std::weak_ptr<StoredTopic> topic_;
    const std::string name_;
    const std::string shown_;
    const std::string directory_;
    std::uint32_t id_ = 0;
    bool lost_text_ = false;

    std::mutex changes_mutex_;  // of the text file
    std::mutex flush_mutex_;
    CommitFile file_;

    mutable std::mutex mutex_;
    Attributes attributes_;
    GroupSettings settings_;
    std::vector<Part> parts_;
    std::vector<StoredGroupReader*> readers_;  // in the order in which they came
    bool unbalanced_ = false;
    std::int64_t scheduled_ = INT64_MAX;
    TimestampMs last_use_;
    TimestampMs saved_use_;
    std::string retired_;
    RepeatedFailure flush_failure_;

    mutable std::mutex shown_mutex_;  // guards what follows; taken last, and held over nothing else
    std::vector<Shown> shown_parts_;
    GroupSettings::Reset shown_reset_ = GroupSettings::Reset::kEarliest;
};

}  // namespace topicfs
