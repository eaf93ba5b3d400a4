// Going to the background, with a way for the daemon to tell the terminal how its start went.
//
// Call it before the first thread and the first file: the daemon is a fork. In it: its own session, the root as its
// directory, umask 0, and /dev/null in place of the standard descriptors.
#pragma once

#include "io/fd.h"

#include <topicfs/result.h>

#include <optional>
#include <string>

namespace topicfs {

// The daemon's end; the first report counts. Destroying it unused tells the parent that the daemon died.
class StartReport {
public:
    explicit StartReport(Fd pipe) : pipe_(std::move(pipe)) {}
    // `message` is for who wants to know more.
    void ready(const std::string& message) { send(0, message); }
    // `exit_status` is not 0.
    void failed(int exit_status, const std::string& message) { send(exit_status, message); }

private:
    void send(int exit_status, const std::string& message);
    Fd pipe_;
};

struct StartOutcome {
    int exit_status = 0;  // 0: it is ready
    std::string message;
};

struct Daemonized {
    std::optional<StartReport> report;    // in the daemon
    std::optional<StartOutcome> outcome;  // in the caller's process, which has waited for the report
};

// Keeps a user's standard descriptors from being given to other files where the program was started without them.
void open_standard_descriptors();

// Where `log_file` is not empty, the daemon's stderr goes there (appended to) in place of /dev/null.
Result<Daemonized> daemonize(const std::string& log_file);

}  // namespace topicfs
