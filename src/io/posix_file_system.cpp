#include "io/file_system.h"
#include "io/open_beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace topicfs {
namespace {

// struct stat counts blocks of this size, whatever the file system's own are.
constexpr std::uint64_t kStatBlockBytes = 512;
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

FileInfo to_info(const struct stat& stat) {
    FileInfo info;
    info.is_directory = S_ISDIR(stat.st_mode);
    info.is_regular = S_ISREG(stat.st_mode);
    info.size = static_cast<std::uint64_t>(stat.st_size);
    info.disk_bytes = static_cast<std::uint64_t>(stat.st_blocks) * kStatBlockBytes;
    info.mtime_ns = stat.st_mtim.tv_sec * kNanosecondsPerSecond + stat.st_mtim.tv_nsec;
    info.inode = stat.st_ino;
    return info;
}

off_t to_off(std::uint64_t position) {
    return static_cast<off_t>(position);
}

// For calls that say 0 for success and -1 with errno else.
Result<void> check(int returned, const char* operation, const std::string& path) {
    if (returned != 0) {
        return system_error(errno, operation, path);
    }
    return {};
}

// For calls that say how much they did.
Result<std::size_t> check_size(ssize_t returned, const char* operation, const std::string& path) {
    if (returned < 0) {
        return system_error(errno, operation, path);
    }
    return static_cast<std::size_t>(returned);
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

// A name for the *at calls: the directory that it is in, and the last part of the path.
struct Place {
    Fd opened;  // empty where the directory is the root itself
    int directory = -1;
    std::string name;
};

class PosixFileSystem final : public FileSystem {
public:
    explicit PosixFileSystem(Fd root) : root_(std::move(root)) {}

    Result<File> open(const std::string& path, int flags, unsigned mode) override;
    Result<void> close(File file) override;
    Result<std::size_t> pread(const File& file, std::span<std::byte> into, std::uint64_t at) override;
    Result<std::size_t> pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) override;
    Result<std::size_t> write(const File& file, std::span<const std::byte> from) override;
    Result<Mapping> map(const File& file, std::uint64_t at, std::size_t length) override;
    Result<void> fdatasync(const File& file) override;
    Result<void> fsync(const File& file) override;
    Result<void> syncfs(const File& file) override;
    Result<void> truncate(const File& file, std::uint64_t size) override;
    Result<void> punch_hole(const File& file, std::uint64_t at, std::uint64_t length) override;
    Result<std::uint64_t> seek_hole(const File& file, std::uint64_t at) override;
    Result<std::optional<std::uint64_t>> seek_data(const File& file, std::uint64_t at) override;
    Result<FileInfo> info(const File& file) override;
    Result<bool> try_lock(const File& file) override;
    Result<bool> has_writers(const File& file) override;
    Result<FileInfo> info(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> exchange(const std::string& one, const std::string& other) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> make_directory(const std::string& path, unsigned mode) override;
    Result<void> remove_directory(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<FileSystemSpace> space() override;

private:
    Result<Place> locate(const std::string& path, const char* operation) const;
    static Result<DirectoryEntry> describe(int directory, const dirent& entry, const std::string& path);

    Fd root_;
};

Result<Place> PosixFileSystem::locate(const std::string& path, const char* operation) const {
    Place place;
    const std::size_t slash = path.rfind('/');
    place.name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (place.name.empty() || place.name == "." || place.name == "..") {
        return system_error(EINVAL, operation, path);
    }
    if (slash == std::string::npos) {
        place.directory = root_.get();
        return place;
    }
    // The slash stays where it is all there is, so that "/name" is refused as absolute.
    const std::string parent = path.substr(0, slash == 0 ? 1 : slash);
    Result<Fd> opened = open_beneath(root_.get(), parent, O_PATH | O_DIRECTORY, 0);
    if (!opened.has_value()) {
        return system_error(opened.error().system_errno, operation, path);
    }
    place.opened = std::move(opened).value();
    place.directory = place.opened.get();
    return place;
}

Result<File> PosixFileSystem::open(const std::string& path, int flags, unsigned mode) {
    // O_NONBLOCK means nothing for files; a FIFO under the name of one must not stop us.
    TOPICFS_TRY_ASSIGN(Fd fd, open_beneath(root_.get(), path, flags | O_NONBLOCK | O_NOCTTY, mode));
    return File{std::move(fd), path};
}

Result<void> PosixFileSystem::close(File file) {
    Result<void> closed = file.fd.close();
    if (!closed.has_value()) {
        closed.error().path = file.path;
    }
    return closed;
}

Result<std::size_t> PosixFileSystem::pread(const File& file, std::span<std::byte> into, std::uint64_t at) {
    return check_size(::pread(file.fd.get(), into.data(), into.size(), to_off(at)), "read", file.path);
}

Result<std::size_t> PosixFileSystem::pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) {
    return check_size(::pwrite(file.fd.get(), from.data(), from.size(), to_off(at)), "write", file.path);
}

Result<std::size_t> PosixFileSystem::write(const File& file, std::span<const std::byte> from) {
    return check_size(::write(file.fd.get(), from.data(), from.size()), "append", file.path);
}

Result<Mapping> PosixFileSystem::map(const File& file, std::uint64_t at, std::size_t length) {
    void* const address = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file.fd.get(), to_off(at));
    if (address == MAP_FAILED) {
        return system_error(errno, "map", file.path);
    }
    return Mapping(static_cast<const std::byte*>(address), length);
}

Result<void> PosixFileSystem::fdatasync(const File& file) {
    return check(::fdatasync(file.fd.get()), "sync the data", file.path);
}

Result<void> PosixFileSystem::fsync(const File& file) {
    return check(::fsync(file.fd.get()), "sync", file.path);
}

Result<void> PosixFileSystem::syncfs(const File& file) {
    return check(::syncfs(file.fd.get()), "sync the file system", file.path);
}

Result<void> PosixFileSystem::truncate(const File& file, std::uint64_t size) {
    return check(::ftruncate(file.fd.get(), to_off(size)), "truncate", file.path);
}

Result<void> PosixFileSystem::punch_hole(const File& file, std::uint64_t at, std::uint64_t length) {
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return check(::fallocate(file.fd.get(), kMode, to_off(at), to_off(length)), "punch a hole", file.path);
}

Result<std::uint64_t> PosixFileSystem::seek_hole(const File& file, std::uint64_t at) {
    const off_t found = ::lseek(file.fd.get(), to_off(at), SEEK_HOLE);
    if (found >= 0) {
        return static_cast<std::uint64_t>(found);
    }
    if (errno == ENXIO) {
        return at;  // At or behind the end, where everything is a hole.
    }
    return system_error(errno, "seek a hole", file.path);
}

Result<std::optional<std::uint64_t>> PosixFileSystem::seek_data(const File& file, std::uint64_t at) {
    const off_t found = ::lseek(file.fd.get(), to_off(at), SEEK_DATA);
    if (found >= 0) {
        return std::optional<std::uint64_t>(static_cast<std::uint64_t>(found));
    }
    if (errno == ENXIO) {
        return std::optional<std::uint64_t>();
    }
    return system_error(errno, "seek data", file.path);
}

Result<FileInfo> PosixFileSystem::info(const File& file) {
    struct stat stat {};
    TOPICFS_TRY(check(::fstat(file.fd.get(), &stat), "stat", file.path));
    return to_info(stat);
}

Result<bool> PosixFileSystem::try_lock(const File& file) {
    if (::flock(file.fd.get(), LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    if (errno == EWOULDBLOCK) {
        return false;
    }
    return system_error(errno, "lock", file.path);
}

Result<bool> PosixFileSystem::has_writers(const File& file) {
    // Were the lease broken in the moment that it is held, the signal would end the process; this one is ignored unless
    // somebody asks for it.
    if (::fcntl(file.fd.get(), F_SETSIG, SIGURG) != 0) {
        return system_error(errno, "set the lease signal of", file.path);
    }
    if (::fcntl(file.fd.get(), F_SETLEASE, F_RDLCK) != 0) {
        return errno == EAGAIN ? Result<bool>(true) : system_error(errno, "take a lease on", file.path);
    }
    ::fcntl(file.fd.get(), F_SETLEASE, F_UNLCK);
    return false;
}

Result<FileInfo> PosixFileSystem::info(const std::string& path) {
    struct stat stat {};
    if (path.empty() || path == ".") {
        TOPICFS_TRY(check(::fstat(root_.get(), &stat), "stat", path));
        return to_info(stat);
    }
    TOPICFS_TRY_ASSIGN(const Place place, locate(path, "stat"));
    TOPICFS_TRY(check(::fstatat(place.directory, place.name.c_str(), &stat, AT_SYMLINK_NOFOLLOW), "stat", path));
    return to_info(stat);
}

Result<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
    TOPICFS_TRY_ASSIGN(const Place source, locate(from, "rename"));
    TOPICFS_TRY_ASSIGN(const Place target, locate(to, "rename"));
    return check(::renameat(source.directory, source.name.c_str(), target.directory, target.name.c_str()), "rename",
                 from);
}

Result<void> PosixFileSystem::exchange(const std::string& one, const std::string& other) {
    TOPICFS_TRY_ASSIGN(const Place first, locate(one, "exchange"));
    TOPICFS_TRY_ASSIGN(const Place second, locate(other, "exchange"));
    return check(
        ::renameat2(first.directory, first.name.c_str(), second.directory, second.name.c_str(), RENAME_EXCHANGE),
        "exchange", one);
}

Result<void> PosixFileSystem::unlink(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const Place place, locate(path, "unlink"));
    return check(::unlinkat(place.directory, place.name.c_str(), 0), "unlink", path);
}

Result<void> PosixFileSystem::make_directory(const std::string& path, unsigned mode) {
    TOPICFS_TRY_ASSIGN(const Place place, locate(path, "make the directory"));
    return check(::mkdirat(place.directory, place.name.c_str(), mode), "make the directory", path);
}

Result<void> PosixFileSystem::remove_directory(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const Place place, locate(path, "remove the directory"));
    return check(::unlinkat(place.directory, place.name.c_str(), AT_REMOVEDIR), "remove the directory", path);
}

