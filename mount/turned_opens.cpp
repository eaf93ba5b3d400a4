#include "mount/turned_opens.h"

#include <iterator>

namespace topicfs {

NodeRole TurnedOpens::role_for(std::uint32_t thread, std::uint64_t partition_inode) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    if (found == by_thread_.end() || found->second->partition_inode != partition_inode) {
        return NodeRole::kReader;
    }
    // The look-up comes twice, so this must not forget the thread.
    return found->second->wanted;
}

bool TurnedOpens::turn(std::uint32_t thread, std::uint64_t partition_inode, NodeRole node, NodeRole wanted) {
    if (thread == 0) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    const bool second_time = found != by_thread_.end() && found->second->partition_inode == partition_inode &&
                             found->second->wanted == wanted;
    erase(thread);
    if (node == wanted || second_time) {
        return false;
    }
    if (by_thread_.size() >= kThreadsMax) {
        erase(oldest_first_.front().thread);
    }
    oldest_first_.push_back({thread, partition_inode, wanted});
    by_thread_.emplace(thread, std::prev(oldest_first_.end()));
    return true;
}

void TurnedOpens::erase(std::uint32_t thread) {
    if (const auto found = by_thread_.find(thread); found != by_thread_.end()) {
        oldest_first_.erase(found->second);
        by_thread_.erase(found);
    }
}

std::size_t TurnedOpens::size() const {
    const std::lock_guard lock(mutex_);
    return by_thread_.size();
}

}  // namespace topicfs
