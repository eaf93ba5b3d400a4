// A segment's front that was given back to the disk, and what the rest takes there.
#include "log/segment.h"
#include "log/segment_scan.h"

#include <utility>

namespace topicfs {

namespace {

constexpr std::uint64_t kBlockBytes = 4096;  // What the disk gives and takes back are whole ones.

}  // namespace

// Under append_mutex_. Look-ups take no notice of what stood before `front`'s end from now on.
Result<void> Segment::note_front_locked(Files& opened, const std::optional<GivenBack>& front) {
    given_back_ = front;
    std::uint64_t first = 0;
    if (front) {
        const std::uint64_t count = entries_.load(std::memory_order_acquire);
        TOPICFS_TRY_ASSIGN(const auto last, opened.index->last_where(0, count, [&](const IndexEntry& entry) {
            return entry.file_offset < front->file_end;
        }));
        first = last ? *last + 1 : 0;
    }
    given_back_end_.store(front ? front->file_end : 0, std::memory_order_release);
    const std::scoped_lock lock(files_mutex_);
    first_entry_.store(first, std::memory_order_release);
    first_known_.reset();
    return {};
}

// Whether what stands at `file_offset` was given back. By another process too, which has told so in the file before it
// punches: what was read before this look says no is what was written.
Result<bool> Segment::was_given_back(const std::shared_ptr<Files>& opened, std::uint64_t file_offset) {
    if (access_ == Access::kRead) {
        constexpr int kLooksMax = 10;  // It can be caught half written.
        auto front = read_given_back(fs_, opened->segment, bytes());
        for (int look = 1; !front && front.error().code == ErrorCode::kDamaged && look < kLooksMax; ++look) {
            front = read_given_back(fs_, opened->segment, bytes());
        }
        if (!front && front.error().code != ErrorCode::kDamaged) {
            return std::move(front).error();
        }
        const std::scoped_lock lock(append_mutex_);
        if (front && *front && (*front)->file_end > given_back_end_.load(std::memory_order_relaxed)) {
            TOPICFS_TRY(note_front_locked(*opened, *front));
        }
    }
    return file_offset < given_back_end_.load(std::memory_order_acquire);
}

Result<std::optional<GivenBack>> Segment::given_back() {
    TOPICFS_TRY(files());
    const std::scoped_lock lock(append_mutex_);
    return given_back_;
}

Result<void> Segment::give_back(const GivenBack& front) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    std::uint64_t upto = 0;
    {
        const std::scoped_lock lock(append_mutex_);
        upto = given_back_ ? given_back_->file_end : 0;
    }
    if (upto < front.file_end) {
        upto = front.file_end;
        TOPICFS_TRY(write_at(fs_, opened->segment, encode_given_back(front), 0));
        auto synced = fs_.fdatasync(opened->segment);
        const std::scoped_lock lock(append_mutex_);
        if (!synced) {
            // It may have been about batches: whoever makes those durable must hear of it.
            sync_error_ = synced.error();
            return synced;
        }
        TOPICFS_TRY(note_front_locked(*opened, front));
    }
    if (const std::uint64_t end = upto / kBlockBytes * kBlockBytes; end > kBlockBytes) {
        TOPICFS_TRY(fs_.punch_hole(opened->segment, kBlockBytes, end - kBlockBytes));
    }
    disk_bytes_change_ = true;
    return {};
}

Error Segment::given_back_error() const {
    return make_error(ErrorCode::kNotFound, "read", path_, "the batch was given back");
}

std::uint64_t Segment::disk_bytes() {
    if (disk_bytes_change_.exchange(false)) {
        const auto segment_info = fs_.info(path_);
        const auto index_info = fs_.info(index_path_);
        if (segment_info && index_info) {
            disk_bytes_.store(segment_info->disk_bytes + index_info->disk_bytes, std::memory_order_relaxed);
            const auto has_more = [](const FileInfo& info, std::uint64_t bytes) {
                return info.disk_bytes > bytes + 2 * kBlockBytes;
            };
            if (has_more(*segment_info, kept_bytes()) || has_more(*index_info, index_info->size)) {
                disk_bytes_change_ = true;
            }
        } else {
            disk_bytes_change_ = true;
        }
    }
    return disk_bytes_.load(std::memory_order_relaxed);
}

}  // namespace topicfs
