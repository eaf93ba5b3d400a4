// Settings that topics are to be made with: given ahead by an ioctl on the open root directory, and taken by the next
// mkdir(2) of that name by the same thread. So the kernel checks who may make a topic, and the topic is there with its
// settings at once or not at all.
//
// What no mkdir has taken goes when the directory is closed; one open of it has one at a time.
#pragma once

#include <topicfs/settings.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace topicfs {

// Any thread.
class PreparedTopics {
public:
    struct Caller {
        std::uint32_t thread = 0;  // 0 in another pid namespace: then the user alone decides
        std::uint32_t uid = 0;
        friend bool operator==(const Caller&, const Caller&) = default;
    };

    // `directory` is the number of the open directory's handle.
    void prepare(std::uint64_t directory, const Caller& caller, std::string name, const TopicSettings& settings);
    // They are taken once.
    std::optional<TopicSettings> take(const Caller& caller, std::string_view name);
    void closed(std::uint64_t directory);

private:
    struct Prepared {
        Caller caller;
        std::string name;
        TopicSettings settings;
    };

    std::mutex mutex_;
    std::map<std::uint64_t, Prepared> by_directory_;
};

}  // namespace topicfs
