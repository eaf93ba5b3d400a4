// The one place that makes file system calls. Everything in log/ and store/ goes through a FileSystem, so that a test
// can fail each call, cut writes short, or drop what was not synced.
//
// A FileSystem is rooted at a directory: every path is relative to it, with '/' between the parts, and no symbolic link
// is followed at any part (openat2 with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS). "" or "." is the root itself.
//
// Each virtual member is one system call, and says what that call says: reads and writes can be short, EINTR comes
// through. The free functions below them finish short calls and repeat those that EINTR ended. No call is ever repeated
// after another error; fsync never at all.
//
// Errors are kSystem with the errno, the operation's name and the path. Descriptors are close-on-exec. Any thread may
// call; a FileSystem has no state but its root, and the list of files that can be closed where descriptors are few.
#pragma once

#include "io/fd.h"
#include "io/mapping.h"
#include "io/reserve.h"
#include "io/spare_files.h"

#include <topicfs/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace topicfs {

struct FileInfo {
    bool is_directory = false;
    bool is_regular = false;
    std::uint64_t size = 0;        // bytes
    std::uint64_t disk_bytes = 0;  // allocated, st_blocks * 512
    std::int64_t mtime_ns = 0;     // since the Unix epoch
    std::uint64_t inode = 0;
};

struct FileSystemSpace {
    std::uint64_t block_bytes = 0;
    std::uint64_t blocks = 0;
    std::uint64_t blocks_free = 0;
    std::uint64_t blocks_available = 0;
    std::uint64_t files = 0;
    std::uint64_t files_free = 0;
};

struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
    bool is_regular = false;
};

// An open file and the name that errors about it show. Movable.
struct File {
    Fd fd;
    std::string path;
    explicit operator bool() const { return static_cast<bool>(fd); }
};

class FileSystem {
public:
    virtual ~FileSystem() = default;

    // `flags` as open(2); O_CLOEXEC is added.
    virtual Result<File> open(const std::string& path, int flags, unsigned mode = 0600) = 0;
    // Closing is part of the seam so that its failure can be tried; the file is closed whatever it says.
    virtual Result<void> close(File file) = 0;

    virtual Result<std::size_t> pread(const File& file, std::span<std::byte> into, std::uint64_t at) = 0;
    virtual Result<std::size_t> pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) = 0;
    // write(2): at the end of a file that was opened with O_APPEND.
    virtual Result<std::size_t> write(const File& file, std::span<const std::byte> from) = 0;

    // Maps [at, at + length) for reading, shared with whoever writes to the file; `at` is a multiple of
    // kMappingAlignment. The range may reach behind the file's end: what is appended there later is seen.
    virtual Result<Mapping> map(const File& file, std::uint64_t at, std::size_t length) = 0;

    virtual Result<void> fdatasync(const File& file) = 0;
    virtual Result<void> fsync(const File& file) = 0;
    // All of the file system that `file` is on.
    virtual Result<void> syncfs(const File& file) = 0;
    virtual Result<void> truncate(const File& file, std::uint64_t size) = 0;
    // Gives the blocks back, keeps the size. Whole blocks inside the range are freed, the rest reads as zeros.
    virtual Result<void> punch_hole(const File& file, std::uint64_t at, std::uint64_t length) = 0;
    // The first place at or after `at` that is a hole (the end of the file counts, and all behind it) or data (nothing
    // where there is none).
    virtual Result<std::uint64_t> seek_hole(const File& file, std::uint64_t at) = 0;
    virtual Result<std::optional<std::uint64_t>> seek_data(const File& file, std::uint64_t at) = 0;
    virtual Result<FileInfo> info(const File& file) = 0;
    // An exclusive flock that does not wait: false where somebody else has it.
    virtual Result<bool> try_lock(const File& file) = 0;

    // Whether somebody has the file open for writing, this process included; `file` must be open for reading only. It
    // is tried with a lease (fcntl F_SETLEASE), so it sees also what no /proc shows, as writers through a FUSE mount
    // that is gone. kSystem (EINVAL) where the file system has no leases.
    virtual Result<bool> has_writers(const File& file);

    virtual Result<FileInfo> info(const std::string& path) = 0;  // of a link itself, were there one
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    // Each takes the other's name, at one moment: renameat2(2) with RENAME_EXCHANGE. kSystem (EINVAL) where the file
    // system cannot do that.
    virtual Result<void> exchange(const std::string& one, const std::string& other) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;
    virtual Result<void> make_directory(const std::string& path, unsigned mode = 0700) = 0;
    virtual Result<void> remove_directory(const std::string& path) = 0;
    // Without "." and "..", in no order.
    virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
    virtual Result<FileSystemSpace> space() = 0;

    // One that stands in front of another has that one's.
    virtual SpareFiles& spare_files() { return spare_files_; }
    virtual Reserve& reserve() { return reserve_; }

