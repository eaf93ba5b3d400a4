#include "group_files.h"

#include "base/text.h"
#include "io/fd.h"

#include <topicfs/ioctl.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace topicfs {

namespace {

constexpr std::string_view kGroups = "/.groups/";
constexpr std::string_view kOffset = ".offset";

Result<Fd> open_file(const std::string& path, int flags) {
    Fd file(::open(path.c_str(), flags | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "", path);
    }
    return file;
}

// What the daemon says to a point.
Error refusal(int refused_errno, const std::string& path) {
    if (refused_errno == EBUSY) {
        return make_error(ErrorCode::kBusy, "", path, "it has a reader");
    }
    if (refused_errno == EINVAL) {
        return make_error(ErrorCode::kInvalid, "", path, "no record can be read there");
    }
    if (refused_errno == ENOTTY) {
        return make_error(ErrorCode::kNotFound, "", path, "no group of a mounted topicfs");
    }
    return system_error(refused_errno, "", path);
}

bool is_there(const std::string& path) {
    struct stat found = {};
    return ::stat(path.c_str(), &found) == 0;
}

}  // namespace

Result<std::string> read_text_file(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const Fd file, open_file(path, O_RDONLY));
    std::string text;
    std::array<char, 1 << 16> buffer;
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got == 0) {
            return text;
        }
        if (got > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(got));
        } else if (errno != EINTR) {
            return system_error(errno, "read", path);
        }
    }
}

Result<GroupFiles> GroupFiles::open(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    if (!real) {
        return system_error(errno, "", path);
    }
    GroupFiles files;
    files.directory_ = real.get();
    const std::size_t groups = files.directory_.rfind(kGroups);
    if (groups == std::string::npos) {
        return make_error(ErrorCode::kInvalid, "", path, "neither TOPIC/.groups/GROUP nor a partition of it");
    }
    const std::size_t topic = files.directory_.rfind('/', groups - 1);
    files.topic_ = files.directory_.substr(topic + 1, groups - topic - 1);
    files.group_ = files.directory_.substr(groups + kGroups.size());
    const std::size_t slash = files.group_.find('/');
    if (slash != std::string::npos) {
        std::string_view name = std::string_view(files.group_).substr(slash + 1);
        name.remove_suffix(name.ends_with(kOffset) ? kOffset.size() : 0);
        const auto number = parse_unsigned(name);
        if (!number || *number > UINT32_MAX) {
            return make_error(ErrorCode::kInvalid, "", path, "neither TOPIC/.groups/GROUP nor a partition of it");
        }
        files.partitions_ = {static_cast<std::uint32_t>(*number)};
        files.directory_.resize(groups + kGroups.size() + slash);
        files.group_.resize(slash);
        return files;
    }
    for (std::uint32_t number = 0; is_there(files.offset_path(number)); ++number) {
        files.partitions_.push_back(number);
    }
    if (files.partitions_.empty()) {
        return make_error(ErrorCode::kNotFound, "", path, "no group of a mounted topicfs");
    }
    return files;
}

std::string GroupFiles::offset_path(std::uint32_t partition) const {
    return directory_ + "/" + std::to_string(partition) + std::string(kOffset);
}

Result<std::uint64_t> GroupFiles::committed(std::uint32_t partition) const {
    TOPICFS_TRY_ASSIGN(const std::string text, read_text_file(offset_path(partition)));
    const auto offset = parse_unsigned(trim(text));
    if (!offset) {
        return make_error(ErrorCode::kInvalid, "", offset_path(partition), "no group of a mounted topicfs");
    }
    return *offset;
}

Result<std::uint64_t> GroupFiles::find(std::uint32_t partition, std::string_view point) const {
    const std::string path = offset_path(partition);
    TOPICFS_TRY_ASSIGN(const Fd file, open_file(path, O_RDONLY));
    topicfs_find asked = {};
    if (point.size() >= sizeof asked.point) {
        return refusal(EINVAL, path);
    }
    std::copy(point.begin(), point.end(), asked.point);
    if (::ioctl(file.get(), TOPICFS_IOC_FIND, &asked) != 0) {
        return refusal(errno, path);
    }
    return asked.offset;
}

Result<void> GroupFiles::write(std::uint32_t partition, std::string_view point) const {
    const std::string path = offset_path(partition);
    TOPICFS_TRY_ASSIGN(Fd file, open_file(path, O_WRONLY));
    const std::string line = std::string(point) + "\n";
    if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        return refusal(errno, path);
    }
    return file.close();
}

}  // namespace topicfs
