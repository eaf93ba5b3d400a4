// The time that retention goes by, which a clock that is set wrong for a while does not move.
//
// A step forwards counts only once it is there at two checks in a row, so for at least as long as lies between them: what
// the clock said in the meantime is not believed, should it be set back. A step backwards counts at once: it keeps
// more. At the start of the store the clock is believed as it is from the first check on, an interval later.
//
// One thread.
#pragma once

#include "base/clock.h"

#include <algorithm>

namespace topicfs {

class RetentionClock {
public:
    explicit RetentionClock(const Clock& clock) : clock_(clock), believed_ms_(offset_ms()) {}

    TimestampMs now() const { return {std::min(offset_ms(), believed_ms_) + clock_.monotonic_ms()}; }
    // A check was made; an interval lies between two calls.
    void mark() { believed_ms_ = offset_ms(); }

private:
    // Of the wall clock from the one that never steps.
    std::int64_t offset_ms() const { return clock_.now().value - clock_.monotonic_ms(); }

    const Clock& clock_;
    std::int64_t believed_ms_;
};

}  // namespace topicfs
