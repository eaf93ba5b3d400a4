#include "log/segment.h"

#include "base/log.h"
#include "log/layout.h"
#include "log/segment_scan.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace topicfs {

Segment::Segment(FileSystem& fs, const std::string& directory, Position base, Codec name_codec, std::uint64_t bytes,
                 std::uint64_t disk_bytes, Access access)
    : SpareFile(2),  // with the index
      fs_(fs),
      base_(base),
      path_(directory + "/" + segment_file_name(base, name_codec)),
      index_path_(directory + "/" + index_file_name(base)),
      access_(access),
      bytes_(bytes),
      synced_bytes_(bytes),
      disk_bytes_(disk_bytes) {}

Segment::~Segment() {
    fs_.spare_files().remove(*this);
}

// Under files_mutex_: what is kept open from now on.
void Segment::keep_locked(std::shared_ptr<Files> files) {
    files_ = std::move(files);
    files_ ? fs_.spare_files().add(*this) : fs_.spare_files().remove(*this);
}

Segment::Files::~Files() {
    if (segment) {
        (void)fs.close(std::move(segment)).has_value();  // What must be durable was synced by descriptor.
    }
}

Result<std::shared_ptr<Segment>> Segment::create(FileSystem& fs, const std::string& directory, Position base,
                                                 Codec codec) {
    auto segment = std::make_shared<Segment>(fs, directory, base, codec, 0, 0, Access::kReadWrite);
    auto files = std::make_shared<Files>(fs);
    TOPICFS_TRY_ASSIGN(files->segment, open_file(fs, segment->path_, O_RDWR | O_CREAT | O_TRUNC));
    TOPICFS_TRY_ASSIGN(files->index, SegmentIndex::create(fs, segment->index_path_, base));
    segment->keep_locked(std::move(files));  // There is nobody else yet.
    return segment;
}

Result<std::shared_ptr<Segment::Files>> Segment::files() {
    {
        const std::scoped_lock lock(files_mutex_);
        if (files_) {
            return files_;
        }
    }
    const std::scoped_lock lock(append_mutex_);
    {
        const std::scoped_lock files_lock(files_mutex_);
        if (files_) {
            return files_;
        }
    }
    return open_files_locked(false);
}

// Under append_mutex_.
Result<std::shared_ptr<Segment::Files>> Segment::open_files_locked(bool rebuild_index) {
    const bool read_only = access_ == Access::kRead;
    const auto index_access = read_only ? SegmentIndex::Access::kRead : SegmentIndex::Access::kReadWrite;
    auto files = std::make_shared<Files>(fs_);
    TOPICFS_TRY_ASSIGN(files->segment, open_file(fs_, path_, read_only ? O_RDONLY : O_RDWR));
    SegmentIndex::Opened opened;
    if (!rebuild_index) {
        auto found = SegmentIndex::open(fs_, index_path_, base_, bytes(), index_access);
        if (found) {
            opened = std::move(found).value();
        } else if (rebuilt_ || found.error().code == ErrorCode::kDamaged || is_errno(found.error(), ENOENT)) {
            log_warning(found.error().message() + "; it is rebuilt from the segment");
        } else {
            return std::move(found).error();
        }
    }
    if (!opened.index) {
        rebuilt_ = true;
        TOPICFS_TRY_ASSIGN(opened,
                           SegmentIndex::rebuild(fs_, index_path_, files->segment, base_, bytes(), index_access));
    }
    files->index = std::move(opened.index);
    entries_.store(opened.count, std::memory_order_release);
    auto front = read_given_back(fs_, files->segment, bytes());
    if (!front && front.error().code != ErrorCode::kDamaged) {
        return std::move(front).error();
    }
    TOPICFS_TRY(note_front_locked(*files, front ? *front : std::nullopt));
    const std::scoped_lock lock(files_mutex_);
    keep_locked(files);
    if (rebuild_index) {
        first_known_.reset();
        last_known_.reset();
    }
    return files;
}

Result<void> Segment::rebuild_index(const std::shared_ptr<Files>& seen) {
    const std::scoped_lock lock(append_mutex_);
    {
        const std::scoped_lock files_lock(files_mutex_);
        if (files_ != seen || rebuilt_) {
            return {};
        }
    }
    log_warning(index_path_ + ": an entry is wrong; the index is rebuilt from the segment");
    fs_.spare_files().remove(*this);  // until it was opened again
    TOPICFS_TRY(open_files_locked(true));
    return {};
}

