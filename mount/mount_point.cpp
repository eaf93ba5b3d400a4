#include "mount_point.h"

#include "base/log.h"
#include "base/text.h"
#include "fusermount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace topicfs {

namespace {

constexpr const char* kDevice = "/dev/fuse";
constexpr int kDeadLayersMax = 64;  // of dead mounts, one over the other

bool are_root() {
    return ::geteuid() == 0;
}

Result<void> apply_mount_option(MountOptions& options, std::string_view option) {
    if (option == "ro" || option == "rw") {
        options.read_only = option == "ro";
    } else if (option == "noexec" || option == "exec") {
        options.no_exec = option == "noexec";
    } else if (option == "noatime" || option == "atime") {
        options.no_atime = option == "noatime";
    } else if (option == "allow_other") {
        options.allow_other = true;
    } else if (option != "default_permissions" && option != "nosuid" && option != "nodev" && option != "defaults") {
        // Those four are how every topicfs mount is.
        return make_error(ErrorCode::kInvalid, "", "",
                          "mount option '" + std::string(option) +
                              "' is not supported: known are ro, rw, noexec, exec, noatime, atime, allow_other, "
                              "and default_permissions, nosuid and nodev, which are always on");
    }
    return {};
}

Error cannot_mount(const MountRequest& request, int system_errno) {
    Error error = system_error(system_errno, "mount", request.mount_point);
    if (system_errno == EPERM) {
        error.detail = "this root may not mount; a container needs --cap-add SYS_ADMIN and --device /dev/fuse";
    } else if (system_errno == ENODEV) {
        error.detail = "the kernel has no FUSE: modprobe fuse";
    }
    return error;
}

Result<Fd> mount_as_root(const MountRequest& request) {
    Fd device(::open(kDevice, O_RDWR | O_CLOEXEC));
    if (!device) {
        Error error = system_error(errno, "open", kDevice);
        error.detail = "FUSE is missing: modprobe fuse; a container needs --device /dev/fuse --cap-add SYS_ADMIN";
        return error;
    }
    std::string data = "fd=" + std::to_string(device.get()) + ",rootmode=40000,user_id=0,group_id=0";
    data += ",allow_other,default_permissions";
    unsigned long flags = MS_NOSUID | MS_NODEV;
    flags |= request.options.read_only ? static_cast<unsigned long>(MS_RDONLY) : 0UL;
    flags |= request.options.no_exec ? static_cast<unsigned long>(MS_NOEXEC) : 0UL;
    flags |= request.options.no_atime ? static_cast<unsigned long>(MS_NOATIME) : 0UL;
    if (::mount(request.source.c_str(), request.mount_point.c_str(), kFileSystemType, flags, data.c_str()) != 0) {
        return cannot_mount(request, errno);
    }
    return device;
}

// Backslash and comma would end fusermount3's option.
std::string escape_option(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == ',' || c == '\\') {
            escaped += '\\';
        }
        escaped += c;
    }
    return escaped;
}

Result<Fd> mount_as_user(const MountRequest& request) {
    const bool others_may = fuse_conf_allows_others();
    if (request.options.allow_other && !others_may) {
        return make_error(ErrorCode::kNotPermitted, "mount", request.mount_point,
                          "allow_other needs root, or the line user_allow_other in /etc/fuse.conf");
    }
    if (!others_may) {
        log_info("only you can use this mount: /etc/fuse.conf has no line user_allow_other");
    }
    std::string options = request.options.read_only ? "ro" : "rw";
    options += ",nosuid,nodev,default_permissions";
    options += request.options.no_exec ? ",noexec" : "";
    options += request.options.no_atime ? ",noatime" : "";
    options += others_may ? ",allow_other" : "";
    options += ",subtype=topicfs,fsname=" + escape_option(request.source);
    return fusermount_mount(request.mount_point, options);
}

Error in_use(const std::string& path, const MountEntry& mount) {
    return make_error(ErrorCode::kBusy, "mount", path,
                      "a mount point in use: " + mount.source + " (" + mount.type +
                          ") is mounted there; unmount it first or take another directory");
}

}  // namespace

Result<MountOptions> parse_mount_options(const std::vector<std::string>& lists) {
    MountOptions options;
    for (const std::string& list : lists) {
        std::string_view rest = list;
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            const std::string_view option = rest.substr(0, comma);
            if (!option.empty()) {
                TOPICFS_TRY(apply_mount_option(options, option));
            }
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
    }
    return options;
}

Result<std::string> resolve_mount_point(const std::string& path) {
    auto resolved = resolve_path(path);
    if (!resolved && resolved.error().system_errno == ENOENT) {
        return make_error(ErrorCode::kNotFound, "mount", path,
                          "there is no such mount point; make the directory first");
    }
    return resolved;
}

Result<int> prepare_mount_point(const std::string& mount_point) {
    for (int layer = 0; layer < kDeadLayersMax; ++layer) {
        TOPICFS_TRY_ASSIGN(const auto table, read_mount_table());
        const auto mounted = find_mount(table, mount_point);
        if (!mounted) {
            struct stat info = {};
            if (::stat(mount_point.c_str(), &info) != 0) {
                return system_error(errno, "look up", mount_point);
            }
            if (!S_ISDIR(info.st_mode)) {
                return make_error(ErrorCode::kInvalid, "mount", mount_point, "the mount point is not a directory");
            }
            return layer;
        }
        // stat(2) could be answered from the kernel's cache, statfs(2) never is. A daemon that dies while it is asked
        // aborts the call.
        struct statfs ignored = {};
        const bool dead = ::statfs(mount_point.c_str(), &ignored) != 0 && (errno == ENOTCONN || errno == ECONNABORTED);
        if (!dead || mounted->type != kFileSystemType) {
            return in_use(mount_point, *mounted);
        }
        TOPICFS_TRY(unmount(mount_point, Unmount::kDetach));
    }
    return make_error(ErrorCode::kBusy, "mount", mount_point, "too many dead mounts lie one over the other");
}

Result<Mounted> mount_fuse(const MountRequest& request) {
    auto device = are_root() ? mount_as_root(request) : mount_as_user(request);
    if (!device) {
        return std::move(device).error();
    }
    const int flags = ::fcntl(device->get(), F_GETFD);
    if (flags < 0 || ::fcntl(device->get(), F_SETFD, flags | FD_CLOEXEC) != 0) {
        return system_error(errno, "set close-on-exec", kDevice);
    }
    TOPICFS_TRY_ASSIGN(const auto table, read_mount_table());
    auto entry = find_mount(table, request.mount_point);
    if (!entry) {
        return make_error(ErrorCode::kBusy, "mount", request.mount_point,
                          "the mount was taken away as soon as it was made");
    }
    return Mounted{std::move(*device), std::move(*entry)};
}

Result<void> unmount(const std::string& mount_point, Unmount how) {
    if (!are_root()) {
        return fusermount_unmount(mount_point, how == Unmount::kDetach);
    }
    const int flags = UMOUNT_NOFOLLOW | (how == Unmount::kDetach ? MNT_DETACH : 0);
    if (::umount2(mount_point.c_str(), flags) == 0) {
        return {};
    }
    if (errno == EBUSY) {
        return make_error(ErrorCode::kBusy, "unmount", mount_point, "it is in use");
    }
    return system_error(errno, "unmount", mount_point);
}

bool is_still_mounted(const MountEntry& entry) {
    const auto table = read_mount_table();
    if (!table) {
        return false;
    }
    const auto top = find_mount(*table, entry.mount_point);
    return top && top->device_major == entry.device_major && top->device_minor == entry.device_minor;
}

}  // namespace topicfs
