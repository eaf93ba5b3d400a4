// The trash of an open store: moving topics there and back, and purging them.
//
// A topic is moved by one rename between two directories, both of which are synced then. Purging renames it to a name
// that no topic can have; then it is gone, and its files are removed by whoever has the time: here, or the next start.
#include "base/log.h"
#include "store/local_store.h"

#include <algorithm>
#include <cerrno>

namespace topicfs {

namespace {

std::string topic_path(std::string_view name) {
    return std::string(kTopicsDirectory) + "/" + std::string(name);
}

std::string trash_path(std::string_view name) {
    return std::string(kTrashDirectory) + "/" + std::string(name);
}

Error exists(const char* operation, std::string_view name, const char* detail) {
    return make_error(ErrorCode::kExists, operation, std::string(name), detail);
}

}  // namespace

std::vector<std::shared_ptr<StoredTopic>> LocalStore::trashed() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<StoredTopic>> all;
    for (const auto& [name, topic] : trash_) {
        all.push_back(topic);
    }
    return all;
}

std::vector<std::string> LocalStore::trash_names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : trash_) {
        names.push_back(name);
    }
    return names;
}

Result<std::shared_ptr<Topic>> LocalStore::trashed_topic(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = trash_.find(name);
    if (found == trash_.end()) {
        return make_error(ErrorCode::kNotFound, "open", trash_path(name), "there is no such topic in the trash");
    }
    return std::shared_ptr<Topic>(found->second);
}

void LocalStore::note_change_of_root_locked() {
    attributes_.mtime_ns = attributes_.ctime_ns = now_ns(*environment_.clock);
}

// For changing it.
Result<std::shared_ptr<StoredTopic>> LocalStore::find_locked(const Topics& topics, const char* operation,
                                                             std::string_view name) const {
    TOPICFS_TRY(check_changes_locked(operation, name));
    const auto found = topics.find(name);
    if (found == topics.end()) {
        return make_error(ErrorCode::kNotFound, operation, std::string(name),
                          &topics == &trash_ ? "there is no such topic in the trash" : "there is no such topic");
    }
    return found->second;
}

// Stores of earlier versions have none.
Result<void> LocalStore::make_trash() {
    if (auto made = fs_.make_directory(kTrashDirectory); !made) {
        return is_errno(made.error(), EEXIST) ? Result<void>{} : made;
    }
    auto synced = sync_directory(fs_, "");
    if (!synced) {
        (void)fs_.remove_directory(kTrashDirectory).has_value();  // So that its name is synced the next time.
    }
    return synced;
}

// Where a sync fails it is moved back. If that fails as well it stays in the new place.
LocalStore::Moved LocalStore::move_topic(const StoredTopic& topic, const std::string& from, const std::string& to) {
    if (auto moved = directories_.move(topic.directory(), to); !moved) {
        return {false, std::move(moved)};
    }
    auto synced = sync_directory(fs_, directory_of(to));
    if (synced && directory_of(from) != directory_of(to)) {
        synced = sync_directory(fs_, directory_of(from));
    }
    if (synced) {
        return {true, std::move(synced)};
    }
    const auto back = directories_.move(topic.directory(), from);
    if (!back) {
        log_error(synced.error().message() + "; " + environment_.directory + "/" + to +
                  " cannot be moved back either, and stays there: " + back.error().message());
    }
    return {!back.has_value(), std::move(synced)};
}

Result<void> LocalStore::delete_topic(std::string_view name, std::string_view trash_name) {
    TOPICFS_TRY(check_topic_name(trash_name));
    const std::scoped_lock changes(changes_mutex_);
    std::shared_ptr<StoredTopic> topic;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(topic, find_locked(topics_, "delete", name));
        if (trash_.contains(trash_name)) {
            return exists("delete", name, "the trash has a topic of that name");
        }
    }
    TOPICFS_TRY(make_trash());
    TOPICFS_TRY(topic->begin_removal({std::string(name), environment_.clock->now()}));
    Moved moved = move_topic(*topic, topic_path(name), trash_path(trash_name));
    if (!moved.is_there) {
        topic->cancel_removal();
        return std::move(moved.durable);
    }
    {
        const std::scoped_lock lock(mutex_);
        topics_.erase(topics_.find(name));
        trash_.emplace(trash_name, topic);
        note_change_of_root_locked();
    }
    topic->trashed(std::string(trash_name));
    return std::move(moved.durable);
}

Result<void> LocalStore::undelete_topic(std::string_view trash_name, std::string_view name) {
    TOPICFS_TRY(check_topic_name(name));
    const std::scoped_lock changes(changes_mutex_);
    std::shared_ptr<StoredTopic> topic;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(topic, find_locked(trash_, "undelete", trash_name));
        if (topics_.contains(name)) {
            return exists("undelete", name, "there is a topic of that name");
        }
    }
    Moved moved = move_topic(*topic, trash_path(trash_name), topic_path(name));
    if (!moved.is_there) {
        return std::move(moved.durable);
    }
    topic->brought_back(std::string(name));
    const std::scoped_lock lock(mutex_);
    trash_.erase(trash_.find(trash_name));
    topics_.emplace(name, topic);
    note_change_of_root_locked();
    return std::move(moved.durable);
}

Result<void> LocalStore::purge_topic(std::string_view trash_name) {
    std::string gone;
    {
        const std::scoped_lock changes(changes_mutex_);
        std::shared_ptr<StoredTopic> topic;
        {
            const std::scoped_lock lock(mutex_);
            TOPICFS_TRY_ASSIGN(topic, find_locked(trash_, "purge", trash_name));
        }
        TOPICFS_TRY_ASSIGN(const bool is_in_use, topic->has_writers());
        if (is_in_use) {
            return make_error(ErrorCode::kBusy, "purge", std::string(trash_name), "somebody has it open for appending");
        }
        gone = std::string(kTrashDirectory) + "/" + kUnfinishedPrefix + std::to_string(topic->id());
        const Moved moved = move_topic(*topic, trash_path(trash_name), gone);
        if (!moved.is_there) {
            return moved.durable;
        }
        {
            const std::scoped_lock lock(mutex_);
            trash_.erase(trash_.find(trash_name));
            note_change_of_root_locked();
        }
        topic->purged();
        TOPICFS_TRY(moved.durable);
    }
    if (const auto removed = remove_tree(gone); !removed) {
        log_warning(removed.error().message() + "; the rest goes at the next start");
    }
    return {};
}

// Purges what is old enough. Returns in how many milliseconds to look again.
std::int64_t LocalStore::keep_trash() {
    StoreSettings settings;
    {
        const std::scoped_lock lock(mutex_);
        settings = store_settings_;
    }
    const auto interval_ms = static_cast<std::int64_t>(settings.log_retention_check_interval_ms);
    const auto retention_ms = static_cast<std::int64_t>(settings.trash_retention_ms);
    const Clock& clock = *environment_.clock;
    const auto now = believed_time_.look(clock.now(), clock.monotonic_ms(), interval_ms);
    for (const auto& topic : trashed()) {
        topic->keep_removal();
        const auto removal = topic->removal();
        if (!now || !removal || *now - removal->time < retention_ms) {
            continue;
        }
        const std::string name = topic->name();
        if (const auto purged = purge_topic(name); purged) {
            log_info("trash/" + name + ": was removed more than trash.retention.ms ago, and is purged");
        } else if (purged.error().code == ErrorCode::kBusy) {
            log_debug(purged.error().message() + "; it stays in the trash for now");
        } else {
            log_warning(purged.error().message() + "; it stays in the trash for now");
        }
    }
    return interval_ms;
}

}  // namespace topicfs
