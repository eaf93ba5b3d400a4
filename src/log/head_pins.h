// Keeps head from being punched under a view of it.
//
// A reader takes a pin, and then looks at the punched end: only what lies behind it is viewed. The flusher publishes
// the new punched end, and then waits for the pins that were taken before: their holders may view what is to be
// punched. Who takes a pin later sees the new punched end, and views the segment. So readers never wait.
//
// Threads: take() from any thread; wait_for_earlier() by one at a time. A pin may outlive the HeadPins.
#pragma once

#include <chrono>
#include <memory>

namespace topicfs {

class HeadPins {
public:
    using Pin = std::shared_ptr<const void>;

    HeadPins();

    Pin take();

    // True once all pins that were taken before the call are gone; false where that takes longer than `patience`.
    bool wait_for_earlier(std::chrono::milliseconds patience);

private:
    struct State;
    // Stands for the pins that were taken between two calls of wait_for_earlier().
    class Round;

    const std::shared_ptr<State> state_;    // held by every round: the last pin may come back when this is gone
    std::shared_ptr<const Round> current_;  // guarded by the state's mutex
};

}  // namespace topicfs
