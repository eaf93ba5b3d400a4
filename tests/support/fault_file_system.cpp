#include "support/fault_file_system.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace topicfs::test {
namespace {

constexpr std::size_t kAllBytes = std::numeric_limits<std::size_t>::max();

}  // namespace

void FaultFileSystem::set(Fault fault) {
    const std::lock_guard lock(mutex_);
    fault_ = std::move(fault);
    matching_calls_ = 0;
    has_failed_ = false;
}

void FaultFileSystem::clear() {
    const std::lock_guard lock(mutex_);
    fault_.reset();
    matching_calls_ = 0;
    has_failed_ = false;
}

std::uint64_t FaultFileSystem::matching_calls() const {
    const std::lock_guard lock(mutex_);
    return matching_calls_;
}

bool FaultFileSystem::has_failed() const {
    const std::lock_guard lock(mutex_);
    return has_failed_;
}

std::uint64_t FaultFileSystem::calls(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(name);
    return found == calls_.end() ? 0 : found->second;
}

std::uint64_t FaultFileSystem::all_calls() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t sum = 0;
    for (const auto& [name, count] : calls_) {
        sum += count;
    }
    return sum;
}

FaultFileSystem::Verdict FaultFileSystem::judge(const char* name, const std::string& path) {
    if (observer_) {
        observer_(name, path);
    }
    const std::lock_guard lock(mutex_);
    ++calls_[name];
    const bool matches = !fault_ || ((fault_->call.empty() || fault_->call == name) &&
                                     path.find(fault_->path_part) != std::string::npos);
    if (!matches) {
        return {std::nullopt, kAllBytes};
    }
    ++matching_calls_;
    if (!fault_ || matching_calls_ < fault_->number || (matching_calls_ > fault_->number && !fault_->for_good)) {
        return {std::nullopt, kAllBytes};
    }
    has_failed_ = true;
    if (fault_->short_bytes && matching_calls_ == fault_->number) {
        return {std::nullopt, *fault_->short_bytes};
    }
    return {system_error(fault_->system_errno, name, path), kAllBytes};
}

Result<File> FaultFileSystem::open(const std::string& path, int flags, unsigned mode) {
    if (auto error = failure("open", path)) {
        return *error;
    }
    return inner_.open(path, flags, mode);
}

Result<void> FaultFileSystem::close(File file) {
    const std::optional<Error> error = failure("close", file.path);
    Result<void> closed = inner_.close(std::move(file));
    return error ? Result<void>(*error) : std::move(closed);
}

Result<std::size_t> FaultFileSystem::pread(const File& file, std::span<std::byte> into, std::uint64_t at) {
    const Verdict verdict = judge("pread", file.path);
    if (verdict.error) {
        return *verdict.error;
    }
    return inner_.pread(file, into.first(std::min(into.size(), verdict.bytes_max)), at);
}

Result<std::size_t> FaultFileSystem::pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) {
    const Verdict verdict = judge("pwrite", file.path);
    if (verdict.error) {
        return *verdict.error;
    }
    return inner_.pwrite(file, from.first(std::min(from.size(), verdict.bytes_max)), at);
}

Result<std::size_t> FaultFileSystem::write(const File& file, std::span<const std::byte> from) {
    const Verdict verdict = judge("write", file.path);
    if (verdict.error) {
        return *verdict.error;
    }
    return inner_.write(file, from.first(std::min(from.size(), verdict.bytes_max)));
}

Result<Mapping> FaultFileSystem::map(const File& file, std::uint64_t at, std::size_t length) {
    if (auto error = failure("map", file.path)) {
        return *error;
    }
    return inner_.map(file, at, length);
}

Result<void> FaultFileSystem::fdatasync(const File& file) {
    if (auto error = failure("fdatasync", file.path)) {
        return *error;
    }
    return inner_.fdatasync(file);
}

Result<void> FaultFileSystem::fsync(const File& file) {
    if (auto error = failure("fsync", file.path)) {
        return *error;
    }
    return inner_.fsync(file);
}

Result<void> FaultFileSystem::syncfs(const File& file) {
    if (auto error = failure("syncfs", file.path)) {
        return *error;
    }
    return inner_.syncfs(file);
}

Result<void> FaultFileSystem::truncate(const File& file, std::uint64_t size) {
    if (auto error = failure("truncate", file.path)) {
        return *error;
    }
    return inner_.truncate(file, size);
}

Result<void> FaultFileSystem::punch_hole(const File& file, std::uint64_t at, std::uint64_t length) {
    if (auto error = failure("punch_hole", file.path)) {
        return *error;
    }
    return inner_.punch_hole(file, at, length);
}

Result<std::uint64_t> FaultFileSystem::seek_hole(const File& file, std::uint64_t at) {
    if (auto error = failure("seek_hole", file.path)) {
        return *error;
    }
    return inner_.seek_hole(file, at);
}

Result<std::optional<std::uint64_t>> FaultFileSystem::seek_data(const File& file, std::uint64_t at) {
    if (auto error = failure("seek_data", file.path)) {
        return *error;
    }
    return inner_.seek_data(file, at);
}

Result<FileInfo> FaultFileSystem::info(const File& file) {
    if (auto error = failure("info", file.path)) {
        return *error;
    }
    return inner_.info(file);
}

Result<bool> FaultFileSystem::try_lock(const File& file) {
    if (auto error = failure("try_lock", file.path)) {
        return *error;
    }
    return inner_.try_lock(file);
}

Result<bool> FaultFileSystem::has_writers(const File& file) {
    if (auto error = failure("has_writers", file.path)) {
        return *error;
    }
    return inner_.has_writers(file);
}

Result<FileInfo> FaultFileSystem::info(const std::string& path) {
    if (auto error = failure("info", path)) {
        return *error;
    }
    return inner_.info(path);
}

Result<void> FaultFileSystem::rename(const std::string& from, const std::string& to) {
    if (auto error = failure("rename", from)) {
        return *error;
    }
    return inner_.rename(from, to);
}

Result<void> FaultFileSystem::exchange(const std::string& one, const std::string& other) {
    if (auto error = failure("exchange", one)) {
        return std::move(*error);
    }
    return inner_.exchange(one, other);
}

Result<void> FaultFileSystem::unlink(const std::string& path) {
    if (auto error = failure("unlink", path)) {
        return *error;
    }
    return inner_.unlink(path);
}

Result<void> FaultFileSystem::make_directory(const std::string& path, unsigned mode) {
    if (auto error = failure("make_directory", path)) {
        return *error;
    }
    return inner_.make_directory(path, mode);
}

Result<void> FaultFileSystem::remove_directory(const std::string& path) {
    if (auto error = failure("remove_directory", path)) {
        return *error;
    }
    return inner_.remove_directory(path);
}

Result<std::vector<DirectoryEntry>> FaultFileSystem::list(const std::string& path) {
    if (auto error = failure("list", path)) {
        return *error;
    }
    return inner_.list(path);
}

Result<FileSystemSpace> FaultFileSystem::space() {
    if (auto error = failure("space", "")) {
        return *error;
    }
    return inner_.space();
}

}  // namespace topicfs::test
