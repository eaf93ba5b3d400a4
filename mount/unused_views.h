// Has the kernel forget the views that nobody uses. It keeps each name that was looked up until it needs the memory,
// and of views there are as many names as somebody cares to type: their nodes would pile up here meanwhile.
//
// The kernel is told by FUSE_NOTIFY_PRUNE (Linux 6.18), which leaves what is in use alone and takes no directory's
// lock: so it waits for no request, also not when this process is killed in the middle of it, as
// FUSE_NOTIFY_INVAL_ENTRY would. Older kernels do not know it; there the nodes stay until the kernel wants the memory.
//
// Threads: any. The NodeTable must outlive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include "mount/nodes.h"

namespace topicfs {

class UnusedViews {
public:
    // So many views are left alone: who has just looked one up may be about to open it.
    static constexpr std::size_t kKept = 512;
    // After so many look-ups the kernel is told.
    static constexpr std::size_t kBatch = 512;

    explicit UnusedViews(const NodeTable& nodes) : nodes_(nodes) {}

    // A view has got this node.
    void looked_up(NodeId id);

    // Between two requests: tells the kernel, at `device`, where it is time for that.
    void prune(int device);

private:
    std::vector<NodeId> take_unused();

    const NodeTable& nodes_;
    std::atomic<bool> is_due_{false};
    std::mutex mutex_;  // guards what follows
    bool is_known_to_kernel_ = true;
    std::size_t looked_up_ = 0;  // since the kernel was told
    std::deque<NodeId> ids_;     // in the order of their look-ups; open ones again behind
};

}  // namespace topicfs
