#include "mount/handles.h"

#include <utility>

namespace topicfs {

Handle::~Handle() {
    if (poll != nullptr) {
        fuse_pollhandle_destroy(poll);
    }
}

std::shared_ptr<Handle> HandleTable::add(std::shared_ptr<Handle> handle) {
    const std::lock_guard lock(mutex_);
    handle->number = next_number_++;
    handles_.emplace(handle->number, handle);
    return handle;
}

std::shared_ptr<Handle> HandleTable::find(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = handles_.find(number);
    return found == handles_.end() ? nullptr : found->second;
}

std::shared_ptr<Handle> HandleTable::remove(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    auto taken = handles_.extract(number);
    return taken.empty() ? nullptr : std::move(taken.mapped());
}

std::size_t HandleTable::size() const {
    const std::lock_guard lock(mutex_);
    return handles_.size();
}

}  // namespace topicfs
