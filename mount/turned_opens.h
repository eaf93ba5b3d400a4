// Gets an open to the right node of its partition, although a look-up cannot know what it is for.
//
// A LOOKUP gives a reader node. When an OPEN that wants the writer node arrives there it is answered ESTALE: the kernel
// then walks the path once more (one or two LOOKUPs from the same thread) and opens what that gives. Between the two
// the thread stands in this table. If the second OPEN comes to the same node all the same, the path leads nowhere else:
// the file was bind-mounted by itself and is opened with no LOOKUP. It is served as it is then. The same holds the
// other way round, for a reader whose path leads to the writer node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace topicfs {

// What kind of node an open is to have: to read; to append through the daemon, over the one node that all such writers
// share; to append past it, over a node of its own.
enum class NodeRole { kReader, kWriter, kBackedWriter };

// Any thread. Threads are those of the kernel's requests; 0 is one that the kernel cannot name to us (it lives outside
// our pid namespace), and is never turned.
class TurnedOpens {
public:
    // A thread whose second OPEN never comes (it was killed) must not stay here for ever: the oldest goes.
    static constexpr std::size_t kThreadsMax = 4096;

    // For LOOKUP: which node of the partition the thread is to be given; the very node where it was chosen (0: any).
    struct Expected {
        NodeRole role = NodeRole::kReader;
        std::uint64_t node = 0;
        bool is_memory = false;  // of remember_writer(): a reader node does too
    };
    Expected expected(std::uint32_t thread, std::uint64_t partition_inode) const;
    // What the first of the two look-ups was given, so that the second gives the same.
    void chosen(std::uint32_t thread, std::uint64_t partition_inode, std::uint64_t node);

    // For OPEN: what was decided when the thread was turned, so that the second OPEN of one open(2) is not decided
    // anew: the kernel walks the path once more, not twice, and an answer ESTALE then would be the caller's.
    struct Decision {
        NodeRole wanted = NodeRole::kReader;
        std::shared_ptr<const void> keep;
    };
    std::optional<Decision> decided(std::uint32_t thread, std::uint64_t partition_inode) const;

    // For OPEN: whether to answer ESTALE. `fits`: the node that was opened is as wanted. False also ends what the table
    // knew of the thread's present open. `keep` is kept until then.
    bool turn(std::uint32_t thread, std::uint64_t partition_inode, bool fits, NodeRole wanted,
              std::shared_ptr<const void> keep = nullptr);

    // A thread that closes a file it appended to will often open it for that again (a shell's `>>` in a loop): its next
    // look-up gives it that node at once, and the walk is saved. Until it opens it for something else.
    void remember_writer(std::uint32_t thread, std::uint64_t partition_inode, NodeRole role, std::uint64_t node);

    std::size_t size() const;

private:
    struct Turned {
        std::uint32_t thread;
        std::uint64_t partition_inode;
        NodeRole wanted;
        std::uint64_t node = 0;
        std::shared_ptr<const void> keep;
        bool is_memory = false;  // of remember_writer()
    };
    void erase(std::uint32_t thread);
    void add(Turned turned);

    mutable std::mutex mutex_;
    std::list<Turned> oldest_first_;
    std::unordered_map<std::uint32_t, std::list<Turned>::iterator> by_thread_;
};

}  // namespace topicfs
