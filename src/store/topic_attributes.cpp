// The owners, modes and times of topics and partitions.
#include "store/topic.h"

#include <algorithm>

namespace topicfs {

std::int64_t now_ns(const Clock& clock) {
    return clock.now().value * 1'000'000;
}

void apply_change(Attributes& attributes, const AttributesChange& change, std::int64_t at_ns) {
    attributes.uid = change.uid.value_or(attributes.uid);
    attributes.gid = change.gid.value_or(attributes.gid);
    attributes.mode = change.mode.value_or(attributes.mode) & 07777u;
    attributes.atime_ns = change.atime_ns.value_or(attributes.atime_ns);
    attributes.mtime_ns = change.mtime_ns.value_or(attributes.mtime_ns);
    attributes.ctime_ns = at_ns;
}

Attributes StoredPartition::attributes() const {
    const auto topic = topic_.lock();
    return topic ? topic->partition_attributes(number_, *log_) : Attributes{};
}

Result<void> StoredPartition::change_attributes(const AttributesChange& change) {
    const auto topic = topic_.lock();
    if (!topic) {
        return make_error(ErrorCode::kNotFound, "change", std::to_string(number_), "the topic was removed");
    }
    return topic->change_partition_attributes(number_, *log_, change);
}

Attributes StoredTopic::attributes() const {
    const std::scoped_lock lock(mutex_);
    return attributes_;
}

Result<void> StoredTopic::change_attributes(const AttributesChange& change) {
    const std::scoped_lock changes(changes_mutex_);
    TOPICFS_TRY(check_changes("change"));
    Attributes before;
    {
        const std::scoped_lock lock(mutex_);
        before = attributes_;
        apply_change(attributes_, change, now_ns(env_.clock));
    }
    auto saved = save();
    if (!saved && !is_saved()) {
        const std::scoped_lock lock(mutex_);
        attributes_ = before;
    }
    return saved;
}

Attributes StoredTopic::partition_attributes(std::uint32_t number, PartitionLog& log) const {
    const auto log_end = log.observe();  // so that what came just now has its time
    const std::int64_t appended_ns = log.last_append().value * 1'000'000;
    const std::scoped_lock lock(mutex_);
    const StoredAttributes& stored = partition_attributes_[number];
    Attributes attributes = stored.attributes;
    if (log_end && *log_end != stored.mtime_set_at && appended_ns > 0) {
        attributes.mtime_ns = appended_ns;
        attributes.ctime_ns = std::max(attributes.ctime_ns, appended_ns);
    }
    return attributes;
}

Result<void> StoredTopic::change_partition_attributes(std::uint32_t number, PartitionLog& log,
                                                      const AttributesChange& change) {
    TOPICFS_TRY_ASSIGN(const Position log_end, log.end());
    const std::scoped_lock changes(changes_mutex_);
    TOPICFS_TRY(check_changes("change"));
    StoredAttributes before;
    {
        const std::scoped_lock lock(mutex_);
        StoredAttributes& stored = partition_attributes_[number];
        before = stored;
        apply_change(stored.attributes, change, now_ns(env_.clock));
        if (change.mtime_ns) {
            stored.mtime_set_at = log_end;
        }
    }
    auto saved = save();
    if (!saved && !is_saved()) {
        const std::scoped_lock lock(mutex_);
        partition_attributes_[number] = before;
    }
    return saved;
}

}  // namespace topicfs
