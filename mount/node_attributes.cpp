#include "mount/node_attributes.h"

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "base/clock.h"
#include "base/text.h"
#include "mount/reply.h"

namespace topicfs {

namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr double kDirectorySeconds = 1.0;
// A stream has no size. Of an empty file the kernel reads no page, so splice(2) would take it for one that is at its
// end, in place of being refused (Operations::read). This is what files in /sys show: tools know it for no size. And
// they would look for holes, which takes a seek, in a file that has fewer blocks than its size.
constexpr std::uint64_t kStreamBytes = 4096;

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

void set_size(struct stat& to, std::uint64_t bytes, std::uint64_t disk_bytes) {
    to.st_size = static_cast<off_t>(std::min(bytes, kPositionMax));
    constexpr std::uint64_t kBlockBytes = 512;  // the unit of st_blocks, whatever the file system's is
    to.st_blocks = static_cast<blkcnt_t>((disk_bytes + kBlockBytes - 1) / kBlockBytes);
}

Result<bool> is_partition_empty(Partition& partition) {
    TOPICFS_TRY_ASSIGN(const Position end, partition.end());
    return end == partition.start();
}

Result<void> set_partition_size(struct stat& to, const Node& node) {
    TOPICFS_TRY_ASSIGN(const Position end, node.partition->end());
    set_size(to, end > node.start ? end - node.start : 0, node.partition->disk_bytes());
    return {};
}

// What everybody may do with each of the partitions (or with one): what shows them, or takes what goes to them, grants
// no more. `owner` is whose that is; who is its owner, but not a partition's, has there what all others have.
std::uint32_t mode_of_partitions(const Topic& topic, const Partition* only, const Attributes& owner) {
    constexpr unsigned kUserShift = 6;
    constexpr unsigned kGroupShift = 3;
    constexpr std::uint32_t kOthers = 07;
    std::uint32_t mode = 0777;
    for (std::uint32_t number = 0; number < topic.partition_count(); ++number) {
        if (only != nullptr && only->number() != number) {
            continue;
        }
        const auto partition = topic.partition(number);
        const Attributes one = partition ? (*partition)->attributes() : Attributes{};
        const std::uint32_t others = one.mode & kOthers;
        const std::uint32_t user = one.uid == owner.uid ? one.mode >> kUserShift & kOthers : others;
        const std::uint32_t group = one.gid == owner.gid ? one.mode >> kGroupShift & kOthers : others;
        mode &= user << kUserShift | group << kGroupShift | others;
    }
    return mode;
}

// To read a group's stream moves the group on: who may not write to the group may not read it.
std::uint32_t readable_where_writable(std::uint32_t mode) {
    constexpr std::uint32_t kWriteBits = 0222;
    return (mode & kWriteBits) << 1;
}

// A view is a file that cannot be written; T/all is as the topic's partitions are made.
Result<void> set_view(struct stat& to, const Node& node, const Attributes& attributes) {
    constexpr mode_t kReadBits = 0444;
    constexpr mode_t kReadAndWriteBits = 0666;
    to.st_mode = S_IFREG | (attributes.mode & (node.is_all ? kReadAndWriteBits : kReadBits));
    TOPICFS_TRY_ASSIGN(const LogView::Extent extent, node.view->extent());
    set_size(to, extent.bytes, extent.bytes);
    if (extent.last_time) {
        to.st_mtim = to.st_ctim = to_timespec(extent.last_time->value * kNanosecondsPerMillisecond);
    }
    return {};
}

}  // namespace

Attributes owning_attributes(const Store& store, const Node& node) {
    if (node.group) {
        return node.group->attributes();
    }
    return node.topic ? node.topic->attributes() : store.attributes();
}

std::vector<std::uint32_t> config_settings(const Node& directory) {
    if (directory.group) {
        std::vector<std::uint32_t> settings(group_setting_infos().size());
        std::iota(settings.begin(), settings.end(), kGroupSettingsFrom);
        return settings;
    }
    std::vector<std::uint32_t> settings(topic_setting_infos().size());
    std::iota(settings.begin(), settings.end(), 0U);
    for (std::uint32_t i = 0; !directory.topic && i < store_setting_infos().size(); ++i) {
        settings.push_back(kStoreSettingsFrom + i);
    }
    return settings;
}

const SettingInfo& config_info(std::uint32_t setting) {
    if (setting >= kGroupSettingsFrom) {
        return group_setting_infos()[setting - kGroupSettingsFrom];
    }
    return setting < kStoreSettingsFrom ? topic_setting_infos()[setting]
                                        : store_setting_infos()[setting - kStoreSettingsFrom];
}

Result<void> set_setting(Store& store, const Node& node, std::string_view text) {
    const char* key = config_info(node.setting).key;
    if (node.group) {
        return node.group->set(key, text);
    }
    if (node.setting >= kStoreSettingsFrom) {
        return store.set_store_setting(key, text);
    }
    return node.topic ? node.topic->set(key, text) : store.set_default(key, text);
}

Result<void> check_setting(const Store& store, const Node& node, std::string_view text) {
    const char* key = config_info(node.setting).key;
    if (node.group) {
        GroupSettings settings = node.group->settings();
        return set_setting(settings, key, text);
    }
    if (node.setting >= kStoreSettingsFrom) {
        StoreSettings settings;
        return set_setting(settings, key, text);
    }
    if (node.topic) {
        return node.topic->check(key, text);
    }
    TopicSettings settings = store.default_settings();
    return set_setting(settings, key, text);
}

