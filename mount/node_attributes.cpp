#include "mount/node_attributes.h"

#include <algorithm>
#include <numeric>

namespace topicfs {

namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr double kDirectorySeconds = 1.0;

timespec to_timespec(std::int64_t nanoseconds) {
    std::int64_t seconds = nanoseconds / kNanosecondsPerSecond;
    std::int64_t rest = nanoseconds % kNanosecondsPerSecond;
    if (rest < 0) {
        rest += kNanosecondsPerSecond;
        --seconds;
    }
    return {seconds, rest};
}

void set_owner_and_times(struct stat& to, const Attributes& from) {
    to.st_uid = from.uid;
    to.st_gid = from.gid;
    to.st_atim = to_timespec(from.atime_ns);
    to.st_mtim = to_timespec(from.mtime_ns);
    to.st_ctim = to_timespec(from.ctime_ns);
}

Result<void> set_partition_size(struct stat& to, const Node& node) {
    TOPICFS_TRY_ASSIGN(const Position end, node.partition->end());
    const std::uint64_t bytes = end > node.start ? end - node.start : 0;
    to.st_size = static_cast<off_t>(std::min(bytes, kPositionMax));
    constexpr std::uint64_t kBlockBytes = 512;  // the unit of st_blocks, whatever the file system's is
    to.st_blocks = static_cast<blkcnt_t>((node.partition->disk_bytes() + kBlockBytes - 1) / kBlockBytes);
    return {};
}

}  // namespace

Attributes owning_attributes(const Store& store, const Node& node) {
    return node.topic ? node.topic->attributes() : store.attributes();
}

std::vector<std::uint32_t> config_settings(const Node& directory) {
    std::vector<std::uint32_t> settings(topic_setting_infos().size());
    std::iota(settings.begin(), settings.end(), 0U);
    for (std::uint32_t i = 0; !directory.topic && i < store_setting_infos().size(); ++i) {
        settings.push_back(kStoreSettingsFrom + i);
    }
    return settings;
}

const SettingInfo& config_info(std::uint32_t setting) {
    return setting < kStoreSettingsFrom ? topic_setting_infos()[setting]
                                        : store_setting_infos()[setting - kStoreSettingsFrom];
}

Result<void> set_setting(Store& store, const Node& node, std::string_view text) {
    const char* key = config_info(node.setting).key;
    if (node.setting >= kStoreSettingsFrom) {
        return store.set_store_setting(key, text);
    }
    return node.topic ? node.topic->set(key, text) : store.set_default(key, text);
}

Result<std::string> setting_text(const Store& store, const Node& node) {
    const char* key = config_info(node.setting).key;
    if (node.setting >= kStoreSettingsFrom) {
        TOPICFS_TRY_ASSIGN(std::string text, store.store_setting(key));
        return text + '\n';
    }
    const TopicSettings settings = node.topic ? node.topic->settings() : store.default_settings();
    TOPICFS_TRY_ASSIGN(std::string text, get_setting(settings, key));
    return text + '\n';
}

Result<struct stat> node_attributes(Store& store, const Node& node) {
    struct stat to = {};
    to.st_ino = inode_number(node);
    // find(1) reads a link count of a directory that is not 1 as the number of its subdirectories plus 2.
    to.st_nlink = 1;
    // stdio takes this for its buffer's size, so a large one would make loggers hold back their lines for longer.
    to.st_blksize = 4096;
    const Attributes attributes = node.is_partition() ? node.partition->attributes() : owning_attributes(store, node);
    set_owner_and_times(to, attributes);
    constexpr mode_t kReadBits = 0444;
    constexpr mode_t kReadAndWriteBits = 0666;
    constexpr mode_t kAccessBits = 0777;
    switch (node.kind) {
        case NodeKind::kRoot:
        case NodeKind::kTopic:
            to.st_mode = S_IFDIR | attributes.mode;
            break;
        case NodeKind::kConfigDirectory:
            to.st_mode = S_IFDIR | (attributes.mode & kAccessBits);
            break;
        case NodeKind::kConfigKey: {
            to.st_mode = S_IFREG | (attributes.mode & kReadAndWriteBits);
            TOPICFS_TRY_ASSIGN(const std::string text, setting_text(store, node));
            to.st_size = static_cast<off_t>(text.size());
            break;
        }
        case NodeKind::kStatus:
            // The size is known at the open only, as with files in /proc.
            to.st_mode = S_IFREG | (attributes.mode & kReadBits);
            break;
        case NodeKind::kReader:
        case NodeKind::kWriter:
        case NodeKind::kBackedWriter:
            to.st_mode = S_IFREG | attributes.mode;
            TOPICFS_TRY(set_partition_size(to, node));
            break;
    }
    return to;
}

double attribute_seconds(const Node& node) {
    return node.kind == NodeKind::kRoot || node.kind == NodeKind::kTopic ? kDirectorySeconds : 0;
}

double entry_seconds(const Node& node) {
    // A partition's name leads to another node when it is opened for writing and when its log start moves.
    return node.is_partition() ? 0 : kDirectorySeconds;
}

}  // namespace topicfs
