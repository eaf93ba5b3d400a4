#include "filter_command.h"

#include "io/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace topicfs {

namespace {

// A file in memory with these bytes, to be read from its begin; nobody can change it.
Result<Fd> file_of(std::string_view bytes) {
    Fd file(::memfd_create("topicfs-batch", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file) {
        return system_error(errno, "memfd_create", "");
    }
    while (!bytes.empty()) {
        const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return system_error(errno, "write", "the command's standard input");
        }
        bytes.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    if (::lseek(file.get(), 0, SEEK_SET) != 0 ||
        ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
        return system_error(errno, "seal", "the command's standard input");
    }
    return file;
}

std::string describe_end(int status) {
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status) == 0 ? std::string() : "exit status " + std::to_string(WEXITSTATUS(status));
    }
    const int signal = WTERMSIG(status);
    const char* name = ::sigabbrev_np(signal);
    return "killed by signal " + (name != nullptr ? "SIG" + std::string(name) : std::to_string(signal));
}

}  // namespace

Result<void> FilterCommand::check() const {
    const std::string& name = words_[0];
    std::vector<std::string> candidates;
    if (name.find('/') != std::string::npos) {
        candidates.push_back(name);
    } else if (const char* const path = std::getenv("PATH"); path != nullptr) {
        std::string_view left = path;
        for (bool more = true; more;) {
            const std::size_t colon = left.find(':');
            more = colon != std::string_view::npos;
            const std::string_view directory = left.substr(0, colon);
            candidates.push_back((directory.empty() ? "." : std::string(directory)) + "/" + name);
            left.remove_prefix(more ? colon + 1 : left.size());
        }
    } else {
        return {};
    }
    int failed_errno = ENOENT;
    for (const std::string& candidate : candidates) {
        struct stat found = {};
        if (::stat(candidate.c_str(), &found) != 0) {
            failed_errno = errno == EACCES ? EACCES : failed_errno;
        } else if (S_ISREG(found.st_mode) && ::access(candidate.c_str(), X_OK) == 0) {
            return {};
        } else {
            failed_errno = EACCES;
        }
    }
    return system_error(failed_errno, "run", name);
}

Result<std::string> FilterCommand::run(std::string_view input) {
    TOPICFS_TRY_ASSIGN(const Fd file, file_of(input));
    TOPICFS_TRY_ASSIGN(const pid_t pid, start(file.get()));
    return wait_for(pid);
}

Result<pid_t> FilterCommand::start(int input) {
    std::vector<char*> words;
    for (const std::string& word : words_) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    std::array<int, 2> ends = {-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return system_error(errno, "pipe", "");
    }
    const Fd report(ends[0]);
    Fd reporter(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return system_error(errno, "fork", "");
    }
    if (pid == 0) {
        become(input, reporter.get(), parent, words.data());
    }
    ::setpgid(pid, pid);  // Here too: it must be so before we send it a signal.
    TOPICFS_TRY(reporter.close());
    int failed_errno = 0;
    ssize_t got = 0;
    do {
        got = ::read(report.get(), &failed_errno, sizeof failed_errno);
    } while (got < 0 && errno == EINTR);
    if (got == static_cast<ssize_t>(sizeof failed_errno)) {
        ::waitpid(pid, nullptr, 0);
        return system_error(failed_errno, "run", words_[0]);
    }
    return pid;
}

// In the child.
void FilterCommand::become(int input, int report, pid_t parent, char* const* words) const {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() == parent && ::dup2(input, STDIN_FILENO) >= 0) {
        ::signal(SIGPIPE, SIG_DFL);
        ::sigprocmask(SIG_SETMASK, &stop_.blocked_before(), nullptr);
        ::execvp(words[0], words);
    }
    const int failed_errno = errno;
    [[maybe_unused]] const ssize_t told = ::write(report, &failed_errno, sizeof failed_errno);
    ::_exit(127);
}

Result<std::string> FilterCommand::wait_for(pid_t pid) {
    // Not by glibc's name, as its header of 2.36 is not for C++.
    const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!process) {
        const int failed_errno = errno;
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return system_error(failed_errno, "pidfd_open", "");
    }
    std::array<pollfd, 2> waits = {{{process.get(), POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}}};
    while (waits[0].revents == 0) {
        if (::poll(waits.data(), waits.size(), -1) < 0) {
            waits[0].revents = 0;  // EINTR
            continue;
        }
        if (stop_.count() > 1) {
            ::kill(-pid, SIGKILL);
        }
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return system_error(errno, "wait for", words_[0]);
        }
    }
    return describe_end(status);
}

}  // namespace topicfs
