#include "store/line_turns.h"

#include <catch2/catch.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace topicfs;

namespace {

// A thread that takes one turn, and ends it when it is told to.
class Taker {
public:
    template <typename Take>
    explicit Taker(Take take)
        : thread_([this, take] {
              id_ = ::gettid();
              const auto turn = take();
              has_ = true;
              has_.notify_all();
              ends_.wait(false);
          }) {}
    Taker(const Taker&) = delete;
    Taker& operator=(const Taker&) = delete;
    ~Taker() { end(); }

    void wait_for_turn() { has_.wait(false); }
    void end() {
        ends_ = true;
        ends_.notify_all();
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    // Either it has its turn, or it sleeps on a lock.
    bool has_turn_or_waits() const {
        if (has_) {
            return true;
        }
        std::ifstream file("/proc/self/task/" + std::to_string(id_) + "/syscall");
        std::string call;
        file >> call;
        return id_ != 0 && call == std::to_string(SYS_futex);
    }
    bool waits() const {
        while (!has_turn_or_waits()) {
            std::this_thread::yield();
        }
        return !has_;
    }

private:
    std::atomic<pid_t> id_ = 0;
    std::atomic<bool> has_ = false;
    std::atomic<bool> ends_ = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace

TEST_CASE("LineTurns: those together have their turns at the same time") {
    LineTurns turns;
    Taker first([&] { return turns.together(); });
    Taker second([&] { return turns.together(); });
    first.wait_for_turn();
    second.wait_for_turn();
}

TEST_CASE("LineTurns: who is alone waits for all that are together, and they for him") {
    LineTurns turns;
    Taker first([&] { return turns.together(); });
    first.wait_for_turn();
    Taker alone([&] { return turns.alone(); });
    CHECK(alone.waits());
    first.end();
    alone.wait_for_turn();
    Taker second([&] { return turns.together(); });
    CHECK(second.waits());
    Taker another([&] { return turns.alone(); });
    CHECK(another.waits());
    alone.end();
    second.end();
    another.wait_for_turn();
}

TEST_CASE("LineTurns: who waits to be alone does not wait for those that come after him") {
    LineTurns turns;
    Taker before([&] { return turns.together(); });
    before.wait_for_turn();
    Taker alone([&] { return turns.alone(); });
    REQUIRE(alone.waits());
    Taker after([&] { return turns.together(); });
    if (!after.waits()) {
        after.end();  // else alone would wait for ever
        FAIL_CHECK("who came later was first");
    }
    before.end();
    alone.wait_for_turn();
    alone.end();
    after.wait_for_turn();
}

TEST_CASE("LineTurns: under many threads, one alone meets nobody") {
    LineTurns turns;
    std::atomic<int> together = 0;
    std::atomic<int> met = 0;
    int alone = 0;  // not atomic: it is what the turn is for
    constexpr int kThreads = 4;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (int round = 0; round < 5000; ++round) {
                if ((round + thread) % 4 == 0) {
                    const auto turn = turns.alone();
                    ++alone;
                    met += together;
                } else {
                    const auto turn = turns.together();
                    ++together;
                    --together;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(met == 0);
    CHECK(alone == 5000);
}