// Runs a look-up; where the index turns out to be damaged, rebuilds it and runs the look-up again.
template <typename Use>
auto Segment::with_index(Use use) -> decltype(use(std::declval<Files&>())) {
    TOPICFS_TRY_ASSIGN(std::shared_ptr<Files> opened, files());
    auto result = use(*opened);
    if (result || result.error().code != ErrorCode::kDamaged) {
        return result;
    }
    TOPICFS_TRY(rebuild_index(opened));
    TOPICFS_TRY_ASSIGN(opened, files());
    return use(*opened);
}

Result<Segment::Lookup> Segment::find(Position position) {
    return with_index([&](Files& files) -> Result<Lookup> {
        const std::uint64_t count = entries_.load(std::memory_order_acquire);
        const std::uint64_t first = first_entry_.load(std::memory_order_acquire);
        TOPICFS_TRY_ASSIGN(const auto last, files.index->last_where(first, count, [&](const IndexEntry& entry) {
            return entry.base_position <= position;
        }));
        Lookup lookup;
        lookup.gap_from = base_;
        if (last) {
            TOPICFS_TRY_ASSIGN(const IndexEntry entry, files.index->entry(*last));
            if (position < entry.end_position()) {
                lookup.entry = entry;
                return lookup;
            }
            lookup.gap_from = entry.end_position();
        }
        const std::uint64_t next = last ? *last + 1 : first;
        if (next < count) {
            TOPICFS_TRY_ASSIGN(const IndexEntry entry, files.index->entry(next));
            lookup.gap_to = entry.base_position;
        }
        return lookup;
    });
}

// The last entry for which `holds`, or with `next` the one behind it.
Result<std::optional<IndexEntry>> Segment::entry_where(const std::function<bool(const IndexEntry&)>& holds, bool next) {
    return with_index([&](Files& files) -> Result<std::optional<IndexEntry>> {
        const std::uint64_t count = entries_.load(std::memory_order_acquire);
        const std::uint64_t first = first_entry_.load(std::memory_order_acquire);
        TOPICFS_TRY_ASSIGN(std::optional<std::uint64_t> number, files.index->last_where(first, count, holds));
        if (next) {
            number = number ? *number + 1 : first;
        }
        if (!number || *number >= count) {
            return std::optional<IndexEntry>();
        }
        TOPICFS_TRY_ASSIGN(const IndexEntry entry, files.index->entry(*number));
        return std::optional(entry);
    });
}

Result<std::optional<IndexEntry>> Segment::find_offset(Offset offset) {
    return entry_where([&](const IndexEntry& entry) { return entry.base_offset < offset; }, false);
}

Result<std::optional<IndexEntry>> Segment::find_time(TimestampMs time) {
    return entry_where([&](const IndexEntry& entry) { return entry.last_time < time; }, true);
}

Result<std::optional<IndexEntry>> Segment::find_file_offset(std::uint64_t file_offset) {
    return entry_where([&](const IndexEntry& entry) { return entry.file_offset <= file_offset; }, false);
}

Result<std::optional<IndexEntry>> Segment::first_entry() {
    return end_entry(false);
}

Result<std::optional<IndexEntry>> Segment::last_entry() {
    return end_entry(true);
}

Result<std::optional<IndexEntry>> Segment::end_entry(bool last) {
    const std::uint64_t seen_bytes = bytes();
    std::optional<Numbered>& known = last ? last_known_ : first_known_;
    {
        const std::scoped_lock lock(files_mutex_);
        if (known && (!last || known->bytes == seen_bytes)) {
            return std::optional(known->entry);
        }
    }
    return with_index([&](Files& files) -> Result<std::optional<IndexEntry>> {
        const std::uint64_t count = entries_.load(std::memory_order_acquire);
        const std::uint64_t first = first_entry_.load(std::memory_order_acquire);
        if (count <= first) {
            return std::optional<IndexEntry>();
        }
        TOPICFS_TRY_ASSIGN(const IndexEntry entry, files.index->entry(last ? count - 1 : first));
        if (!last && first != first_entry_.load(std::memory_order_acquire)) {
            return std::optional(entry);  // It was given back meanwhile: not to be remembered.
        }
        if (!last || entry.file_end() == seen_bytes) {  // else another was appended meanwhile
            const std::scoped_lock lock(files_mutex_);
            known = Numbered{seen_bytes, entry};
        }
        return std::optional(entry);
    });
}