Result<std::string> setting_text(const Store& store, const Node& node) {
    const char* key = config_info(node.setting).key;
    if (node.group) {
        TOPICFS_TRY_ASSIGN(std::string text, get_setting(node.group->settings(), key));
        return text + '\n';
    }
    if (node.setting >= kStoreSettingsFrom) {
        TOPICFS_TRY_ASSIGN(std::string text, store.store_setting(key));
        return text + '\n';
    }
    const TopicSettings settings = node.topic ? node.topic->settings() : store.default_settings();
    TOPICFS_TRY_ASSIGN(std::string text, get_setting(settings, key));
    return text + '\n';
}

Result<void> reset_offset(const Node& node, std::string_view text) {
    TOPICFS_TRY_ASSIGN(const GroupPoint point, parse_group_point(trim(text), system_clock().now()));
    return node.group->reset(node.partition->number(), point);
}

Result<Offset> find_offset(const Node& node, std::string_view text) {
    TOPICFS_TRY_ASSIGN(const GroupPoint point, parse_group_point(trim(text), system_clock().now()));
    return node.group->find(node.partition->number(), point);
}

Result<std::string> offset_text(const Node& node) {
    TOPICFS_TRY_ASSIGN(const Offset committed, node.group->committed(node.partition->number()));
    return std::to_string(committed.value) + '\n';
}

Result<struct stat> node_attributes(Store& store, const Node& node) {
    struct stat to = {};
    to.st_ino = inode_number(node);
    // find(1) reads a link count of a directory that is not 1 as the number of its subdirectories plus 2.
    to.st_nlink = 1;
    // stdio takes this for its buffer's size, so a large one would make loggers hold back their lines for longer.
    to.st_blksize = 4096;
    const bool is_partitions = node.partition && !node.group;
    Attributes attributes = is_partitions ? node.partition->attributes() : owning_attributes(store, node);
    if (node.kind == NodeKind::kView && !node.partition) {
        attributes.mode = mode_of_partitions(*node.topic, nullptr, attributes);
    } else if (node.kind == NodeKind::kGroupStream) {
        attributes.mode &= readable_where_writable(attributes.mode);
        attributes.mode &= mode_of_partitions(*node.topic, node.partition.get(), attributes);
    }
    set_owner_and_times(to, attributes);
    constexpr mode_t kReadBits = 0444;
    constexpr mode_t kReadAndWriteBits = 0666;
    constexpr mode_t kAccessBits = 0777;
    switch (node.kind) {
        case NodeKind::kRoot:
        case NodeKind::kTrash:
        case NodeKind::kTopic:
        case NodeKind::kGroupDirectory:
            to.st_mode = S_IFDIR | attributes.mode;
            break;
        case NodeKind::kConfigDirectory:
        case NodeKind::kDaysDirectory:
        case NodeKind::kDayDirectory:
        case NodeKind::kGroupsDirectory:
            to.st_mode = S_IFDIR | (attributes.mode & kAccessBits);
            break;
        case NodeKind::kConfigKey: {
            to.st_mode = S_IFREG | (attributes.mode & kReadAndWriteBits);
            TOPICFS_TRY_ASSIGN(const std::string text, setting_text(store, node));
            to.st_size = static_cast<off_t>(text.size());
            break;
        }
        case NodeKind::kGroupOffset: {
            to.st_mode = S_IFREG | (attributes.mode & kReadAndWriteBits);
            TOPICFS_TRY_ASSIGN(const std::string text, offset_text(node));
            to.st_size = static_cast<off_t>(text.size());
            break;
        }
        case NodeKind::kStatus:
        case NodeKind::kMetrics:
            // The size is known at the open only, as with files in /proc.
            to.st_mode = S_IFREG | (attributes.mode & kReadBits);
            break;
        case NodeKind::kGroupStream:
            to.st_mode = S_IFREG | (attributes.mode & kReadBits);
            set_size(to, kStreamBytes, kStreamBytes);
            break;
        case NodeKind::kReader:
        case NodeKind::kWriter:
        case NodeKind::kBackedWriter:
            to.st_mode = S_IFREG | attributes.mode;
            TOPICFS_TRY(set_partition_size(to, node));
            break;
        case NodeKind::kView:
            TOPICFS_TRY(set_view(to, node, attributes));
            break;
    }
    return to;
}

Result<void> check_truncation(const Node& node) {
    bool is_empty = false;
    if (node.is_all) {
        // What was acknowledged counts, though it cannot be read in `all` before it is settled.
        is_empty = true;
        for (std::uint32_t number = 0; is_empty && number < node.topic->partition_count(); ++number) {
            TOPICFS_TRY_ASSIGN(const auto partition, node.topic->partition(number));
            TOPICFS_TRY_ASSIGN(is_empty, is_partition_empty(*partition));
        }
    } else if (node.is_partition()) {
        TOPICFS_TRY_ASSIGN(is_empty, is_partition_empty(*node.partition));
    }
    return is_empty ? Result<void>() : refused(EPERM, "append-only: it cannot be truncated");
}

double attribute_seconds(const Node& node) {
    return node.kind == NodeKind::kRoot || node.kind == NodeKind::kTopic || node.kind == NodeKind::kGroupDirectory
               ? kDirectorySeconds
               : 0;
}

double entry_seconds(const Node& node) {
    // A partition's name leads to another node when it is opened for writing and when its log start moves; a view's at
    // each look-up, as does that of a day which may be gone.
    const bool changes = node.is_partition() || node.is_unique() || node.kind == NodeKind::kDayDirectory;
    return changes ? 0 : kDirectorySeconds;
}

}  // namespace topicfs
