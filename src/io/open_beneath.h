// Opening a path that must lie below a directory, with no symbolic link on the way.
//
// Inside io/ only. Any thread.
#pragma once

#include "io/fd.h"

#include <string>

namespace topicfs {

// Opens `path`, relative to the directory `root`, with flags as open(2) takes them; O_CLOEXEC is added. "" and "." are
// the root itself. A link anywhere is ELOOP (the last part can be one where flags have O_PATH and O_NOFOLLOW: then the
// link itself is opened), a path that is absolute or leaves the root is EXDEV.
//
// Uses openat2(2), and where the kernel has none (before Linux 5.6) the function below.
Result<Fd> open_beneath(int root, const std::string& path, int flags, unsigned mode);

// The same by opening part after part with O_NOFOLLOW. It refuses every "..", and a link on the way is ENOTDIR.
Result<Fd> open_beneath_by_parts(int root, const std::string& path, int flags, unsigned mode);

}  // namespace topicfs
