// Who keeps a mount busy: the processes with an open file, a current or root directory, a mapping or a program on it.
#pragma once

#include "mount_table.h"

#include <cstdint>
#include <string>
#include <vector>

namespace topicfs {

struct MountUser {
    int pid = 0;
    std::string program;  // its short name, as ps shows it
    std::string how;      // "open file /mnt/topics/orders/0", "current directory …"
};

// One entry a process, by process number, with the first use that was found. What the caller may not look into is left
// out. Asks no daemon, so it does not hang on one that is stuck.
std::vector<MountUser> find_mount_users(const MountEntry& mount);

}  // namespace topicfs
