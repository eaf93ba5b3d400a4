// A FileSystem whose directories can be moved while they are in use: whoever has files in one of them goes on by the
// paths that he knows.
//
// A directory of the second level ("topics/orders") gets a name by name(), and what is below is known by paths that
// begin with it. The name is the directory's path, unless another directory has that name still, which was there before
// and was moved away: then it is that path with a number behind it. move() renames the directory and has its name stand
// for the new place. Paths that begin with no such name are what they say.
//
// Each call with a path is made while no directory moves, so it never meets another one that has taken the old place.
// Errors show where the directory is; what is open shows its name as File::path, as it may be opened again by that.
//
// Threads: any. The inner file system must live longer, and this longer than every name.
#pragma once

#include "io/file_system.h"

#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>

namespace topicfs {

class MovableDirectories final : public FileSystem {
public:
    explicit MovableDirectories(FileSystem& inner) : inner_(inner) {}

    // A name for the directory at `path`, which nobody else has as long as the result lives.
    std::shared_ptr<const std::string> name(const std::string& path);
    // Renames the directory, as rename() does. On an error it is where it was.
    Result<void> move(const std::string& name, const std::string& to);
    // Where a directory is now, or what is below it.
    std::string place(const std::string& path) const;

    SpareFiles& spare_files() override { return inner_.spare_files(); }
    Reserve& reserve() override { return inner_.reserve(); }
    Result<File> open(const std::string& path, int flags, unsigned mode = 0600) override;
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
    Result<void> make_directory(const std::string& path, unsigned mode = 0700) override;
    Result<void> remove_directory(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<FileSystemSpace> space() override { return inner_.space(); }

private:
    std::string place_locked(const std::string& path) const;
    template <typename T>
    Result<T> shown(Result<T> result) const;

    FileSystem& inner_;
    mutable std::shared_mutex mutex_;                      // held over each call with a path; moves have it alone
    std::unordered_map<std::string, std::string> places_;  // by name
};

}  // namespace topicfs
