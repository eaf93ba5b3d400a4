// The time, injected: tests move it by hand.
#pragma once

#include <topicfs/types.h>

#include <atomic>

namespace topicfs {

// Any thread may call.
class Clock {
public:
    virtual ~Clock() = default;
    // The wall clock; it may step backwards.
    virtual TimestampMs now() const = 0;
    // Milliseconds from an arbitrary start; never steps.
    virtual std::int64_t monotonic_ms() const = 0;
};

// CLOCK_REALTIME and CLOCK_MONOTONIC; lives as long as the process.
const Clock& system_clock();

// Stands still until it is moved.
class ManualClock final : public Clock {
public:
    explicit ManualClock(TimestampMs start) : now_ms_(start.value) {}
    TimestampMs now() const override { return {now_ms_.load()}; }
    std::int64_t monotonic_ms() const override { return monotonic_ms_.load(); }
    // Both clocks go on.
    void advance(std::int64_t milliseconds) {
        now_ms_ += milliseconds;
        monotonic_ms_ += milliseconds;
    }
    // Only the wall clock is set, as an administrator does.
    void step_to(TimestampMs time) { now_ms_ = time.value; }

private:
    std::atomic<std::int64_t> now_ms_;
    std::atomic<std::int64_t> monotonic_ms_{0};
};

}  // namespace topicfs
