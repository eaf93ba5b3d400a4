#include "store/unfinished_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <random>

namespace topicfs {

namespace {

constexpr std::size_t kMemoryBytesMax = 64u << 10;
// A file is written anew when it has more than so much beside the line, and is more than so many times as long.
constexpr std::uint64_t kOverheadBytesMax = 64u << 10;
constexpr std::uint64_t kOverheadFactor = 4;
constexpr std::uint64_t kFileBytesMax = std::uint64_t{1} << 30;  // what load() reads

// So that bytes which a user has appended cannot pass for a frame of the chain.
std::uint64_t random_generation() {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
}

}  // namespace

UnfinishedFile::UnfinishedFile(FileSystem& fs, std::string topic_directory, std::uint64_t number)
    : UnfinishedFile(fs, topic_directory, topic_directory + "/" + kUnfinishedDirectory + "/" + std::to_string(number)) {
}

UnfinishedFile::UnfinishedFile(FileSystem& fs, std::string topic_directory, std::string path)
    : fs_(fs), topic_directory_(std::move(topic_directory)), path_(std::move(path)), generation_(random_generation()) {}

Result<void> UnfinishedFile::load(bool power_was_cut) {
    TOPICFS_TRY_ASSIGN(file_, fs_.open(path_, O_RDWR));
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs_.info(file_));
    std::vector<std::byte> content(std::min(info.size, kFileBytesMax));
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs_, file_, content, 0));
    content.resize(have);
    auto line = decode_unfinished_file(content, power_was_cut);
    if (!line) {
        line.error().path = path_;
        return std::move(line).error();
    }
    set_line(*line);
    memory_ = std::move(line->bytes);  // also where that is long: the next thing is to write it
    name_synced_ = synced_;
    return {};
}

void UnfinishedFile::set_line(const UnfinishedLine& line) {
    forget_line();
    bytes_ = line.bytes.size();
    keep_in_memory(line.bytes);
    placed_ = line.placed;
    partition_ = line.partition;
    appended_ = line.appended;
    synced_ = line.synced;
}

void UnfinishedFile::keep_in_memory(std::span<const std::byte> data) {
    last_ = data.empty() ? last_ : data.back();
    if (memory_ && memory_->size() + data.size() <= kMemoryBytesMax) {
        memory_->insert(memory_->end(), data.begin(), data.end());
    } else {
        memory_.reset();
    }
}

void UnfinishedFile::forget_line() {
    bytes_ = 0;
    placed_ = 0;
    partition_.reset();
    appended_.reset();
    memory_.emplace();
    last_.reset();
    synced_ = false;
}

Result<std::vector<std::byte>> UnfinishedFile::unplaced() {
    std::vector<std::byte> all;
    if (memory_) {
        all = *memory_;
    } else {
        std::vector<std::byte> content(end_);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs_, file_, content, 0));
        TOPICFS_TRY_ASSIGN(UnfinishedLine line, decode_unfinished_file(std::span(content).first(have), false));
        all = std::move(line.bytes);
    }
    if (all.size() != bytes_) {
        return make_error(ErrorCode::kDamaged, "read", path_, "it is not as it was written");
    }
    all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(placed_));
    return all;
}

Result<void> UnfinishedFile::make_file() {
    const int flags = O_RDWR | O_CREAT | O_EXCL;
    auto file = fs_.open(path_, flags);
    if (!file && is_errno(file.error(), ENOENT)) {
        const std::string directory = topic_directory_ + "/" + kUnfinishedDirectory;
        if (auto made = fs_.make_directory(directory); !made && !is_errno(made.error(), EEXIST)) {
            return made;
        }
        file = fs_.open(path_, flags);
    }
    TOPICFS_TRY_ASSIGN(file_, std::move(file));
    name_synced_ = false;
    return {};
}

Result<void> UnfinishedFile::write(UnfinishedFrame frame) {
    frame.generation = generation_;
    frame.index = index_;
    TOPICFS_TRY(write_at(fs_, file_, encode_unfinished_frame(frame), end_));
    if (frame.kind != UnfinishedKind::kLine) {
        end_ += frame.bytes();
        ++index_;
        all_synced_ = false;
    }
    return {};
}

Result<void> UnfinishedFile::begin(std::span<const std::byte> data, std::optional<std::uint32_t> partition) {
    forget_line();
    if (!file_ && data.empty()) {
        partition_ = partition;
        return {};
    }
    if (!file_) {
        TOPICFS_TRY(make_file());
    }
    ++generation_;
    index_ = 0;
    end_ = 0;
    UnfinishedFrame frame;
    frame.partition = partition;
    frame.data = data;
    if (auto written = write(frame); !written) {
        if (const auto emptied = fs_.truncate(file_, 0); !emptied) {
            return make_error(ErrorCode::kReadOnly, "write", path_,
                              written.error().message() + "; " + emptied.error().message());
        }
        if (!data.empty()) {
            return written;
        }
        // There is nothing to keep.
    }
    bytes_ = data.size();
    partition_ = partition;
    keep_in_memory(data);
    return {};
}

