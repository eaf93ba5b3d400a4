// The subcommands of `topicfs`. Each has a file of its own: a specification (what it takes, its help) and what it does.
#pragma once

#include "command_line.h"

#include <span>
#include <string>

namespace topicfs {

// What a program that calls us decides by. A wrong use and what could not be done are the same number on purpose: in
// both cases nothing is known about the answer.
inline constexpr int kExitDone = 0;
inline constexpr int kExitNo = 1;  // verify: damage; umount: in use; reset: has a reader
inline constexpr int kExitFailed = 2;

struct Command {
    const CommandSpec& spec;
    int (*run)(const CommandLine& line);  // returns the exit status
};

std::span<const Command> commands();

// "topicfs: MESSAGE" on stderr, one line, and kExitFailed.
int fail(const std::string& message);
int fail(const Error& error);
// An error of the engine, whose paths are relative to the data directory, with that directory in front.
Error in_data_directory(Error error, const std::string& data_directory);

// As fail, for what is not the end.
void warn(const std::string& message);

// Writes to standard output what a command answers. False (and a message, but for a reader that has gone) where it
// cannot be written: then the command ends with kExitFailed.
bool print(std::string_view text);

extern const CommandSpec kMountSpec;
int run_mount(const CommandLine& line);
extern const CommandSpec kUmountSpec;
int run_umount(const CommandLine& line);
extern const CommandSpec kDumpSpec;
int run_dump(const CommandLine& line);
extern const CommandSpec kVerifySpec;
int run_verify(const CommandLine& line);
extern const CommandSpec kListSpec;
int run_list(const CommandLine& line);
extern const CommandSpec kDescribeSpec;
int run_describe(const CommandLine& line);
extern const CommandSpec kCreateSpec;
int run_create(const CommandLine& line);
extern const CommandSpec kConfigSpec;
int run_config(const CommandLine& line);
extern const CommandSpec kTrimSpec;
int run_trim(const CommandLine& line);
extern const CommandSpec kTailSpec;
int run_tail(const CommandLine& line);
extern const CommandSpec kConsumeSpec;
int run_consume(const CommandLine& line);
extern const CommandSpec kLagSpec;
int run_lag(const CommandLine& line);
extern const CommandSpec kGroupsSpec;
int run_groups(const CommandLine& line);
extern const CommandSpec kResetSpec;
int run_reset(const CommandLine& line);
extern const CommandSpec kDeleteSpec;
int run_delete(const CommandLine& line);
extern const CommandSpec kUndeleteSpec;
int run_undelete(const CommandLine& line);
extern const CommandSpec kCatSpec;
int run_cat(const CommandLine& line);
extern const CommandSpec kBenchSpec;
int run_bench(const CommandLine& line);

}  // namespace topicfs