Result<Segment::Decoded> Segment::read_batch(const IndexEntry& entry, BufferPool& buffers) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    if (entry.file_offset < given_back_end_.load(std::memory_order_acquire)) {
        return given_back_error();
    }
    auto batch = read_batch_from(opened, entry, buffers);
    if (!batch && batch.error().code == ErrorCode::kDamaged) {
        TOPICFS_TRY_ASSIGN(const bool gone, was_given_back(opened, entry.file_offset));
        if (gone) {
            return given_back_error();
        }
    }
    return batch;
}

Result<Segment::Decoded> Segment::read_batch_from(const std::shared_ptr<Files>& opened, const IndexEntry& entry,
                                                  BufferPool& buffers) {
    TOPICFS_TRY_ASSIGN(BatchDecoded decoded,
                       read_batch_header(fs_, opened->segment, entry.file_offset, entry.file_end()));
    const BatchHeader& header = decoded.header;
    if (decoded.outcome == BatchOutcome::kNewer) {
        return make_error(ErrorCode::kNewerFormat, "read", path_, "a batch is of a later format version");
    }
    if (decoded.outcome != BatchOutcome::kBatch || header.base_position != entry.base_position ||
        header.raw_bytes != entry.raw_bytes || header.batch_bytes() != entry.batch_bytes) {
        TOPICFS_TRY_ASSIGN(const bool gone, was_given_back(opened, entry.file_offset));
        if (gone) {
            return given_back_error();
        }
        TOPICFS_TRY(rebuild_index(opened));
        Error error = make_error(ErrorCode::kDamaged, "read", path_, "no valid batch header");
        error.position = entry.file_offset;
        return error;
    }
    Decoded result;
    result.entry = entry;
    Buffer frame = buffers.take(header.stored_bytes);
    TOPICFS_TRY(read_frame(fs_, opened->segment, header, entry.file_offset, frame.bytes()));
    if (header.codec == Codec::kNone && is_none_frame(frame.bytes(), header.raw_bytes)) {
        result.stored_frame_at = entry.file_offset + header.header_bytes;
    } else {
        result.raw = buffers.take(header.raw_bytes);
        TOPICFS_TRY(decode_frame(opened->segment, header, frame.bytes(), result.raw.bytes()));
    }
    result.times = std::move(decoded.header.times);
    return result;
}

std::size_t Segment::Decoded::memory_bytes() const {
    // What a cache needs beside, about: for a batch that is stored it is all there is.
    constexpr std::size_t kOwnBytes = 512;
    return raw.capacity() + times.capacity() * sizeof(BatchTime) + kOwnBytes;
}

Result<std::size_t> Segment::copy_raw(const Decoded& batch, std::size_t skip, std::span<std::byte> into) {
    const std::size_t bytes = std::min<std::size_t>(into.size(), batch.entry.raw_bytes - skip);
    if (!batch.is_stored()) {
        std::memcpy(into.data(), batch.raw.data() + skip, bytes);
        return bytes;
    }
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    std::size_t copied = 0;
    while (copied < bytes) {
        const std::size_t at = skip + copied;
        const std::size_t step = std::min(bytes - copied, kNoneBlockBytesMax - at % kNoneBlockBytesMax);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs_, opened->segment, into.subspan(copied, step),
                                                           batch.stored_frame_at + none_frame_offset(at)));
        if (have != step) {
            return make_error(ErrorCode::kDamaged, "read", path_, "the payload is cut short");
        }
        copied += step;
    }
    if (access_ == Access::kRead) {
        TOPICFS_TRY_ASSIGN(const bool gone, was_given_back(opened, batch.entry.file_offset));
        if (gone) {
            return given_back_error();
        }
    }
    return copied;
}

Result<std::size_t> Segment::view_stored(const Decoded& batch, std::size_t skip, std::size_t bytes, ByteView& view) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    // In one piece up to the end of a stored block.
    const std::size_t left =
        std::min<std::size_t>(batch.entry.raw_bytes - skip, kNoneBlockBytesMax - skip % kNoneBlockBytesMax);
    return opened->windows.add(fs_, opened->segment, batch.stored_frame_at + none_frame_offset(skip),
                               std::min(bytes, left), view);
}

