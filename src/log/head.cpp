#include "log/head.h"

#include "log/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <vector>

namespace topicfs {

namespace {

constexpr int kAppendFlags = O_RDWR | O_APPEND;

}  // namespace

Result<void> Head::create(FileSystem& fs, const std::string& directory, Position base, TimestampMs now, bool sync) {
    const std::string path = directory + "/" + head_file_name(base);
    const std::string temporary = path + kTemporarySuffix;
    const auto write = [&]() -> Result<void> {
        TOPICFS_TRY_ASSIGN(const File file, open_file(fs, temporary, O_RDWR | O_CREAT | O_TRUNC));
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
    const int flags = access == Access::kRead ? O_RDONLY : kAppendFlags;
    TOPICFS_TRY_ASSIGN(File file, open_file(fs, path, flags));
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
    return std::make_shared<Head>(fs, std::move(file), *header, access);
}

Result<std::shared_ptr<Head>> Head::open_without_header(FileSystem& fs, const std::string& directory, Position base,
                                                        TimestampMs now, Access access) {
    const std::string path = directory + "/" + head_file_name(base);
    TOPICFS_TRY_ASSIGN(File file, open_file(fs, path, access == Access::kRead ? O_RDONLY : O_RDWR));
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
        return std::make_shared<Head>(fs, std::move(file), header, access);
    }
    TOPICFS_TRY(write_at(fs, file, encode_head_header(header), 0));
    TOPICFS_TRY(fs.truncate(file, std::max<std::uint64_t>(info.size, header.data_at)));
    TOPICFS_TRY(fs.fsync(file));
    return open(fs, directory, base, access);
}

struct Head::OpenFile {
    FileSystem& fs;
    File file;
    OpenFile(FileSystem& file_system, File opened) : fs(file_system), file(std::move(opened)) {}
    // Nothing depends on this close: what must be durable was synced by descriptor.
    ~OpenFile() { (void)fs.close(std::move(file)).has_value(); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
};

Head::Head(FileSystem& fs, File file, HeadHeader header, Access access)
    : fs_(fs), path_(file.path), header_(header), is_spare_(access == Access::kReadAppend) {
    keep_locked(std::move(file));  // There is nobody else yet.
}

Head::~Head() {
    fs_.spare_files().remove(*this);
}

void Head::keep_locked(File file) const {
    const auto opened = std::make_shared<OpenFile>(fs_, std::move(file));
    file_ = std::shared_ptr<const File>(opened, &opened->file);
    if (is_spare_) {
        fs_.spare_files().add(const_cast<Head&>(*this));
    }
}

Result<std::shared_ptr<const File>> Head::file() const {
    const std::scoped_lock lock(file_mutex_);
    if (!file_) {
        TOPICFS_TRY_ASSIGN(File file, open_file(fs_, path_, kAppendFlags));
        keep_locked(std::move(file));
    }
    return file_;
}

bool Head::is_open() const {
    const std::scoped_lock lock(file_mutex_);
    return file_ != nullptr;
}

bool Head::let_go(Effort effort) {
    const std::unique_lock lock(file_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !file_ || file_.use_count() > 1 || sync_error_) {
        return false;
    }
    const auto info = fs_.info(*file_);
    if (!info || (info->size > synced_size_ && effort == Effort::kClose)) {
        return false;
    }
    if (info->size > synced_size_) {
        if (auto synced = fs_.fdatasync(*file_); !synced) {
            sync_error_ = std::move(synced).error();
            return false;
        }
        synced_size_ = info->size;
    }
    file_.reset();
    return true;
}

Result<Position> Head::end() const {
    TOPICFS_TRY_ASSIGN(const FileInfo now, info());
    return head_end(header_, now.size);
}

Result<FileInfo> Head::info() const {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    return fs_.info(*open);
}

Result<std::size_t> Head::append(std::span<const std::byte> bytes) {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    return topicfs::append(fs_, *open, bytes);
}

Result<std::size_t> Head::read(Position from, std::span<std::byte> into) const {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    return read_at(fs_, *open, into, file_offset(from));
}

Result<std::size_t> Head::view(Position from, std::size_t bytes, ByteView& view) {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    return windows_.add(fs_, *open, file_offset(from), bytes, view);
}

Result<void> Head::sync() {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    {
        const std::scoped_lock lock(file_mutex_);
        if (sync_error_) {
            return *sync_error_;
        }
    }
    return fs_.fdatasync(*open);
}

Result<void> Head::set_end(Position end) {
    TOPICFS_TRY_ASSIGN(const auto open, file());
    {
        const std::scoped_lock lock(file_mutex_);
        synced_size_ = std::min(synced_size_, file_offset(end));
    }
    return fs_.truncate(*open, file_offset(end));
}

Result<void> Head::punch(Position from, Position to) {
    if (to <= from) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const auto open, file());
    return fs_.punch_hole(*open, file_offset(from), to - from);
}

Result<Position> Head::first_hole(Position from) const {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return log_end;
    }
    TOPICFS_TRY_ASSIGN(const auto open, file());
    TOPICFS_TRY_ASSIGN(const std::uint64_t at, fs_.seek_hole(*open, file_offset(from)));
    return std::min(log_end, header_.base + (at - header_.data_at));
}

Result<Position> Head::first_data(Position from) const {
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (from >= log_end) {
        return log_end;
    }
    TOPICFS_TRY_ASSIGN(const auto open, file());
    TOPICFS_TRY_ASSIGN(const auto at, fs_.seek_data(*open, file_offset(from)));
    return at ? std::min(log_end, header_.base + (*at - header_.data_at)) : log_end;
}

}  // namespace topicfs
