// The offset index of one segment: where each batch begins, with the times of its first and last record.
//
// Look-ups are binary searches by pread in the page cache; nothing is kept in memory, so a thousand partitions cost
// nothing. An index that is missing, short or wrong is rebuilt from the segment: into its file, or into memory where
// nothing may be written.
//
// Threads: entry() and last_where() from any thread; append() by one thread at a time. How many entries there are to
// look at is the caller's to say, as a reader may see fewer than were written.
#pragma once

#include "format/batch.h"
#include "format/index_entry.h"
#include "io/file_system.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace topicfs {

// What an index says of a batch that stands at `file_offset`.
IndexEntry index_entry_of(const BatchHeader& header, std::uint64_t file_offset);

class SegmentIndex {
public:
    enum class Access { kRead, kReadWrite };

    struct Opened {
        std::unique_ptr<SegmentIndex> index;
        std::uint64_t count = 0;
    };

    // An index with no entries, in place of what may be there.
    static Result<std::unique_ptr<SegmentIndex>> create(FileSystem& fs, const std::string& path, Position base);

    // Opens the index at `path` of the segment that begins at `base`, with the entries up to `segment_bytes` of that
    // segment. kDamaged unless its header is good and an entry ends exactly there.
    static Result<Opened> open(FileSystem& fs, const std::string& path, Position base, std::uint64_t segment_bytes,
                               Access access);

    // Walks the segment up to `segment_bytes` and writes the index anew (temporary name, rename); with Access::kRead,
    // and where the disk is full, it is kept in memory. Batches whose header is lost leave a gap between the positions
    // of two entries.
    static Result<Opened> rebuild(FileSystem& fs, const std::string& path, const File& segment, Position base,
                                  std::uint64_t segment_bytes, Access access);

    SegmentIndex(FileSystem& fs, File file) : fs_(fs), file_(std::move(file)) {}
    SegmentIndex(FileSystem& fs, std::vector<IndexEntry> entries) : fs_(fs), entries_(std::move(entries)) {}
    ~SegmentIndex();
    SegmentIndex(const SegmentIndex&) = delete;
    SegmentIndex& operator=(const SegmentIndex&) = delete;

    // kDamaged where it fails its check.
    Result<IndexEntry> entry(std::uint64_t number) const;

    // Of the entries [first, count), the number of the last for which `holds`, which must hold for a prefix of them;
    // nothing where it holds for none.
    Result<std::optional<std::uint64_t>> last_where(std::uint64_t first, std::uint64_t count,
                                                    const std::function<bool(const IndexEntry&)>& holds) const;

    bool is_file() const { return static_cast<bool>(file_); }
    // Writes entry `number`; durable after sync(). Only of an index in a file.
    Result<void> append(std::uint64_t number, const IndexEntry& entry);
    Result<void> sync();
    Result<FileInfo> info() const;

private:
    FileSystem& fs_;
    File file_;                        // where the index is a file
    std::vector<IndexEntry> entries_;  // where it is in memory
};

}  // namespace topicfs
