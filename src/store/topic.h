// A topic of an open store: its text file, its partitions, who owns them.
//
// The file `topic` in the topic's directory holds id, owner, modes, times and settings; each change replaces it whole
// and is durable on return. Threads: any; only changes of the same topic wait for the file.
#pragma once

#include "format/text_file.h"
#include "log/partition_log.h"
#include "store/append_room.h"
#include "store/line_turns.h"
#include "store/topic_writer.h"

#include <topicfs/store.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

namespace topicfs {

inline constexpr const char* kTopicsDirectory = "topics";
inline constexpr const char* kTrashDirectory = "trash";
inline constexpr const char* kTopicFileName = "topic";
inline constexpr unsigned kTopicFileVersion = 1;
// Topics that are being made or removed have a name that no topic can have.
inline constexpr const char* kUnfinishedPrefix = ".unfinished-";

class GroupWork;
class StoredGroup;
class StoredTopic;

class StoredPartition final : public Partition {
public:
    StoredPartition(std::uint32_t number, std::shared_ptr<PartitionLog> log, std::weak_ptr<StoredTopic> topic,
                    std::shared_ptr<AppendRoom> room)
        : number_(number), log_(std::move(log)), topic_(std::move(topic)), room_(std::move(room)) {}

    std::uint32_t number() const override { return number_; }
    Result<std::size_t> append(std::span<const std::byte> bytes) override;
    Result<std::size_t> append_at(Position expected, std::span<const std::byte> bytes) override;
    Result<void> sync() override { return log_->sync(); }
    Position start() const override { return log_->start(); }
    Offset start_offset() const override { return log_->start_offset(); }
    Result<Position> end() const override { return log_->end(); }
    Result<std::size_t> read(Position from, std::span<std::byte> into) override { return log_->read(from, into); }
    Result<ByteView> view(Position from, std::size_t bytes_max) override { return log_->view(from, bytes_max); }
    Result<Found> find_offset(Offset offset) override { return log_->find_offset(offset); }
    Result<Found> records_end() override { return log_->records_end(); }
    Result<Found> find_position(Position position) override { return log_->find_position(position); }
    Result<Found> find_time(TimestampMs time) override { return log_->find_time(time); }
    Result<TimeBound> bound_of(TimestampMs time) override { return log_->bound_of(time); }
    Result<Settled> settle(std::optional<TimestampMs> time, Haste haste) override { return log_->settle(time, haste); }
    Result<TimeSteps> time_steps(Position from, Position to) override { return log_->time_steps(from, to); }
    Result<TimestampMs> time_of(Position position) override { return log_->time_of(position); }
    Result<void> trim(const Found& start) override;
    Result<PartitionStatus> status() override { return log_->status(); }
    Result<std::shared_ptr<AppendFile>> append_file() override;
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override { log_->start_waiting(waiter); }
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override { log_->stop_waiting(waiter); }
    bool is_removed() const override { return log_->is_removed(); }
    Result<std::shared_ptr<const void>> open_for_append() override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    std::uint64_t disk_bytes() const override { return log_->disk_bytes(); }

    const std::shared_ptr<PartitionLog>& log() const { return log_; }
    LineTurns& line_turns() { return line_turns_; }

    // For writers of the whole topic, before they begin a line here. What stands behind the last delimiter where the
    // log ended when it was opened is the front of a line whose writer is gone: it gets the delimiter that it lacks,
    // once, if nobody has appended since. What append() fails with; then nothing may be appended either.
    Result<void> end_cut_line(std::byte delimiter);
    void opened_at(Position end) { opened_at_ = end; }

private:
    const std::uint32_t number_;
    const std::shared_ptr<PartitionLog> log_;
    const std::weak_ptr<StoredTopic> topic_;
    const std::shared_ptr<AppendRoom> room_;
    LineTurns line_turns_;
    Position opened_at_;                 // the log end then
    std::atomic<bool> is_ended_{false};  // end_cut_line() has nothing to do; changed with a turn alone
};

// What a partition's attributes are kept as: a time that was set counts until the next append.
struct StoredAttributes {
    Attributes attributes;
    Position mtime_set_at;  // the log end when mtime was set
};

class StoredTopic final : public Topic, public std::enable_shared_from_this<StoredTopic> {
public:
    // Makes the directory `directory` with `settings.num_partitions` partitions, all durable on return but the
    // directory's own name.
    static Result<void> create_files(const PartitionEnvironment& environment, const std::string& directory,
                                     std::uint64_t id, const TopicSettings& settings, const Attributes& attributes);
    // Opens what is in `directory`, topics/NAME or trash/NAME, or whatever the environment's file system knows that by.
    // A damaged `topic` file is replaced in memory by defaults that let nobody but the daemon's user in.
    static Result<std::shared_ptr<StoredTopic>> open(const PartitionEnvironment& environment, std::string name,
                                                     std::string directory, bool power_was_cut,
                                                     GroupWork* group_work = nullptr,
                                                     std::shared_ptr<AppendRoom> room = nullptr);