private:
    SpareFiles spare_files_;
    Reserve reserve_;
};

// The real one, rooted at `directory`, which must exist (the path to it may hold links; below it none is followed).
Result<std::unique_ptr<FileSystem>> open_file_system(const std::string& directory);

// As FileSystem::open. Where no descriptor is to be had (EMFILE, ENFILE) spare files are closed, and it is tried once
// more. The caller has no lock that a SpareFile of this file system takes, or is none.
Result<File> open_file(FileSystem& fs, const std::string& path, int flags, unsigned mode = 0600);

// Fills `into` from `at` on; less only where the file ends. Returns the bytes read.
Result<std::size_t> read_at(FileSystem& fs, const File& file, std::span<std::byte> into, std::uint64_t at);

// Writes all of `from`. On an error an unknown part of it is in the file.
Result<void> write_at(FileSystem& fs, const File& file, std::span<const std::byte> from, std::uint64_t at);

// Appends until all is written or a call fails: returns the bytes written where that is more than none, else the error.
// So a caller sees a full disk as write(2) shows it: first the short count, then ENOSPC.
Result<std::size_t> append(FileSystem& fs, const File& file, std::span<const std::byte> from);

// What the name of a file that is not published yet ends in. Who lists a directory leaves such files out.
inline constexpr char kTemporarySuffix[] = ".tmp";

// What a path lies in: "" for a name alone.
std::string directory_of(const std::string& path);

// Makes the names in a directory durable.
Result<void> sync_directory(FileSystem& fs, const std::string& path);

// The whole file; kTooLarge where it is over `bytes_max`, kInvalid where it is no regular file.
Result<std::string> read_small_file(FileSystem& fs, const std::string& path, std::size_t bytes_max);

// Replaces a file whole: temporary name beside it (kTemporarySuffix is added), write, fsync, rename, fsync of the
// folder. On success the new content is durable. On an error the old content stands, and the temporary file is removed
// as far as that goes; but where only the fsync of the folder failed, the new content stands, and is not known to be
// durable. A temporary file that a crash left behind is overwritten. Two threads must not replace one file at the same
// time.
Result<void> replace_file(FileSystem& fs, const std::string& path, std::string_view content);
// The same for a small file that must be changeable on a full disk too, once it is there: see io/reserve.h.
Result<void> replace_book(FileSystem& fs, const std::string& path, std::string_view content);

// Whether a write that failed so has only met a lack of something (room, memory, descriptors, time), and can succeed
// later. After any other error nothing is known of what the file holds.
bool may_be_tried_again(const Error& error);

// True for a kSystem error of that errno.
bool is_errno(const Error& error, int system_errno);

// True where the disk, or what the owner may have of it, is full.
bool lacks_room(const Error& error);

// True where a file could not be opened for now, as there was no descriptor for it; nothing was done to it.
bool lacks_descriptors(const Error& error);

}  // namespace topicfs
