// What fails again and again for the same reason, and is to be said once: when it begins, and when it is over.
//
// Any thread.
#pragma once

#include <topicfs/error.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

namespace topicfs {

class RepeatedFailure {
public:
    // Whether this is news: the first failure, or one for another reason than the last.
    bool failed(const Error& error);
    // How many failures are over now; 0 where there were none.
    std::uint64_t succeeded();

private:
    struct Reason {
        ErrorCode code;
        int system_errno;
        friend bool operator==(const Reason&, const Reason&) = default;
    };
    std::atomic<std::uint64_t> count_{0};
    std::mutex mutex_;  // guards what follows
    std::optional<Reason> reason_;
};

}  // namespace topicfs
