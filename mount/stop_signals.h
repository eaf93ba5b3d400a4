// SIGTERM and SIGINT as something to poll, for a command that ends between two steps of its work.
//
// One thread, and no other in the process: the signals are blocked in it.
#pragma once

#include "io/fd.h"

#include <topicfs/result.h>

#include <csignal>

namespace topicfs {

class StopSignals {
public:
    // Blocks them, for the life of the process.
    static Result<StopSignals> catch_them();

    // Readable when one has come that count() has not seen.
    int descriptor() const { return fd_.get(); }
    // How many have come. Two that come at once may be one.
    unsigned count();
    // What was blocked before, for a process that is to be started.
    const sigset_t& blocked_before() const { return blocked_before_; }

private:
    Fd fd_;
    sigset_t blocked_before_ = {};
    unsigned count_ = 0;
};

}  // namespace topicfs
