// Turns at one partition for those who append lines for a whole topic: many side by side, or one alone, who does not
// wait for those that come after it.
//
// Any thread. A turn lasts as long as what is returned; nobody takes a second one while he has one.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace topicfs {

class LineTurns {
public:
    std::unique_lock<std::shared_mutex> alone() {
        const std::scoped_lock turn(turn_);
        return std::unique_lock(appends_);
    }
    std::shared_lock<std::shared_mutex> together() {
        const std::scoped_lock turn(turn_);
        return std::shared_lock(appends_);
    }

private:
    std::mutex turn_;  // held by who waits for appends_, and by nobody for longer
    std::shared_mutex appends_;
};

}  // namespace topicfs
