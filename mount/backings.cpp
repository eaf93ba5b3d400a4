#include "mount/backings.h"

#include <utility>
#include <vector>

#include "base/log.h"

namespace topicfs {

std::shared_ptr<Backing> Backings::get(std::uint64_t inode, Partition& partition, WritePath path) {
    if (!passthrough_.available()) {
        return nullptr;
    }
    {
        const std::lock_guard lock(mutex_);
        const auto found = entries_.find(inode);
        if (found != entries_.end()) {
            Entry& entry = found->second;
            const bool by_daemon = entry.backed_opens == 0 && (entry.daemon_opens > 0 || path == WritePath::kDaemon);
            if (by_daemon) {
                return nullptr;
            }
            if (entry.backing && !entry.backing->usable()) {
                return nullptr;
            }
            if (entry.backing) {
                entry.used = true;
                return entry.backing;
            }
        } else if (path == WritePath::kDaemon) {
            return nullptr;
        }
    }
    // kReadOnly, flush.messages=1, too many descriptors: the append will say what is wrong, if anything is.
    auto file = partition.append_file();
    if (!file) {
        log_debug(file.error().message() + "; these appends go through the daemon");
        return nullptr;
    }
    const auto id = passthrough_.add((*file)->fd());
    if (!id) {
        log_warning(id.error().message() + "; these appends go through the daemon");
        return nullptr;
    }
    (*file)->close_fd();  // The kernel has it open itself.
    auto backing = std::make_shared<Backing>(passthrough_, *id, std::move(file).value());
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[inode];
    entry.used = true;
    if (!entry.backing) {
        entry.backing = std::move(backing);
    }
    return entry.backing;  // One a partition, also when two asked at the same time.
}

void Backings::opened(std::uint64_t inode, bool backed) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[inode];
    ++(backed ? entry.backed_opens : entry.daemon_opens);
}

void Backings::closed(std::uint64_t inode, bool backed) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(inode);
    Entry& entry = found->second;
    --(backed ? entry.backed_opens : entry.daemon_opens);
    entry.used = true;
    if (!entry.in_use() && !entry.backing) {
        entries_.erase(found);
    }
}

void Backings::let_go(std::uint64_t inode) {
    std::shared_ptr<Backing> gone;  // let go without the lock
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(inode);
    if (found == entries_.end() || found->second.backed_opens > 0) {
        return;
    }
    gone = std::move(found->second.backing);
    if (!found->second.in_use()) {
        entries_.erase(found);
    }
}

void Backings::sweep() {
    std::vector<std::shared_ptr<Backing>> gone;  // let go without the lock
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
        Entry& entry = at->second;
        if (entry.backed_opens == 0 && !std::exchange(entry.used, false)) {
            gone.push_back(std::move(entry.backing));
        }
        at = !entry.in_use() && !entry.backing ? entries_.erase(at) : std::next(at);
    }
}

bool Backings::empty() const {
    const std::lock_guard lock(mutex_);
    return entries_.empty();
}

std::size_t Backings::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

}  // namespace topicfs
