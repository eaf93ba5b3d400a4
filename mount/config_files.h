// The `.config` directory of a topic, of a consumer group or of the root of a mount, as commands use it.
//
// Meaning, range and default are the program's own; values are the mount's. Values; any thread.
#pragma once

#include <topicfs/settings.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

// Whose settings. The root of a mount has the store's, and those that topics start with.
enum class ConfigOf { kTopic, kGroup, kStore, kNewTopics };

struct SettingValue {
    SettingInfo info;
    ConfigOf of = ConfigOf::kTopic;
    std::string value;
    std::string default_value;
};

struct KeyValue {
    std::string key;
    std::string value;
};

struct SettingChange {
    std::string key;
    std::string before;
    std::string after;
};

// What stands on both sides of the first '='. kInvalid where there is none, or nothing before it.
Result<KeyValue> parse_key_value(std::string_view text);

class ConfigFiles {
public:
    // `path` is a topic's directory, a group's, or the root of a mount; kInvalid where it is something else.
    static Result<ConfigFiles> open(const std::string& path);

    // In the order of the setting infos; the store's first.
    Result<std::vector<SettingValue>> read_all() const;
    // kNotFound where there is no such setting.
    Result<SettingValue> read(std::string_view key) const;

    // Sets all of `wanted`, no key twice. All are checked before any is set; what the disk refuses after that leaves
    // those before it set, and the error says so. Values are base units then. kInvalid with the reason; kNotFound.
    Result<std::vector<SettingChange>> set(std::span<const KeyValue> wanted) const;

private:
    struct Known {
        ConfigOf of;
        SettingInfo info;
        std::string default_value;
    };

    std::string path_of(std::string_view key) const;
    Result<Known> find(std::string_view key) const;
    Result<SettingValue> read(const Known& known) const;

    std::string directory_;
    std::vector<Known> known_;
};

}  // namespace topicfs
