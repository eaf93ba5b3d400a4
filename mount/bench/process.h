// Child processes, each in a process group of its own, so that a signal from the terminal reaches only us: we end them.
//
// Owns its process: the destructor kills it and waits for its end, as long as that takes some seconds at most.
// One thread.
#pragma once

#include <sys/types.h>

#include <topicfs/result.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace topicfs::bench {

using Seconds = std::chrono::duration<double>;

class Process {
public:
    Process() = default;
    Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Process& operator=(Process&& other) noexcept;
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process() { kill_and_reap(); }

    // Forks; the child runs `work` and ends with what it returns. It dies with its parent.
    static Result<Process> fork(const std::function<int()>& work);
    // Runs our own executable with `arguments` (the first is the subcommand); what it prints goes to `log_file`.
    static Result<Process> run_self(const std::vector<std::string>& arguments, const std::string& log_file);

    pid_t pid() const { return pid_; }
    explicit operator bool() const { return pid_ > 0; }
    void send(int signal_number) const;
    // True where it has ended (and is reaped) within `limit`, or was never started. kSystem where a stop signal came.
    Result<bool> wait(Seconds limit);
    // As wait, whatever signal comes.
    bool wait_regardless(Seconds limit);
    // As waitpid(2) has it; once it has ended.
    int status() const { return status_; }
    void kill_and_reap();

private:
    explicit Process(pid_t pid) : pid_(pid) {}
    bool reap();
    pid_t pid_ = -1;
    int status_ = 0;
};

}  // namespace topicfs::bench
