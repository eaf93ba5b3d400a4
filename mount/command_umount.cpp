#include "command.h"
#include "io/fd.h"
#include "mount_point.h"
#include "mount_table.h"
#include "mount_users.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace topicfs {

const CommandSpec kUmountSpec = {
    "umount",
    "Unmount, and wait until the daemon has closed the store",
    {{"MOUNTPOINT", "where a topicfs is mounted"}},
    {{"lazy", 'l', nullptr,
      "take it out of the tree now, whoever uses it; the daemon goes on\nuntil the last open file is closed"}},
    "When it returns, everything that was acknowledged is in the data directory, and the\n"
    "store can be mounted again. A mount in use is refused with who uses it (exit status 1),\n"
    "as is one that is bind-mounted elsewhere.\n",
    "  topicfs umount /mnt/topics\n"
    "  topicfs umount --lazy /mnt/topics\n",
};

namespace {

constexpr std::chrono::seconds kCloseMax{120};  // for the daemon to write out what is not sealed
constexpr std::chrono::seconds kSilenceMax{1};  // before a person is told what is waited for
constexpr std::chrono::milliseconds kPoll{20};
constexpr std::size_t kUsersShownMax = 10;

// True while a process holds the store's lock. Where that cannot be told, nobody does.
bool is_store_open(const std::string& data_directory) {
    const Fd lock(::open((data_directory + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!lock) {
        return false;
    }
    // Shared, so that two of us do not take each other for a daemon.
    return ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

int wait_for_daemon(const std::string& data_directory) {
    const auto start = std::chrono::steady_clock::now();
    bool told = ::isatty(STDERR_FILENO) != 1;
    while (is_store_open(data_directory)) {
        const auto waited = std::chrono::steady_clock::now() - start;
        if (waited > kCloseMax) {
            return fail(data_directory + ": unmounted, but the daemon still has the store open after " +
                        std::to_string(kCloseMax.count()) +
                        " s: it is closing it, or a container still has the mount; wait for it before you mount again");
        }
        if (!told && waited > kSilenceMax) {
            warn(data_directory + ": unmounted; waiting for the daemon to close the store");
            told = true;
        }
        // There is nothing to wait on: flock has no timeout, and taking the lock could turn a new daemon away.
        std::this_thread::sleep_for(kPoll);
    }
    return kExitDone;
}

// What keeps the mount, or its daemon, from going; one line each. `others`: from find_other_mounts().
std::vector<std::string> list_uses(const MountEntry& mount, const std::vector<MountEntry>& others,
                                   const std::vector<MountEntry>& table) {
    std::vector<std::string> uses;
    for (const MountEntry& other : others) {
        const std::string what = other.root == "/" ? "it" : other.root.substr(1) + " of it";
        uses.push_back(what + " is mounted at " + other.mount_point + " too");
    }
    for (const MountEntry& other : table) {
        if (other.parent_id == mount.id && other.id != mount.id) {
            uses.push_back(other.mount_point + " is mounted on it");
        }
    }
    const auto users = find_mount_users(mount);
    for (std::size_t i = 0; i < users.size(); ++i) {
        if (i == kUsersShownMax) {
            uses.push_back("and " + std::to_string(users.size() - i) + " more processes");
            break;
        }
        const MountUser& user = users[i];
        uses.push_back("process " + std::to_string(user.pid) + " (" + user.program + "): " + user.how);
    }
    return uses;
}

void say(const std::string& what, const std::vector<std::string>& uses) {
    warn(what);
    for (const std::string& use : uses) {
        warn("  " + use);
    }
}

int refuse(const std::string& path, std::vector<std::string> uses) {
    if (uses.empty()) {
        uses.emplace_back(::geteuid() == 0 ? "no process in sight uses it: look into other containers"
                                           : "a process of another user, it seems: root can see which");
    }
    say(path + ": in use; close what is listed here, or detach it with --lazy:", uses);
    return kExitNo;
}

// The mount at `path`, checked to be ours to unmount.
Result<MountEntry> find_ours(const std::string& path, const std::vector<MountEntry>& table) {
    const auto mount = find_mount(table, path);
    if (!mount) {
        return make_error(ErrorCode::kNotFound, "unmount", path, "nothing is mounted there");
    }
    if (mount->type != kFileSystemType) {
        return make_error(ErrorCode::kNotPermitted, "unmount", path,
                          mount->source + " (" + mount->type + ") is mounted there, which is no topicfs");
    }
    const auto owner = mount_option(mount->super_options, "user_id");
    if (::geteuid() != 0 && owner && *owner != std::to_string(::geteuid())) {
        return make_error(ErrorCode::kNotPermitted, "unmount", path,
                          "user " + *owner + " has mounted it: only that user or root may unmount it");
    }
    return *mount;
}

}  // namespace

int run_umount(const CommandLine& line) {
    const auto path = resolve_path(line.argument(0));
    if (!path) {
        return fail(path.error());
    }
    const auto table = read_mount_table();
    if (!table) {
        return fail(table.error());
    }
    const auto mount = find_ours(*path, *table);
    if (!mount) {
        return fail(mount.error());
    }
    const bool lazy = line.has("lazy");
    const auto others = find_other_mounts(*table, *mount);
    // Unmounting would succeed, and the daemon would go on for the other mounts. A dead mount has none to wait for.
    if (!lazy && !others.empty() && is_store_open(mount->source)) {
        return refuse(*path, list_uses(*mount, others, *table));
    }
    std::vector<std::string> uses;
    if (lazy) {
        uses = list_uses(*mount, others, *table);  // Later they cannot be told by the mount.
    }
    const auto done = unmount(*path, lazy ? Unmount::kDetach : Unmount::kIfUnused);
    if (!done && done.error().code == ErrorCode::kBusy) {
        return refuse(*path, list_uses(*mount, others, *table));
    }
    if (!done) {
        return fail(done.error());
    }
    if (lazy && !uses.empty()) {
        say(*path + ": detached; the daemon goes on as long as what is listed here is there:", uses);
    }
    return lazy ? kExitDone : wait_for_daemon(mount->source);
}

}  // namespace topicfs
