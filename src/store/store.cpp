// What an open store does. Opening it is in store_open.cpp.
#include "base/log.h"
#include "store/local_store.h"
#include "store/metrics.h"

#include <unistd.h>

#include <algorithm>
#include <random>

namespace topicfs {

namespace {

constexpr std::int64_t kSealAtCloseMs = 10000;
constexpr std::uint64_t kTopicIdsEnd = std::uint64_t{1} << 38;

}  // namespace

Result<std::shared_ptr<Topic>> Store::create_topic(std::string_view name) {
    Attributes attributes;
    attributes.uid = geteuid();
    attributes.gid = getegid();
    attributes.mode = 0755;
    attributes.atime_ns = attributes.mtime_ns = attributes.ctime_ns = now_ns(system_clock());
    return create_topic(name, attributes);
}

LocalStore::LocalStore(StoreEnvironment environment, const StoreOptions& options)
    : environment_(std::move(environment)),
      options_(options),
      fs_(*environment_.fs),
      maintenance_(
          *environment_.clock, [this] { return partition_logs(); },
          [this] {
              const std::scoped_lock lock(mutex_);
              return store_settings_.log_retention_check_interval_ms;
          },
          disk_keeper_),
      group_keeper_(*environment_.clock, [this] { keep_groups(); }),
      trash_keeper_([this] { return keep_trash(); }),
      disk_keeper_(
          *environment_.clock, [this] { return look_at_disk(); },
          [this](std::uint64_t bytes) { return make_room(bytes); }),
      partitions_{directories_,
                  *environment_.clock,
                  cache_,
                  options.maintenance && !options.read_only ? &maintenance_ : nullptr,
                  options.read_only,
                  options.maintenance && !options.read_only ? &read_ahead_ : nullptr,
                  &seal_backlog_} {}

LocalStore::~LocalStore() {
    if (const auto closed = close(); !closed) {
        log_error(closed.error().message());
    }
}

std::vector<std::string> LocalStore::topic_names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::shared_ptr<StoredTopic>> LocalStore::topics() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<StoredTopic>> all;
    for (const auto& [name, topic] : topics_) {
        all.push_back(topic);
    }
    return all;
}

std::vector<std::shared_ptr<StoredTopic>> LocalStore::all_topics() const {
    const std::scoped_lock lock(mutex_);  // At one moment: one that is moved is there once.
    std::vector<std::shared_ptr<StoredTopic>> all;
    for (const Topics* const some : {&topics_, &trash_}) {
        for (const auto& [name, topic] : *some) {
            all.push_back(topic);
        }
    }
    return all;
}

Maintenance::Partitions LocalStore::partition_logs() const {
    Maintenance::Partitions logs;
    for (const auto& topic : all_topics()) {
        for (const auto& partition : topic->partitions()) {
            logs.push_back(partition->log());
        }
    }
    return logs;
}

GroupWork* LocalStore::group_work() {
    return options_.maintenance && !options_.read_only ? &group_keeper_ : nullptr;
}

void LocalStore::keep_groups() {
    std::uint64_t minutes = 0;
    {
        const std::scoped_lock lock(mutex_);
        minutes = store_settings_.offsets_retention_minutes;
    }
    for (const auto& topic : topics()) {
        topic->keep_groups(static_cast<std::int64_t>(minutes) * 60'000);
    }
}

Result<std::shared_ptr<Topic>> LocalStore::topic(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) {
        return make_error(ErrorCode::kNotFound, "open", std::string(name), "there is no such topic");
    }
    return std::shared_ptr<Topic>(found->second);
}

Result<std::uint64_t> LocalStore::new_topic_id_locked() const {
    std::random_device random;
    std::uniform_int_distribution<std::uint64_t> any(1, kTopicIdsEnd - 1);
    for (;;) {
        const std::uint64_t id = any(random);
        const auto has_id = [&](const auto& topic) { return topic.second->id() == id; };
        if (std::none_of(topics_.begin(), topics_.end(), has_id) &&
            std::none_of(trash_.begin(), trash_.end(), has_id)) {
            return id;
        }
    }
}

