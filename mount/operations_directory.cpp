// The part of Operations that lists directories.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string>

#include "base/clock.h"
#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"
#include "store/views.h"

namespace topicfs {

// Only the inode number and the type go into a listing.
struct Operations::DirectoryEntry {
    DirectoryEntry(std::string entry_name, std::uint64_t inode, mode_t type) : name(std::move(entry_name)) {
        attributes.st_ino = inode;
        attributes.st_mode = type;
    }
    std::string name;
    struct stat attributes = {};
};

namespace {

constexpr off_t kSelfIndex = 0;
constexpr off_t kParentIndex = 1;
constexpr off_t kFirstIndex = 2;

std::uint64_t parent_inode_number(const Node& directory) {
    Node parent;
    if (directory.kind == NodeKind::kDayDirectory || directory.kind == NodeKind::kGroupDirectory) {
        parent.kind = directory.group ? NodeKind::kGroupsDirectory : NodeKind::kDaysDirectory;
        parent.topic = directory.topic;
    } else if (directory.group) {
        parent.kind = NodeKind::kGroupDirectory;
        parent.path_inode = path_inode_number(*directory.topic, group_path(*directory.group, {}));
    } else if (directory.kind != NodeKind::kTopic && directory.topic) {
        parent.kind = NodeKind::kTopic;
        parent.topic = directory.topic;
    } else if (directory.topic && directory.topic->removal()) {
        parent.kind = NodeKind::kTrash;
    }
    return inode_number(parent);
}

// Those whose listing is remembered by who reads it, as names come and go.
bool is_remembered(const Node& directory) {
    return directory.kind == NodeKind::kRoot || directory.kind == NodeKind::kTrash ||
           directory.kind == NodeKind::kDaysDirectory || directory.kind == NodeKind::kDayDirectory ||
           directory.kind == NodeKind::kGroupsDirectory;
}

Result<std::vector<std::string>> names_in(const Store& store, const Node& directory) {
    if (directory.kind == NodeKind::kRoot) {
        return store.topic_names();
    }
    if (directory.kind == NodeKind::kTrash) {
        return store.trash_names();
    }
    if (directory.kind == NodeKind::kGroupsDirectory) {
        return directory.topic->group_names();
    }
    std::vector<std::string> names;
    if (directory.kind == NodeKind::kDaysDirectory) {
        TOPICFS_TRY_ASSIGN(const auto days, days_of(*directory.topic));
        std::transform(days.begin(), days.end(), std::back_inserter(names), format_date);
        return names;
    }
    TOPICFS_TRY_ASSIGN(const auto numbers, partitions_of_day(*directory.topic, directory.day));
    for (const std::uint32_t number : numbers) {
        names.push_back(std::to_string(number));
    }
    if (!names.empty() && open_day(directory.topic, directory.day, std::nullopt, system_clock().now())) {
        names.emplace_back(kAllName);
    }
    return names;
}

}  // namespace

Result<void> Operations::open_directory(Reply& reply, fuse_ino_t id, fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    if (!node->is_directory()) {
        return refused(ENOTDIR, "not a directory");
    }
    const auto handle = handles_.add(std::make_shared<Handle>(node, info->flags));
    info->fh = handle->number;
    if (!reply.opened(*info)) {
        handles_.remove(handle->number);
    }
    return {};
}

off_t Operations::entry_count(const Handle& handle) const {
    std::size_t count = 0;
    switch (handle.node->kind) {
        case NodeKind::kRoot:
        case NodeKind::kTrash:
        case NodeKind::kDaysDirectory:
        case NodeKind::kDayDirectory:
        case NodeKind::kGroupsDirectory:
            count = handle.names.size();
            break;
        case NodeKind::kGroupDirectory:
            count = std::size_t{2} * handle.node->topic->partition_count();
            break;
        case NodeKind::kTopic:
            count = handle.node->topic->partition_count();
            break;
        default:
            count = config_settings(*handle.node).size();
            break;
    }
    return kFirstIndex + static_cast<off_t>(count);
}

std::optional<Operations::DirectoryEntry> Operations::entry_at(const Handle& handle, off_t index) const {
    const Node& directory = *handle.node;
    if (index == kSelfIndex) {
        return DirectoryEntry(".", inode_number(directory), S_IFDIR);
    }
    if (index == kParentIndex) {
        return DirectoryEntry("..", parent_inode_number(directory), S_IFDIR);
    }
    const auto number = static_cast<std::uint32_t>(index - kFirstIndex);
    Node node;
    node.topic = directory.topic;
    switch (directory.kind) {
        case NodeKind::kRoot:
        case NodeKind::kTrash: {
            const std::string& name = handle.names[number];
            const auto topic = directory.kind == NodeKind::kTrash ? store_.trashed_topic(name) : store_.topic(name);
            if (!topic) {
                return std::nullopt;
            }
            node.kind = NodeKind::kTopic;
            node.topic = *topic;
            return DirectoryEntry(name, inode_number(node), S_IFDIR);
        }
        case NodeKind::kDaysDirectory:
            node.kind = NodeKind::kDayDirectory;
            node.day = parse_date(handle.names[number]).value_or(CivilDate());
            return DirectoryEntry(handle.names[number], inode_number(node), S_IFDIR);
        case NodeKind::kDayDirectory: {
            const std::string& name = handle.names[number];
            return DirectoryEntry(name, path_inode_number(*directory.topic, day_path(directory.day, name)), S_IFREG);
        }
        case NodeKind::kGroupsDirectory: {
            const auto group = directory.topic->group(handle.names[number]);
            if (!group) {
                return std::nullopt;
            }
            return DirectoryEntry((*group)->name(), path_inode_number(*directory.topic, group_path(**group, {})),
                                  S_IFDIR);
        }
        case NodeKind::kGroupDirectory: {
            const std::string name = std::to_string(number / 2) + (number % 2 == 0 ? "" : std::string(kOffsetSuffix));
            return DirectoryEntry(name, path_inode_number(*directory.topic, group_path(*directory.group, name)),
                                  S_IFREG);
        }
        case NodeKind::kTopic:
            if (unlinked_.has(directory.topic->id(), number)) {
                return std::nullopt;
            }
            return DirectoryEntry(std::to_string(number), partition_inode_number(*directory.topic, number), S_IFREG);
        default:
            node.kind = NodeKind::kConfigKey;
            node.setting = config_settings(directory)[number];
            if (directory.group) {
                set_group_path(node, directory, config_info(node.setting).key);
            }
            return DirectoryEntry(config_info(node.setting).key, inode_number(node), S_IFREG);
    }
}

Result<void> Operations::read_directory(Reply& reply, fuse_ino_t /*id*/, std::size_t size, off_t cookie,
                                        fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto handle, find_handle(info));
    if (cookie < 0 || !handle->node->is_directory()) {
        return refused(EINVAL, "not a place in a directory");
    }
    constexpr std::size_t kAnswerBytesMax = 64 * 1024;
    std::string buffer(std::min(size, kAnswerBytesMax), '\0');
    std::size_t used = 0;
    const std::lock_guard lock(handle->mutex);
    // An index into the directory is the cookie. Partitions are never removed and settings are fixed, so their numbers
    // do; topics and days come and go, so an open of such a directory remembers the names it found when it was read
    // from the begin.
    if (cookie == 0 && is_remembered(*handle->node)) {
        TOPICFS_TRY_ASSIGN(handle->names, names_in(store_, *handle->node));
    }
    for (off_t index = cookie; index < entry_count(*handle); ++index) {
        const std::optional<DirectoryEntry> entry = entry_at(*handle, index);
        if (!entry) {
            continue;
        }
        const std::size_t room = buffer.size() - used;
        const std::size_t needed = fuse_add_direntry(reply.request(), buffer.data() + used, room, entry->name.c_str(),
                                                     &entry->attributes, index + 1);
        if (needed > room) {
            break;
        }
        used += needed;
    }
    reply.data(std::as_bytes(std::span(buffer.data(), used)));
    return {};
}

Result<void> Operations::sync_directory(Reply& reply, fuse_ino_t /*id*/, int /*data_only*/, fuse_file_info* /*info*/) {
    // Topics, partitions and settings are durable when their making was answered.
    reply.done();
    return {};
}

}  // namespace topicfs
