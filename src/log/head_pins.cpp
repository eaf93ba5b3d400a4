#include "log/head_pins.h"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>

namespace topicfs {

struct HeadPins::State {
    std::mutex mutex;
    std::condition_variable ended;
    std::size_t rounds = 0;  // that somebody holds
};

class HeadPins::Round {
public:
    explicit Round(std::shared_ptr<State> state) : state_(std::move(state)) {
        const std::scoped_lock lock(state_->mutex);
        ++state_->rounds;
    }
    Round(const Round&) = delete;
    Round& operator=(const Round&) = delete;
    ~Round() {
        const std::scoped_lock lock(state_->mutex);
        --state_->rounds;
        state_->ended.notify_all();
    }

private:
    const std::shared_ptr<State> state_;
};

HeadPins::HeadPins() : state_(std::make_shared<State>()), current_(std::make_shared<const Round>(state_)) {}

HeadPins::Pin HeadPins::take() {
    const std::scoped_lock lock(state_->mutex);
    return current_;
}

bool HeadPins::wait_for_earlier(std::chrono::milliseconds patience) {
    auto next = std::make_shared<const Round>(state_);
    {
        const std::scoped_lock lock(state_->mutex);
        std::swap(current_, next);
    }
    next.reset();  // The earlier round, which ends here where nobody holds a pin of it.
    std::unique_lock lock(state_->mutex);
    return state_->ended.wait_for(lock, patience, [&] { return state_->rounds == 1; });
}

}  // namespace topicfs
