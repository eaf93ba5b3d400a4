// Partitions of topics in the trash that were unlinked.
//
// `rm -r /.trash/T` unlinks each of them and removes the directory then. A topic is never removed by halves, so an
// unlinked partition is only not found by name any more; once all are, the directory can go, and with it the topic, as
// a whole. Where that does not come they are there again when the topic is moved out of the trash, or after a restart.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>

namespace topicfs {

class UnlinkedPartitions {
public:
    void add(std::uint64_t topic_id, std::uint32_t partition) {
        const std::lock_guard lock(mutex_);
        partitions_[topic_id].insert(partition);
    }
    bool has(std::uint64_t topic_id, std::uint32_t partition) const {
        const std::lock_guard lock(mutex_);
        const auto found = partitions_.find(topic_id);
        return found != partitions_.end() && found->second.contains(partition);
    }
    std::size_t count(std::uint64_t topic_id) const {
        const std::lock_guard lock(mutex_);
        const auto found = partitions_.find(topic_id);
        return found == partitions_.end() ? 0 : found->second.size();
    }
    void forget(std::uint64_t topic_id) {
        const std::lock_guard lock(mutex_);
        partitions_.erase(topic_id);
    }

private:
    mutable std::mutex mutex_;
    std::map<std::uint64_t, std::set<std::uint32_t>> partitions_;  // by topic
};

}  // namespace topicfs
