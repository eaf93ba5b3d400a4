#include "fusermount.h"

#include "base/text.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>
#include <vector>

namespace topicfs {

namespace {

constexpr const char* kProgram = "fusermount3";
constexpr const char* kSocketVariable = "_FUSE_COMMFD=";

std::vector<std::string> environment_with(const std::string& extra) {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!std::string_view(*variable).starts_with(kSocketVariable)) {
            variables.emplace_back(*variable);
        }
    }
    if (!extra.empty()) {
        variables.push_back(extra);
    }
    return variables;
}

std::vector<char*> as_pointers(std::vector<std::string>& strings) {
    std::vector<char*> pointers;
    pointers.reserve(strings.size() + 1);
    for (std::string& string : strings) {
        pointers.push_back(string.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// A running fusermount3 with its stderr on a pipe.
struct Program {
    pid_t pid = -1;
    Fd messages;
};

// `inherited` is a descriptor that it gets under the same number, or -1.
Result<Program> start(std::vector<std::string> arguments, const std::string& variable, int inherited) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return system_error(errno, "pipe", kProgram);
    }
    Fd read_end(ends[0]);
    const Fd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
    if (inherited >= 0) {
        // Onto itself: that clears close-on-exec in the child.
        ::posix_spawn_file_actions_adddup2(&actions, inherited, inherited);
    }
    // The daemon blocks signals; a program must not inherit that.
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

    arguments.insert(arguments.begin(), kProgram);
    std::vector<std::string> variables = environment_with(variable);
    Program program;
    const int failure = ::posix_spawnp(&program.pid, kProgram, &actions, &attributes, as_pointers(arguments).data(),
                                       as_pointers(variables).data());
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        Error error = system_error(failure, "start", kProgram);
        error.detail = "mounting without root needs it: install the package fuse3, or run as root";
        return error;
    }
    program.messages = std::move(read_end);
    return program;
}

// Waits for its end. Returns what it said; `succeeded` tells whether its exit status was 0.
std::string finish(const Program& program, bool& succeeded) {
    std::string said;
    std::array<char, 1024> buffer{};
    while (true) {
        const ssize_t got = ::read(program.messages.get(), buffer.data(), buffer.size());
        if (got > 0) {
            said.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    int status = 0;
    while (::waitpid(program.pid, &status, 0) < 0 && errno == EINTR) {
    }
    succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    std::string line(trim(said));
    for (char& c : line) {
        c = c == '\n' ? ' ' : c;
    }
    return line.empty() ? std::string(kProgram) + " failed without a word" : line;
}

// The descriptor that comes over `socket`; nothing where the other side closed it.
Fd receive_descriptor(int socket) {
    char byte = 0;
    iovec data = {&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = 0;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (got <= 0 || header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len < CMSG_LEN(sizeof(int))) {
        return Fd();
    }
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return Fd(descriptor);
}

}  // namespace

bool fuse_conf_allows_others() {
    std::ifstream file("/etc/fuse.conf");
    for (std::string line; std::getline(file, line);) {
        if (trim(line) == "user_allow_other") {
            return true;
        }
    }
    return false;
}

Result<Fd> fusermount_mount(const std::string& mount_point, const std::string& options) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return system_error(errno, "socketpair", kProgram);
    }
    const Fd ours(ends[0]);
    Fd theirs(ends[1]);
    TOPICFS_TRY_ASSIGN(const Program program, start({"-o", options, "--", mount_point},
                                                    kSocketVariable + std::to_string(theirs.get()), theirs.get()));
    theirs = Fd();
    Fd connection = receive_descriptor(ours.get());
    bool succeeded = false;
    const std::string said = finish(program, succeeded);
    if (!connection || !succeeded) {
        return make_error(ErrorCode::kNotPermitted, "mount", mount_point, said);
    }
    return connection;
}

Result<void> fusermount_unmount(const std::string& mount_point, bool detach) {
    std::vector<std::string> arguments = {"-u", "--", mount_point};
    if (detach) {
        arguments.insert(arguments.begin() + 1, "-z");
    }
    TOPICFS_TRY_ASSIGN(const Program program, start(std::move(arguments), "", -1));
    bool succeeded = false;
    const std::string said = finish(program, succeeded);
    if (succeeded) {
        return {};
    }
    if (said.find("busy") != std::string::npos) {
        return make_error(ErrorCode::kBusy, "unmount", mount_point, "it is in use");
    }
    return make_error(ErrorCode::kNotPermitted, "unmount", mount_point, said);
}

}  // namespace topicfs
