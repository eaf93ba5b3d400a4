// What becomes of a topic that is moved to the trash, and back, or out of it for good. The moving is the store's.
#include "base/log.h"
#include "store/group.h"
#include "store/topic.h"

namespace topicfs {

std::string StoredTopic::name() const {
    const std::scoped_lock lock(name_mutex_);
    return name_;
}

std::optional<Removal> StoredTopic::removal() const {
    const std::scoped_lock lock(mutex_);
    return removal_;
}

Result<std::shared_ptr<const void>> StoredPartition::open_for_append() {
    const auto topic = topic_.lock();
    if (!topic) {
        return make_error(ErrorCode::kReadOnly, "append to", std::to_string(number_), "the topic was removed");
    }
    return topic->open_for_append();
}

Result<std::shared_ptr<const void>> StoredTopic::open_for_append() {
    TOPICFS_TRY(check_room("open", name()));
    const auto in_use = use();
    TOPICFS_TRY(check_changes("append to"));
    ++appenders_;
    return std::shared_ptr<const void>(this, [topic = shared_from_this()](const void*) { --topic->appenders_; });
}

Result<void> StoredTopic::begin_removal(Removal removal) {
    const std::scoped_lock changes(changes_mutex_);
    TOPICFS_TRY(check_changes("delete"));
    bool has_old_time = false;
    {
        // Whoever was opening it to write has it open by now, or is refused.
        const std::scoped_lock lock(use_mutex_, mutex_);
        removal_ = std::move(removal);
        has_old_time = stored_removal_.has_value();
    }
    auto saved = keeps_no_removal_ ? Result<void>{} : save();
    if (!saved && lacks_room(saved.error()) && !has_old_time) {
        // Removing topics is what a full disk needs. Without a time it would be kept from the next start on.
        log_warning(saved.error().message() + "; when it was removed is kept in memory for now");
        return {};
    }
    if (!saved) {
        cancel_removal();
    }
    return saved;
}

void StoredTopic::cancel_removal() {
    const std::scoped_lock lock(mutex_);
    removal_.reset();
}

void StoredTopic::trashed(const std::string& name) {
    {
        const std::scoped_lock lock(name_mutex_);
        name_ = name;
    }
    for (const auto& partition : partitions()) {
        partition->log()->removed();
    }
    for (const auto& group : groups()) {
        group->topic_removed();
    }
}

void StoredTopic::brought_back(const std::string& name) {
    {
        const std::scoped_lock lock(name_mutex_);
        name_ = name;
    }
    for (const auto& partition : partitions()) {
        partition->log()->brought_back();
    }
    for (const auto& group : groups()) {
        group->topic_brought_back();
    }
    const std::scoped_lock changes(changes_mutex_);
    cancel_removal();
    if (keeps_no_removal_) {
        return;
    }
    if (const auto saved = save(); !saved) {
        log_warning(saved.error().message() + "; its time in the trash is forgotten with the next change");
    }
}

void StoredTopic::keep_removal() {
    const std::scoped_lock changes(changes_mutex_);
    {
        const std::scoped_lock lock(mutex_);
        if (env_.read_only || keeps_no_removal_ || !removal_ || removal_ == stored_removal_) {
            return;
        }
    }
    if (const auto saved = save(); !saved) {
        log_debug(saved.error().message() + "; when it was removed is kept in memory for now");
    }
}

Result<bool> StoredTopic::has_writers() {
    if (appenders_ > 0 || writers_ > 0) {
        return true;
    }
    for (const auto& partition : partitions()) {
        TOPICFS_TRY_ASSIGN(const bool others, partition->log()->others_write());
        if (others) {
            return true;
        }
    }
    return false;
}

void StoredTopic::purged() {
    const std::string reason = "the topic was removed for good";
    retire(reason);
    for (const auto& group : groups()) {
        (void)group->retire(reason, false);
    }
    for (const auto& partition : partitions()) {
        partition->log()->retire_for_good(reason);
    }
}

}  // namespace topicfs
