#include "base/text.h"
#include "command.h"
#include "config_files.h"
#include "io/fd.h"

#include <topicfs/ioctl.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

namespace topicfs {

const CommandSpec kCreateSpec = {
    "create",
    "Make a topic",
    {{"PATH", "where it is to be: MOUNTPOINT/TOPIC"}},
    {{"partitions", 'p', "N", "how many partitions; default: num.partitions of the mount's root"},
     {"config", 'c', "KEY=VALUE", "a setting, as topicfs config takes it; may be given again", true}},
    "What is not given is as in the settings for new topics (topicfs config MOUNTPOINT). The topic\n"
    "is there with all its partitions and settings at once, or not at all. Owner and mode are\n"
    "those that mkdir(1) would give it.\n",
    "  topicfs create /mnt/topics/orders --partitions 4\n"
    "  topicfs create /mnt/topics/metrics --config compression.type=zstd --config retention.ms=30d\n",
};

namespace {

constexpr const char* kPartitions = "num.partitions";

Error wrong_use(const std::string& what) {
    return make_error(ErrorCode::kInvalid, "", "", what);
}

// As the ioctl takes them.
Result<std::string> settings_of(const CommandLine& line) {
    std::vector<KeyValue> settings;
    if (const auto partitions = line.value("partitions")) {
        settings.push_back({kPartitions, *partitions});
    }
    for (const std::string& text : line.values("config")) {
        TOPICFS_TRY_ASSIGN(KeyValue one, parse_key_value(text));
        settings.push_back(std::move(one));
    }
    std::string text;
    for (auto one = settings.begin(); one != settings.end(); ++one) {
        if (std::any_of(settings.begin(), one, [&](const KeyValue& other) { return other.key == one->key; })) {
            return wrong_use("'" + one->key + "' is given twice");
        }
        if (one->value.find('\n') != std::string::npos) {
            return wrong_use("'" + one->key + "': a value has no line break; it is written as \\n");
        }
        text += one->key + "=" + one->value + "\n";
    }
    return text;
}

struct Place {
    std::string directory;
    std::string name;
};

Place place_of(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) {
        return {".", path};
    }
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

template <std::size_t N>
Result<void> put(char (&into)[N], const std::string& text, const char* what) {
    if (text.size() >= N) {
        return make_error(ErrorCode::kNameTooLong, "", "", std::string(what) + " too long");
    }
    std::copy(text.begin(), text.end(), into);
    return {};
}

Result<void> create(const CommandLine& line) {
    TOPICFS_TRY_ASSIGN(const std::string settings, settings_of(line));
    const std::string& path = line.argument(0);
    const Place place = place_of(path);
    const Fd directory(::open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        return system_error(errno, "", place.directory);
    }
    const auto asked = std::make_unique<topicfs_new_topic>();
    TOPICFS_TRY(put(asked->name, place.name, "the topic's name is"));
    TOPICFS_TRY(put(asked->settings, settings, "the settings are"));
    if (::ioctl(directory.get(), TOPICFS_IOC_NEW_TOPIC, asked.get()) != 0) {
        return errno == ENOTTY ? make_error(ErrorCode::kInvalid, "", place.directory, "no root of a mounted topicfs")
                               : system_error(errno, "", place.directory);
    }
    if (asked->refused.error != 0) {
        return make_error(ErrorCode::kInvalid, "", path, asked->refused.reason);
    }
    if (::mkdirat(directory.get(), place.name.c_str(), 0777) != 0) {
        return system_error(errno, "", path);
    }
    return {};
}

}  // namespace

int run_create(const CommandLine& line) {
    const auto created = create(line);
    if (!created) {
        return fail(created.error().path.empty() ? "create: " + created.error().detail : created.error().message());
    }
    return kExitDone;
}

}  // namespace topicfs