Result<std::shared_ptr<Topic>> LocalStore::create_topic(std::string_view name, const Attributes& attributes,
                                                        const TopicSettings& settings) {
    TOPICFS_TRY(check_topic_name(name));
    if (AppendRoom& room = *disk_keeper_.room(); !room.has_any()) {
        return room.refusal("make topic", std::string(name));
    }
    const std::scoped_lock changes(changes_mutex_);
    std::uint64_t id = 0;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_changes_locked("make topic", name));
        if (topics_.find(name) != topics_.end()) {
            return make_error(ErrorCode::kExists, "make topic", std::string(name), "it is there already");
        }
        TOPICFS_TRY_ASSIGN(id, new_topic_id_locked());
    }
    const std::string unfinished = std::string(kTopicsDirectory) + "/" + kUnfinishedPrefix + std::to_string(id);
    const std::string directory = std::string(kTopicsDirectory) + "/" + std::string(name);
    auto made = StoredTopic::create_files(partitions_, unfinished, id, settings, attributes);
    if (made) {
        made = fs_.rename(unfinished, directory);
    }
    Result<std::shared_ptr<StoredTopic>> opened = std::shared_ptr<StoredTopic>();
    if (made) {
        made = sync_directory(fs_, kTopicsDirectory);
        if (made) {
            opened = open_topic(kTopicsDirectory, name, false);
        }
        if (!made || !opened) {
            (void)fs_.rename(directory, unfinished).has_value();  // So that it can be made again.
        }
    }
    if (!made || !opened) {
        (void)remove_tree(unfinished).has_value();  // What stays of it goes at the next start.
        return made ? std::move(opened).error() : std::move(made).error();
    }
    const std::scoped_lock lock(mutex_);
    topics_.emplace(name, *opened);
    note_change_of_root_locked();
    return std::shared_ptr<Topic>(std::move(opened).value());
}

Result<void> LocalStore::remove_topic(std::string_view name) {
    const std::scoped_lock changes(changes_mutex_);
    std::shared_ptr<StoredTopic> topic;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(topic, find_locked(topics_, "remove", name));
    }
    TOPICFS_TRY_ASSIGN(const bool was_empty, topic->retire_if_empty());
    if (!was_empty) {
        return make_error(ErrorCode::kNotEmpty, "remove", std::string(name), "it has records");
    }
    const std::string gone = std::string(kTopicsDirectory) + "/" + kUnfinishedPrefix + std::to_string(topic->id());
    if (auto renamed = directories_.move(topic->directory(), gone); !renamed) {
        topic->reinstate();
        return renamed;
    }
    {
        const std::scoped_lock lock(mutex_);
        topics_.erase(topics_.find(name));
        note_change_of_root_locked();
    }
    topic->removed();
    TOPICFS_TRY(sync_directory(fs_, kTopicsDirectory));
    if (const auto removed = remove_tree(gone); !removed) {
        log_warning(removed.error().message() + "; the rest goes at the next start");
    }
    return {};
}

Attributes LocalStore::attributes() const {
    const std::scoped_lock lock(mutex_);
    return attributes_;
}

Result<void> LocalStore::check_changes_locked(const char* operation, std::string_view what) const {
    if (closed_ || options_.read_only) {
        return make_error(ErrorCode::kReadOnly, operation, std::string(what), "the store is not open for writing");
    }
    return {};
}

// Changes a part of the state, saves it all and takes the change back where that failed. Nobody but other changes waits
// for the disk.
template <typename T>
Result<void> LocalStore::change_state(T& part, const char* operation, std::string_view what,
                                      const std::function<Result<void>(T&)>& change) {
    const std::scoped_lock changes(changes_mutex_);
    T before;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_changes_locked(operation, what));
        before = part;
        TOPICFS_TRY(change(part));
    }
    auto saved = save_state(false);
    if (!saved) {
        const std::scoped_lock lock(mutex_);
        part = before;
    }
    return saved;
}

Result<void> LocalStore::change_attributes(const AttributesChange& change) {
    return change_state<Attributes>(attributes_, "change", environment_.directory,
                                    [&](Attributes& attributes) -> Result<void> {
                                        apply_change(attributes, change, now_ns(*environment_.clock));
                                        return {};
                                    });
}

TopicSettings LocalStore::default_settings() const {
    const std::scoped_lock lock(mutex_);
    return defaults_;
}

Result<void> LocalStore::set_default(std::string_view key, std::string_view value) {
    return change_state<TopicSettings>(defaults_, "set", key,
                                       [&](TopicSettings& settings) { return set_setting(settings, key, value); });
}

