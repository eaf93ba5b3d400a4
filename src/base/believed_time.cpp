#include "base/believed_time.h"

#include <algorithm>

namespace topicfs {

namespace {

// The clocks are not read at one moment, and a clock is set by fractions of a second now and then.
constexpr std::int64_t kSlackMs = 1000;

}  // namespace

std::optional<TimestampMs> BelievedTime::look(TimestampMs now, std::int64_t monotonic_ms, std::int64_t interval_ms) {
    if (believed_ && now <= believed_->at(monotonic_ms)) {
        believed_ = Look{now, monotonic_ms};
        ahead_.reset();
        return now;
    }
    if (ahead_ && now + kSlackMs < ahead_->at(monotonic_ms)) {
        ahead_.reset();  // It did not stay there.
    }
    if (!ahead_) {
        ahead_ = Look{now, monotonic_ms};
    }
    if (monotonic_ms - ahead_->monotonic_ms >= interval_ms) {
        const TimestampMs stayed = std::min(now, ahead_->at(monotonic_ms));
        believed_ = Look{stayed, monotonic_ms};
        ahead_.reset();
        if (now > stayed) {
            ahead_ = Look{now, monotonic_ms};
        }
    }
    return believed_ ? std::optional(believed_->at(monotonic_ms)) : std::nullopt;
}

}  // namespace topicfs
