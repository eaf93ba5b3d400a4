#include "group_lag.h"

#include "status_file.h"

#include <cerrno>
#include <utility>

namespace topicfs {

std::uint64_t GroupLag::lag() const {
    std::uint64_t sum = 0;
    for (const PartitionLag& one : partitions) {
        sum += one.lag;
    }
    return sum;
}

std::uint64_t GroupLag::readers() const {
    std::uint64_t count = 0;
    for (const PartitionLag& one : partitions) {
        count += one.has_reader ? 1 : 0;
    }
    return count;
}

std::uint64_t GroupLag::missed() const {
    std::uint64_t sum = 0;
    for (const PartitionLag& one : partitions) {
        sum += one.missed;
    }
    return sum;
}

std::vector<GroupLag> group_lags_of(const JsonValue& topic_status) {
    std::vector<GroupLag> groups;
    for (const JsonValue& group : topic_status.items("groups")) {
        GroupLag lag;
        lag.topic = topic_status.text("topic");
        lag.group = group.text("group");
        for (const JsonValue& one : group.items("partitions")) {
            lag.partitions.push_back({one.number("partition"), one.number("committed_offset"), one.number("end_offset"),
                                      one.number("lag"), one.number("missed"), one.truth("has_reader")});
        }
        groups.push_back(std::move(lag));
    }
    return groups;
}

Result<std::vector<GroupLag>> read_group_lags(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const JsonValue status, read_status(path));
    if (status.find("topic") != nullptr) {
        return group_lags_of(status);
    }
    std::vector<GroupLag> groups;
    for (const JsonValue& topic : status.items("topics")) {
        const auto of_topic = read_status(path + "/" + std::string(topic.text("topic")));
        if (!of_topic && of_topic.error().system_errno == ENOENT) {
            continue;  // removed just now
        }
        TOPICFS_TRY(of_topic);
        const std::vector<GroupLag> more = group_lags_of(*of_topic);
        groups.insert(groups.end(), more.begin(), more.end());
    }
    return groups;
}

}  // namespace topicfs
