// The groups of a topic: which there are, making and removing them.
#include "base/log.h"
#include "store/group.h"

#include <algorithm>
#include <cerrno>
#include <random>

namespace topicfs {

namespace {

constexpr std::int64_t kUseResolutionMs = 3600 * 1000;

Error no_such_group(const std::string& topic, std::string_view name) {
    return make_error(ErrorCode::kNotFound, "open", topic + "/.groups/" + std::string(name), "there is no such group");
}

}  // namespace

Result<void> check_group_name(std::string_view name) {
    auto checked = check_topic_name(name);  // The rules are the same.
    if (!checked) {
        checked.error().operation = "name a group";
        if (const auto at = checked.error().detail.find("topic"); at != std::string::npos) {
            checked.error().detail.replace(at, 5, "group");
        }
    }
    return checked;
}

std::string StoredTopic::groups_directory() const {
    return directory_ + "/" + kGroupsDirectory;
}

std::vector<std::shared_ptr<StoredGroup>> StoredTopic::groups() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<StoredGroup>> all;
    for (const auto& [name, group] : groups_) {
        all.push_back(group);
    }
    return all;
}

std::vector<std::string> StoredTopic::group_names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, group] : groups_) {
        names.push_back(name);
    }
    return names;
}

Result<std::shared_ptr<Group>> StoredTopic::group(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = groups_.find(name);
    if (found == groups_.end()) {
        return no_such_group(this->name(), name);
    }
    return std::shared_ptr<Group>(found->second);
}

std::uint32_t StoredTopic::new_group_id() const {
    std::random_device random;
    std::uniform_int_distribution<std::uint32_t> any(1, kGroupIdsEnd - 1);
    const auto all = groups();
    for (;;) {
        const std::uint32_t id = any(random);
        if (std::none_of(all.begin(), all.end(), [&](const auto& group) { return group->id() == id; })) {
            return id;
        }
    }
}

// At a start. What cannot be served is logged and left alone.
Result<void> StoredTopic::load_groups() {
    const auto entries = env_.fs.list(groups_directory());
    if (!entries) {
        if (!is_errno(entries.error(), ENOENT)) {
            log_error(entries.error().message() + "; the topic's groups are not served");
        }
        return {};
    }
    for (const DirectoryEntry& entry : *entries) {
        if (entry.name.starts_with(kUnfinishedPrefix)) {
            continue;
        }
        if (!entry.is_directory || !check_group_name(entry.name)) {
            log_warning(groups_directory() + "/" + entry.name + ": is no group's directory and is left alone");
            continue;
        }
        auto opened = StoredGroup::open(env_, group_work_, shared_from_this(), entry.name);
        if (!opened) {
            log_error(groups_directory() + "/" + entry.name + ": the group is not served: " + opened.error().message());
            continue;
        }
        const auto all = groups();
        if (std::any_of(all.begin(), all.end(), [&](const auto& other) { return other->id() == (*opened)->id(); })) {
            (*opened)->set_id(new_group_id());
        }
        const std::scoped_lock lock(mutex_);
        groups_.emplace(entry.name, std::move(opened).value());
    }
    return {};
}

