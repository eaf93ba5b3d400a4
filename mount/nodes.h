// The nodes that the kernel knows: what a node id of the FUSE protocol stands for.
//
// Ids are numbers that are given out once and never again, so that a daemon that takes over a mount could know them; an
// address would mean nothing to it. A node stays for as long as the kernel has looked it up more often than it has
// forgotten it. A partition has reader nodes, one for each log start at which it was looked up (so that an open file
// keeps its positions when the log start moves), and one writer node, which keeps large writes whole: the kernel cuts
// them at 1 MiB and holds the node's lock meanwhile.
#pragma once

#include <topicfs/store.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace topicfs {

enum class NodeKind { kRoot, kTopic, kReader, kWriter, kConfigDirectory, kConfigKey, kStatus };

using NodeId = std::uint64_t;
inline constexpr NodeId kRootNode = 1;

// What a name resolved to. The members of a Node that was given out never change.
struct Node {
    NodeId id = 0;
    NodeKind kind = NodeKind::kRoot;
    std::shared_ptr<Topic> topic;          // none for the root, its .config and its .status
    std::shared_ptr<Partition> partition;  // of readers and writers
    Position start;                        // of readers and writers: what offset 0 of the file is
    std::uint32_t setting = 0;             // of keys: an index into topic_setting_infos()

    bool is_directory() const {
        return kind == NodeKind::kRoot || kind == NodeKind::kTopic || kind == NodeKind::kConfigDirectory;
    }
    bool is_partition() const { return kind == NodeKind::kReader || kind == NodeKind::kWriter; }
};

// st_ino: the same for all nodes of a partition (else tail -F would take a reader node that is new for a file that is
// new), and the same after a remount. 40 bits name the topic, 24 what is in it.
std::uint64_t inode_number(const Node& node);
std::uint64_t partition_inode_number(const Topic& topic, std::uint32_t partition);

// Any thread.
class NodeTable {
public:
    NodeTable();

    // The node that has this id; none where the kernel does not know it (any more).
    std::shared_ptr<const Node> find(NodeId id) const;

    // The node for what `wanted` says (its id is not looked at), made where there is none; counts one look-up.
    std::shared_ptr<const Node> look_up(const Node& wanted);

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
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    struct Known {
        std::shared_ptr<const Node> node;
        std::uint64_t look_ups = 0;
    };
    static Key key_of(const Node& node);

    mutable std::mutex mutex_;
    NodeId next_id_ = kRootNode + 1;
    std::unordered_map<NodeId, Known> nodes_;
    std::map<Key, NodeId> ids_;
};

}  // namespace topicfs