Result<void> UnfinishedFile::more(std::span<const std::byte> data) {
    if (index_ == 0) {
        // Nothing is kept of the line yet: it has only begun in a partition.
        const std::optional<std::uint32_t> partition = partition_;
        auto begun = begin(data, partition);
        partition_ = partition;
        return begun;
    }
    if (end_ + kUnfinishedFrameHeaderBytes > kOverheadFactor * bytes_ + kOverheadBytesMax) {
        TOPICFS_TRY(rewrite());
    }
    UnfinishedFrame frame;
    frame.kind = UnfinishedKind::kMore;
    frame.data = data;
    TOPICFS_TRY(write(frame));
    bytes_ += data.size();
    keep_in_memory(data);
    return {};
}

Result<void> UnfinishedFile::line(std::span<const std::byte> rest, std::uint32_t partition, Position log_end) {
    if (index_ == 0) {
        return {};  // Nothing is kept of the line: it has only begun in a partition.
    }
    UnfinishedFrame frame;
    frame.kind = UnfinishedKind::kLine;
    frame.partition = partition;
    frame.log_end = log_end;
    frame.data = rest;
    TOPICFS_TRY(write(frame));
    return synced_ ? fs_.fdatasync(file_) : Result<void>{};
}

Result<void> UnfinishedFile::drop_line() {
    if (index_ == 0) {
        return {};
    }
    const std::vector<std::byte> nothing(kUnfinishedFrameHeaderBytes);
    return write_at(fs_, file_, nothing, end_);
}

Result<void> UnfinishedFile::place(std::uint32_t partition, std::uint64_t more) {
    UnfinishedFrame frame;
    frame.kind = UnfinishedKind::kPlaced;
    frame.partition = partition;
    frame.placed = placed_ + more;
    TOPICFS_TRY(write(frame));
    placed_ += more;
    partition_ = partition;
    return synced_ ? sync_data() : Result<void>{};
}

Result<void> UnfinishedFile::rewrite(std::uint64_t more) {
    TOPICFS_TRY_ASSIGN(std::vector<std::byte> left, unplaced());
    left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(more));
    UnfinishedFile other(fs_, topic_directory_, path_ + kTemporarySuffix);
    const std::optional<std::uint32_t> partition = more > 0 ? appended_->partition : partition_;
    const auto written = [&]() -> Result<void> {
        // One that a crash left behind says nothing that this one does not.
        TOPICFS_TRY_ASSIGN(other.file_, fs_.open(other.path_, O_RDWR | O_CREAT | O_TRUNC));
        TOPICFS_TRY(other.begin(left, partition));
        TOPICFS_TRY(synced_ ? other.sync_data() : Result<void>{});
        return fs_.rename(other.path_, path_);
    }();
    if (!written) {
        (void)fs_.unlink(other.path_).has_value();
        return written;
    }
    const bool name_was_synced = synced_;
    (void)fs_.close(std::move(file_)).has_value();  // Nothing of it is needed any more.
    file_ = std::move(other.file_);
    generation_ = other.generation_;
    index_ = other.index_;
    end_ = other.end_;
    set_line({std::move(left), 0, partition, {}, other.synced_});
    all_synced_ = other.all_synced_;
    name_synced_ = false;
    return name_was_synced ? sync_name() : Result<void>{};
}

Result<void> UnfinishedFile::sync_data() {
    UnfinishedFrame frame;
    frame.kind = UnfinishedKind::kSynced;
    TOPICFS_TRY(write(frame));
    TOPICFS_TRY(fs_.fsync(file_));
    synced_ = true;
    all_synced_ = true;
    return {};
}

Result<void> UnfinishedFile::sync_name() {
    TOPICFS_TRY(sync_directory(fs_, topic_directory_ + "/" + kUnfinishedDirectory));
    TOPICFS_TRY(sync_directory(fs_, topic_directory_));
    name_synced_ = true;
    return {};
}

Result<void> UnfinishedFile::sync() {
    if (!is_there() || index_ == 0) {
        return {};
    }
    if (!all_synced_) {
        TOPICFS_TRY(sync_data());
    }
    return name_synced_ ? Result<void>{} : sync_name();
}

Result<void> UnfinishedFile::remove() {
    forget_line();
    if (!file_) {
        return {};
    }
    File file = std::move(file_);
    file_ = {};
    (void)fs_.close(std::move(file)).has_value();  // Nothing of it is needed any more.
    return fs_.unlink(path_);
}

}  // namespace topicfs
