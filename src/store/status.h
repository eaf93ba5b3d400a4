// The figures of a store and of a topic as JSON; the schema is in src/format/FORMAT.md, "Status".
//
// What cannot be found out (a head that cannot be read, a commit in a damaged batch) is shown as it was last known, and
// hides nothing else. Nothing here waits for who appends, seals, commits or makes a checkpoint.
#pragma once

#include "store/topic.h"

#include <topicfs/result.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace topicfs {

Result<std::string> topic_status_json(const StoredTopic& topic);

// What a store knows beside its topics.
struct StoreFacts {
    std::string id;
    std::string directory;
    unsigned format_version = 1;
    FileSystemSpace space;
    std::vector<std::shared_ptr<StoredTopic>> topics;
    std::vector<std::shared_ptr<StoredTopic>> trash;
    BatchCache::Counts cache;
    std::uint64_t cache_bytes = 0;
    std::uint64_t cache_bytes_max = 0;
    std::uint64_t other_disk_bytes = 0;        // of what is in no topic's directory
    std::optional<std::int64_t> room_bytes;    // until the store meets a bound; below 0 behind it
    bool is_full = false;                      // appends find no room
    std::uint64_t pressure_removed_bytes = 0;  // of the disk, since the open, to make room
};
Result<std::string> store_status_json(const StoreFacts& facts, std::span<const StatusFact> more);

// A topic's partitions, in order, and the sums over them. Shared with the metrics.
struct TopicFigures {
    std::vector<PartitionStatus> partitions;
    std::uint64_t records = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t stored_bytes = 0;
    std::uint64_t disk_bytes = 0;  // the topic's own files too
    PartitionCounts counts;

    // The sums only.
    void add(const TopicFigures& other);
};
Result<TopicFigures> figures_of(const StoredTopic& topic);

}  // namespace topicfs
