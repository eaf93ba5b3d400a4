#include "mount_users.h"

#include "base/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

namespace topicfs {

namespace {

// True where what `path` leads to lies on the mount. The attributes the kernel already has are enough.
bool is_on_mount(const std::string& path, const MountEntry& mount) {
#ifdef STATX_MNT_ID
    constexpr unsigned kMountIdMask = STATX_MNT_ID;
#else
    constexpr unsigned kMountIdMask = 0;
#endif
    struct statx found = {};
    if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, kMountIdMask, &found) != 0) {
        return false;
    }
#ifdef STATX_MNT_ID
    if ((found.stx_mask & STATX_MNT_ID) != 0) {
        return found.stx_mnt_id == mount.id;
    }
#endif
    return found.stx_dev_major == mount.device_major && found.stx_dev_minor == mount.device_minor;
}

std::string link_target(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::read_symlink(path, ignored).string();
}

std::optional<std::string> open_file_use(const std::string& process, const MountEntry& mount) {
    std::error_code failure;
    std::filesystem::directory_iterator files(process + "/fd", failure);
    for (const std::filesystem::directory_iterator end; !failure && files != end; files.increment(failure)) {
        const std::string path = files->path().string();
        if (is_on_mount(path, mount)) {
            return "open file " + link_target(path);
        }
    }
    return std::nullopt;
}

// "FROM-TO MODE OFFSET MAJOR:MINOR INODE  PATH", the device in hexadecimal.
std::optional<std::string> mapping_use(const std::string& process, const MountEntry& mount) {
    std::array<char, 32> wanted{};
    std::snprintf(wanted.data(), wanted.size(), " %02x:%02x ", mount.device_major, mount.device_minor);
    std::ifstream maps(process + "/maps");
    for (std::string line; std::getline(maps, line);) {
        if (line.find(wanted.data()) != std::string::npos) {
            const std::size_t path = line.find('/');
            return "mapped file " + (path == std::string::npos ? std::string() : line.substr(path));
        }
    }
    return std::nullopt;
}

std::optional<std::string> find_use(const std::string& process, const MountEntry& mount) {
    constexpr std::array<std::array<const char*, 2>, 3> kLinks = {
        {{"/cwd", "current directory "}, {"/root", "root directory "}, {"/exe", "program "}}};
    for (const auto& [link, meaning] : kLinks) {
        const std::string path = process + link;
        if (is_on_mount(path, mount)) {
            return meaning + link_target(path);
        }
    }
    if (auto use = open_file_use(process, mount)) {
        return use;
    }
    return mapping_use(process, mount);
}

}  // namespace

std::vector<MountUser> find_mount_users(const MountEntry& mount) {
    std::vector<MountUser> users;
    std::error_code failure;
    std::filesystem::directory_iterator processes("/proc", failure);
    for (const std::filesystem::directory_iterator end; !failure && processes != end; processes.increment(failure)) {
        const auto pid = parse_unsigned(processes->path().filename().string());
        if (!pid) {
            continue;
        }
        const std::string process = processes->path().string();
        if (auto use = find_use(process, mount)) {
            std::string program;
            std::ifstream comm(process + "/comm");
            std::getline(comm, program);
            users.push_back({static_cast<int>(*pid), program, std::move(*use)});
        }
    }
    std::sort(users.begin(), users.end(), [](const MountUser& a, const MountUser& b) { return a.pid < b.pid; });
    return users;
}

}  // namespace topicfs
