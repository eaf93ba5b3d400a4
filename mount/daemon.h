// The daemon: opens the store, mounts it, serves it, and ends cleanly.
//
// It ends when the mount is taken away, or on SIGTERM and SIGINT: then it takes the mount away itself, serves for some
// seconds those who still have files open, and closes the store. A second signal ends the waiting.
#pragma once

#include "base/log.h"
#include "daemonize.h"
#include "mount_point.h"

#include <string>

namespace topicfs {

struct DaemonOptions {
    MountRequest mount;
    LogLevel log_level = LogLevel::kInfo;
    bool foreground = false;
    std::string log_file;  // absolute; empty: syslog, in the foreground stderr
    std::string pid_file;  // absolute; empty: none
};

// Blocks until the end; returns the exit status. Call it with no other thread around. `report` is told how the start
// went; null in the foreground, where a failed start goes to stderr.
int run_daemon(const DaemonOptions& options, StartReport* report);

}  // namespace topicfs
