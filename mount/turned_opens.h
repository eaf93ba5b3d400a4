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
#include <mutex>
#include <unordered_map>

namespace topicfs {

enum class NodeRole { kReader, kWriter };

// Any thread. Threads are those of the kernel's requests; 0 is one that the kernel cannot name to us (it lives outside
// our pid namespace), and is never turned.
class TurnedOpens {
public:
    // A thread whose second OPEN never comes (it was killed) must not stay here for ever: the oldest goes.
    static constexpr std::size_t kThreadsMax = 4096;

    // For LOOKUP: which node of the partition the thread is to be given.
    NodeRole role_for(std::uint32_t thread, std::uint64_t partition_inode) const;

    // For OPEN: whether to answer ESTALE. False also ends what the table knew of the thread.
    bool turn(std::uint32_t thread, std::uint64_t partition_inode, NodeRole node, NodeRole wanted);

    std::size_t size() const;

private:
    struct Turned {
        std::uint32_t thread;
        std::uint64_t partition_inode;
        NodeRole wanted;
    };
    void erase(std::uint32_t thread);

    mutable std::mutex mutex_;
    std::list<Turned> oldest_first_;
    std::unordered_map<std::uint32_t, std::list<Turned>::iterator> by_thread_;
};

}  // namespace topicfs
