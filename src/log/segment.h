// A segment: a file of batches and its index, as the sealer and the readers of a partition share it.
//
// Invariant: synced_bytes() <= bytes() <= the file's length. Below bytes() the file is whole batches whose index
// entries are written; only that is read. What lies behind it is a batch that is being written, or what a crash left of
// one.
//
// Threads: any thread may read; append_batch() and sync() are the sealer's and the flusher's, one at a time each. Files
// are opened at first use and closed by close_idle() when nothing unsynced needs their descriptor; and where
// descriptors are few (io/spare_files.h), after a sync.
#pragma once

#include "format/batch.h"
#include "format/given_back.h"
#include "log/buffer_pool.h"
#include "log/file_windows.h"
#include "log/segment_index.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace topicfs {

class Segment final : public SpareFile {
public:
    enum class Access { kRead, kReadWrite };

    // One that is there, with `bytes` of whole batches.
    Segment(FileSystem& fs, const std::string& directory, Position base, Codec name_codec, std::uint64_t bytes,
            std::uint64_t disk_bytes, Access access);

    // Makes the files of an empty one. Their names are durable once the directory is synced.
    static Result<std::shared_ptr<Segment>> create(FileSystem& fs, const std::string& directory, Position base,
                                                   Codec codec);

    ~Segment();
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

    Position base() const { return base_; }
    std::uint64_t bytes() const { return bytes_.load(std::memory_order_acquire); }
    // Of the file, the batches that were not given back, as far as that is known: once it was opened.
    std::uint64_t kept_bytes() const { return bytes() - given_back_end_.load(std::memory_order_acquire); }
    std::uint64_t synced_bytes() const { return synced_bytes_.load(std::memory_order_acquire); }
    // What it takes of the disk, with its index; looked up while that may change. File systems keep room behind the end
    // of a file that grows, XFS as much as the file has, and take it back at any time, later than its last close too.
    std::uint64_t disk_bytes();
    const std::string& path() const { return path_; }

    // The batch that holds `position`. Nothing where no batch does: damage, from `gap_from` to `gap_to` (nothing: to
    // the end).
    struct Lookup {
        std::optional<IndexEntry> entry;
        Position gap_from;
        std::optional<Position> gap_to;
    };
    Result<Lookup> find(Position position);
    // The last batch whose base offset is below `offset`: record `offset` begins in it or right behind it. Nothing
    // where there is none.
    Result<std::optional<IndexEntry>> find_offset(Offset offset);
    // The first batch whose last time is at or after `time`.
    Result<std::optional<IndexEntry>> find_time(TimestampMs time);
    // The first and the last batch. Asked once they are remembered, so that looking for the segment of an offset or a
    // time among many opens none of them.
    Result<std::optional<IndexEntry>> first_entry();
    Result<std::optional<IndexEntry>> last_entry();

    // A batch that was read and checked. One that is stored as it is stays in the file: `raw` is empty.
    struct Decoded {
        IndexEntry entry;
        Buffer raw;
        std::uint64_t stored_frame_at = 0;  // where its frame begins in the file; 0 where it is decoded
        std::vector<BatchTime> times;

        bool is_stored() const { return stored_frame_at != 0; }
        std::size_t memory_bytes() const;
    };
    // Reads, checks and decodes the batch. kDamaged where that fails; kNotFound where it was given back, with
    // Access::kRead by another process perhaps, which asks nobody. Where it is not the batch that the entry promises
    // the index may be what is wrong: it was rebuilt then (once), and the caller looks `entry` up again.
    Result<Decoded> read_batch(const IndexEntry& entry, BufferPool& buffers);
    // Copies raw bytes of it, from `skip` (below its raw length) on; fewer than there is room for at its end only.
    // kNotFound as of read_batch().
    Result<std::size_t> copy_raw(const Decoded& batch, std::size_t skip, std::span<std::byte> into);
    // Adds up to `bytes` raw bytes of a batch that is stored to `view`, as a mapping. Returns how many. Not where
    // another process can give them back meanwhile.
    Result<std::size_t> view_stored(const Decoded& batch, std::size_t skip, std::size_t bytes, ByteView& view);

