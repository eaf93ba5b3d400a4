// A group in figures. They wait for nobody who holds the group's mutex, which is held over the write of a commit.
#include "store/group.h"

#include <algorithm>

namespace topicfs {

// After each change of a commit or of who has the partition.
void StoredGroup::show_locked(std::uint32_t number) {
    const Part& part = parts_[number];
    const std::scoped_lock lock(shown_mutex_);
    if (shown_parts_.size() <= number) {
        shown_parts_.resize(number + 1);
    }
    shown_parts_[number] = {part.slot, part.exact, part.owner != nullptr};
}

void StoredGroup::show_settings_locked() {
    const std::scoped_lock lock(shown_mutex_);
    shown_reset_ = settings_.auto_offset_reset;
}

StoredGroup::Shown StoredGroup::shown(std::uint32_t number) const {
    const std::scoped_lock lock(shown_mutex_);
    return number < shown_parts_.size() ? shown_parts_[number] : Shown{};
}

GroupSettings::Reset StoredGroup::shown_reset() const {
    const std::scoped_lock lock(shown_mutex_);
    return shown_reset_;
}

GroupPartitionStatus StoredGroup::status_of(std::uint32_t number, const Committed& committed, Offset end_offset) {
    GroupPartitionStatus status;
    status.partition = number;
    status.committed = committed.found.offset;
    status.end_offset = std::max(end_offset, committed.found.offset);
    status.lag = status.end_offset - status.committed;
    status.missed = committed.missed;
    status.has_reader = committed.has_reader;
    return status;
}

StoredGroup::Committed StoredGroup::known_committed(const StoredPartition& partition, const Shown& shown,
                                                    Offset end_offset) const {
    Committed committed;
    committed.has_reader = shown.has_reader;
    committed.missed = shown.slot ? shown.slot->missed : 0;
    if (shown.slot && shown.slot->position >= partition.start()) {
        committed.found.offset = shown.slot->known_offset;
        return committed;
    }
    const bool at_end = shown_reset() == GroupSettings::Reset::kLatest;
    committed.found.offset = at_end ? end_offset : partition.start_offset();
    if (shown.slot) {
        committed.missed += committed.found.offset - std::min(committed.found.offset, shown.slot->known_offset);
    }
    return committed;
}

Result<std::vector<GroupPartitionStatus>> StoredGroup::status() {
    std::vector<GroupPartitionStatus> all;
    const auto topic = topic_.lock();
    if (!topic) {
        return all;
    }
    for (const auto& partition : topic->partitions()) {
        const std::uint32_t number = partition->number();
        TOPICFS_TRY_ASSIGN(const Committed committed, look_up_committed(number, partition, shown(number)));
        TOPICFS_TRY_ASSIGN(const Offset end, partition->log()->end_offset());
        all.push_back(status_of(number, committed, end));
    }
    return all;
}

std::vector<GroupPartitionStatus> StoredGroup::known_status() {
    std::vector<GroupPartitionStatus> all;
    const auto topic = topic_.lock();
    if (!topic) {
        return all;
    }
    for (const auto& partition : topic->partitions()) {
        const Shown known = shown(partition->number());
        const auto end = partition->log()->end_offset();
        // Where head cannot be read the group's own commit is all that is known of the log's end.
        const Offset end_offset = end ? *end : known.slot ? known.slot->known_offset : partition->start_offset();
        all.push_back(status_of(partition->number(), known_committed(*partition, known, end_offset), end_offset));
    }
    return all;
}

}  // namespace topicfs
