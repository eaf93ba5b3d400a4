// Room for the small files of a store (settings, owners, groups), so that they can be changed on a full disk too.
//
// A spare file has its blocks already. Where replace_book() meets a full disk, the new content is written over a spare
// file, which then changes names with the old one (renameat2(2) with RENAME_EXCHANGE): the old file's blocks are the
// spare then, and the next change finds them. Nobody can take them in between, as they are never free.
//
// It holds where a file system overwrites in place (ext4, XFS, tmpfs). One that writes each block anew, as btrfs does,
// has a reserve of its own for that, or none.
//
// Threads: any, after open(); replace() and refill() wait for each other.
#pragma once

#include <topicfs/result.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace topicfs {

class FileSystem;

class Reserve {
public:
    static constexpr unsigned kSpareFiles = 2;
    static constexpr std::uint64_t kBlockBytes = 4096;

    // Keeps spare files in `directory`, which is made where it is missing. Without this there are none. `fs` lives as
    // long as this is used.
    void open(FileSystem& fs, std::string directory);
    // Such files are replaced: spare files are to hold twice as much, as files grow.
    void expect(std::size_t bytes);
    // Makes what is missing of the spare files, as far as there is room; what cannot be made now is made by a later
    // call. Costs nothing where nothing is missing.
    void refill();

    // Replaces the file at `path` of `fs`, which is there, as replace_book() does. kSystem (ENOSPC) where there is no
    // spare file that is large enough; the old content stands then, as after each error but one of the last sync.
    Result<void> replace(FileSystem& fs, const std::string& path, std::string_view content);

private:
    std::string spare_path(unsigned number) const;
    bool refill_locked();
    Result<void> grow_locked(const std::string& path, std::uint64_t bytes);

    std::mutex mutex_;  // guards the spare files and what follows
    FileSystem* fs_ = nullptr;
    std::string directory_;
    std::atomic<std::uint64_t> wanted_bytes_ = 2 * kBlockBytes;
    std::atomic<bool> is_full_ = false;
};

}  // namespace topicfs
