#include "io/movable_directories.h"

#include <mutex>
#include <utility>

namespace topicfs {

std::shared_ptr<const std::string> MovableDirectories::name(const std::string& path) {
    const std::unique_lock lock(mutex_);
    std::string free = path;
    for (unsigned number = 2; places_.contains(free); ++number) {
        free = path + "~" + std::to_string(number);
    }
    places_.emplace(free, path);
    return {new std::string(std::move(free)), [this](const std::string* gone) {
                {
                    const std::unique_lock own(mutex_);
                    places_.erase(*gone);
                }
                delete gone;
            }};
}

Result<void> MovableDirectories::move(const std::string& name, const std::string& to) {
    const std::unique_lock lock(mutex_);
    std::string& place = places_.at(name);
    TOPICFS_TRY(inner_.rename(place, to));
    place = to;
    return {};
}

std::string MovableDirectories::place(const std::string& path) const {
    const std::shared_lock lock(mutex_);
    return place_locked(path);
}

std::string MovableDirectories::place_locked(const std::string& path) const {
    const std::size_t first = path.find('/');
    if (first == std::string::npos) {
        return path;
    }
    const std::size_t end = path.find('/', first + 1);
    const auto found = places_.find(path.substr(0, end));
    if (found == places_.end()) {
        return path;
    }
    return end == std::string::npos ? found->second : found->second + path.substr(end);
}

// Of a call with a file, whose name is shown by what it was opened by.
template <typename T>
Result<T> MovableDirectories::shown(Result<T> result) const {
    if (!result) {
        result.error().path = place(result.error().path);
    }
    return result;
}

Result<File> MovableDirectories::open(const std::string& path, int flags, unsigned mode) {
    const std::shared_lock lock(mutex_);
    TOPICFS_TRY_ASSIGN(File file, inner_.open(place_locked(path), flags, mode));
    file.path = path;
    return file;
}

Result<void> MovableDirectories::close(File file) {
    return shown(inner_.close(std::move(file)));
}

Result<std::size_t> MovableDirectories::pread(const File& file, std::span<std::byte> into, std::uint64_t at) {
    return shown(inner_.pread(file, into, at));
}

Result<std::size_t> MovableDirectories::pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) {
    return shown(inner_.pwrite(file, from, at));
}

Result<std::size_t> MovableDirectories::write(const File& file, std::span<const std::byte> from) {
    return shown(inner_.write(file, from));
}

Result<Mapping> MovableDirectories::map(const File& file, std::uint64_t at, std::size_t length) {
    return shown(inner_.map(file, at, length));
}

Result<void> MovableDirectories::fdatasync(const File& file) {
    return shown(inner_.fdatasync(file));
}

Result<void> MovableDirectories::fsync(const File& file) {
    return shown(inner_.fsync(file));
}

Result<void> MovableDirectories::syncfs(const File& file) {
    return shown(inner_.syncfs(file));
}

Result<void> MovableDirectories::truncate(const File& file, std::uint64_t size) {
    return shown(inner_.truncate(file, size));
}

Result<void> MovableDirectories::punch_hole(const File& file, std::uint64_t at, std::uint64_t length) {
    return shown(inner_.punch_hole(file, at, length));
}

Result<std::uint64_t> MovableDirectories::seek_hole(const File& file, std::uint64_t at) {
    return shown(inner_.seek_hole(file, at));
}

Result<std::optional<std::uint64_t>> MovableDirectories::seek_data(const File& file, std::uint64_t at) {
    return shown(inner_.seek_data(file, at));
}

Result<FileInfo> MovableDirectories::info(const File& file) {
    return shown(inner_.info(file));
}

Result<bool> MovableDirectories::try_lock(const File& file) {
    return shown(inner_.try_lock(file));
}

Result<bool> MovableDirectories::has_writers(const File& file) {
    return shown(inner_.has_writers(file));
}

Result<FileInfo> MovableDirectories::info(const std::string& path) {
    const std::shared_lock lock(mutex_);
    return inner_.info(place_locked(path));
}

Result<void> MovableDirectories::rename(const std::string& from, const std::string& to) {
    const std::shared_lock lock(mutex_);
    return inner_.rename(place_locked(from), place_locked(to));
}

Result<void> MovableDirectories::exchange(const std::string& one, const std::string& other) {
    const std::shared_lock lock(mutex_);
    return inner_.exchange(place_locked(one), place_locked(other));
}

Result<void> MovableDirectories::unlink(const std::string& path) {
    const std::shared_lock lock(mutex_);
    return inner_.unlink(place_locked(path));
}

Result<void> MovableDirectories::make_directory(const std::string& path, unsigned mode) {
    const std::shared_lock lock(mutex_);
    return inner_.make_directory(place_locked(path), mode);
}

Result<void> MovableDirectories::remove_directory(const std::string& path) {
    const std::shared_lock lock(mutex_);
    return inner_.remove_directory(place_locked(path));
}

Result<std::vector<DirectoryEntry>> MovableDirectories::list(const std::string& path) {
    const std::shared_lock lock(mutex_);
    return inner_.list(place_locked(path));
}

}  // namespace topicfs
