#include "mount/unused_views.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>

#include "base/log.h"

namespace topicfs {

namespace {

// Of the kernel's protocol 7.45; Debian 12's headers do not have them.
constexpr std::int32_t kNotifyPrune = 9;
struct NotifyHeader {
    std::uint32_t len;
    std::int32_t error;
    std::uint64_t unique;
};
static_assert(sizeof(NotifyHeader) == 16);
struct NotifyPrune {
    std::uint32_t count;
    std::uint32_t padding;
    std::uint64_t spare;
};
static_assert(sizeof(NotifyPrune) == 16);

}  // namespace

void UnusedViews::looked_up(NodeId id) {
    const std::lock_guard lock(mutex_);
    if (is_known_to_kernel_) {
        ids_.push_back(id);
        if (++looked_up_ >= kBatch && ids_.size() > kKept) {
            is_due_ = true;
        }
    }
}

// The oldest ones, more than have come, so that open ones, which stay, do not hold up the others.
std::vector<NodeId> UnusedViews::take_unused() {
    const std::lock_guard lock(mutex_);
    is_due_ = false;
    looked_up_ = 0;
    std::vector<NodeId> unused;
    for (std::size_t left = std::min(2 * kBatch, ids_.size() - std::min(ids_.size(), kKept)); left > 0; --left) {
        const NodeId id = ids_.front();
        ids_.pop_front();
        const std::optional<std::size_t> opens = nodes_.opens(id);
        if (opens && *opens > 0) {
            ids_.push_back(id);
        } else if (opens) {
            unused.push_back(id);
        }
    }
    return unused;
}

void UnusedViews::prune(int device) {
    if (!is_due_) {
        return;
    }
    std::vector<NodeId> unused = take_unused();
    if (unused.empty()) {
        return;
    }
    NotifyPrune prune = {static_cast<std::uint32_t>(unused.size()), 0, 0};
    const std::size_t bytes = unused.size() * sizeof(NodeId);
    NotifyHeader header = {static_cast<std::uint32_t>(sizeof header + sizeof prune + bytes), kNotifyPrune, 0};
    const std::array<iovec, 3> pieces = {{{&header, sizeof header}, {&prune, sizeof prune}, {unused.data(), bytes}}};
    if (::writev(device, pieces.data(), static_cast<int>(pieces.size())) < 0 && errno == EINVAL) {
        log_debug("this kernel cannot be told which names to forget: it keeps them until it wants the memory");
        const std::lock_guard lock(mutex_);
        is_known_to_kernel_ = false;
        ids_.clear();
    }
}

}  // namespace topicfs
