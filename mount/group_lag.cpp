#include "group_lag.h"

#include "base/json_value.h"
#include "group_files.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace topicfs {

namespace {

Error neither(const std::string& path) {
    return make_error(ErrorCode::kInvalid, "", path, "neither topic nor mount of topicfs");
}

Result<JsonValue> read_status(const std::string& directory) {
    const std::string path = directory + "/.status";
    TOPICFS_TRY_ASSIGN(const std::string text, read_text_file(path));
    auto status = JsonValue::parse(text);
    if (!status || (status->find("topic") == nullptr && status->find("topics") == nullptr)) {
        return neither(directory);
    }
    return status;
}

Result<JsonValue> read_status_of_user(const std::string& path) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0) {
        return system_error(errno, "", path);
    }
    auto status = read_status(path);
    if (!status && (status.error().system_errno == ENOENT || status.error().system_errno == ENOTDIR)) {
        return neither(path);
    }
    return status;
}

void add_groups(const JsonValue& status, std::vector<GroupLag>& groups) {
    for (const JsonValue& group : status.items("groups")) {
        GroupLag lag;
        lag.topic = status.text("topic");
        lag.group = group.text("group");
        for (const JsonValue& one : group.items("partitions")) {
            lag.partitions.push_back({one.number("partition"), one.number("committed_offset"), one.number("end_offset"),
                                      one.number("lag"), one.number("missed"), one.truth("has_reader")});
        }
        groups.push_back(std::move(lag));
    }
}

}  // namespace

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

Result<std::vector<GroupLag>> read_group_lags(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const JsonValue status, read_status_of_user(path));
    std::vector<GroupLag> groups;
    if (status.find("topic") != nullptr) {
        add_groups(status, groups);
        return groups;
    }
    for (const JsonValue& topic : status.items("topics")) {
        const auto of_topic = read_status(path + "/" + std::string(topic.text("topic")));
        if (!of_topic && of_topic.error().system_errno == ENOENT) {
            continue;  // removed just now
        }
        TOPICFS_TRY(of_topic);
        add_groups(*of_topic, groups);
    }
    return groups;
}

}  // namespace topicfs
