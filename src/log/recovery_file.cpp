#include "log/recovery_file.h"

#include <fcntl.h>

#include <array>

namespace topicfs {

Result<std::optional<RecoveryChoice>> RecoveryFile::load(FileSystem& fs, const std::string& path) {
    auto file = open_file(fs, path, O_RDONLY);
    if (!file) {
        if (is_errno(file.error(), ENOENT)) {
            return std::optional<RecoveryChoice>();
        }
        return std::move(file).error();
    }
    // Beside a daemon a slot can be caught half written; then two looks differ.
    constexpr int kLooksMax = 10;
    std::array<std::byte, kRecoveryFileBytes> content{};
    std::array<std::byte, kRecoveryFileBytes> before{};
    std::size_t have = 0;
    for (int look = 0; look == 0 || (content != before && look < kLooksMax); ++look) {
        before = content;
        TOPICFS_TRY_ASSIGN(have, read_at(fs, *file, content, 0));
    }
    const auto whole = std::span<const std::byte>(content).first(have);
    if (has_newer_recovery_format(whole)) {
        return make_error(ErrorCode::kNewerFormat, "read", path, "it was written by a later version; update topicfs");
    }
    return choose_recovery_point(whole);
}

RecoveryFile::RecoveryFile(FileSystem& fs, std::string path, std::optional<RecoveryChoice> durable)
    : fs_(fs),
      path_(std::move(path)),
      point_(durable ? durable->point : RecoveryPoint{}),
      durable_slot_(durable ? durable->slot : 1) {}

Result<void> RecoveryFile::create(FileSystem& fs, const std::string& path, const RecoveryPoint& point) {
    std::string content(kRecoveryFileBytes, '\0');
    const auto slot = encode_recovery_slot(point);
    content.replace(0, slot.size(), reinterpret_cast<const char*>(slot.data()), slot.size());
    return replace_file(fs, path, content);
}

RecoveryPoint RecoveryFile::point() const {
    const std::scoped_lock lock(mutex_);
    return point_;
}

Result<void> RecoveryFile::publish(const Change& change) {
    const std::scoped_lock lock(mutex_);
    return write_locked(change);
}

Result<void> RecoveryFile::commit(const Change& change) {
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY(write_locked(change));
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, path_, O_RDWR));
    TOPICFS_TRY(fs_.fdatasync(file));
    durable_slot_ ^= 1;
    return {};
}

void RecoveryFile::note_synced(std::uint64_t sequence) {
    const std::scoped_lock lock(mutex_);
    if (point_.sequence == sequence) {
        durable_slot_ ^= 1;
    }
}

Result<void> RecoveryFile::write_locked(const Change& change) {
    RecoveryPoint next = point_;
    change(next);
    next.sequence = point_.sequence + 1;
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, path_, O_RDWR));
    const std::uint64_t at = (durable_slot_ ^ 1) * kRecoverySlotStrideBytes;
    TOPICFS_TRY(write_at(fs_, file, encode_recovery_slot(next), at));
    point_ = next;
    return {};
}

}  // namespace topicfs
