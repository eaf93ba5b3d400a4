// The fusermount3 program, which may mount for a user who is not root.
//
// It hands the FUSE connection back over a socket whose number it finds in _FUSE_COMMFD. Errors are kSystem where it
// could not be started, else what it said on stderr. One thread at a time.
#pragma once

#include "io/fd.h"

#include <topicfs/result.h>

#include <string>

namespace topicfs {

// True where /etc/fuse.conf has the line user_allow_other.
bool fuse_conf_allows_others();

// Mounts with those options (comma-separated); returns the connection.
Result<Fd> fusermount_mount(const std::string& mount_point, const std::string& options);

// kBusy where the mount is in use.
Result<void> fusermount_unmount(const std::string& mount_point, bool detach);

}  // namespace topicfs