    StoredTopic(const PartitionEnvironment& environment, std::string name, std::string directory,
                GroupWork* group_work = nullptr, std::shared_ptr<AppendRoom> room = nullptr);

    std::string name() const override;
    std::optional<Removal> removal() const override;
    std::uint64_t id() const override { return id_; }
    std::uint32_t partition_count() const override;
    Result<std::shared_ptr<Partition>> partition(std::uint32_t number) const override;
    Result<std::shared_ptr<Partition>> add_partition(std::uint32_t number, const Attributes& attributes) override;
    Result<std::shared_ptr<TopicWriter>> open_writer() override;
    std::vector<std::string> group_names() const override;
    Result<std::shared_ptr<Group>> group(std::string_view name) const override;
    Result<std::shared_ptr<Group>> create_group(std::string_view name, const Attributes& attributes) override;
    Result<void> remove_group(std::string_view name) override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    TopicSettings settings() const override;
    Result<void> set(std::string_view key, std::string_view value) override;
    Result<void> check(std::string_view key, std::string_view value) const override;
    Result<std::string> status_json() override;

    std::vector<std::shared_ptr<StoredPartition>> partitions() const;
    // What the topic's directory takes on the disk beside the partitions.
    std::uint64_t other_disk_bytes() const;
    Attributes partition_attributes(std::uint32_t number, PartitionLog& log) const;
    Result<void> change_partition_attributes(std::uint32_t number, PartitionLog& log, const AttributesChange& change);
    // At a start, before anybody else is there: writes the unfinished lines of writers that have died. What cannot be
    // written is left to the next start, and logged.
    void write_unfinished_lines(bool power_was_cut);
    // Where writers' files came or went: that is durable when this returns. False where there are still writers.
    Result<bool> settle_writers();
    // What follows is the writers'. While a use is held the topic is not retired.
    std::shared_lock<std::shared_mutex> use() const { return std::shared_lock(use_mutex_); }
    Result<void> check_appends(const char* operation) const;  // kReadOnly where nothing at all is taken any more
    Result<void> check_changes(const char* operation) const;  // or where it is in the trash
    Result<void> check_room(const char* operation, std::string path) const;  // ENOSPC
    const std::shared_ptr<AppendRoom>& room() const { return room_; }
    std::shared_ptr<StoredPartition> stored_partition(std::uint32_t number) const;  // null where there is none
    std::uint32_t next_sticky() { return next_sticky_++; }
    void writer_gone() { --writers_; }

    // What follows is in topic_groups.cpp.
    std::vector<std::shared_ptr<StoredGroup>> groups() const;
    std::string groups_directory() const;
    // Now and then: notes when groups were used, and drops those that nobody has used for so long.
    void keep_groups(std::int64_t retention_ms);
    // They take nothing more; what they have is durable.
    Result<void> close_groups(const std::string& reason);

    // What follows is in topic_trash.cpp.
    // As the file system of the topic knows it.
    const std::string& directory() const { return directory_; }
    // Before it is moved to the trash, and cancelled where that fails: nothing new is opened for changing it. When and
    // as what it is removed is durable when this returns, but on a full disk, where keep_removal() does it later.
    Result<void> begin_removal(Removal removal);
    void cancel_removal();
    // It is in the trash, under that name: who waits for growth is told.
    void trashed(const std::string& name);
    // It is back in its place, or in another one.
    void brought_back(const std::string& name);
    void keep_removal();
    // Whether somebody has it open for appending, also beside this process.
    Result<bool> has_writers();
    Result<std::shared_ptr<const void>> open_for_append();
    // Takes nothing any more; its files may go.
    void purged();

