#include "config_files.h"

#include "base/text.h"
#include "group_files.h"
#include "io/fd.h"

#include <topicfs/ioctl.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace topicfs {

namespace {

// A setting that nothing else has.
constexpr const char* kOfGroup = "auto.offset.reset";
constexpr const char* kOfStore = "read.cache.bytes";
constexpr const char* kOfTopic = "num.partitions";

// An unlike kind of file system says ENOTTY.
Error not_ours(const std::string& path) {
    return make_error(ErrorCode::kInvalid, "", path, "neither a topic nor a group nor the root of a mounted topicfs");
}

Result<bool> is_there(const std::string& path) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) == 0) {
        return true;
    }
    return errno == ENOENT || errno == ENOTDIR ? Result<bool>(false) : system_error(errno, "", path);
}

// What the daemon says that it would refuse.
Result<void> check(const Fd& file, const std::string& directory, const KeyValue& wanted) {
    const auto asked = std::make_unique<topicfs_check>();
    if (wanted.value.size() >= sizeof asked->value) {
        return make_error(ErrorCode::kInvalid, "", directory,
                          wanted.key + ": the value is longer than any value can be");
    }
    std::copy(wanted.value.begin(), wanted.value.end(), asked->value);
    if (::ioctl(file.get(), TOPICFS_IOC_CHECK, asked.get()) != 0) {
        return errno == ENOTTY ? not_ours(directory) : system_error(errno, "", directory);
    }
    if (asked->refused.error != 0) {
        return make_error(ErrorCode::kInvalid, "", directory, asked->refused.reason);
    }
    return {};
}

Result<void> write_value(Fd& file, const std::string& path, const std::string& value) {
    const std::string line = value + "\n";
    if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        return system_error(errno, "", path);
    }
    return file.close();
}

}  // namespace

Result<KeyValue> parse_key_value(std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return make_error(ErrorCode::kInvalid, "", "", "'" + std::string(text) + "' is not KEY=VALUE");
    }
    return KeyValue{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Result<ConfigFiles> ConfigFiles::open(const std::string& path) {
    ConfigFiles files;
    files.directory_ = path;
    const auto add = [&](ConfigOf of, std::span<const SettingInfo> infos, const auto& defaults) {
        for (const SettingInfo& info : infos) {
            files.known_.push_back({of, info, *get_setting(defaults, info.key)});
        }
    };
    TOPICFS_TRY_ASSIGN(const bool is_group, is_there(files.path_of(kOfGroup)));
    TOPICFS_TRY_ASSIGN(const bool is_store, is_there(files.path_of(kOfStore)));
    TOPICFS_TRY_ASSIGN(const bool is_topic, is_there(files.path_of(kOfTopic)));
    if (is_group) {
        add(ConfigOf::kGroup, group_setting_infos(), GroupSettings());
    } else if (is_store) {
        add(ConfigOf::kStore, store_setting_infos(), StoreSettings());
        add(ConfigOf::kNewTopics, topic_setting_infos(), TopicSettings());
    } else if (is_topic) {
        add(ConfigOf::kTopic, topic_setting_infos(), TopicSettings());
    } else {
        TOPICFS_TRY_ASSIGN(const bool is_something, is_there(path));
        return is_something ? not_ours(path) : system_error(ENOENT, "", path);
    }
    return files;
}

std::string ConfigFiles::path_of(std::string_view key) const {
    return directory_ + "/.config/" + std::string(key);
}

Result<ConfigFiles::Known> ConfigFiles::find(std::string_view key) const {
    const auto found =
        std::find_if(known_.begin(), known_.end(), [&](const Known& one) { return key == one.info.key; });
    if (found == known_.end()) {
        return make_error(ErrorCode::kNotFound, "", directory_, "it has no setting '" + std::string(key) + "'");
    }
    return *found;
}

Result<SettingValue> ConfigFiles::read(const Known& known) const {
    TOPICFS_TRY_ASSIGN(std::string text, read_text_file(path_of(known.info.key)));
    if (text.ends_with('\n')) {
        text.pop_back();
    }
    return SettingValue{known.info, known.of, std::move(text), known.default_value};
}

Result<std::vector<SettingValue>> ConfigFiles::read_all() const {
    std::vector<SettingValue> values;
    for (const Known& known : known_) {
        TOPICFS_TRY_ASSIGN(SettingValue value, read(known));
        values.push_back(std::move(value));
    }
    return values;
}

Result<SettingValue> ConfigFiles::read(std::string_view key) const {
    TOPICFS_TRY_ASSIGN(const Known known, find(key));
    return read(known);
}

Result<std::vector<SettingChange>> ConfigFiles::set(std::span<const KeyValue> wanted) const {
    std::vector<Fd> files;
    std::vector<SettingChange> changes;
    for (const KeyValue& one : wanted) {
        TOPICFS_TRY_ASSIGN(SettingValue before, read(one.key));
        Fd file(::open(path_of(one.key).c_str(), O_WRONLY | O_CLOEXEC));
        if (!file) {
            return system_error(errno, "", path_of(one.key));
        }
        TOPICFS_TRY(check(file, directory_, one));
        files.push_back(std::move(file));
        changes.push_back({one.key, std::move(before.value), ""});
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (auto written = write_value(files[i], path_of(wanted[i].key), wanted[i].value); !written) {
            Error error = std::move(written).error();
            if (i > 0) {
                error.detail = "what was given before it is set";
            }
            return error;
        }
        TOPICFS_TRY_ASSIGN(SettingValue after, read(wanted[i].key));
        changes[i].after = std::move(after.value);
    }
    return changes;
}

}  // namespace topicfs
