// The free functions over a FileSystem; the real one is in posix_file_system.cpp.
#include "io/file_system.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace topicfs {

Result<bool> FileSystem::has_writers(const File& file) {
    return system_error(EINVAL, "take a lease on", file.path);
}
namespace {

// Repeats a call for as long as EINTR ends it.
template <typename Call>
auto uninterrupted(const Call& call) {
    for (;;) {
        auto result = call();
        if (result.has_value() || !is_errno(result.error(), EINTR)) {
            return result;
        }
    }
}

// Closes `file` after work on it that ended with `outcome`, whose error is the one that counts.
Result<void> close_after(FileSystem& fs, File file, Result<void> outcome) {
    Result<void> closed = fs.close(std::move(file));
    return outcome.has_value() ? std::move(closed) : std::move(outcome);
}

Result<void> write_new_file(FileSystem& fs, const std::string& path, std::string_view content) {
    TOPICFS_TRY_ASSIGN(File file, uninterrupted([&] { return open_file(fs, path, O_WRONLY | O_CREAT | O_TRUNC); }));
    Result<void> outcome = write_at(fs, file, std::as_bytes(std::span(content)), 0);
    if (outcome.has_value()) {
        outcome = fs.fsync(file);
    }
    return close_after(fs, std::move(file), std::move(outcome));
}

Result<std::string> read_all(FileSystem& fs, const File& file, std::size_t bytes_max) {
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs.info(file));
    if (!info.is_regular) {
        return make_error(ErrorCode::kInvalid, "read", file.path, "it is not a regular file");
    }
    // One byte more than the file has, or may have, shows whether it has grown.
    const std::uint64_t expected_bytes = std::min<std::uint64_t>(info.size, bytes_max);
    std::string content(static_cast<std::size_t>(expected_bytes) + 1, '\0');
    std::size_t filled = 0;
    for (;;) {
        const auto room = std::as_writable_bytes(std::span(content)).subspan(filled);
        TOPICFS_TRY_ASSIGN(const std::size_t got, read_at(fs, file, room, filled));
        filled += got;
        if (filled > bytes_max) {
            return make_error(ErrorCode::kTooLarge, "read", file.path,
                              "it is larger than " + std::to_string(bytes_max) + " bytes");
        }
        if (got < room.size()) {
            content.resize(filled);
            return content;
        }
        content.resize(std::min(filled * 2, bytes_max + 1));
    }
}

}  // namespace

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

Result<File> open_file(FileSystem& fs, const std::string& path, int flags, unsigned mode) {
    Result<File> opened = fs.open(path, flags, mode);
    const bool try_again = !opened.has_value() && lacks_descriptors(opened.error());
    return try_again && fs.spare_files().let_go() ? fs.open(path, flags, mode) : std::move(opened);
}

Result<std::size_t> read_at(FileSystem& fs, const File& file, std::span<std::byte> into, std::uint64_t at) {
    std::size_t filled = 0;
    while (filled < into.size()) {
        TOPICFS_TRY_ASSIGN(const std::size_t got,
                           uninterrupted([&] { return fs.pread(file, into.subspan(filled), at + filled); }));
        if (got == 0) {
            break;
        }
        filled += got;
    }
    return filled;
}

Result<void> write_at(FileSystem& fs, const File& file, std::span<const std::byte> from, std::uint64_t at) {
    while (!from.empty()) {
        TOPICFS_TRY_ASSIGN(const std::size_t written, uninterrupted([&] { return fs.pwrite(file, from, at); }));
        if (written == 0) {
            return system_error(EIO, "write", file.path);  // To try for ever would be worse.
        }
        from = from.subspan(written);
        at += written;
    }
    return {};
}

Result<std::size_t> append(FileSystem& fs, const File& file, std::span<const std::byte> from) {
    std::size_t written = 0;
    while (written < from.size()) {
        Result<std::size_t> result = uninterrupted([&] { return fs.write(file, from.subspan(written)); });
        if (result.has_value() && *result == 0) {
            result = system_error(EIO, "append", file.path);
        }
        if (!result.has_value()) {
            return written > 0 ? Result<std::size_t>(written) : std::move(result);
        }
        written += *result;
    }
    return written;
}

Result<void> sync_directory(FileSystem& fs, const std::string& path) {
    TOPICFS_TRY_ASSIGN(File directory, uninterrupted([&] { return open_file(fs, path, O_RDONLY | O_DIRECTORY); }));
    Result<void> outcome = fs.fsync(directory);
    return close_after(fs, std::move(directory), std::move(outcome));
}

Result<std::string> read_small_file(FileSystem& fs, const std::string& path, std::size_t bytes_max) {
    // O_NONBLOCK: a FIFO under the name of a file must not stop us.
    TOPICFS_TRY_ASSIGN(File file, uninterrupted([&] { return open_file(fs, path, O_RDONLY | O_NONBLOCK); }));
    Result<std::string> content = read_all(fs, file, bytes_max);
    // Nothing was written, so nothing is lost when closing fails.
    static_cast<void>(fs.close(std::move(file)));
    return content;
}

Result<void> replace_file(FileSystem& fs, const std::string& path, std::string_view content) {
    const std::string temporary = path + kTemporarySuffix;
    Result<void> outcome = write_new_file(fs, temporary, content);
    if (outcome.has_value()) {
        outcome = fs.rename(temporary, path);
    }
    if (!outcome.has_value()) {
        static_cast<void>(fs.unlink(temporary));
        return outcome;
    }
    return sync_directory(fs, directory_of(path));
}

Result<void> replace_book(FileSystem& fs, const std::string& path, std::string_view content) {
    fs.reserve().expect(content.size());
    auto replaced = replace_file(fs, path, content);
    return !replaced && lacks_room(replaced.error()) ? fs.reserve().replace(fs, path, content) : std::move(replaced);
}

bool may_be_tried_again(const Error& error) {
    if (error.code != ErrorCode::kSystem) {
        return false;
    }
    switch (error.system_errno) {
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EINTR:
        case EAGAIN:
        case ENOMEM:
        case EMFILE:
        case ENFILE:
            return true;
        default:
            return false;
    }
}

bool is_errno(const Error& error, int system_errno) {
    return error.code == ErrorCode::kSystem && error.system_errno == system_errno;
}

bool lacks_room(const Error& error) {
    return is_errno(error, ENOSPC) || is_errno(error, EDQUOT);
}

bool lacks_descriptors(const Error& error) {
    return is_errno(error, EMFILE) || is_errno(error, ENFILE);
}

}  // namespace topicfs
