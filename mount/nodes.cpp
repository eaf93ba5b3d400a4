#include "mount/nodes.h"

#include <chrono>
#include <utility>

namespace topicfs {

namespace {

// The lower 24 bits of an inode number. Scripts and tar archives remember inode numbers: never renumber. 0 is not used
// by the root's own (topic 0), as an inode number of 0 means "none" to readers of directories; it has 1 instead.
constexpr std::uint64_t kTopicIndex = 0;
constexpr std::uint64_t kRootIndex = 1;
constexpr std::uint64_t kConfigIndex = 2;
constexpr std::uint64_t kStatusIndex = 3;
constexpr std::uint64_t kDaysIndex = 4;
constexpr std::uint64_t kGroupsIndex = 5;
constexpr std::uint64_t kMetricsIndex = 6;
constexpr std::uint64_t kTrashIndex = 7;
constexpr std::uint64_t kSettingIndex = 0x100;
constexpr std::uint64_t kPartitionIndex = 0x10000;
constexpr std::uint64_t kDayIndex = 0x100000;  // and the days since 1970-01-01
constexpr unsigned kIndexBits = 24;
static_assert(kPartitionIndex + kPartitionsMax <= kDayIndex);
constexpr std::uint64_t kDaysOfYearMax = (kCivilYearMax + 1 - kCivilYearMin) * 366;
static_assert(kDayIndex + kDaysOfYearMax <= std::uint64_t{1} << kIndexBits);
// Topics' ids leave it free: those of views and groups have it, and 63 bits of their name's hash.
constexpr std::uint64_t kPathBit = std::uint64_t{1} << 63;

std::uint64_t day_number(const CivilDate& date) {
    const std::chrono::year_month_day day{std::chrono::year(date.year),
                                          std::chrono::month(static_cast<unsigned>(date.month)),
                                          std::chrono::day(static_cast<unsigned>(date.day))};
    return static_cast<std::uint64_t>(std::chrono::sys_days(day).time_since_epoch().count());
}

std::uint64_t index_of(const Node& node) {
    switch (node.kind) {
        case NodeKind::kRoot:
            return kRootIndex;
        case NodeKind::kTrash:
            return kTrashIndex;
        case NodeKind::kTopic:
            return kTopicIndex;
        case NodeKind::kReader:
        case NodeKind::kWriter:
        case NodeKind::kBackedWriter:
            return kPartitionIndex + node.partition->number();
        case NodeKind::kDaysDirectory:
            return kDaysIndex;
        case NodeKind::kDayDirectory:
            return kDayIndex + day_number(node.day);
        case NodeKind::kConfigDirectory:
            return kConfigIndex;
        case NodeKind::kConfigKey:
            return kSettingIndex + node.setting;
        case NodeKind::kStatus:
            return kStatusIndex;
        case NodeKind::kMetrics:
            return kMetricsIndex;
        case NodeKind::kGroupsDirectory:
            return kGroupsIndex;
        case NodeKind::kView:
        case NodeKind::kGroupDirectory:
        case NodeKind::kGroupStream:
        case NodeKind::kGroupOffset:
            break;  // inode_number() knows
    }
    return kRootIndex;
}

}  // namespace

std::uint64_t inode_number(const Node& node) {
    if (node.path_inode != 0) {
        return node.path_inode;
    }
    const std::uint64_t topic = node.topic ? node.topic->id() : 0;
    return (topic << kIndexBits) | index_of(node);
}

std::uint64_t partition_inode_number(const Topic& topic, std::uint32_t partition) {
    return (topic.id() << kIndexBits) | (kPartitionIndex + partition);
}

// FNV-1a, 64 bits (Fowler, Noll, Vo; constants of draft-eastlake-fnv).
std::uint64_t path_inode_number(const Topic& topic, std::string_view path) {
    std::uint64_t hash = 0xCBF29CE484222325;
    const auto add = [&](std::uint8_t byte) { hash = (hash ^ byte) * 0x100000001B3; };
    for (unsigned shift = 0; shift < 64; shift += 8) {
        add(static_cast<std::uint8_t>(topic.id() >> shift));
    }
    for (const char c : path) {
        add(static_cast<std::uint8_t>(c));
    }
    return kPathBit | hash;
}

std::string day_path(const CivilDate& day, std::string_view name) {
    return ".days/" + format_date(day) + '/' + std::string(name);
}

std::string group_path(const Group& group, std::string_view name) {
    return ".groups/" + std::to_string(group.id()) + (name.empty() ? "" : "/") + std::string(name);
}

void set_group_path(Node& node, const Node& directory, std::string_view name) {
    node.topic = directory.topic;
    node.group = directory.group;
    const bool is_below = directory.kind == NodeKind::kConfigDirectory;
    node.path = group_path(*directory.group, is_below ? ".config/" + std::string(name) : std::string(name));
    node.path_inode = path_inode_number(*node.topic, node.path);
}

NodeTable::NodeTable() {
    auto root = std::make_shared<Node>();
    root->id = kRootNode;
    nodes_.emplace(kRootNode, Known{std::move(root), 1});
}

NodeTable::Key NodeTable::key_of(const Node& node) {
    // A node that others share keeps the log start that it was made with for as long as the kernel knows it.
    return {node.kind, inode_number(node), node.kind == NodeKind::kReader ? node.start.value : 0, node.follow};
}

std::shared_ptr<const Node> NodeTable::find(NodeId id) const {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : found->second.node;
}

NodeTable::Known* NodeTable::find_locked(const Node& wanted, const Key& key) {
    if (wanted.id != 0) {
        const auto preferred = nodes_.find(wanted.id);
        if (preferred != nodes_.end() && key_of(*preferred->second.node) == key) {
            return &preferred->second;
        }
    }
    // The latest, as the kernel's directory cache has that.
    const auto found = ids_.find(key);
    return found == ids_.end() ? nullptr : &nodes_.at(*found->second.rbegin());
}

std::shared_ptr<const Node> NodeTable::look_up(const Node& wanted) {
    const Key key = key_of(wanted);
    const std::lock_guard lock(mutex_);
    if (Known* known = wanted.is_unique() ? nullptr : find_locked(wanted, key); known != nullptr) {
        ++known->look_ups;
        return known->node;
    }
    auto node = std::make_shared<Node>(wanted);
    node->id = next_id_;
    if (!node->is_unique()) {
        ids_[key].insert(node->id);
    }
    try {
        nodes_.emplace(node->id, Known{node, 1, 0});
    } catch (...) {
        erase_id_locked(key, node->id);
        throw;
    }
    ++next_id_;
    return node;
}

void NodeTable::erase_id_locked(const Key& key, NodeId id) {
    const auto found = ids_.find(key);
    if (found != ids_.end() && found->second.erase(id) > 0 && found->second.empty()) {
        ids_.erase(found);
    }
}

bool NodeTable::open(NodeId id) {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(id);
    if (found == nodes_.end()) {
        return true;
    }
    Known& known = found->second;
    if (known.node->is_exclusive() && known.opens == 0) {
        erase_id_locked(key_of(*known.node), id);
    }
    return ++known.opens == 1;
}

void NodeTable::close(NodeId id) {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(id);
    if (found != nodes_.end() && found->second.opens > 0 && --found->second.opens == 0 &&
        !found->second.node->is_unique()) {
        ids_[key_of(*found->second.node)].insert(id);
    }
}

std::optional<std::size_t> NodeTable::opens(NodeId id) const {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? std::nullopt : std::optional(found->second.opens);
}

void NodeTable::forget(NodeId id, std::uint64_t look_ups) {
    // Let go of the topic only after the mutex: what its last owner does then is not ours to wait for.
    std::shared_ptr<const Node> gone;
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(id);
    if (id == kRootNode || found == nodes_.end()) {
        return;
    }
    if (look_ups < found->second.look_ups) {
        found->second.look_ups -= look_ups;
        return;
    }
    gone = std::move(found->second.node);
    erase_id_locked(key_of(*gone), id);
    nodes_.erase(found);
}

std::size_t NodeTable::size() const {
    const std::lock_guard lock(mutex_);
    return nodes_.size() - 1;
}

}  // namespace topicfs
