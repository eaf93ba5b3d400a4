#include "daemonize.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace topicfs {

namespace {

// The message of the daemon: one byte, its exit status, and the text up to the end of the pipe.
StartOutcome wait_for_report(const Fd& pipe, pid_t daemon) {
    std::string report;
    std::array<char, 4096> buffer{};
    while (true) {
        const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
        if (got > 0) {
            report.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    if (!report.empty()) {
        return {static_cast<unsigned char>(report[0]), report.substr(1)};
    }
    int status = 0;
    while (::waitpid(daemon, &status, 0) < 0 && errno == EINTR) {
    }
    std::string message = "the daemon ended before it was ready";
    if (WIFSIGNALED(status)) {
        message += std::string(", by signal ") + strsignal(WTERMSIG(status));
    }
    return {2, message + "; --foreground shows more"};
}

}  // namespace

void StartReport::send(int exit_status, const std::string& message) {
    const std::string report = static_cast<char>(exit_status) + message;
    std::size_t sent = 0;
    while (pipe_ && sent < report.size()) {
        const ssize_t written = ::write(pipe_.get(), report.data() + sent, report.size() - sent);
        if (written > 0) {
            sent += static_cast<std::size_t>(written);
        } else if (errno != EINTR) {
            break;  // Nobody waits any more: the daemon goes on all the same.
        }
    }
    pipe_ = Fd();
}

void open_standard_descriptors() {
    int opened = 0;
    do {
        opened = ::open("/dev/null", O_RDWR);
    } while (opened >= 0 && opened <= STDERR_FILENO);
    if (opened > STDERR_FILENO) {
        ::close(opened);
    }
}

Result<Daemonized> daemonize(const std::string& log_file) {
    // What the caller has open he may close: a daemon that kept it for ever could hold a file of its own mount, say.
    ::close_range(STDERR_FILENO + 1, ~0U, 0);
    const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) {
        return system_error(errno, "open", "/dev/null");
    }
    Fd log;
    if (!log_file.empty()) {
        log = Fd(::open(log_file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640));
        if (!log) {
            return system_error(errno, "open", log_file);
        }
    }
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return system_error(errno, "pipe", "");
    }
    Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        return system_error(errno, "fork", "");
    }
    Daemonized result;
    if (child > 0) {
        write_end = Fd();
        result.outcome = wait_for_report(read_end, child);
        return result;
    }
    read_end = Fd();
    ::setsid();
    ::umask(0);
    if (::chdir("/") != 0) {
        return system_error(errno, "change directory", "/");
    }
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(null.get(), STDOUT_FILENO);
    ::dup2(log ? log.get() : null.get(), STDERR_FILENO);
    result.report.emplace(std::move(write_end));
    return result;
}

}  // namespace topicfs
