#include "mount/prepared_topics.h"

#include <algorithm>
#include <utility>

namespace topicfs {

void PreparedTopics::prepare(std::uint64_t directory, const Caller& caller, std::string name,
                             const TopicSettings& settings) {
    const std::lock_guard lock(mutex_);
    by_directory_.insert_or_assign(directory, Prepared{caller, std::move(name), settings});
}

std::optional<TopicSettings> PreparedTopics::take(const Caller& caller, std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(by_directory_.begin(), by_directory_.end(), [&](const auto& one) {
        return one.second.caller == caller && one.second.name == name;
    });
    if (found == by_directory_.end()) {
        return std::nullopt;
    }
    std::optional<TopicSettings> settings = std::move(found->second.settings);
    by_directory_.erase(found);
    return settings;
}

void PreparedTopics::closed(std::uint64_t directory) {
    const std::lock_guard lock(mutex_);
    by_directory_.erase(directory);
}

}  // namespace topicfs
