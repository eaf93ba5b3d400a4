#include "io/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace topicfs {
namespace {

constexpr char kOperation[] = "open";

bool creates(int flags) {
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

}  // namespace

Result<Fd> open_beneath(int root, const std::string& path, int flags, unsigned mode) {
    static std::atomic<bool> has_openat2{true};
    if (!has_openat2.load(std::memory_order_relaxed)) {
        return open_beneath_by_parts(root, path, flags, mode);
    }
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    // openat2 refuses a mode where nothing is created.
    how.mode = creates(flags) ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    const long fd = ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how);
    if (fd >= 0) {
        return Fd(static_cast<int>(fd));
    }
    if (errno == ENOSYS) {
        has_openat2.store(false, std::memory_order_relaxed);
        return open_beneath_by_parts(root, path, flags, mode);
    }
    return system_error(errno, kOperation, path);
}

Result<Fd> open_beneath_by_parts(int root, const std::string& path, int flags, unsigned mode) {
    std::string_view rest = path;
    if (rest.starts_with('/')) {
        return system_error(EXDEV, kOperation, path);
    }
    Fd holder;  // The directory reached so far, unless that is still the root.
    int directory = root;
    for (;;) {
        const std::size_t slash = rest.find('/');
        const bool is_last = slash == std::string_view::npos;
        std::string part(rest.substr(0, slash));
        if (part == "..") {
            return system_error(EXDEV, kOperation, path);
        }
        if (part.empty()) {
            part.push_back('.');
        }
        const int part_flags = is_last ? flags : O_PATH | O_DIRECTORY;
        Fd opened(::openat(directory, part.c_str(), part_flags | O_NOFOLLOW | O_CLOEXEC, mode));
        if (!opened) {
            return system_error(errno, kOperation, path);
        }
        if (is_last) {
            return opened;
        }
        holder = std::move(opened);
        directory = holder.get();
        rest.remove_prefix(slash + 1);
    }
}

}  // namespace topicfs
