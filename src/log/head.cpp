#include "log/head.h"

#include "log/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <array>

namespace topicfs {

Result<void> Head::create(FileSystem& fs, const std::string& directory, Position base, TimestampMs now) {
    const std::string path = directory + "/" + head_file_name(base);
    const auto block = encode_head_header({base, now});
    const std::string_view content(reinterpret_cast<const char*>(block.data()), block.size());
    return replace_file(fs, path, content);
}

Result<std::shared_ptr<Head>> Head::open(FileSystem& fs, const std::string& directory, Position base, Access access) {
    const std::string path = directory + "/" + head_file_name(base);
    const int flags = access == Access::kRead ? O_RDONLY : O_RDWR | O_APPEND;
    TOPICFS_TRY_ASSIGN(File file, fs.open(path, flags));
    std::array<std::byte, kHeadHeaderBytes> block;
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs, file, block, 0));
    auto header = decode_head_header(std::span(block).first(have));
    if (!header) {
        Error error = std::move(header).error();
        error.path = path;
        return error;
    }
    if (header->base != base) {
        return make_error(ErrorCode::kDamaged, "open", path, "its header names another base position");
    }
    return std::make_shared<Head>(fs, std::move(file), *header);
}

Head::~Head() {
    // Nothing depends on this close: what must be durable was synced by descriptor.
    (void)fs_.close(std::move(file_)).has_value();
}

Result<Position> Head::end() const {
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs_.info(file_));
    return header_.base + (std::max<std::uint64_t>(info.size, kHeadHeaderBytes) - kHeadHeaderBytes);
}

Result<std::size_t> Head::append(std::span<const std::byte> bytes) {
    return topicfs::append(fs_, file_, bytes);
}

Result<std::size_t> Head::read(Position from, std::span<std::byte> into) const {
    return read_at(fs_, file_, into, file_offset(from));
}

Result<std::size_t> Head::view(Position from, std::size_t bytes, ByteView& view) {
    return windows_.add(fs_, file_, file_offset(from), bytes, view);
}

Result<void> Head::sync() {
    return fs_.fdatasync(file_);
}

Result<void> Head::set_end(Position end) {
    return fs_.truncate(file_, file_offset(end));
}

Result<void> Head::punch(Position from, Position to) {
    if (to <= from) {
        return {};
    }
    return fs_.punch_hole(file_, file_offset(from), to - from);
}

Result<Position> Head::first_hole(Position from) const {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return log_end;
    }
    TOPICFS_TRY_ASSIGN(const std::uint64_t at, fs_.seek_hole(file_, file_offset(from)));
    return std::min(log_end, header_.base + (at - kHeadHeaderBytes));
}

Result<Position> Head::first_data(Position from) const {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return log_end;
    }
    TOPICFS_TRY_ASSIGN(const auto at, fs_.seek_data(file_, file_offset(from)));
    return at ? std::min(log_end, header_.base + (*at - kHeadHeaderBytes)) : log_end;
}

}  // namespace topicfs
