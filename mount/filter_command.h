// A command that is given some bytes on its standard input, and whose end says whether it could do with them.
//
// Its standard input is a file of its own, not a pipe: it may read it in its own time, in part, or not at all. It is in
// a process group of its own, so that a Ctrl-C at the terminal is for us alone, and it is told to end (SIGTERM) when we
// die.
//
// One thread.
#pragma once

#include "stop_signals.h"

#include <topicfs/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

class FilterCommand {
public:
    // `words` are a program, which is looked for in $PATH, and its arguments; not empty.
    FilterCommand(std::vector<std::string> words, StopSignals& stop) : words_(std::move(words)), stop_(stop) {}

    // Whether there is such a program, as far as that can be told without running it. Errors as run()'s.
    Result<void> check() const;

    // Runs it to its end. Empty where it exited with 0; else what it did instead: "exit status 3". A second stop signal
    // kills it. An error where it could not be started.
    Result<std::string> run(std::string_view input);

private:
    Result<pid_t> start(int input);
    [[noreturn]] void become(int input, int report, pid_t parent, char* const* words) const;
    Result<std::string> wait_for(pid_t pid);

    const std::vector<std::string> words_;
    StopSignals& stop_;
};

}  // namespace topicfs
