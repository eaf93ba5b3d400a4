// What a store takes on the disk, as du(1) counts it.
//
// Partitions know what they take (PartitionStatus::disk_bytes()), so that ten thousand of them cost no system call
// each; all else is few files, which are looked at when somebody asks. Nothing is waited for but the file system. What
// cannot be looked at, as it is being removed, does not count.
#pragma once

#include "io/file_system.h"

#include <cstdint>
#include <functional>
#include <string>

namespace topicfs {

// Of the file or directory at `path`, with all that is in it, but for entries right in it whose name `leave_out` is
// true for.
std::uint64_t disk_use(FileSystem& fs, const std::string& path,
                       const std::function<bool(const std::string& name)>& leave_out = {});

}  // namespace topicfs
