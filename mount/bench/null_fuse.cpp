#include "mount/bench/null_fuse.h"

#include "mount/bench/null_server.h"
#include "mount/mount_point.h"

#include <fcntl.h>

#include <cerrno>

namespace topicfs::bench {

namespace {

constexpr Seconds kEndMax{5};

}  // namespace

void take_mount_away(const std::string& mount_point) {
    constexpr int kLayersMax = 8;
    for (int layer = 0; layer < kLayersMax; ++layer) {
        const auto table = read_mount_table();
        if (!table || !find_mount(*table, mount_point)) {
            return;
        }
        if (!unmount(mount_point, Unmount::kIfUnused) && !unmount(mount_point, Unmount::kDetach)) {
            return;
        }
    }
}

Result<NullFuse> NullFuse::start(const NullFuseOptions& options) {
    Fd backing;
    if (options.mode == NullMode::kPassthrough) {
        backing = Fd(::open(options.backing_file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_TRUNC | O_CLOEXEC, 0600));
        if (!backing) {
            return system_error(errno, "open", options.backing_file);
        }
    }
    MountRequest request;
    request.mount_point = options.mount_point;
    request.source = "topicfs-bench";
    TOPICFS_TRY_ASSIGN(Mounted mounted, mount_fuse(request));
    auto process =
        Process::fork([&] { return serve_null_fuse(std::move(mounted.device), std::move(backing), options); });
    if (!process) {
        take_mount_away(options.mount_point);
        return std::move(process).error();
    }
    return NullFuse(std::move(process).value(), options);
}

NullFuse::~NullFuse() {
    if (!process_) {
        return;
    }
    take_mount_away(mount_point_);
    if (!process_.wait_regardless(kEndMax)) {
        process_.kill_and_reap();
    }
}

}  // namespace topicfs::bench
