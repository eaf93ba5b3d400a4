// Mounting and unmounting: by mount(2) where we are root, else by the fusermount3 program. Either way the FUSE
// connection is a descriptor of ours.
//
// One thread at a time.
#pragma once

#include "io/fd.h"
#include "mount_table.h"

#include <topicfs/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

struct MountOptions {
    bool read_only = false;
    bool no_exec = false;
    bool no_atime = false;
    bool allow_other = false;  // asked for by name: then it is an error where it cannot be had
};

// The comma lists given with -o. kInvalid for one that is not supported: none is ever ignored.
Result<MountOptions> parse_mount_options(const std::vector<std::string>& lists);

// The absolute name without links of what is to be a mount point. kNotFound where it does not exist.
Result<std::string> resolve_mount_point(const std::string& path);

// Checks that `mount_point`, from resolve_mount_point, is a directory that nothing is mounted on. What a topicfs daemon
// that died has left there is detached first; returns how many such mounts there were. kBusy names what is mounted.
Result<int> prepare_mount_point(const std::string& mount_point);

struct MountRequest {
    std::string mount_point;  // from resolve_mount_point
    std::string source;       // the data directory, absolute: shown in the mount table
    MountOptions options;
};

struct Mounted {
    Fd device;  // the FUSE connection
    MountEntry entry;
};

// Mounts. Nothing answers there until the connection is served. Without root and without user_allow_other in
// /etc/fuse.conf only the caller can use the mount; that is logged.
Result<Mounted> mount_fuse(const MountRequest& request);

enum class Unmount { kIfUnused, kDetach };

// Takes the topmost mount at `mount_point` away. kBusy where it is in use (not with kDetach).
Result<void> unmount(const std::string& mount_point, Unmount how);

// True where `entry` is still the topmost mount at its mount point.
bool is_still_mounted(const MountEntry& entry);

}  // namespace topicfs
