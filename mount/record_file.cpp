#include "record_file.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace topicfs {

Result<RecordFile> RecordFile::open(const std::string& path, int flags, const char* if_missing) {
    RecordFile file;
    file.path_ = path;
    file.fd_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
    if (!file.fd_ && errno == EBUSY) {
        return make_error(ErrorCode::kBusy, "", path, "it has a reader");
    }
    if (!file.fd_ && errno != ENOENT) {
        return system_error(errno, "", path);
    }
    if (!file.fd_) {
        return make_error(ErrorCode::kNotFound, "", path, if_missing);
    }
    if (::ioctl(file.fd_.get(), TOPICFS_IOC_TOPIC, &file.topic_) != 0) {
        return make_error(ErrorCode::kInvalid, "", path, "neither topic, partition nor view of a mounted topicfs");
    }
    return file;
}

Result<std::size_t> RecordFile::read(std::span<char> into) {
    for (;;) {
        const ssize_t got = ::read(fd_.get(), into.data(), into.size());
        if (got >= 0) {
            return static_cast<std::size_t>(got);
        }
        if (errno != EINTR) {
            return system_error(errno, "read", path_);
        }
    }
}

Result<RecordPlace> RecordFile::place_of(std::uint64_t at) {
    while (!chunks_.empty() && at >= chunks_begin_ + chunks_.front().bytes) {
        chunks_begin_ += chunks_.front().bytes;
        chunks_.pop_front();
    }
    if (chunks_.empty()) {
        TOPICFS_TRY(describe(at));
    }
    RecordPlace place;
    place.topic = topic();
    if (chunks_.empty()) {
        return make_error(ErrorCode::kDamaged, "", path_, "the daemon does not know where these records are from");
    }
    const topicfs_chunk& chunk = chunks_.front();
    place.partition = chunk.partition;
    if (chunk.time != TOPICFS_NO_TIME) {
        place.time = TimestampMs{chunk.time};
    }
    // Within a partition they are told without asking.
    const std::uint64_t position = chunk.position + (at - chunks_begin_);
    Next& next = next_[chunk.partition];
    if (next.position != position) {
        topicfs_offset asked = {position, chunk.partition, 0, 0};
        if (::ioctl(fd_.get(), TOPICFS_IOC_OFFSET, &asked) != 0) {
            return system_error(errno, "", path_);
        }
        next = {position, asked.offset};
    }
    place.offset = Offset{next.offset};
    return place;
}

void RecordFile::passed(const RecordPlace& place, std::size_t bytes) {
    Next& next = next_[place.partition];
    next = {*next.position + bytes, next.offset + 1};
}

Result<void> RecordFile::commit(std::uint64_t at) {
    topicfs_commit asked = {at};
    if (::ioctl(fd_.get(), TOPICFS_IOC_COMMIT, &asked) == 0) {
        return {};
    }
    Error error = system_error(errno, "commit", path_);
    if (errno == EIO) {
        error.detail = "the reader did not come back for max.poll.interval.ms, and has lost its partitions";
    }
    return error;
}

// What was not read yet is described without a look at the disk, so only a loss makes that fail.
bool RecordFile::is_lost(std::uint64_t end) {
    const auto described = std::make_unique<topicfs_describe>();
    described->offset = end;
    return ::ioctl(fd_.get(), TOPICFS_IOC_DESCRIBE, described.get()) != 0;
}

Result<void> RecordFile::describe(std::uint64_t at) {
    const auto described = std::make_unique<topicfs_describe>();
    described->offset = at;
    if (::ioctl(fd_.get(), TOPICFS_IOC_DESCRIBE, described.get()) != 0) {
        return system_error(errno, "", path_);
    }
    chunks_.assign(described->chunks, described->chunks + described->count);
    chunks_begin_ = at;
    return {};
}

}  // namespace topicfs
