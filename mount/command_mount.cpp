#include "base/log.h"
#include "command.h"
#include "daemon.h"
#include "daemonize.h"
#include "mount_point.h"
#include "mount_table.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace topicfs {

const CommandSpec kMountSpec = {
    "mount",
    "Mount a store as files",
    {{"DATA", "the data directory; it is made where it is missing"},
     {"MOUNTPOINT", "an existing directory that nothing is mounted on"}},
    {{"options", 'o', "LIST",
      "comma-separated mount options: ro, noexec, noatime, allow_other\n"
      "(nosuid, nodev and default_permissions are always on)",
      true},
     {"verbose", 'v', nullptr, "say which way appends take, and why"},
     {"foreground", 'f', nullptr, "stay on the terminal; log to stderr"},
     {"log-level", 0, "LEVEL", "debug, info (the default), warning or error"},
     {"log-file", 0, "FILE", "append the log to FILE in place of syslog"},
     {"pid-file", 0, "FILE", "write the daemon's process number to FILE; removed at its end"}},
    "Returns when the mount answers; the daemon then runs in the background and logs to\n"
    "syslog (use --log-file where there is none). It ends when the mount is taken away\n"
    "(topicfs umount), or on SIGTERM.\n"
    "Root mounts for all users. Without root the program fusermount3 is used (package\n"
    "fuse3), and others can use the mount where /etc/fuse.conf has user_allow_other.\n"
    "What a daemon that died has left at MOUNTPOINT is taken away first.\n",
    "  topicfs mount /var/lib/topicfs /mnt/topics\n"
    "  topicfs mount -o ro,noatime /var/lib/topicfs /mnt/topics\n"
    "  topicfs mount --foreground --log-level debug ./data ./mnt\n",
};

namespace {

// The data directory's absolute name without links; its last part need not exist.
Result<std::string> resolve_data_directory(const std::string& path) {
    auto resolved = resolve_path(path);
    if (resolved || resolved.error().system_errno != ENOENT) {
        return resolved;
    }
    std::string trimmed = path;
    while (trimmed.size() > 1 && trimmed.back() == '/') {
        trimmed.pop_back();
    }
    const std::filesystem::path wanted(trimmed);
    const std::string parent = wanted.has_parent_path() ? wanted.parent_path().string() : ".";
    const auto above = resolve_path(parent);
    std::error_code ignored;
    const bool dangling = std::filesystem::is_symlink(wanted, ignored);
    if (!above || dangling || !std::filesystem::is_directory(*above, ignored)) {
        return make_error(
            ErrorCode::kNotFound, "make the data directory", path,
            dangling ? "it is a symbolic link that leads nowhere" : "the directory it should lie in does not exist");
    }
    return (std::filesystem::path(*above) / wanted.filename()).string();
}

// Absolute, as the daemon's directory is another one.
std::string absolute(const std::optional<std::string>& path) {
    return path ? std::filesystem::absolute(*path).string() : std::string();
}

Result<DaemonOptions> prepare(const CommandLine& line) {
    DaemonOptions options;
    TOPICFS_TRY_ASSIGN(options.log_level, parse_log_level(line.value("log-level").value_or("info")));
    TOPICFS_TRY_ASSIGN(options.mount.options, parse_mount_options(line.values("options")));
    options.foreground = line.has("foreground");
    options.log_file = absolute(line.value("log-file"));
    options.pid_file = absolute(line.value("pid-file"));
    if (options.foreground && !options.log_file.empty()) {
        return make_error(ErrorCode::kInvalid, "", "", "--log-file goes with a daemon in the background only");
    }
    TOPICFS_TRY_ASSIGN(options.mount.source, resolve_data_directory(line.argument(0)));
    TOPICFS_TRY_ASSIGN(options.mount.mount_point, resolve_mount_point(line.argument(1)));
    const std::string& data = options.mount.source;
    const std::string& mount_point = options.mount.mount_point;
    if (is_inside(data, mount_point) || is_inside(mount_point, data)) {
        return make_error(
            ErrorCode::kInvalid, "mount", line.argument(1),
            "the mount point and the data directory " + data + " lie one in the other; take two places apart");
    }
    TOPICFS_TRY_ASSIGN(const int dead_mounts, prepare_mount_point(mount_point));
    if (dead_mounts > 0) {
        warn(mount_point + ": the daemon that served it had died; its mount was taken away");
    }
    return options;
}

}  // namespace

int run_mount(const CommandLine& line) {
    const auto options = prepare(line);
    if (!options) {
        return fail(options.error());
    }
    if (options->foreground) {
        return run_daemon(*options, nullptr);
    }
    auto daemonized = daemonize(options->log_file);
    if (!daemonized) {
        return fail(daemonized.error());
    }
    if (daemonized->report) {
        return run_daemon(*options, &*daemonized->report);
    }
    const StartOutcome& outcome = *daemonized->outcome;
    if (outcome.exit_status != kExitDone) {
        warn(outcome.message);
    } else if (line.has("verbose")) {
        std::printf("%s: %s\n", options->mount.mount_point.c_str(), outcome.message.c_str());
    }
    return outcome.exit_status;
}

}  // namespace topicfs