Result<std::shared_ptr<Group>> StoredTopic::create_group(std::string_view name, const Attributes& attributes) {
    TOPICFS_TRY(check_group_name(name));
    const std::scoped_lock changes(changes_mutex_);
    TOPICFS_TRY(check_changes("make a group of"));
    if (group(name)) {
        return make_error(ErrorCode::kExists, "make group", this->name() + "/.groups/" + std::string(name),
                          "it is there already");
    }
    FileSystem& fs = env_.fs;
    if (auto made = fs.make_directory(groups_directory()); made) {
        TOPICFS_TRY(sync_directory(fs, directory_));
    } else if (!is_errno(made.error(), EEXIST)) {
        return std::move(made).error();
    }
    const std::uint32_t id = new_group_id();
    const std::string unfinished = groups_directory() + "/" + kUnfinishedPrefix + std::to_string(id);
    const std::string directory = groups_directory() + "/" + std::string(name);
    auto made = StoredGroup::create_files(env_, unfinished, id, partition_count(), attributes);
    bool is_named = false;
    if (made) {
        made = fs.rename(unfinished, directory);
        is_named = made.has_value();
    }
    if (made) {
        made = sync_directory(fs, groups_directory());
    }
    Result<std::shared_ptr<StoredGroup>> opened = std::shared_ptr<StoredGroup>();
    if (made) {
        opened = StoredGroup::open(env_, group_work_, shared_from_this(), std::string(name));
    }
    if (opened && *opened && (*opened)->has_lost_text()) {
        // Else the next change would store what it goes by: neither its maker's owner nor mode.
        opened = system_error(EIO, "read", directory + "/" + kGroupFileName);
    }
    if (!made || !opened) {
        if (is_named) {
            (void)fs.rename(directory, unfinished).has_value();  // So that it can be made again.
        }
        remove_group_files(unfinished);  // What stays of it goes at the next start.
        return made ? std::move(opened).error() : std::move(made).error();
    }
    const std::scoped_lock lock(mutex_);
    groups_.emplace(name, *opened);
    return std::shared_ptr<Group>(std::move(opened).value());
}

void StoredTopic::remove_group_files(const std::string& directory) {
    FileSystem& fs = env_.fs;
    const auto entries = fs.list(directory);
    for (std::size_t i = 0; entries && i < entries->size(); ++i) {
        (void)fs.unlink(directory + "/" + (*entries)[i].name).has_value();
    }
    if (const auto removed = fs.remove_directory(directory); !removed && !is_errno(removed.error(), ENOENT)) {
        log_debug(removed.error().message() + "; it goes at the next start");
    }
}

Result<void> StoredTopic::remove_group(std::string_view name) {
    const std::scoped_lock changes(changes_mutex_);
    TOPICFS_TRY(check_changes("remove a group of"));
    return remove_group_locked(name);
}

// Under changes_mutex_.
Result<void> StoredTopic::remove_group_locked(std::string_view name) {
    std::shared_ptr<StoredGroup> group;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = groups_.find(name);
        if (found == groups_.end()) {
            return no_such_group(this->name(), name);
        }
        group = found->second;
    }
    if (!group->retire("the group was removed", true)) {
        return make_error(ErrorCode::kBusy, "remove", this->name() + "/.groups/" + std::string(name),
                          "it has a reader");
    }
    const std::string gone = groups_directory() + "/" + kUnfinishedPrefix + std::to_string(group->id());
    if (auto renamed = env_.fs.rename(groups_directory() + "/" + std::string(name), gone); !renamed) {
        group->reinstate();
        return renamed;
    }
    {
        const std::scoped_lock lock(mutex_);
        groups_.erase(groups_.find(name));
    }
    TOPICFS_TRY(sync_directory(env_.fs, groups_directory()));
    remove_group_files(gone);
    return {};
}

void StoredTopic::keep_groups(std::int64_t retention_ms) {
    const TimestampMs unused_since = env_.clock.now() + -retention_ms;
    for (const auto& group : groups()) {
        group->save_last_use(std::min(kUseResolutionMs, retention_ms / 10));
        if (!group->is_unused_since(unused_since)) {
            continue;
        }
        const std::scoped_lock changes(changes_mutex_);
        if (!check_changes("remove a group of")) {
            return;
        }
        const auto removed = remove_group_locked(group->name());
        if (removed) {
            log_info(name() + "/.groups/" + group->name() +
                     ": was not used for offsets.retention.minutes and is dropped");
        } else {
            log_warning(removed.error().message());
        }
    }
}

Result<void> StoredTopic::close_groups(const std::string& reason) {
    Result<void> result;
    for (const auto& group : groups()) {
        group->save_last_use(1);
        group->retire(reason, false);
        if (auto durable = group->make_durable(true); !durable) {
            log_error(durable.error().message());
            result = std::move(durable);
        }
    }
    return result;
}

}  // namespace topicfs
