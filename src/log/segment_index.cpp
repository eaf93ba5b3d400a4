#include "log/segment_index.h"

#include "log/segment_scan.h"

#include <fcntl.h>

#include <array>
#include <cerrno>

namespace topicfs {

namespace {

constexpr std::uint64_t entry_file_offset(std::uint64_t number) {
    return kIndexHeaderBytes + number * kIndexEntryBytes;
}

}  // namespace

IndexEntry index_entry_of(const BatchHeader& header, std::uint64_t file_offset) {
    IndexEntry entry;
    entry.base_offset = header.base_offset;
    entry.base_position = header.base_position;
    entry.file_offset = file_offset;
    entry.first_time = header.times.front().time;
    entry.last_time = header.times.back().time;
    entry.raw_bytes = header.raw_bytes;
    entry.batch_bytes = static_cast<std::uint32_t>(header.batch_bytes());
    entry.record_count = header.record_count;
    return entry;
}

SegmentIndex::~SegmentIndex() {
    if (file_) {
        (void)fs_.close(std::move(file_)).has_value();  // An index is never truth: nothing is lost with it.
    }
}

Result<std::unique_ptr<SegmentIndex>> SegmentIndex::create(FileSystem& fs, const std::string& path, Position base) {
    TOPICFS_TRY_ASSIGN(File file, open_file(fs, path, O_RDWR | O_CREAT | O_TRUNC));
    TOPICFS_TRY(write_at(fs, file, encode_index_header({base}), 0));
    return std::make_unique<SegmentIndex>(fs, std::move(file));
}

Result<SegmentIndex::Opened> SegmentIndex::open(FileSystem& fs, const std::string& path, Position base,
                                                std::uint64_t segment_bytes, Access access) {
    TOPICFS_TRY_ASSIGN(File file, open_file(fs, path, access == Access::kRead ? O_RDONLY : O_RDWR));
    auto index = std::make_unique<SegmentIndex>(fs, std::move(file));
    std::array<std::byte, kIndexHeaderBytes> block;
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs, index->file_, block, 0));
    TOPICFS_TRY_ASSIGN(const IndexHeader header, decode_index_header(std::span<const std::byte>(block).first(have)));
    if (header.segment_base != base) {
        return make_error(ErrorCode::kDamaged, "open", path, "it is the index of another segment");
    }
    TOPICFS_TRY_ASSIGN(const FileInfo info, index->info());
    // What a crash left behind the segment's end is taken away, so that it is never mistaken for what is to come.
    const auto opened_with = [&](std::uint64_t used) -> Result<Opened> {
        if (access == Access::kReadWrite && info.size > entry_file_offset(used)) {
            TOPICFS_TRY(fs.truncate(index->file_, entry_file_offset(used)));
        }
        return Opened{std::move(index), used};
    };
    if (segment_bytes == 0) {
        return opened_with(0);
    }
    const std::uint64_t count = info.size < kIndexHeaderBytes ? 0 : (info.size - kIndexHeaderBytes) / kIndexEntryBytes;
    // Entries are in the order of the file.
    TOPICFS_TRY_ASSIGN(const auto last, index->last_where(0, count, [&](const IndexEntry& entry) {
        return entry.file_end() <= segment_bytes;
    }));
    if (last) {
        TOPICFS_TRY_ASSIGN(const IndexEntry entry, index->entry(*last));
        if (entry.file_end() == segment_bytes) {
            return opened_with(*last + 1);
        }
    }
    return make_error(ErrorCode::kDamaged, "open", path, "it does not reach the end of its segment");
}

Result<SegmentIndex::Opened> SegmentIndex::rebuild(FileSystem& fs, const std::string& path, const File& segment,
                                                   Position base, std::uint64_t segment_bytes, Access access) {
    SegmentScanOptions options;
    options.expected = base;
    options.check_payload_crc = false;
    options.file_end = segment_bytes;
    std::vector<IndexEntry> entries;
    TOPICFS_TRY(scan_segment(fs, segment, options, [&](const ScannedBatch& batch) {
        entries.push_back(index_entry_of(batch.header, batch.file_offset));
        return true;
    }));
    const std::uint64_t count = entries.size();
    if (access == Access::kRead) {
        return Opened{std::make_unique<SegmentIndex>(fs, std::move(entries)), count};
    }
    std::string content;
    const auto add = [&content](std::span<const std::byte> bytes) {
        content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    add(encode_index_header({base}));
    for (const IndexEntry& entry : entries) {
        add(encode_index_entry(entry));
    }
    auto stored = replace_file(fs, path, content);
    if (!stored && lacks_room(stored.error())) {
        // A full disk must not keep anybody from reading.
        return Opened{std::make_unique<SegmentIndex>(fs, std::move(entries)), count};
    }
    TOPICFS_TRY(std::move(stored));
    TOPICFS_TRY_ASSIGN(File file, open_file(fs, path, O_RDWR));
    return Opened{std::make_unique<SegmentIndex>(fs, std::move(file)), count};
}

Result<IndexEntry> SegmentIndex::entry(std::uint64_t number) const {
    if (!file_) {
        return entries_.at(number);
    }
    std::array<std::byte, kIndexEntryBytes> bytes;
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs_, file_, bytes, entry_file_offset(number)));
    auto entry = decode_index_entry(std::span<const std::byte>(bytes).first(have));
    if (!entry) {
        entry.error().path = file_.path;
    }
    return entry;
}

Result<std::optional<std::uint64_t>> SegmentIndex::last_where(
    std::uint64_t first, std::uint64_t count, const std::function<bool(const IndexEntry&)>& holds) const {
    std::uint64_t low = first;  // It holds for all below.
    std::uint64_t high = count;
    while (low < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        TOPICFS_TRY_ASSIGN(const IndexEntry probe, entry(middle));
        if (holds(probe)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low <= first ? std::optional<std::uint64_t>() : std::optional(low - 1);
}

Result<void> SegmentIndex::append(std::uint64_t number, const IndexEntry& entry) {
    return write_at(fs_, file_, encode_index_entry(entry), entry_file_offset(number));
}

Result<void> SegmentIndex::sync() {
    return file_ ? fs_.fdatasync(file_) : Result<void>{};
}

Result<FileInfo> SegmentIndex::info() const {
    return file_ ? fs_.info(file_) : Result<FileInfo>(FileInfo{});
}

}  // namespace topicfs
