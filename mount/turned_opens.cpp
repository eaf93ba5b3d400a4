#include "mount/turned_opens.h"

#include <iterator>
#include <utility>

namespace topicfs {

TurnedOpens::Expected TurnedOpens::expected(std::uint32_t thread, std::uint64_t partition_inode) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    if (found == by_thread_.end() || found->second->partition_inode != partition_inode) {
        return {};
    }
    // The look-up comes twice, so this must not forget the thread.
    return {found->second->wanted, found->second->node, found->second->is_memory};
}

void TurnedOpens::chosen(std::uint32_t thread, std::uint64_t partition_inode, std::uint64_t node) {
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    if (found != by_thread_.end() && found->second->partition_inode == partition_inode) {
        found->second->node = node;
    }
}

std::optional<TurnedOpens::Decision> TurnedOpens::decided(std::uint32_t thread, std::uint64_t partition_inode) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    if (found == by_thread_.end() || found->second->is_memory || found->second->partition_inode != partition_inode) {
        return std::nullopt;
    }
    return Decision{found->second->wanted, found->second->keep};
}

bool TurnedOpens::turn(std::uint32_t thread, std::uint64_t partition_inode, bool fits, NodeRole wanted,
                       std::shared_ptr<const void> keep) {
    if (thread == 0) {
        return false;
    }
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    const bool second_time = found != by_thread_.end() && !found->second->is_memory &&
                             found->second->partition_inode == partition_inode && found->second->wanted == wanted;
    erase(thread);
    if (fits || second_time) {
        return false;
    }
    add({thread, partition_inode, wanted, 0, std::move(keep), false});
    return true;
}

void TurnedOpens::remember_writer(std::uint32_t thread, std::uint64_t partition_inode, NodeRole role,
                                  std::uint64_t node) {
    if (thread == 0) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto found = by_thread_.find(thread);
    if (found != by_thread_.end() && !found->second->is_memory) {
        return;  // It is in the middle of an open.
    }
    erase(thread);
    add({thread, partition_inode, role, node, nullptr, true});
}

void TurnedOpens::add(Turned turned) {
    if (by_thread_.size() >= kThreadsMax) {
        erase(oldest_first_.front().thread);
    }
    const std::uint32_t thread = turned.thread;
    oldest_first_.push_back(std::move(turned));
    by_thread_.emplace(thread, std::prev(oldest_first_.end()));
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
