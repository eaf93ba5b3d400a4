// The bounds of an open store on the disk, and what goes where they are met. When that is looked at is up to
// disk_keeper.h.
//
// What goes first: the copies in head of what was sealed, by a checkpoint; what was removed and waits for its delay,
// where disk.pressure is delete; the trash, what was removed first; then, where it is delete, the oldest sealed batches
// of all topics, by the time of their last record; at last what is unsealed, which is sealed first. Those are given
// back at once, without file.delete.delay.ms: a reader in the middle of them gets EIO, which harms less than appends
// that fail.
#include "base/log.h"
#include "store/disk_use.h"
#include "store/local_store.h"

#include <algorithm>
#include <map>
#include <queue>
#include <utility>
#include <vector>

namespace topicfs {

namespace {

// Of what has a bound.
constexpr std::uint64_t kStoreMarginShare = 64;
constexpr std::uint64_t kFileSystemMarginShare = 256;
// A file system that is smaller can be filled faster than room is made, with disk.pressure=delete: there all appends
// are to wait for it.
constexpr std::uint64_t kLendsFrom = UINT64_C(4) << 30;
// A file system with less than that free is full: XFS keeps its last blocks to itself.
constexpr std::uint64_t kFullBelow = 64u << 10;
// For less than that nothing is synced.
constexpr std::uint64_t kCheckpointBytesMin = 64u << 10;

// A partition, and the oldest of its batches that may still stay.
struct Oldest {
    std::shared_ptr<PartitionLog> log;
    PartitionLog::Removable batch;
    // The oldest on top; what is unsealed goes behind all that is sealed.
    bool operator<(const Oldest& other) const {
        return std::pair(!batch.is_sealed, batch.last_time) > std::pair(!other.batch.is_sealed, other.batch.last_time);
    }
};

// Up to where each partition goes so that `bytes` do, or the next that can. What was tried before is left out.
using Removals = std::map<std::shared_ptr<PartitionLog>, Position>;
Removals choose_oldest(const Maintenance::Partitions& partitions, std::uint64_t bytes, const Removals& tried) {
    std::priority_queue<Oldest> queue;
    const auto push = [&](const std::shared_ptr<PartitionLog>& log, Position from) {
        // What cannot be looked at is left alone; reads of it say what is wrong.
        if (const auto batch = log->removable(from); batch && *batch) {
            queue.push({log, **batch});
        }
    };
    for (const auto& partition : partitions) {
        if (!partition->is_removed() && !partition->has_failed()) {
            const auto done = tried.find(partition);
            push(partition, done == tried.end() ? partition->start() : done->second);
        }
    }
    Removals chosen;
    for (std::uint64_t sum = 0; !queue.empty() && sum < bytes;) {
        const Oldest oldest = queue.top();
        queue.pop();
        sum += oldest.batch.disk_bytes;
        chosen[oldest.log] = oldest.batch.end;
        if (!oldest.batch.is_sealed) {
            break;  // One at a time: sealing it takes room first.
        }
        push(oldest.log, oldest.batch.end);
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

// How much more can be appended where `free` is left. What is unsealed will be there twice for a while, until head's
// copy is given back: near the bound a checkpoint does that whenever a margin was sealed (DiskKeeper::copied_max), so
// the copies come to no more than that and one batch.
std::int64_t LocalStore::left_to_append(std::int64_t free, std::uint64_t margin) const {
    std::uint64_t unsealed = 0;
    std::uint64_t batch_max = 0;
    for (const auto& partition : partition_logs()) {
        const PartitionLog::Unsealed here = partition->unsealed();
        unsealed += here.bytes;
        batch_max = std::max(batch_max, here.batch_bytes);
    }
    const auto copied_max = static_cast<std::int64_t>(margin + batch_max);
    const std::int64_t copied_soon = std::min(static_cast<std::int64_t>(unsealed), copied_max);
    const std::int64_t left = free - copied_soon;
    return left < 0 ? left : std::max(left / 2, free - copied_max);
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
        nearest.margin = disk_margin(size, kFileSystemMarginShare);
        nearest.left =
            left_to_append(static_cast<std::int64_t>(free) - static_cast<std::int64_t>(stays_free), nearest.margin);
        // Where the oldest may go, that is waited for before the file system itself says no.
        nearest.bounds_appends = stays_free > 0 || settings.disk_pressure == DiskPressure::kDelete;
        if (free < kFullBelow) {
            nearest.left = std::min<std::int64_t>(nearest.left, 0);
        }
        nearest.lends = settings.disk_pressure != DiskPressure::kDelete || size >= kLendsFrom;
        nearest.bound = "disk.free.min, " + std::to_string(stays_free) + " bytes";
    }
    if (settings.store_bytes_max) {
        const auto max = static_cast<std::int64_t>(*settings.store_bytes_max);
        const std::uint64_t margin = disk_margin(*settings.store_bytes_max, kStoreMarginShare);
        const std::int64_t left = left_to_append(max - static_cast<std::int64_t>(disk_bytes()), margin);
        if (left < nearest.left || !nearest.bounds_appends) {
            nearest = {left, margin, true, nearest.lends, "store.bytes.max, " + std::to_string(max) + " bytes"};
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
    const std::uint64_t given_back = checkpoint_for_room(partitions);
    std::uint64_t made = given_back;
    for (const auto& partition : takes_records ? partitions : Maintenance::Partitions()) {
        made += remove_upto(*partition, Position{});  // what waits for its delay
    }
    made += made < bytes ? purge_for_room(bytes - made) : 0;
    // One record over many batches, or a reader, can keep a partition from giving anything.
    Removals tried;
    Removals oldest;
    do {
        oldest = takes_records && made < bytes ? choose_oldest(partitions, bytes - made, tried) : Removals();
        for (const auto& [log, upto] : oldest) {
            made += remove_upto(*log, upto);
            tried[log] = upto;
        }
    } while (!oldest.empty());
    pressure_removed_bytes_ += made - given_back;
    return made;
}

// Counted is what was given back: punching may fail, or be put off, and others may seal more meanwhile.
std::uint64_t LocalStore::checkpoint_for_room(const Maintenance::Partitions& partitions) {
    std::uint64_t copied = 0;
    std::vector<Position> before;
    for (const auto& partition : partitions) {
        copied += partition->sealed_bytes_in_head();
        before.push_back(partition->given_back_end());
    }
    std::uint64_t made = 0;
    if (copied >= kCheckpointBytesMin) {
        maintenance_.checkpoint(partitions);
        for (std::size_t i = 0; i < partitions.size(); ++i) {
            made += partitions[i]->given_back_end() - before[i];
        }
    }
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