Result<std::string> LocalStore::store_setting(std::string_view key) const {
    const std::scoped_lock lock(mutex_);
    return get_setting(store_settings_, key);
}

Result<void> LocalStore::set_store_setting(std::string_view key, std::string_view value) {
    auto saved = change_state<StoreSettings>(
        store_settings_, "set", key, [&](StoreSettings& settings) { return set_setting(settings, key, value); });
    trash_keeper_.wake();
    disk_keeper_.wake();
    const std::scoped_lock lock(mutex_);
    cache_.set_bytes_max(store_settings_.read_cache_bytes);
    if (key == "log.retention.check.interval.ms") {
        maintenance_.retain_soon();
    }
    return saved;
}

Result<StoreFacts> LocalStore::facts() const {
    StoreFacts facts;
    facts.id = id_;
    facts.directory = environment_.directory;
    facts.format_version = kStoreFormatVersion;
    TOPICFS_TRY_ASSIGN(facts.space, fs_.space());
    facts.topics = topics();
    facts.cache = cache_.counts();
    facts.cache_bytes = cache_.bytes();
    {
        const std::scoped_lock lock(mutex_);
        facts.cache_bytes_max = store_settings_.read_cache_bytes;
    }
    facts.trash = trashed();
    facts.other_disk_bytes = other_disk_bytes(facts.topics, facts.trash);
    disk_keeper_.look_for_figures();
    facts.room_bytes = disk_keeper_.left();
    facts.is_full = disk_keeper_.is_full();
    facts.pressure_removed_bytes = pressure_removed_bytes_;
    return facts;
}

Result<std::string> LocalStore::status_json(std::span<const StatusFact> more) {
    TOPICFS_TRY_ASSIGN(const StoreFacts all, facts());
    return store_status_json(all, more);
}

Result<std::string> LocalStore::metrics_text() {
    TOPICFS_TRY_ASSIGN(const StoreFacts all, facts());
    return store_metrics_text(all);
}

Result<void> LocalStore::maintain(bool seal_all) {
    BatchBuilder builder;
    const Maintenance::Partitions logs = partition_logs();
    for (const auto& log : logs) {
        TOPICFS_TRY(log->seal_due(builder, seal_all));
    }
    maintenance_.checkpoint(logs);
    Maintenance::retain(logs, environment_.clock->now());
    for (const auto& log : logs) {
        TOPICFS_TRY(log->give_back_due());
    }
    for (const auto& topic : all_topics()) {
        for (const auto& group : topic->groups()) {
            group->keep();
        }
    }
    keep_groups();
    keep_trash();
    (void)disk_keeper_.round();
    return {};
}

Result<void> LocalStore::close() {
    disk_keeper_.stop();  // These make changes.
    trash_keeper_.stop();
    const std::scoped_lock changes(changes_mutex_);
    {
        const std::scoped_lock lock(mutex_);
        if (closed_ || options_.read_only) {
            closed_ = true;
            return {};
        }
        closed_ = true;
    }
    read_ahead_.stop();
    maintenance_.stop();
    group_keeper_.stop();
    bool clean = true;
    for (const auto& topic : all_topics()) {
        clean = topic->close_groups("the store is closed").has_value() && clean;
    }
    const Maintenance::Partitions logs = partition_logs();
    BatchBuilder builder;
    const std::int64_t deadline = environment_.clock->monotonic_ms() + kSealAtCloseMs;
    for (const auto& log : logs) {
        if (environment_.clock->monotonic_ms() < deadline) {
            if (const auto sealed = log->seal_due(builder, true); !sealed) {
                log_error(sealed.error().message() + "; what is not sealed stays in head");
            }
        }
    }
    maintenance_.checkpoint(logs);
    for (const auto& log : logs) {
        if (log->failure().empty()) {
            // What writers that outlive us append from now on can be lost in a power cut like anything unsynced.
            const auto others_write = log->others_write();
            clean = log->sync().has_value() && clean && others_write && !*others_write;
            log->retire("the store is closed");
        } else {
            clean = false;
        }
    }
    for (const auto& topic : all_topics()) {
        topic->retire("the store is closed");
        const auto settled = topic->settle_writers();
        clean = clean && settled && *settled;
    }
    auto saved = save_state(clean);
    (void)fs_.close(std::move(lock_)).has_value();
    lock_ = {};
    return saved;
}

}  // namespace topicfs
