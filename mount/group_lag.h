// How far the consumer groups of a mount are behind, as the topics' .status files say.
//
// Values; any thread.
#pragma once

#include "base/json_value.h"

#include <cstdint>
#include <string>
#include <vector>

namespace topicfs {

struct PartitionLag {
    std::uint64_t partition = 0;
    std::uint64_t committed = 0;
    std::uint64_t end = 0;
    std::uint64_t lag = 0;
    std::uint64_t missed = 0;
    bool has_reader = false;
};

struct GroupLag {
    std::string topic;
    std::string group;
    std::vector<PartitionLag> partitions;

    std::uint64_t lag() const;
    std::uint64_t missed() const;
    std::uint64_t readers() const;
};

// As a topic's status has them.
std::vector<GroupLag> group_lags_of(const JsonValue& topic_status);

// `path` is a topic's directory, or the root of a mount for all topics.
Result<std::vector<GroupLag>> read_group_lags(const std::string& path);

}  // namespace topicfs
