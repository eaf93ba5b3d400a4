#include "store/disk_use.h"

namespace topicfs {

std::uint64_t disk_use(FileSystem& fs, const std::string& path,
                       const std::function<bool(const std::string& name)>& leave_out) {
    const auto info = fs.info(path);
    if (!info) {
        return 0;
    }
    std::uint64_t sum = info->disk_bytes;
    if (!info->is_directory) {
        return sum;
    }
    const auto entries = fs.list(path);
    if (!entries) {
        return sum;
    }
    for (const DirectoryEntry& entry : *entries) {
        if (!leave_out || !leave_out(entry.name)) {
            sum += disk_use(fs, path.empty() ? entry.name : path + '/' + entry.name);
        }
    }
    return sum;
}

}  // namespace topicfs
