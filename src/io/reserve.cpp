#include "io/reserve.h"

#include "io/file_system.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace topicfs {

namespace {

std::uint64_t whole_blocks(std::uint64_t bytes) {
    return (bytes + Reserve::kBlockBytes - 1) / Reserve::kBlockBytes * Reserve::kBlockBytes;
}

}  // namespace

void Reserve::open(FileSystem& fs, std::string directory) {
    {
        const std::scoped_lock lock(mutex_);
        fs_ = &fs;
        directory_ = std::move(directory);
    }
    refill();
}

void Reserve::expect(std::size_t bytes) {
    const std::uint64_t wanted = 2 * whole_blocks(bytes);
    std::uint64_t before = wanted_bytes_;
    while (before < wanted) {
        if (wanted_bytes_.compare_exchange_weak(before, wanted)) {
            is_full_ = false;
        }
    }
}

void Reserve::refill() {
    if (is_full_) {
        return;
    }
    const std::scoped_lock lock(mutex_);
    if (fs_ != nullptr) {
        is_full_ = true;  // Before: somebody may expect more meanwhile.
        if (!refill_locked()) {
            is_full_ = false;
        }
    }
}

std::string Reserve::spare_path(unsigned number) const {
    return directory_ + "/" + std::to_string(number);
}

bool Reserve::refill_locked() {
    if (const auto made = fs_->make_directory(directory_); !made && !is_errno(made.error(), EEXIST)) {
        return false;
    }
    const std::uint64_t wanted = wanted_bytes_;
    for (unsigned number = 0; number < kSpareFiles; ++number) {
        const std::string path = spare_path(number);
        const auto info = fs_->info(path);
        if (!info && !is_errno(info.error(), ENOENT)) {
            return false;
        }
        // A power cut can leave one with holes.
        if ((!info || info->size < wanted || info->disk_bytes < wanted) && !grow_locked(path, wanted)) {
            return false;
        }
    }
    return true;
}

// All of it is written, so that there is no hole, and no block that is only promised.
Result<void> Reserve::grow_locked(const std::string& path, std::uint64_t bytes) {
    TOPICFS_TRY_ASSIGN(const File file, open_file(*fs_, path, O_RDWR | O_CREAT));
    const std::vector<std::byte> zeros(kBlockBytes);
    for (std::uint64_t at = 0; at < bytes; at += zeros.size()) {
        TOPICFS_TRY(write_at(*fs_, file, zeros, at));
    }
    return {};
}

Result<void> Reserve::replace(FileSystem& fs, const std::string& path, std::string_view content) {
    const std::scoped_lock lock(mutex_);
    std::optional<std::string> spare;
    std::uint64_t spare_bytes = 0;
    for (unsigned number = 0; fs_ != nullptr && number < kSpareFiles; ++number) {
        const auto info = fs_->info(spare_path(number));
        const std::uint64_t has = info ? std::min(whole_blocks(info->size), info->disk_bytes) : 0;
        if (has >= content.size() && (!spare || has < spare_bytes)) {
            spare = spare_path(number);
            spare_bytes = has;
        }
    }
    if (!spare || !fs.info(path)) {
        return system_error(ENOSPC, "replace", path);
    }
    {
        TOPICFS_TRY_ASSIGN(File file, open_file(*fs_, *spare, O_WRONLY));
        TOPICFS_TRY(write_at(*fs_, file, std::as_bytes(std::span(content)), 0));
        TOPICFS_TRY(fs_->truncate(file, content.size()));
        TOPICFS_TRY(fs_->fsync(file));
        TOPICFS_TRY(fs_->close(std::move(file)));
    }
    is_full_ = false;
    TOPICFS_TRY(fs.exchange(*spare, path));
    TOPICFS_TRY(sync_directory(fs, directory_of(path)));
    return sync_directory(*fs_, directory_);
}

}  // namespace topicfs
