#include "command.h"
#include "daemonize.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>

namespace topicfs {

namespace {

std::string general_help() {
    std::string text =
        "Usage: topicfs COMMAND [OPTION]... ARGUMENT...\n\n"
        "Topics of a log store as files: append with >>, follow with tail -f, search with grep.\n\n"
        "Commands:\n";
    for (const Command& command : commands()) {
        std::string name = command.spec.name;
        name.resize(std::max<std::size_t>(name.size() + 2, 10), ' ');
        text += "  " + name + command.spec.summary + "\n";
    }
    text +=
        "\n"
        "  topicfs COMMAND --help    what a command takes, with examples\n"
        "  topicfs --version         the version\n"
        "\n"
        "Examples:\n"
        "  topicfs mount /var/lib/topicfs /mnt/topics\n"
        "  mkdir /mnt/topics/orders && echo hello >> /mnt/topics/orders/0\n"
        "  topicfs umount /mnt/topics\n";
    return text;
}

int run(std::span<char* const> words) {
    if (words.size() < 2) {
        return fail("no command given (see topicfs --help)");
    }
    const std::string_view name = words[1];
    if (name == "--help" || name == "-h" || name == "help") {
        return print(general_help()) ? kExitDone : kExitFailed;
    }
    if (name == "--version" || name == "-V") {
        return print("topicfs " TOPICFS_VERSION "\n") ? kExitDone : kExitFailed;
    }
    for (const Command& command : commands()) {
        if (name != command.spec.name) {
            continue;
        }
        const auto line = parse_command_line(command.spec, words.subspan(2));
        if (!line) {
            return fail(std::string(name) + ": " + line.error().detail);
        }
        if (line->has("help")) {
            return print(help_text(command.spec)) ? kExitDone : kExitFailed;
        }
        return command.run(*line);
    }
    return fail("'" + std::string(name) + "' is no command (see topicfs --help)");
}

}  // namespace

std::span<const Command> commands() {
    static const std::array<Command, 18> kCommands = {{
        {kMountSpec, run_mount},
        {kUmountSpec, run_umount},
        {kListSpec, run_list},
        {kDescribeSpec, run_describe},
        {kCreateSpec, run_create},
        {kConfigSpec, run_config},
        {kTailSpec, run_tail},
        {kConsumeSpec, run_consume},
        {kGroupsSpec, run_groups},
        {kLagSpec, run_lag},
        {kResetSpec, run_reset},
        {kTrimSpec, run_trim},
        {kDeleteSpec, run_delete},
        {kUndeleteSpec, run_undelete},
        {kCatSpec, run_cat},
        {kDumpSpec, run_dump},
        {kVerifySpec, run_verify},
        {kBenchSpec, run_bench},
    }};
    return kCommands;
}

void warn(const std::string& message) {
    const std::string line = "topicfs: " + message + "\n";
    // One write a line, so that lines of two processes do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
    std::fflush(stderr);
}

int fail(const std::string& message) {
    warn(message);
    return kExitFailed;
}

Error in_data_directory(Error error, const std::string& data_directory) {
    if (error.path.empty()) {
        error.path = data_directory;
    } else if (error.path.front() != '/' && !error.path.starts_with(data_directory)) {
        error.path = data_directory + "/" + error.path;
    }
    return error;
}

int fail(const Error& error) {
    return fail(error.message());
}

bool print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            if (errno != EPIPE) {
                warn(std::string("standard output: cannot write: ") + std::strerror(errno));
            }
            return false;
        }
    }
    return true;
}

}  // namespace topicfs

int main(int argc, char** argv) {
    topicfs::open_standard_descriptors();
    // A reader that has gone is an error of write(2) like any other.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return topicfs::run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& exception) {
        return topicfs::fail(std::string("stopped by an internal error: ") + exception.what());
    }
}
