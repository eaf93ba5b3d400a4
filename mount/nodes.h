// The nodes that the kernel knows: what a node id of the FUSE protocol stands for.
//
// Ids are numbers that are given out once and never again, so that a daemon that takes over a mount could know them; an
// address would mean nothing to it. A node stays for as long as the kernel has looked it up more often than it has
// forgotten it. A partition has reader nodes, which stand for the log start at which they were looked up (so that an
// open file keeps its positions when the log start moves); one writer node for all writes that come to the daemon,
// which keeps large writes whole: the kernel cuts them at 1 MiB and holds the node's lock meanwhile; and backed writer
// nodes, whose writes stay in the kernel.
//
// A view has a node for each look-up: views of one name that were looked up at different times show different things.
// The kernel drops the node of an earlier look-up when a later one gives another; those of many names do not pile up
// either (unused_views.h).
//
// A reader or backed writer node that is open is given to no other look-up, so that each open has a node of its own.
// Readers by splice(2) need that: the kernel reads for them by pages, and pads the page at the end with NULs up to the
// size that the node has then, which another's look-up may just have raised. For writers an fsync of one does not stop
// another: it holds the node's lock.
#pragma once

#include <topicfs/group.h>
#include <topicfs/store.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/local_time.h"
#include "store/log_view.h"

namespace topicfs {

enum class NodeKind {
    kRoot,
    kTrash,  // .trash
    kTopic,
    kReader,
    kWriter,
    kBackedWriter,
    kView,  // T/N@FROM, T/all, a day's file, …
    kDaysDirectory,
    kDayDirectory,
    kGroupsDirectory,
    kGroupDirectory,
    kGroupStream,  // T/.groups/G/N, …/all
    kGroupOffset,  // T/.groups/G/N.offset
    kConfigDirectory,
    kConfigKey,
    kStatus,
    kMetrics,  // of the root only
};

using NodeId = std::uint64_t;
inline constexpr NodeId kRootNode = 1;

// What a name resolved to. The members of a Node that was given out never change.
struct Node {
    NodeId id = 0;
    NodeKind kind = NodeKind::kRoot;
    std::shared_ptr<Topic> topic;          // none for the root, its .config, .status and .trash
    std::shared_ptr<Partition> partition;  // of readers and writers
    Position start;                        // of readers and writers: what offset 0 of the file is
    std::shared_ptr<LogView> view;         // of views
    std::shared_ptr<Group> group;          // of a group's directory and what is in it
    std::uint64_t path_inode = 0;          // of views and groups: path_inode_number()
    std::string path;                      // of views and groups: below the topic
    bool is_all = false;                   // of views: T/all itself, which can be written
    CivilDate day;                         // of days
    bool follow = false;                   // of readers, views and streams: a read at the end waits
    std::uint32_t setting = 0;             // of keys: see config_info()

    bool is_directory() const {
        return kind == NodeKind::kRoot || kind == NodeKind::kTrash || kind == NodeKind::kTopic ||
               kind == NodeKind::kConfigDirectory || kind == NodeKind::kDaysDirectory ||
               kind == NodeKind::kDayDirectory || kind == NodeKind::kGroupsDirectory ||
               kind == NodeKind::kGroupDirectory;
    }
    // What is read from the log: with positions, waits, and a close that counts.
    bool is_log() const { return is_partition() || kind == NodeKind::kView || kind == NodeKind::kGroupStream; }
    bool is_partition() const {
        return kind == NodeKind::kReader || kind == NodeKind::kWriter || kind == NodeKind::kBackedWriter;
    }
    // Whether an open has it to itself.
    bool is_exclusive() const { return is_unique() || kind == NodeKind::kReader || kind == NodeKind::kBackedWriter; }
    // Whether each look-up has it to itself: what a view shows is decided at the look-up.
    bool is_unique() const { return kind == NodeKind::kView; }
};

// st_ino: the same for all nodes of a partition (else tail -F would take a reader node that is new for a file that is
// new), and the same after a remount. 40 bits name the topic, 24 what is in it.
std::uint64_t inode_number(const Node& node);
std::uint64_t partition_inode_number(const Topic& topic, std::uint32_t partition);
// Of a view or of what is in a group by its path below the topic: whenever that is looked up, and whatever it shows by
// then.
std::uint64_t path_inode_number(const Topic& topic, std::string_view path);

// Of what is in T/.groups/G, or of that where there is no name. By its number, so that a group that has another's name
// is another.
std::string group_path(const Group& group, std::string_view name);
// Has `node` be what is called so in a group's directory, or in what is below it.
void set_group_path(Node& node, const Node& directory, std::string_view name);

// Of what is in T/.days/DAY.
std::string day_path(const CivilDate& day, std::string_view name);

// Any thread.
class NodeTable {
public:
    NodeTable();

    // The node that has this id; none where the kernel does not know it (any more).
    std::shared_ptr<const Node> find(NodeId id) const;

    // A node for what `wanted` says, made where there is none; counts one look-up. Of exclusive ones it is the one with
    // wanted.id, if that is one of them, else one that is not open.
    std::shared_ptr<const Node> look_up(const Node& wanted);

    // An open of the node begins, and ends. The first says whether nobody else has it open.
    bool open(NodeId id);
    void close(NodeId id);

    // How often it is open; nothing where the kernel does not know it (any more).
    std::optional<std::size_t> opens(NodeId id) const;

    // Takes `look_ups` back; a node without any goes. Unknown ids and the root are left alone.
    void forget(NodeId id, std::uint64_t look_ups);

    // Nodes without the root.
    std::size_t size() const;

private:
    // What makes two look-ups mean one node.
    struct Key {
        NodeKind kind;
        std::uint64_t inode;
        std::uint64_t start;
        bool follow;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Known {
        std::shared_ptr<const Node> node;
        std::uint64_t look_ups = 0;
        std::size_t opens = 0;
    };
    static Key key_of(const Node& node);
    Known* find_locked(const Node& wanted, const Key& key);
    void erase_id_locked(const Key& key, NodeId id);

    mutable std::mutex mutex_;
    NodeId next_id_ = kRootNode + 1;
    std::unordered_map<NodeId, Known> nodes_;
    std::map<Key, std::set<NodeId>> ids_;  // without exclusive ones that are open
};

}  // namespace topicfs