    // What stands before the first batch; nothing where that is at the file's begin.
    Result<std::optional<GivenBack>> given_back();
    // The batches that begin before `front`.file_end are no more, and what they had is given back to the disk. The
    // frame that takes their place is durable before. Nobody may be reading them. Does nothing where more was given
    // back already, but what a crash has left undone.
    Result<void> give_back(const GivenBack& front);
    // The last batch that stands at or before that place in the file; nothing where none does.
    Result<std::optional<IndexEntry>> find_file_offset(std::uint64_t file_offset);

    // Writes a batch (header.batch_bytes() long) behind bytes() and its index entry, then publishes both. Not durable.
    // On an error bytes() is as it was.
    Result<void> append_batch(const BatchHeader& header, std::span<const std::byte> batch);
    // What a failed append_batch left behind bytes() is gone on return. Before another segment takes this one's place:
    // it would be taken for a batch, and the next segment would overlap it.
    Result<void> drop_tail();
    // What append_batch has published before is durable on return; the index too with `index_too`.
    Result<void> sync(bool index_too);
    // The same by somebody else's syncfs, up to `bytes`. The error of a sync that failed before, as sync() gives it.
    Result<void> note_synced(std::uint64_t bytes);
    // Whether its index has entries that no sync of it has made durable; and that somebody else's syncfs has.
    bool index_needs_sync() const { return index_needs_sync_; }
    void note_index_synced() { index_needs_sync_ = false; }

    // The codec and the first time of its first batch; nothing while it is empty.
    struct Origin {
        Codec codec;
        TimestampMs first_time;
    };
    Result<std::optional<Origin>> origin();

    void close_idle();
    bool let_go(Effort effort) override;
    bool is_open() const;

private:
    struct Files {
        FileSystem& fs;
        File segment;
        std::unique_ptr<SegmentIndex> index;
        FileWindows windows;
        explicit Files(FileSystem& file_system) : fs(file_system) {}
        ~Files();
    };
    Result<std::shared_ptr<Files>> files();
    Result<std::shared_ptr<Files>> open_files_locked(bool rebuild_index);
    void keep_locked(std::shared_ptr<Files> files);
    Result<void> drop_tail_locked(Files& opened);
    Result<Decoded> read_batch_from(const std::shared_ptr<Files>& opened, const IndexEntry& entry, BufferPool& buffers);
    Error given_back_error() const;
    Result<bool> was_given_back(const std::shared_ptr<Files>& opened, std::uint64_t file_offset);
    Result<void> note_front_locked(Files& opened, const std::optional<GivenBack>& front);
    // After the index proved wrong; does nothing where somebody else did it since `seen`.
    Result<void> rebuild_index(const std::shared_ptr<Files>& seen);
    Result<std::optional<IndexEntry>> entry_where(const std::function<bool(const IndexEntry&)>& holds, bool next);
    Result<std::optional<IndexEntry>> end_entry(bool last);
    template <typename Use>
    auto with_index(Use use) -> decltype(use(std::declval<Files&>()));

    FileSystem& fs_;
    const Position base_;
    const std::string path_;
    const std::string index_path_;
    const Access access_;
    std::mutex append_mutex_;         // held to append and to open or rebuild; taken before files_mutex_
    mutable std::mutex files_mutex_;  // guards files_
    std::shared_ptr<Files> files_;
    struct Numbered {
        std::uint64_t bytes;  // what bytes() was: with more, another one may be the last
        IndexEntry entry;
    };
    std::optional<Numbered> first_known_;  // by files_mutex_, as is the next
    std::optional<Numbered> last_known_;
    std::optional<GivenBack> given_back_;  // by append_mutex_, once the files were opened
    bool has_tail_ = false;                // by append_mutex_: there may be something behind bytes()
    std::optional<Error> sync_error_;      // by append_mutex_: of the sync before the files were to be closed
    bool rebuilt_ = false;  // by append_mutex_: the index was rebuilt by this process, a second time is of no use
    std::atomic<std::uint64_t> given_back_end_{0};  // in the file: where batches begin; known once it was opened
    std::atomic<std::uint64_t> first_entry_{0};     // of the index: those before it were given back
    std::atomic<std::uint64_t> entries_{0};
    std::atomic<std::uint64_t> bytes_;
    std::atomic<std::uint64_t> synced_bytes_;
    std::atomic<std::uint64_t> disk_bytes_;       // as last looked up
    std::atomic<bool> disk_bytes_change_{false};  // perhaps, since then
    std::atomic<bool> index_needs_sync_{false};
};

}  // namespace topicfs
