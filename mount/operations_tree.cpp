// The part of Operations that is about names, attributes and directories.
#include <sys/statvfs.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "mount/names.h"
#include "mount/node_attributes.h"
#include "mount/operations.h"
#include "store/views.h"

namespace topicfs {

namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

std::int64_t nanoseconds(const timespec& time) {
    return time.tv_sec * kNanosecondsPerSecond + time.tv_nsec;
}

std::int64_t now_nanoseconds() {
    timespec now = {};
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

Error not_found() {
    return refused(ENOENT, "no such name");
}

Error name_is_fixed() {
    return refused(EPERM, "names of topics and partitions are made and removed as a whole");
}

AttributesChange to_change(const struct stat& wanted, int what) {
    AttributesChange change;
    if ((what & FUSE_SET_ATTR_MODE) != 0) {
        change.mode = wanted.st_mode & 07777;
    }
    if ((what & FUSE_SET_ATTR_UID) != 0) {
        change.uid = wanted.st_uid;
    }
    if ((what & FUSE_SET_ATTR_GID) != 0) {
        change.gid = wanted.st_gid;
    }
    if ((what & FUSE_SET_ATTR_ATIME_NOW) != 0) {
        change.atime_ns = now_nanoseconds();
    } else if ((what & FUSE_SET_ATTR_ATIME) != 0) {
        change.atime_ns = nanoseconds(wanted.st_atim);
    }
    if ((what & FUSE_SET_ATTR_MTIME_NOW) != 0) {
        change.mtime_ns = now_nanoseconds();
    } else if ((what & FUSE_SET_ATTR_MTIME) != 0) {
        change.mtime_ns = nanoseconds(wanted.st_mtim);
    }
    return change;
}

Result<void> set_size(const Node& node, off_t size) {
    if ((node.kind == NodeKind::kConfigKey || node.kind == NodeKind::kGroupOffset) && size == 0) {
        return {};  // Comes before the write of the new value; one write is one value, so there is nothing to do.
    }
    return size == 0 ? check_truncation(node) : refused(EPERM, "append-only: it cannot be truncated");
}

}  // namespace

Attributes Operations::new_attributes(const fuse_ctx& caller, mode_t mode, const Attributes& directory) {
    Attributes attributes;
    attributes.uid = caller.uid;
    attributes.gid = (directory.mode & S_ISGID) != 0 ? directory.gid : caller.gid;
    // The kernel has taken the umask off already; where it ever does not, this does.
    attributes.mode = mode & 07777 & ~caller.umask;
    attributes.atime_ns = attributes.mtime_ns = attributes.ctime_ns = now_nanoseconds();
    return attributes;
}

Result<Node> Operations::partition_node(const std::shared_ptr<Topic>& topic, std::uint32_t number, NodeRole role) {
    Node node;
    node.kind = role == NodeRole::kReader   ? NodeKind::kReader
                : role == NodeRole::kWriter ? NodeKind::kWriter
                                            : NodeKind::kBackedWriter;
    node.topic = topic;
    TOPICFS_TRY_ASSIGN(node.partition, topic->partition(number));
    node.start = node.partition->start();
    return node;
}

Result<Node> Operations::resolve_partition(const std::shared_ptr<Topic>& topic, std::uint32_t number, bool follow,
                                           std::uint32_t thread) const {
    if (number >= topic->partition_count() || unlinked_.has(topic->id(), number)) {
        return not_found();
    }
    if (follow) {
        TOPICFS_TRY_ASSIGN(Node node, partition_node(topic, number, NodeRole::kReader));
        node.follow = true;
        return node;
    }
    const auto expected = turned_opens_.expected(thread, partition_inode_number(*topic, number));
    TOPICFS_TRY_ASSIGN(Node node, partition_node(topic, number, expected.role));
    if (const auto known = nodes_.find(expected.node); expected.is_memory && known && known->start != node.start) {
        // The log start has moved, and the look-up may be a stat: a writer node keeps the size that it had.
        return partition_node(topic, number, NodeRole::kReader);
    }
    node.id = expected.node;
    return node;
}

Result<Node> Operations::view_node(const std::shared_ptr<Topic>& topic, std::optional<std::uint32_t> partition,
                                   std::shared_ptr<LogView> view, std::string path) {
    Node node;
    node.kind = NodeKind::kView;
    node.topic = topic;
    if (partition) {
        TOPICFS_TRY_ASSIGN(node.partition, topic->partition(*partition));
    }
    node.view = std::move(view);
    node.path_inode = path_inode_number(*topic, path);
    node.path = std::move(path);
    return node;
}

Result<Node> Operations::named_view_node(const std::shared_ptr<Topic>& topic, const ViewName& name, std::string path) {
    TOPICFS_TRY_ASSIGN(auto view, open_view(topic, name, system_clock().now()));
    TOPICFS_TRY_ASSIGN(Node node, view_node(topic, name.partition, std::move(view), std::move(path)));
    node.follow = name.follow;
    return node;
}

Result<Node> Operations::resolve_in_topic(const std::shared_ptr<Topic>& topic, std::string_view name,
                                          std::uint32_t thread) const {
    const bool follow = name.ends_with(kFollowSuffix);
    const std::string_view plain = follow ? name.substr(0, name.size() - kFollowSuffix.size()) : name;
    if (const auto number = partition_number(plain)) {
        return resolve_partition(topic, *number, follow, thread);
    }
    if (plain == kAllName) {
        TOPICFS_TRY_ASSIGN(Node node, named_view_node(topic, {std::nullopt, ViewStart{}, std::nullopt, follow},
                                                      std::string(kAllName)));
        node.is_all = !follow;
        return node;
    }
    if (!is_view_name(name)) {
        return not_found();
    }
    const Result<ViewName> view = parse_view_name(name);
    if (!view) {
        // Who looked it up sees only that there is no such file.
        log_debug(mount_point_ + '/' + topic->name() + '/' + std::string(name) + ": " + view.error().message());
        return not_found();
    }
    return named_view_node(topic, *view, std::string(name));
}

// T/.days/DAY, and what is in it.
Result<Node> Operations::resolve_day(const Node& directory, std::string_view name) const {
    const std::shared_ptr<Topic>& topic = directory.topic;
    if (directory.kind == NodeKind::kDaysDirectory) {
        const auto day = parse_date(name);
        if (!day) {
            return not_found();
        }
        TOPICFS_TRY_ASSIGN(const auto partitions, partitions_of_day(*topic, *day));
        if (partitions.empty()) {
            return not_found();
        }
        Node node;
        node.kind = NodeKind::kDayDirectory;
        node.topic = topic;
        node.day = *day;
        return node;
    }
    const auto number = partition_number(name);
    if ((number && *number >= topic->partition_count()) || (!number && name != kAllName)) {
        return not_found();
    }
    TOPICFS_TRY_ASSIGN(auto view, open_day(topic, directory.day, number, system_clock().now()));
    return view_node(topic, number, std::move(view), day_path(directory.day, name));
}

Result<Node> Operations::resolve(const Node& directory, std::string_view name, std::uint32_t thread) const {
    // A view's name is as long as the kernel lets it be: where it says nothing there is no such file, as with a short
    // one.
    if (directory.kind != NodeKind::kTopic || !is_view_name(name)) {
        TOPICFS_TRY(check_name_length(name));
    }
    Node node;
    node.topic = directory.topic;
    if (directory.kind == NodeKind::kConfigDirectory) {
        node.kind = NodeKind::kConfigKey;
        if (directory.group) {
            set_group_path(node, directory, name);
        }
        for (const std::uint32_t setting : config_settings(directory)) {
            if (name == config_info(setting).key) {
                node.setting = setting;
                return node;
            }
        }
        return not_found();
    }
    if (!directory.is_directory()) {
        return refused(ENOTDIR, "not a directory");
    }
    if (directory.kind == NodeKind::kDaysDirectory || directory.kind == NodeKind::kDayDirectory) {
        return resolve_day(directory, name);
    }
    if (directory.kind == NodeKind::kGroupsDirectory || directory.kind == NodeKind::kGroupDirectory) {
        return resolve_in_group(directory, name);
    }
    if (directory.kind == NodeKind::kTrash) {
        node.kind = NodeKind::kTopic;
        TOPICFS_TRY_ASSIGN(node.topic, store_.trashed_topic(name));
        return node;
    }
    if (name == kConfigName) {
        node.kind = NodeKind::kConfigDirectory;
        return node;
    }
    if (name == kStatusName) {
        node.kind = NodeKind::kStatus;
        return node;
    }
    if (directory.kind == NodeKind::kRoot && name == kMetricsName) {
        node.kind = NodeKind::kMetrics;
        return node;
    }
    if (directory.kind == NodeKind::kRoot && name == kTrashName) {
        node.kind = NodeKind::kTrash;
        return node;
    }
    if (directory.kind == NodeKind::kTopic && (name == kDaysName || name == kGroupsName)) {
        node.kind = name == kDaysName ? NodeKind::kDaysDirectory : NodeKind::kGroupsDirectory;
        return node;
    }
    if (directory.kind == NodeKind::kTopic) {
        return resolve_in_topic(directory.topic, name, thread);
    }
    if (!check_topic_name(name)) {
        return not_found();
    }
    node.kind = NodeKind::kTopic;
    TOPICFS_TRY_ASSIGN(node.topic, store_.topic(name));
    return node;
}

Result<fuse_entry_param> Operations::make_entry(const Node& found) {
    const std::shared_ptr<const Node> node = nodes_.look_up(found);
    if (node->is_unique()) {
        unused_views_.looked_up(node->id);
    }
    Result<struct stat> attributes = node_attributes(store_, *node);
    if (!attributes) {
        nodes_.forget(node->id, 1);
        return attributes.error();
    }
    fuse_entry_param entry = {};
    entry.ino = node->id;
    entry.attr = *attributes;
    entry.attr_timeout = attribute_seconds(*node);
    entry.entry_timeout = entry_seconds(*node);
    return entry;
}

Result<void> Operations::answer_entry(Reply& reply, const Node& found) {
    TOPICFS_TRY_ASSIGN(const fuse_entry_param entry, make_entry(found));
    if (!reply.entry(entry)) {
        nodes_.forget(entry.ino, 1);
    }
    return {};
}

Result<void> Operations::look_up(Reply& reply, fuse_ino_t parent, const char* name) {
    TOPICFS_TRY_ASSIGN(const auto directory, find_node(parent));
    TOPICFS_TRY_ASSIGN(const Node found, resolve(*directory, name, reply.thread()));
    const std::uint32_t thread = reply.thread();
    TOPICFS_TRY_ASSIGN(const fuse_entry_param entry, make_entry(found));
    if (found.kind == NodeKind::kBackedWriter) {
        turned_opens_.chosen(thread, inode_number(found), entry.ino);
    }
    if (!reply.entry(entry)) {
        nodes_.forget(entry.ino, 1);
    }
    return {};
}

Result<void> Operations::forget(Reply& reply, fuse_ino_t id, std::uint64_t look_ups) {
    nodes_.forget(id, look_ups);
    reply.nothing();
    return {};
}

Result<void> Operations::forget_many(Reply& reply, std::size_t count, fuse_forget_data* forgets) {
    for (const fuse_forget_data& one : std::span(forgets, count)) {
        nodes_.forget(one.ino, one.nlookup);
    }
    reply.nothing();
    return {};
}

Result<void> Operations::get_attributes(Reply& reply, fuse_ino_t id, fuse_file_info* /*info*/) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    TOPICFS_TRY_ASSIGN(const struct stat attributes, node_attributes(store_, *node));
    reply.attributes(attributes, attribute_seconds(*node));
    return {};
}

