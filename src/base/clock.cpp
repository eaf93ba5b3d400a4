#include "base/clock.h"

#include <ctime>

namespace topicfs {
namespace {

constexpr std::int64_t kMillisecondsPerSecond = 1000;
constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;

std::int64_t read_clock_ms(clockid_t which) {
    timespec time{};
    // It fails only for a clock that does not exist.
    ::clock_gettime(which, &time);
    return time.tv_sec * kMillisecondsPerSecond + time.tv_nsec / kNanosecondsPerMillisecond;
}

class SystemClock final : public Clock {
public:
    TimestampMs now() const override { return {read_clock_ms(CLOCK_REALTIME)}; }
    std::int64_t monotonic_ms() const override { return read_clock_ms(CLOCK_MONOTONIC); }
};

}  // namespace

const Clock& system_clock() {
    static const SystemClock clock;
    return clock;
}

}  // namespace topicfs
