#include "io/spare_files.h"

#include <sys/resource.h>

#include <utility>

namespace topicfs {

namespace {

std::size_t descriptors_max() {
    rlimit limit = {};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 4 * 3 : SIZE_MAX;
}

}  // namespace

void SpareFiles::add(SpareFile& file) {
    const std::scoped_lock lock(mutex_);
    if (file.spare_number_ == 0) {
        if (descriptors_ + file.descriptors_ > descriptors_max()) {
            let_go_locked();
        }
        descriptors_ += file.descriptors_;
        file.spare_number_ = next_number_++;
        first_opened_first_.emplace(file.spare_number_, &file);
    }
}

void SpareFiles::remove(SpareFile& file) {
    const std::scoped_lock lock(mutex_);
    if (first_opened_first_.erase(std::exchange(file.spare_number_, 0)) > 0) {
        descriptors_ -= file.descriptors_;
    }
}

bool SpareFiles::let_go() {
    const std::scoped_lock lock(mutex_);
    return let_go_locked();
}

bool SpareFiles::let_go_locked() {
    std::size_t closed = let_go_locked(kLetGoAtOnce, SpareFile::Effort::kClose);
    if (closed < kLetGoAtOnce) {
        closed += let_go_locked(kLetGoAtOnce - closed, SpareFile::Effort::kSync);
    }
    return closed > 0;
}

std::size_t SpareFiles::let_go_locked(std::size_t count, SpareFile::Effort effort) {
    std::size_t closed = 0;
    for (auto at = first_opened_first_.begin(); at != first_opened_first_.end() && closed < count;) {
        SpareFile& file = *at->second;
        if (!file.let_go(effort)) {
            ++at;
            continue;
        }
        file.spare_number_ = 0;
        descriptors_ -= file.descriptors_;
        at = first_opened_first_.erase(at);
        ++closed;
    }
    return closed;
}

std::size_t SpareFiles::size() const {
    const std::scoped_lock lock(mutex_);
    return first_opened_first_.size();
}

}  // namespace topicfs
