// The front of the option parser: what a subcommand takes, its help text, and what was given.
//
// Boost.Program_options is included in command_line.cpp only, as it is slow to compile. Values; one thread.
#pragma once

#include <topicfs/result.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

struct OptionSpec {
    const char* name;        // the long name, without dashes
    char letter;             // the short one, 0 for none
    const char* value_name;  // what stands for the value in the help text; null for a flag
    const char* meaning;
    bool is_list = false;  // may be given more than once
};

struct ArgumentSpec {
    const char* name;  // in capitals, as the usage line shows it
    const char* meaning;
    bool any_number = false;   // also none; only of the last argument
    bool is_command = false;   // a command to run and its arguments, which follow "--"; only the last argument
    bool is_optional = false;  // it may be missing; only the last argument
};

// A subcommand as its --help shows it. Every argument is required, in the order given, but for one of any number, or an
// optional one.
struct CommandSpec {
    const char* name;
    const char* summary;  // one line, for `topicfs --help` too
    std::vector<ArgumentSpec> arguments;
    std::vector<OptionSpec> options;  // --help is added
    const char* notes;                // further text, with its newlines; may be empty
    const char* examples;             // lines, indented by two
};

// What was given.
class CommandLine {
public:
    bool has(std::string_view option) const { return options_.find(option) != options_.end(); }
    // Nothing where the option is not there.
    std::optional<std::string> value(std::string_view option) const;
    // All values given, in order.
    std::vector<std::string> values(std::string_view option) const;
    const std::string& argument(std::size_t n) const { return arguments_.at(n); }
    const std::vector<std::string>& arguments() const { return arguments_; }

private:
    friend Result<CommandLine> parse_command_line(const CommandSpec& spec, std::span<char* const> words);
    std::map<std::string, std::vector<std::string>, std::less<>> options_;
    std::vector<std::string> arguments_;
};

// `words` follow the subcommand's name. kInvalid, with the word in the message, for an unknown option, one that is
// given twice and is no list, a missing or surplus argument. Where --help is among the words, arguments may be missing.
Result<CommandLine> parse_command_line(const CommandSpec& spec, std::span<char* const> words);

// The whole of `topicfs NAME --help`.
std::string help_text(const CommandSpec& spec);

}  // namespace topicfs
