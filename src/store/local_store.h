// A store in a directory: what open_store() of topicfs/store.h gives, with the seams that tests need.
//
// Files: `store` (format version and id, written once), `lock` (flock'd by the owner), `state` (boot id, clean end or
// not, owner of the root, default settings), `topics/`, `trash/`, `reserve/` (io/reserve.h). Threads: any; members say
// what they wait for.
#pragma once

#include "base/believed_time.h"
#include "base/clock.h"
#include "io/movable_directories.h"
#include "log/batch_cache.h"
#include "store/disk_keeper.h"
#include "store/group_keeper.h"
#include "store/maintenance.h"
#include "store/status.h"
#include "store/topic.h"
#include "store/trash_keeper.h"

#include <topicfs/store.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace topicfs {

inline constexpr unsigned kStoreFormatVersion = 1;
inline constexpr const char* kStoreFileName = "store";
inline constexpr const char* kLockFileName = "lock";
inline constexpr const char* kStateFileName = "state";
inline constexpr const char* kReserveDirectory = "reserve";

// What a store is opened with beside its options.
struct StoreEnvironment {
    std::unique_ptr<FileSystem> fs;        // rooted at the data directory, which exists
    const Clock* clock = &system_clock();  // outlives the store
    std::string boot_id;                   // of this run of the machine
    std::string directory;                 // as messages show it
};

class LocalStore final : public Store {
public:
    static Result<std::unique_ptr<LocalStore>> open(StoreEnvironment environment, const StoreOptions& options);
    ~LocalStore() override;

    std::vector<std::string> topic_names() const override;
    Result<std::shared_ptr<Topic>> topic(std::string_view name) const override;
    using Store::create_topic;
    Result<std::shared_ptr<Topic>> create_topic(std::string_view name, const Attributes& attributes,
                                                const TopicSettings& settings) override;
    Result<void> remove_topic(std::string_view name) override;
    std::vector<std::string> trash_names() const override;
    Result<std::shared_ptr<Topic>> trashed_topic(std::string_view name) const override;
    Result<void> delete_topic(std::string_view name, std::string_view trash_name) override;
    Result<void> undelete_topic(std::string_view trash_name, std::string_view name) override;
    Result<void> purge_topic(std::string_view trash_name) override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    TopicSettings default_settings() const override;
    Result<void> set_default(std::string_view key, std::string_view value) override;
    Result<std::string> store_setting(std::string_view key) const override;
    Result<void> set_store_setting(std::string_view key, std::string_view value) override;
    using Store::status_json;
    Result<std::string> status_json(std::span<const StatusFact> more) override;
    Result<std::string> metrics_text() override;
    Result<void> close() override;

    // Without maintenance threads: seals what is due (or all) and makes a checkpoint; groups' commits become durable,
    // their readers expire, unused ones are dropped; the trash and the disk are looked at.
    Result<void> maintain(bool seal_all);

private:
    LocalStore(StoreEnvironment environment, const StoreOptions& options);
    Result<void> open_or_create();
    Result<bool> is_ours();
    Result<void> take_lock();
    Result<void> create_files();
    Result<void> read_store_file();
    Result<void> load_state();
    Result<void> save_state(bool clean);
    template <typename T>
    Result<void> change_state(T& part, const char* operation, std::string_view what,
                              const std::function<Result<void>(T&)>& change);
    Result<void> overwrite_state(const std::string& content);
    using Topics = std::map<std::string, std::shared_ptr<StoredTopic>, std::less<>>;
    Result<void> load_topics(const char* directory, Topics& topics);
    Result<std::shared_ptr<StoredTopic>> open_topic(const char* directory, std::string_view name, bool power_was_cut);
    Result<void> remove_leftovers(const char* directory);
    Result<void> remove_group_leftovers(const std::string& groups);
    Result<void> remove_tree(const std::string& path);
    Result<void> check_changes_locked(const char* operation, std::string_view what) const;
    Error refusal(ErrorCode code, std::string detail) const;
    std::vector<std::shared_ptr<StoredTopic>> topics() const;
    std::vector<std::shared_ptr<StoredTopic>> trashed() const;
    std::vector<std::shared_ptr<StoredTopic>> all_topics() const;  // of both
    Maintenance::Partitions partition_logs() const;
    Result<StoreFacts> facts() const;
    GroupWork* group_work();
    void keep_groups();
    Result<std::uint64_t> new_topic_id_locked() const;
    // store_trash.cpp
    Result<std::shared_ptr<StoredTopic>> find_locked(const Topics& topics, const char* operation,
                                                     std::string_view name) const;
    Result<void> make_trash();
    struct Moved {
        bool is_there;         // in the new place; else where it was
        Result<void> durable;  // an error where it is not there, or not known to be durable there
    };
    Moved move_topic(const StoredTopic& topic, const std::string& from, const std::string& to);
    void note_change_of_root_locked();
    std::int64_t keep_trash();
    // store_disk.cpp
    std::uint64_t other_disk_bytes(const std::vector<std::shared_ptr<StoredTopic>>& topics,
                                   const std::vector<std::shared_ptr<StoredTopic>>& trash) const;
    std::uint64_t disk_bytes() const;
    DiskLook look_at_disk();
    std::int64_t left_to_append(std::int64_t free, std::uint64_t margin) const;
    std::uint64_t make_room(std::uint64_t bytes);
    std::uint64_t checkpoint_for_room(const Maintenance::Partitions& partitions);
    std::uint64_t purge_for_room(std::uint64_t bytes);

    StoreEnvironment environment_;
    const StoreOptions options_;
    FileSystem& fs_;
    MovableDirectories directories_{fs_};  // what topics see
    BatchCache cache_{StoreSettings{}.read_cache_bytes};
    Maintenance maintenance_;
    GroupKeeper group_keeper_;
    TrashKeeper trash_keeper_;
    mutable DiskKeeper disk_keeper_;
    std::atomic<std::uint64_t> pressure_removed_bytes_ = 0;  // what disk.pressure took
    BelievedTime believed_time_;                             // by the thread of trash_keeper_, or by maintain()
    ReadAhead read_ahead_;
    SealBacklog seal_backlog_;
    PartitionEnvironment partitions_;
    File lock_;
    std::string id_;
    bool power_was_cut_ = false;

    mutable std::mutex mutex_;  // guards what follows; not held across I/O
    Topics topics_;
    Topics trash_;
    Attributes attributes_;
    TopicSettings defaults_;
    StoreSettings store_settings_;
    bool closed_ = false;
    std::mutex changes_mutex_;  // what changes topics or `state`, one at a time; taken before mutex_
};

}  // namespace topicfs
