// Being told to end: SIGINT, SIGTERM and SIGHUP set a flag that every wait of a benchmark looks at, so that what was
// mounted, started and written is taken away before the process ends.
//
// One thread; children get the default actions back by forget_stop_signals().
#pragma once

#include <topicfs/result.h>

#include <chrono>

namespace topicfs::bench {

void catch_stop_signals();
// In a child, between fork and its work.
void forget_stop_signals();

// The signal that came; 0 while there was none.
int stop_signal();
// kSystem with EINTR where a signal came. It ends the whole run; any other error ends a row only.
Result<void> check_stop();
bool is_stop(const Error& error);

// Sleeps, or until a signal comes.
Result<void> pause_for(std::chrono::nanoseconds time);

}  // namespace topicfs::bench
