#include "base/repeated_failure.h"

namespace topicfs {

bool RepeatedFailure::failed(const Error& error) {
    const Reason reason{error.code, error.system_errno};
    const std::scoped_lock lock(mutex_);
    ++count_;
    const bool is_news = reason_ != reason;
    reason_ = reason;
    return is_news;
}

std::uint64_t RepeatedFailure::succeeded() {
    if (count_.load(std::memory_order_relaxed) == 0) {
        return 0;
    }
    const std::scoped_lock lock(mutex_);
    reason_.reset();
    return count_.exchange(0);
}

}  // namespace topicfs
