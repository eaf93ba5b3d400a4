// The bounds of an open store on the disk, and what goes where they are met. When that is looked at is up to
// disk_keeper.h.
//
// What goes first: the copies in head of what was sealed, by a checkpoint; what was removed and waits for its delay,
// where disk.pressure is delete; the trash, what was removed first; then, where it is delete, the oldest sealed batches
// of all topics, by the time of their last record. Those are given back at once, without file.delete.delay.ms: a reader
// in the middle of them gets EIO, which harms less than appends that fail.
#include "base/log.h"
#include "store/disk_use.h"
#include "store/local_store.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <utility>
#include <vector>

namespace topicfs {

namespace {

// Of what has a bound.
constexpr std::uint64_t kStoreMarginShare = 64;
constexpr std::uint64_t kFileSystemMarginShare = 256;
// For less than that nothing is synced.
constexpr std::uint64_t kCheckpointBytesMin = 64u << 10;

// A partition, and the oldest of its batches that may still stay.
struct Oldest {
    std::shared_ptr<PartitionLog> log;
    IndexEntry batch;
    bool operator<(const Oldest& other) const { return batch.last_time > other.batch.last_time; }  // the oldest on top
};

// Up to where each partition goes so that `bytes` of segments do. Those that give nothing are left out.
using Removals = std::map<std::shared_ptr<PartitionLog>, Position>;
Removals choose_oldest(const Maintenance::Partitions& partitions, std::uint64_t bytes,
                       const std::set<std::shared_ptr<PartitionLog>>& left_out) {
    std::priority_queue<Oldest> queue;
    const auto push = [&](const std::shared_ptr<PartitionLog>& log, Position from) {
        // What cannot be looked at is left alone; reads of it say what is wrong.
        if (const auto batch = log->sealed_batch(from); batch && *batch) {
            queue.push({log, **batch});
        }
    };
    for (const auto& partition : partitions) {
        if (!partition->is_removed() && !partition->has_failed() && !left_out.contains(partition)) {
            push(partition, partition->start());
        }
    }
    Removals chosen;
    for (std::uint64_t sum = 0; !queue.empty() && sum < bytes;) {
        const Oldest oldest = queue.top();
        queue.pop();
        sum += oldest.batch.batch_bytes;
        const Position end = oldest.batch.end_position();
        chosen[oldest.log] = end;
        push(oldest.log, end);
    }
    return chosen;
}

std::uint64_t remove_upto(PartitionLog& log, Position upto) {
    const auto made = log.make_room(upto);
    if (!made) {
        log.note_failed(PartitionLog::Work::kRetention, made.error());
        return 0;
    }
    return *made;
}

std::uint64_t disk_bytes_of(const StoredTopic& topic) {
    std::uint64_t sum = topic.other_disk_bytes();
    for (const auto& partition : topic.partitions()) {
        sum += partition->disk_bytes();
    }
    return sum;
}

}  // namespace

// Of what is in no topic's directory.
std::uint64_t LocalStore::other_disk_bytes(const std::vector<std::shared_ptr<StoredTopic>>& topics,
                                           const std::vector<std::shared_ptr<StoredTopic>>& trash) const {
    std::uint64_t sum =
        disk_use(fs_, "", [](const std::string& name) { return name == kTopicsDirectory || name == kTrashDirectory; });
    const auto add_beside = [&](const char* directory, const std::vector<std::shared_ptr<StoredTopic>>& known) {
        sum += disk_use(fs_, directory, [&](const std::string& name) {
            return std::any_of(known.begin(), known.end(), [&](const auto& topic) { return topic->name() == name; });
        });
    };
    add_beside(kTopicsDirectory, topics);
    add_beside(kTrashDirectory, trash);
    return sum;
}

std::uint64_t LocalStore::disk_bytes() const {
    const auto all = topics();
    const auto in_trash = trashed();
    std::uint64_t sum = other_disk_bytes(all, in_trash);
    for (const auto& some : {all, in_trash}) {
        for (const auto& topic : some) {
            sum += disk_bytes_of(*topic);
        }
    }
    return sum;
}

DiskLook LocalStore::look_at_disk() {
    fs_.reserve().refill();
    StoreSettings settings;
    {
        const std::scoped_lock lock(mutex_);
        settings = store_settings_;
    }
    DiskLook nearest;
    if (const auto space = fs_.space()) {
        const std::uint64_t size = space->blocks * space->block_bytes;
        const std::uint64_t free = space->blocks_available * space->block_bytes;
        const std::uint64_t stays_free = settings.disk_free_min_of(size);
        nearest.left = static_cast<std::int64_t>(free) - static_cast<std::int64_t>(stays_free);
        nearest.margin = disk_margin(size, kFileSystemMarginShare);
        nearest.bounds_appends = stays_free > 0;
        nearest.bound = "disk.free.min, " + std::to_string(stays_free) + " bytes";
    }
    if (settings.store_bytes_max) {
        const auto max = static_cast<std::int64_t>(*settings.store_bytes_max);
        const std::int64_t left = max - static_cast<std::int64_t>(disk_bytes());
        if (left < nearest.left || !nearest.bounds_appends) {
            nearest = {left, disk_margin(*settings.store_bytes_max, kStoreMarginShare), true,
                       "store.bytes.max, " + std::to_string(max) + " bytes"};
        }
    }
    return nearest;
}

std::uint64_t LocalStore::make_room(std::uint64_t bytes) {
    bool takes_records = false;
    {
        const std::scoped_lock lock(mutex_);
        takes_records = store_settings_.disk_pressure == DiskPressure::kDelete;
    }
    const Maintenance::Partitions partitions = partition_logs();
    std::uint64_t made = 0;
    for (const auto& partition : partitions) {
        made += partition->sealed_bytes_in_head();
    }
    if (made >= kCheckpointBytesMin) {
        maintenance_.checkpoint(partitions);
    } else {
        made = 0;
    }
    for (const auto& partition : takes_records ? partitions : Maintenance::Partitions()) {
        made += remove_upto(*partition, Position{});  // what waits for its delay
    }
    made += made < bytes ? purge_for_room(bytes - made) : 0;
    // One record over many batches, or a reader, can keep a partition from giving anything.
    std::set<std::shared_ptr<PartitionLog>> gave_nothing;
    Removals oldest;
    do {
        oldest = takes_records && made < bytes ? choose_oldest(partitions, bytes - made, gave_nothing) : Removals();
        for (const auto& [log, upto] : oldest) {
            const std::uint64_t gave = remove_upto(*log, upto);
            made += gave;
            if (gave == 0) {
                gave_nothing.insert(log);
            }
        }
    } while (!oldest.empty());
    pressure_removed_bytes_ += made;
    return made;
}

// What was removed first goes first.
std::uint64_t LocalStore::purge_for_room(std::uint64_t bytes) {
    std::vector<std::pair<TimestampMs, std::shared_ptr<StoredTopic>>> by_time;
    for (const auto& topic : trashed()) {
        const auto removal = topic->removal();
        by_time.emplace_back(removal ? removal->time : TimestampMs{0}, topic);
    }
    std::sort(by_time.begin(), by_time.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::uint64_t made = 0;
    for (const auto& [time, topic] : by_time) {
        if (made >= bytes) {
            break;
        }
        const std::uint64_t has = disk_bytes_of(*topic);
        const std::string name = topic->name();
        if (const auto purged = purge_topic(name); purged) {
            log_info("trash/" + name + ": is purged, as the disk is needed");
            made += has;
        } else {
            log_debug(purged.error().message() + "; it stays in the trash for now");
        }
    }
    return made;
}

}  // namespace topicfs
