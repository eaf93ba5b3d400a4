#include "log/head.h"

#include "log/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <vector>

namespace topicfs {

Result<void> Head::create(FileSystem& fs, const std::string& directory, Position base, TimestampMs now, bool sync) {
    const std::string path = directory + "/" + head_file_name(base);
    const std::string temporary = path + kTemporarySuffix;
    const auto write = [&]() -> Result<void> {
        TOPICFS_TRY_ASSIGN(const File file, fs.open(temporary, O_RDWR | O_CREAT | O_TRUNC));
        TOPICFS_TRY(write_at(fs, file, encode_head_header({base, now}), 0));
        TOPICFS_TRY(fs.truncate(file, kHeadDataAt));  // Appends go to the end of the file.
        return sync ? fs.fsync(file) : Result<void>();
    };
    Result<void> made = write();
    if (made) {
        made = fs.rename(temporary, path);
    }
    if (!made) {
        (void)fs.unlink(temporary).has_value();
        return made;
    }
    return sync ? sync_directory(fs, directory) : Result<void>();
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
    if (access == Access::kReadAppend) {
        TOPICFS_TRY_ASSIGN(const FileInfo info, fs.info(file));
        if (info.size < header->data_at) {
            TOPICFS_TRY(fs.truncate(file, header->data_at));
        }
    }
    return std::make_shared<Head>(fs, std::move(file), *header);
}

Result<std::shared_ptr<Head>> Head::open_without_header(FileSystem& fs, const std::string& directory, Position base,
                                                        TimestampMs now, Access access) {
    const std::string path = directory + "/" + head_file_name(base);
    TOPICFS_TRY_ASSIGN(File file, fs.open(path, access == Access::kRead ? O_RDONLY : O_RDWR));
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs.info(file));
    HeadHeader header{base, now};
    // Only version 1 has bytes right behind its header, where they were not given back already. A copy of a store can
    // have zeros for holes.
    std::vector<std::byte> between(kHeadDataAt - kHeadDataAtOfVersion1);
    TOPICFS_TRY_ASSIGN(const std::size_t got, read_at(fs, file, between, kHeadDataAtOfVersion1));
    if (std::any_of(between.begin(), between.begin() + static_cast<std::ptrdiff_t>(got),
                    [](std::byte byte) { return byte != std::byte{0}; })) {
        header.data_at = kHeadDataAtOfVersion1;
    }
    if (access == Access::kRead) {
        return std::make_shared<Head>(fs, std::move(file), header);
    }
    TOPICFS_TRY(write_at(fs, file, encode_head_header(header), 0));
    TOPICFS_TRY(fs.truncate(file, std::max<std::uint64_t>(info.size, header.data_at)));
    TOPICFS_TRY(fs.fsync(file));
    return open(fs, directory, base, access);
}

Head::~Head() {
    // Nothing depends on this close: what must be durable was synced by descriptor.
    (void)fs_.close(std::move(file_)).has_value();
}

Result<Position> Head::end() const {
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs_.info(file_));
    return head_end(header_, info.size);
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
    return std::min(log_end, header_.base + (at - header_.data_at));
}

Result<Position> Head::first_data(Position from) const {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return log_end;
    }
    TOPICFS_TRY_ASSIGN(const auto at, fs_.seek_data(file_, file_offset(from)));
    return at ? std::min(log_end, header_.base + (*at - header_.data_at)) : log_end;
}

}  // namespace topicfs