Result<void> Segment::append_batch(const BatchHeader& header, std::span<const std::byte> batch) {
    TOPICFS_TRY_ASSIGN(std::shared_ptr<Files> opened, files());
    if (!opened->index->is_file()) {
        // There was no room for it when it was opened; perhaps there is now.
        {
            const std::scoped_lock locks(append_mutex_, files_mutex_);
            keep_locked(nullptr);
        }
        TOPICFS_TRY_ASSIGN(opened, files());
        if (!opened->index->is_file()) {
            return system_error(ENOSPC, "append to", index_path_);
        }
    }
    const std::scoped_lock lock(append_mutex_);
    std::shared_ptr<Files> current;
    {
        // What is written keeps its descriptor until it is synced, so that no error of the write-back goes unseen.
        const std::scoped_lock files_lock(files_mutex_);
        if (!files_) {
            keep_locked(opened);
        }
        current = files_;
    }
    TOPICFS_TRY(drop_tail_locked(*current));
    const std::uint64_t at = bytes();
    const std::uint64_t number = entries_.load(std::memory_order_relaxed);
    has_tail_ = true;
    auto written = write_at(fs_, current->segment, batch, at);
    if (written) {
        written = current->index->append(number, index_entry_of(header, at));
    }
    if (!written) {
        (void)drop_tail_locked(*current).has_value();  // else by the next append, or by drop_tail()
        return written;
    }
    has_tail_ = false;
    index_needs_sync_ = true;
    disk_bytes_change_ = true;
    entries_.store(number + 1, std::memory_order_release);
    bytes_.store(at + batch.size(), std::memory_order_release);
    return {};
}

// Under append_mutex_.
Result<void> Segment::drop_tail_locked(Files& opened) {
    if (has_tail_) {
        TOPICFS_TRY(fs_.truncate(opened.segment, bytes()));
        has_tail_ = false;
    }
    return {};
}

Result<void> Segment::drop_tail() {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    const std::scoped_lock lock(append_mutex_);
    return drop_tail_locked(*opened);
}

Result<void> Segment::sync(bool index_too) {
    const std::uint64_t upto = bytes();
    if (upto == synced_bytes() && !index_too) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    TOPICFS_TRY(fs_.fdatasync(opened->segment));
    if (index_too) {
        TOPICFS_TRY(opened->index->sync());
        index_needs_sync_ = false;
    }
    return note_synced(upto);
}

Result<void> Segment::note_synced(std::uint64_t bytes) {
    const std::scoped_lock lock(append_mutex_);
    if (sync_error_) {
        return *sync_error_;
    }
    synced_bytes_.store(std::max(bytes, synced_bytes()), std::memory_order_release);
    return {};
}

Result<std::optional<Segment::Origin>> Segment::origin() {
    if (bytes() == 0) {
        return std::optional<Origin>();
    }
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Files> opened, files());
    const std::uint64_t first = given_back_end_.load(std::memory_order_acquire);
    if (first >= bytes()) {
        return std::optional<Origin>();
    }
    TOPICFS_TRY_ASSIGN(const BatchDecoded decoded, read_batch_header(fs_, opened->segment, first, bytes()));
    if (decoded.outcome != BatchOutcome::kBatch) {
        return std::optional<Origin>();
    }
    return std::optional(Origin{decoded.header.codec, decoded.header.times.front().time});
}

void Segment::close_idle() {
    const std::scoped_lock lock(append_mutex_);
    if (synced_bytes() == bytes()) {
        const std::scoped_lock files_lock(files_mutex_);
        keep_locked(nullptr);
    }
}

bool Segment::let_go(Effort effort) {
    const std::unique_lock lock(append_mutex_, std::try_to_lock);
    const std::unique_lock files_lock(files_mutex_, std::try_to_lock);
    if (!lock.owns_lock() || !files_lock.owns_lock() || !files_ || files_.use_count() > 1 || sync_error_) {
        return false;
    }
    if (synced_bytes() != bytes()) {
        if (effort == Effort::kClose) {
            return false;
        }
        auto synced = fs_.fdatasync(files_->segment);
        synced = synced ? files_->index->sync() : std::move(synced);
        if (!synced) {
            sync_error_ = std::move(synced).error();
            return false;
        }
        synced_bytes_.store(bytes(), std::memory_order_release);
        index_needs_sync_ = false;
    }
    files_.reset();
    return true;
}

bool Segment::is_open() const {
    const std::scoped_lock lock(files_mutex_);
    return files_ != nullptr;
}

}  // namespace topicfs