Result<DirectoryEntry> PosixFileSystem::describe(int directory, const dirent& entry, const std::string& path) {
    DirectoryEntry described{entry.d_name, entry.d_type == DT_DIR, entry.d_type == DT_REG};
    if (entry.d_type == DT_UNKNOWN) {
        struct stat stat {};
        // What was removed since is neither a directory nor a file any more.
        if (::fstatat(directory, entry.d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
            described.is_directory = S_ISDIR(stat.st_mode);
            described.is_regular = S_ISREG(stat.st_mode);
        } else if (errno != ENOENT) {
            return system_error(errno, "list", path);
        }
    }
    return described;
}

Result<std::vector<DirectoryEntry>> PosixFileSystem::list(const std::string& path) {
    Result<Fd> opened = open_beneath(root_.get(), path, O_RDONLY | O_DIRECTORY, 0);
    if (!opened.has_value()) {
        return system_error(opened.error().system_errno, "list", path);
    }
    const DirectoryStream stream(::fdopendir(opened->get()));
    if (stream == nullptr) {
        return system_error(errno, "list", path);
    }
    const int directory = opened->release();  // The stream owns it now.
    std::vector<DirectoryEntry> entries;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(stream.get());
        if (entry == nullptr) {
            break;
        }
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        TOPICFS_TRY_ASSIGN(DirectoryEntry described, describe(directory, *entry, path));
        entries.push_back(std::move(described));
    }
    if (errno != 0) {
        return system_error(errno, "list", path);
    }
    return entries;
}

Result<FileSystemSpace> PosixFileSystem::space() {
    struct statvfs stat {};
    TOPICFS_TRY(check(::fstatvfs(root_.get(), &stat), "measure the space", ""));
    return FileSystemSpace{stat.f_frsize, stat.f_blocks, stat.f_bfree, stat.f_bavail, stat.f_files, stat.f_ffree};
}

}  // namespace

Result<std::unique_ptr<FileSystem>> open_file_system(const std::string& directory) {
    Fd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
        return system_error(errno, "open", directory);
    }
    return std::unique_ptr<FileSystem>(std::make_unique<PosixFileSystem>(std::move(root)));
}

}  // namespace topicfs
