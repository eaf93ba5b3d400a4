// The limit that a FUSE file system of our kind cannot pass: one that does nothing. It speaks the kernel's protocol
// without libfuse, mounted as topicfs is and served as topicfs is (eight threads, each with an epoll of its own on the
// non-blocking device), so that what differs is the work of topicfs only. Its tree is /log/N for every number N.
//
// It is a child process; the destructor unmounts and ends it. One thread.
#pragma once

#include "mount/bench/process.h"

#include <topicfs/result.h>

#include <cstdint>
#include <string>

namespace topicfs::bench {

enum class NullMode {
    kDaemon,       // direct I/O: writes are answered and forgotten, reads are answered from memory
    kPassthrough,  // opens for appending get a backing file, and nothing else is done
};

struct NullFuseOptions {
    NullMode mode = NullMode::kDaemon;
    std::string mount_point;       // absolute, an empty directory
    std::string backing_file;      // for kPassthrough: it is created
    std::uint64_t file_bytes = 0;  // for kDaemon: as long as every file seems to be
};

class NullFuse {
public:
    // kSystem where it cannot be mounted. Where the kernel or our rights do not allow passthrough, opens for appending
    // fail with EOPNOTSUPP.
    static Result<NullFuse> start(const NullFuseOptions& options);
    NullFuse(NullFuse&&) noexcept = default;
    NullFuse& operator=(NullFuse&&) = delete;
    ~NullFuse();

    std::string file(unsigned number = 0) const { return mount_point_ + "/log/" + std::to_string(number); }
    const std::string& backing_file() const { return backing_file_; }

private:
    NullFuse(Process process, const NullFuseOptions& options)
        : process_(std::move(process)), mount_point_(options.mount_point), backing_file_(options.backing_file) {}
    Process process_;
    std::string mount_point_;
    std::string backing_file_;
};

// Takes away whatever is mounted there: while nobody uses it, else by detaching it.
void take_mount_away(const std::string& mount_point);

}  // namespace topicfs::bench
