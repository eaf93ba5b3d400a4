// The serving side of null_fuse.h, run in a child process.
#pragma once

#include "mount/bench/null_fuse.h"

#include "io/fd.h"

namespace topicfs::bench {

// Serves until the mount is gone. `backing` is the backing file, open for appending, or none. Returns an exit status.
int serve_null_fuse(Fd device, Fd backing, const NullFuseOptions& options);

}  // namespace topicfs::bench
