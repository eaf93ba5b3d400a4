#include "mount/bench/process.h"

#include "io/fd.h"
#include "mount/bench/stop.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

namespace topicfs::bench {

namespace {

constexpr Seconds kKillMax{10};  // a killed process that waits for a disk can need some time to go
constexpr int kPollMs = 100;     // a signal between looking at the flag and poll(2) costs at most this

// In a new child. `parent` is compared because the parent may be gone before prctl(2) is called.
void begin_child(pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    forget_stop_signals();
    if (::getppid() != parent) {
        ::_exit(1);
    }
}

}  // namespace

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        kill_and_reap();
        pid_ = std::exchange(other.pid_, -1);
        status_ = other.status_;
    }
    return *this;
}

Result<Process> Process::fork(const std::function<int()>& work) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return system_error(errno, "fork", "");
    }
    if (pid == 0) {
        begin_child(parent);
        int status = 1;
        try {
            status = work();
        } catch (...) {
            // Out of memory, most likely; the status says that it failed.
            status = 1;
        }
        // Neither our parent's buffers nor its objects are ours to end.
        ::_exit(status);
    }
    return Process(pid);
}

Result<Process> Process::run_self(const std::vector<std::string>& arguments, const std::string& log_file) {
    return fork([&] {
        // It ends cleanly, and takes its mount away, where we are killed.
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        const int log = ::open(log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (log < 0 || null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(log, STDOUT_FILENO) < 0 ||
            ::dup2(log, STDERR_FILENO) < 0) {
            return 1;
        }
        std::vector<std::string> words = {"topicfs"};
        words.insert(words.end(), arguments.begin(), arguments.end());
        std::vector<char*> pointers;
        pointers.reserve(words.size() + 1);
        for (std::string& word : words) {
            pointers.push_back(word.data());
        }
        pointers.push_back(nullptr);
        ::execv("/proc/self/exe", pointers.data());
        return 1;
    });
}

void Process::send(int signal_number) const {
    if (pid_ > 0) {
        ::kill(pid_, signal_number);
    }
}

bool Process::reap() {
    if (pid_ <= 0) {
        return true;
    }
    const pid_t ended = ::waitpid(pid_, &status_, WNOHANG);
    if (ended == pid_ || (ended < 0 && errno == ECHILD)) {
        pid_ = -1;
        return true;
    }
    return false;
}

bool Process::wait_regardless(Seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const Fd handle(pid_ > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)) : -1);
    while (!reap()) {
        const Seconds left = deadline - std::chrono::steady_clock::now();
        if (left.count() <= 0) {
            return false;
        }
        pollfd polled = {handle.get(), POLLIN, 0};
        const int milliseconds = std::min(kPollMs, static_cast<int>(left.count() * 1000) + 1);
        ::poll(&polled, handle ? 1 : 0, handle ? milliseconds : 1);
    }
    return true;
}

Result<bool> Process::wait(Seconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
        TOPICFS_TRY(check_stop());
        const Seconds left = deadline - std::chrono::steady_clock::now();
        if (wait_regardless(std::min(left, Seconds(kPollMs / 1000.0)))) {
            return true;
        }
        if (left.count() <= 0) {
            return false;
        }
    }
}

void Process::kill_and_reap() {
    send(SIGKILL);
    wait_regardless(kKillMax);
}

}  // namespace topicfs::bench
