#include "unit/log/power_cut_file_system.h"

#include <algorithm>
#include <fstream>

namespace topicfs::test {
namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kSectorBytes = 512;

// `blocks` are not written at all.
void write_with_holes(const std::filesystem::path& path, const std::string& content,
                      const std::set<std::size_t>& blocks) {
    write_file(path, "");
    std::filesystem::resize_file(path, content.size());
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.exceptions(std::ios::badbit | std::ios::failbit);
    for (std::size_t at = 0; at < content.size(); at += kBlockBytes) {
        if (blocks.count(at) == 0) {
            const std::size_t bytes = std::min(kBlockBytes, content.size() - at);
            file.seekp(static_cast<std::streamoff>(at));
            file.write(content.data() + at, static_cast<std::streamsize>(bytes));
        }
    }
}

}  // namespace

Result<void> PowerCutFileSystem::fsync(const File& file) {
    if (recording_) {
        if (std::filesystem::is_directory(root_ / file.path)) {
            keep_names(file.path);
        } else {
            synced_[file.path] = read_file(root_ / file.path);
        }
    }
    return {};
}

Result<void> PowerCutFileSystem::rename(const std::string& from, const std::string& to) {
    TOPICFS_TRY(FaultFileSystem::rename(from, to));
    if (recording_) {
        if (names_.count(to) != 0) {
            replaced_.emplace(to, synced_[to]);
        }
        synced_[to] = synced_[from];
        synced_.erase(from);
    }
    return {};
}

Result<void> PowerCutFileSystem::unlink(const std::string& path) {
    synced_.erase(path);
    names_.erase(path);
    replaced_.erase(path);
    return FaultFileSystem::unlink(path);
}

void PowerCutFileSystem::keep_names(const std::string& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(root_ / directory)) {
        const std::string path = std::filesystem::relative(entry.path(), root_).string();
        names_.insert(path);
        replaced_.erase(path);
    }
}

void PowerCutFileSystem::keep_all() {
    if (!recording_) {
        return;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
        const std::string path = std::filesystem::relative(entry.path(), root_).string();
        names_.insert(path);
        if (entry.is_regular_file()) {
            synced_[path] = read_file(entry.path());
        }
    }
    replaced_.clear();
}

std::string PowerCutFileSystem::mix(Random& random, const std::string& old, const std::string& now,
                                    std::set<std::size_t>& holes) {
    const auto [low, high] = std::minmax({old.size(), now.size()});
    const std::uint64_t size = random.one_in(3)   ? random.between(low, high)
                               : random.one_in(2) ? old.size()
                                                  : now.size();
    const std::uint64_t old_blocks = random.between(0, 4);  // of four
    const bool leave_holes = random.one_in(2);
    std::string mixed(size, '\0');
    bool take_old = false;
    for (std::size_t at = 0; at < size; at += kSectorBytes) {
        // A disk writes sectors, the kernel blocks; both boundaries are seen.
        if (at % kBlockBytes == 0 || random.one_in(16)) {
            take_old = random.between(1, 4) <= old_blocks;
        }
        const std::string& from = take_old ? old : now;
        if (at < from.size()) {
            const std::size_t bytes = std::min({kSectorBytes, from.size() - at, mixed.size() - at});
            mixed.replace(at, bytes, from, at, bytes);
        }
    }
    for (std::size_t at = 0; leave_holes && at < size; at += kBlockBytes) {
        const bool is_empty = mixed.find_first_not_of('\0', at) >= std::min<std::size_t>(size, at + kBlockBytes);
        if (is_empty && at >= old.size()) {
            holes.insert(at);
        }
    }
    return mixed;
}

void PowerCutFileSystem::cut(Random& random) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_)) {
        if (!entry.is_regular_file()) {
            continue;
        }
        const std::string path = std::filesystem::relative(entry.path(), root_).string();
        const auto replaced = replaced_.find(path);
        if (replaced != replaced_.end() && random.one_in(2)) {
            write_file(entry.path(), replaced->second);
            continue;
        }
        if (names_.count(path) == 0 && random.one_in(2)) {
            std::filesystem::remove(entry.path());
            continue;
        }
        std::set<std::size_t> holes;
        const std::string content = mix(random, synced_[path], read_file(entry.path()), holes);
        write_with_holes(entry.path(), content, holes);
    }
    keep_all();
}

}  // namespace topicfs::test
