// What the system clock shows, as far as it is to be believed by whoever removes things for good because of their age.
//
// A clock that is set forward for a while, by mistake or because the machine started with a wrong one, must not cost
// data. So:
// - where the system clock has advanced as much as the monotonic one since the last look, it is believed;
// - where it is behind that (it was set back, or ran slower), it is believed at once: things go later then;
// - where it is ahead of that (it was set forward, or the machine slept), it is believed once it has stayed ahead for a
//   whole interval of the monotonic clock. Until then the time that was believed goes on with the monotonic clock;
// - at the start nothing is believed yet: the first interval is over before there is a time at all.
//
// A value; one thread at a time.
#pragma once

#include <topicfs/types.h>

#include <cstdint>
#include <optional>

namespace topicfs {

class BelievedTime {
public:
    // `now` and `monotonic_ms` are what the clocks show. None before the first interval is over; never above `now`.
    std::optional<TimestampMs> look(TimestampMs now, std::int64_t monotonic_ms, std::int64_t interval_ms);

private:
    struct Look {
        TimestampMs time;
        std::int64_t monotonic_ms;
        TimestampMs at(std::int64_t later_ms) const { return time + (later_ms - monotonic_ms); }
    };
    std::optional<Look> believed_;
    std::optional<Look> ahead_;  // what is not believed yet, and since when
};

}  // namespace topicfs
