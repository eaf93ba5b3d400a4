#include "mount/bench/stop.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace topicfs::bench {

namespace {

constexpr std::array<int, 3> kStopSignals = {SIGINT, SIGTERM, SIGHUP};
volatile std::sig_atomic_t received = 0;

void note_signal(int number) {
    received = number;
}

void set_action(void (*action)(int)) {
    struct sigaction how = {};
    how.sa_handler = action;
    sigemptyset(&how.sa_mask);
    for (const int number : kStopSignals) {
        // Without SA_RESTART, so that what waits wakes.
        sigaction(number, &how, nullptr);
    }
}

}  // namespace

void catch_stop_signals() {
    received = 0;
    set_action(note_signal);
}

void forget_stop_signals() {
    set_action(SIG_DFL);
}

int stop_signal() {
    return received;
}

Result<void> check_stop() {
    if (received != 0) {
        return system_error(EINTR, "measure", "");
    }
    return {};
}

bool is_stop(const Error& error) {
    return received != 0 && error.code == ErrorCode::kSystem && error.system_errno == EINTR;
}

Result<void> pause_for(std::chrono::nanoseconds time) {
    TOPICFS_TRY(check_stop());
    constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
    const timespec wanted = {time.count() / kNanosecondsPerSecond, time.count() % kNanosecondsPerSecond};
    nanosleep(&wanted, nullptr);
    return check_stop();
}

}  // namespace topicfs::bench
