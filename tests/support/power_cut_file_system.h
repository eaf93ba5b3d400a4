// A FileSystem on a real directory that remembers what was synced, and makes in another directory what a power cut
// could have left.
//
// The model is that of a journaling file system with delayed allocation (ext4's default):
// - Content is durable once its file was synced (fsync, fdatasync, syncfs). Of what was written since, each block of
// 4096 bytes is on
//   disk as it was at some moment between that sync and the cut, whatever its neighbours are. A file that grew has any
//   size between what reached the disk and what it was; what is missing in it reads as NULs, as a hole or not.
// - Names, truncations and holes are journaled: they are on disk in their order up to some moment, at least up to the
// last fsync of any
//   directory, or syncfs. An fsync of a file makes its own truncations and holes durable, but no name, its own neither.
//
// Nothing is really synced, so it is fast. Any thread, but for materialize(), which comes after freeze().
#pragma once

#include "io/file_system.h"
#include "support/random_content.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace topicfs::test {

class PowerCutFileSystem final : public FileSystem {
public:
    // What is in `directory` counts as durable.
    explicit PowerCutFileSystem(const std::filesystem::path& directory);
    ~PowerCutFileSystem() override;

    // Every call but close fails from now on and changes nothing.
    void freeze();
    // Freezes by itself before the `number`-th call (from 1) that changes or syncs something.
    void freeze_before(std::uint64_t number);
    bool is_frozen() const;
    // Calls that changed or synced something.
    std::uint64_t changes() const;

    // Makes what a power cut now could leave in `directory`, which is empty.
    void materialize(const std::filesystem::path& directory, Random& random) const;

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
    Result<FileInfo> info(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> exchange(const std::string& one, const std::string& other) override;  // of files
    Result<void> unlink(const std::string& path) override;
    Result<void> make_directory(const std::string& path, unsigned mode = 0700) override;
    Result<void> remove_directory(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<FileSystemSpace> space() override;

    static constexpr std::uint64_t kBlockBytes = 4096;

private:
    // A file's content: bytes, and which of its blocks are stored.
    struct Content {
        std::string bytes;
        std::vector<bool> stored;
        void resize(std::uint64_t size);
        void put(std::uint64_t at, std::string_view from);
        void punch(std::uint64_t at, std::uint64_t length);
    };
    struct Write {
        std::uint64_t at;
        std::string bytes;
    };
    struct Truncate {
        std::uint64_t size;
    };
    struct Punch {
        std::uint64_t at;
        std::uint64_t length;
    };
    struct Change {
        std::uint64_t number;
        std::variant<Write, Truncate, Punch> what;
    };
    struct Inode {
        Content durable;
        std::vector<Change> unsynced;
    };
    using InodePointer = std::shared_ptr<Inode>;
    // By path; a directory has no inode.
    using Tree = std::map<std::string, InodePointer>;
    struct NameChange {
        std::uint64_t number;
        std::function<void(Tree&)> apply;
    };

    // The number of the change that is about to be made; an error where frozen.
    Result<std::uint64_t> begin_change(const char* operation, const std::string& path);
    Result<void> check_frozen(const char* operation, const std::string& path) const;
    InodePointer inode_of(const File& file);
    void note_change(const File& file, std::uint64_t number, std::variant<Write, Truncate, Punch> what);
    void note_name(std::uint64_t number, std::function<void(Tree&)> apply);
    void commit_names();
    static void apply_all(Inode& inode);
    static Content left_of(const Inode& inode, std::uint64_t journal_end, Random& random);
    static void store(const std::filesystem::path& path, const Content& content, Random& random);

    std::unique_ptr<FileSystem> inner_;
    mutable std::mutex mutex_;
    bool frozen_ = false;
    std::uint64_t freeze_before_ = 0;
    std::uint64_t changes_ = 0;
    std::uint64_t committed_ = 0;  // names up to this change are durable
    Tree durable_names_;
    std::vector<NameChange> names_;                 // behind committed_
    std::map<std::uint64_t, InodePointer> inodes_;  // by inode number, those that have a name
};

}  // namespace topicfs::test