    // Takes no appends any more, if it has no records. kBusy where somebody appends to it or consumes it as a whole.
    Result<bool> retire_if_empty();
    void reinstate();
    // After that, once the removal cannot be taken back: who waits for growth is told.
    void removed();
    // Is not changed any more: whoever still holds it must not write to what has its name now.
    void retire(std::string reason);

private:
    Result<void> load();
    void take_over(const TextFile& file);
    TextFile to_text() const;
    Result<void> save();
    std::string text() const;
    std::shared_ptr<StoredTopicWriter> new_writer(std::uint64_t number);
    Result<TopicSettings> changed_settings(const TopicSettings& before, std::string_view key,
                                           std::string_view value) const;
    Result<bool> retire_partitions_if_empty();
    bool is_saved() const;
    Result<std::shared_ptr<StoredPartition>> open_partition(std::uint32_t number, bool power_was_cut);
    void publish_locked(std::shared_ptr<StoredPartition> partition);
    void publish_added(const std::vector<std::shared_ptr<StoredPartition>>& added);
    Result<void> add_partitions(std::uint32_t more, const Attributes& attributes);
    Result<void> make_partition_files(std::uint32_t begin, std::uint32_t end);
    std::string partition_directory(std::uint32_t number) const;
    std::string unfinished_directory(std::uint32_t number) const;
    Result<void> load_groups();
    std::uint32_t new_group_id() const;
    void remove_group_files(const std::string& directory);
    Result<void> remove_group_locked(std::string_view name);

    bool is_from_trash() const;
    void load_removal(const TextFile* file);

    const PartitionEnvironment env_;
    const std::string directory_;
    GroupWork* const group_work_;
    const std::shared_ptr<AppendRoom> room_;

    mutable std::shared_mutex use_mutex_;  // held by writers over each call; taken before mutex_
    std::atomic<std::uint32_t> writers_{0};
    std::atomic<std::uint32_t> appenders_{0};  // what open_for_append() gave
    std::atomic<std::uint64_t> next_writer_{1};
    std::atomic<std::uint32_t> next_sticky_{0};
    bool has_leftovers_ = false;  // unfinished lines that could not be written at the start

    std::mutex changes_mutex_;  // changes, one at a time; held across I/O, taken before mutex_
    mutable std::mutex mutex_;  // guards what follows; not held across I/O
    std::uint64_t id_ = 0;
    Attributes attributes_;
    std::shared_ptr<const TopicSettings> settings_;
    std::vector<std::shared_ptr<StoredPartition>> partitions_;
    std::vector<StoredAttributes> partition_attributes_;
    std::map<std::string, std::shared_ptr<StoredGroup>, std::less<>> groups_;
    std::string retired_;  // why it takes no changes; empty where it does
    std::optional<Removal> removal_;
    // What the topic's file says of a removal, also of one that is over.
    std::optional<Removal> stored_removal_;
    bool keeps_no_removal_ = false;  // the topic's file is damaged, and stays as it is

    mutable std::mutex name_mutex_;  // of the name alone; taken last
    std::string name_;
};

// The time by `clock`, as attributes have it.
std::int64_t now_ns(const Clock& clock);
// Applies `change`, made at `at_ns`.
void apply_change(Attributes& attributes, const AttributesChange& change, std::int64_t at_ns);

// "uid gid mode atime mtime ctime", mode in octal; and back, false where it is not that.
std::string encode_attributes(const Attributes& attributes);
bool decode_attributes(std::string_view text, Attributes& attributes);
// All settings under keys "setting.KEY"; unknown and invalid ones are left out with a warning.
void encode_settings(const TopicSettings& settings, TextFile& file);
void decode_settings(const TextFile& file, TopicSettings& settings);

}  // namespace topicfs