Result<void> Operations::set_attributes(Reply& reply, fuse_ino_t id, struct stat* wanted, int what,
                                        fuse_file_info* info) {
    TOPICFS_TRY_ASSIGN(const auto node, find_node(id));
    const bool resize = (what & FUSE_SET_ATTR_SIZE) != 0;
    if (resize) {
        TOPICFS_TRY(set_size(*node, wanted->st_size));
    }
    const AttributesChange change = to_change(*wanted, what);
    const bool changes_more = change.uid || change.gid || change.mode || change.atime_ns || change.mtime_ns;
    if (changes_more) {
        if (node->is_partition()) {
            TOPICFS_TRY(node->partition->change_attributes(change));
        } else if (node->kind == NodeKind::kGroupDirectory) {
            TOPICFS_TRY(node->group->change_attributes(change));
        } else if (node->kind == NodeKind::kTopic) {
            TOPICFS_TRY(node->topic->change_attributes(change));
        } else if (node->kind == NodeKind::kRoot) {
            TOPICFS_TRY(store_.change_attributes(change));
        } else if (!resize) {
            return refused(EPERM, "owner and mode are those of the topic");
        }
    }
    return get_attributes(reply, id, info);
}

Result<void> Operations::make_directory(Reply& reply, fuse_ino_t parent, const char* name, mode_t mode) {
    TOPICFS_TRY_ASSIGN(const auto directory, find_node(parent));
    TOPICFS_TRY(check_name_length(name));
    if (directory->kind == NodeKind::kGroupsDirectory) {
        const Attributes above = directory->topic->attributes();
        TOPICFS_TRY(directory->topic->create_group(name, new_attributes(reply.caller(), mode, above)));
        TOPICFS_TRY_ASSIGN(const Node made, resolve_in_group(*directory, name));
        return answer_entry(reply, made);
    }
    if (directory->kind != NodeKind::kRoot) {
        return refused(EPERM, "topics have no directories below them: dots in names make hierarchies");
    }
    const Attributes above = store_.attributes();
    Attributes attributes = new_attributes(reply.caller(), mode, above);
    attributes.mode |= above.mode & S_ISGID;
    Node made;
    made.kind = NodeKind::kTopic;
    const auto prepared = prepared_topics_.take({reply.thread(), reply.caller().uid}, name);
    TOPICFS_TRY_ASSIGN(made.topic,
                       store_.create_topic(name, attributes, prepared ? *prepared : store_.default_settings()));
    return answer_entry(reply, made);
}

Result<void> Operations::make_node(Reply&, fuse_ino_t, const char*, mode_t, dev_t) {
    return name_is_fixed();
}

Result<void> Operations::make_symlink(Reply&, const char*, fuse_ino_t, const char*) {
    return name_is_fixed();
}

Result<void> Operations::make_link(Reply&, fuse_ino_t, fuse_ino_t, const char*) {
    return name_is_fixed();
}

Result<void> Operations::show_space(Reply& reply, fuse_ino_t /*id*/) {
    struct statvfs space = {};
    if (space_of_ && fstatvfs(space_of_.get(), &space) != 0) {
        return system_error(errno, "statfs", mount_point_);
    }
    space.f_namemax = kTopicNameBytesMax;
    reply.space(space);
    return {};
}

}  // namespace topicfs
