// What is mounted where, as /proc/self/mountinfo says. Asking it never asks a daemon, so it cannot hang on a dead one.
//
// Values; any thread.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

inline constexpr const char* kFileSystemType = "fuse.topicfs";

struct MountEntry {
    std::uint64_t id = 0;         // of the mount
    std::uint64_t parent_id = 0;  // of the one it is mounted on
    unsigned device_major = 0;    // of the file system; a FUSE connection has its own
    unsigned device_minor = 0;
    std::string root;                // what of the file system is mounted there, as a path in it
    std::string mount_point;         // absolute
    std::uint64_t peer_group = 0;    // mounts and unmounts below are the same in all of the group; 0: in none
    std::uint64_t master_group = 0;  // those of that group come here too; 0: of none
    std::string type;
    std::string source;         // for topicfs the data directory
    std::string super_options;  // comma-separated
};

// Lines that do not parse are left out.
std::vector<MountEntry> parse_mount_table(std::string_view text);

Result<std::vector<MountEntry>> read_mount_table();

// The topmost mount at exactly `path` (absolute, without links).
std::optional<MountEntry> find_mount(const std::vector<MountEntry>& table, std::string_view path);

// The mounts that keep the file system of `mount` mounted when that one is taken away: bind mounts of all or a part of
// it. What the kernel takes away together with it is left out.
std::vector<MountEntry> find_other_mounts(const std::vector<MountEntry>& table, const MountEntry& mount);

// The value of "NAME=" among comma-separated options.
std::optional<std::string> mount_option(std::string_view options, std::string_view name);

// True where `path` is `directory` or lies below it; both absolute, without links and trailing slashes.
bool is_inside(std::string_view path, std::string_view directory);

// Absolute, with the links on the way resolved; works where a dead FUSE mount lies at `path`. kSystem where a part of
// it does not exist.
Result<std::string> resolve_path(const std::string& path);

}  // namespace topicfs
