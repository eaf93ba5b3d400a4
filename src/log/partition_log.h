// One partition: head, segments, times and recovery point put together. Appends go to head; sealing moves bytes from
// head into segments; a checkpoint makes what was sealed durable and gives head's copy back; reads find each byte where
// it is.
//
// Invariant, by position: punched end <= durable sealed end <= sealed end <= log end. Below the sealed end bytes are
// read from segments, from it on from head. The punched end is published (in memory and in the recovery file) before
// head is punched, and whoever has read from head looks at it again afterwards: what he read below it may have been
// holes, and he reads again, now from the segment. Who views head takes a pin before he looks at the punched end, and
// head is not punched before the earlier pins are gone.
//
// Threads: everything may be called from any thread. Appends of one partition wait for each other, and for nothing
// else: sealing, checkpoints and syncs hold no lock that an append takes while they do I/O.
#pragma once

#include "base/clock.h"
#include "base/repeated_failure.h"
#include "log/append_times.h"
#include "log/batch_builder.h"
#include "log/batch_cache.h"
#include "log/head.h"
#include "log/head_pins.h"
#include "log/read_ahead.h"
#include "log/read_streams.h"
#include "log/recovery.h"
#include "log/recovery_file.h"
#include "log/seal_pace.h"
#include "log/segment.h"

#include <topicfs/settings.h>
#include <topicfs/store.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace topicfs {

class PartitionLog;

// Who seals and flushes; told by partitions when there is something to do. Called from appending threads: must not
// block.
class BackgroundWork {
public:
    virtual ~BackgroundWork() = default;
    // At that time of the monotonic clock, or as soon after as can be, call seal_due() / flush_due().
    virtual void seal_at(PartitionLog& partition, std::int64_t monotonic_ms) = 0;
    virtual void flush_at(PartitionLog& partition, std::int64_t monotonic_ms) = 0;
    // Make a checkpoint soon: a partition is not sealed any further until then.
    virtual void checkpoint_soon() = 0;
    // So many bytes more are on the disk twice until a checkpoint. Whether there is room for more of them before it.
    virtual bool note_copied(std::uint64_t /*bytes*/) { return true; }
    // A checkpoint of this partition, done on return; waits for one that is under way.
    virtual Result<void> checkpoint_now(PartitionLog& partition);
    // At that time of the monotonic clock, or as soon after as can be, call give_back_due().
    virtual void give_back_at(PartitionLog& /*partition*/, std::int64_t /*monotonic_ms*/) {}
    // What is kept may have become less: look at it soon.
    virtual void retain_soon() {}
    // Others append to head from now on: call observe() soon after they have, and every 10 ms while they go on.
    virtual void watch_head(PartitionLog& /*partition*/) {}
    virtual void unwatch_head(PartitionLog& /*partition*/) {}
    // observe() has found so many bytes that others have appended.
    virtual void note_observed(std::uint64_t /*bytes*/) {}
    // Somebody waits for growth: call tell_waiters() when there was some. Others' appends are to be seen at once.
    virtual void waits_for_growth(PartitionLog& /*partition*/) {}
    // append() was called while somebody waits, or there is nothing more to wait for.
    virtual void has_grown(PartitionLog& /*partition*/) {}
};

struct PartitionEnvironment {
    FileSystem& fs;
    const Clock& clock;
    BatchCache& cache;
    BackgroundWork* work = nullptr;  // none: the caller seals
    bool read_only = false;
    ReadAhead* read_ahead = nullptr;      // none: batches are decoded when they are read
    SealBacklog* seal_backlog = nullptr;  // none: each partition looks at its own only
    // A head that is longer is replaced by a new one when nobody has it open: the file's size is what it ever held, and
    // file systems have a limit to that.
    std::uint64_t replace_head_bytes = 64u << 20;
    // Of a directory that can be moved (io/movable_directories.h): it is known by this as long as it is in use.
    std::shared_ptr<const std::string> directory_name = nullptr;
};

class PartitionLog : public std::enable_shared_from_this<PartitionLog> {
public:
    // The files of an empty partition in the directory, which exists and has none; durable on return with `sync`, else
    // once the file system was synced.
    static Result<void> create_files(FileSystem& fs, const std::string& directory, TimestampMs now, bool sync);

    static Result<std::shared_ptr<PartitionLog>> open(const PartitionEnvironment& environment, std::string directory,
                                                      std::shared_ptr<const TopicSettings> settings,
                                                      bool power_was_cut);

    // As in Partition (topicfs/store.h).
    Result<std::size_t> append(std::span<const std::byte> bytes, std::optional<Position> expected = std::nullopt);
    Result<void> sync();
    Found log_start() const;
    Position start() const { return log_start().position; }
    Offset start_offset() const { return log_start().offset; }
    Result<Position> end();
    Result<std::size_t> read(Position from, std::span<std::byte> into);
    Result<ByteView> view(Position from, std::size_t bytes_max);
    // Of [from, upto), where `upto` is a record's end, the whole records among the next `bytes_max` bytes; of one that
    // is longer, so many bytes of it.
    struct Records {
        ByteView view;
        bool ends_in_record = false;
    };
    Result<Records> view_records(Position from, Position upto, std::size_t bytes_max);
    Result<Found> find_offset(Offset offset);
    Result<Found> records_end();
    Result<Found> find_position(Position position);
    Result<Found> find_time(TimestampMs time);
    Result<TimeBound> bound_of(TimestampMs time);
    Result<TimestampMs> time_of(Position position);
    Result<Settled> settle(std::optional<TimestampMs> time, Haste haste = Haste::kUsual);
    Result<TimeSteps> time_steps(Position from, Position to);
    // Where the last record that ends in [from, to) ends; nothing where none does. Reads from the end back, as far as
    // that takes. kDamaged, with the position where the lost bytes begin.
    Result<std::optional<Position>> last_record_end(Position from, Position to);
    // Bytes below outlive a power cut.
    Position durable_end() const { return std::max(synced_end_.load(), durable_sealed_end_.load()); }
    // Where the lost bytes end that `position` is one of, as far as they were met; `position` where it is not.
    Position damage_end(Position position) const;
    // What follows is in partition_status.cpp. Figures take mutex_ only, and no lock that is held over I/O of others:
    // so AppendTimes is not asked either.
    Result<PartitionStatus> status();
    Result<Offset> end_offset();  // of the whole records
    std::uint64_t disk_bytes();
    TimestampMs last_append() const;  // as far as observe() has seen
    std::string failure() const;
    bool has_failed() const { return failed_; }
    const std::string& directory() const { return directory_; }

    void set_settings(std::shared_ptr<const TopicSettings> settings);

    // The largest time given so far; what is appended from now on gets no smaller one.
    TimestampMs last_time() const { return times_->last(); }
    // Of a partition that is empty: what is appended gets no smaller time than that.
    void begin_at(TimestampMs time);

    // As in Partition; what follows is in partition_growth.cpp.
    Result<std::shared_ptr<AppendFile>> append_file();
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter);
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter);
    // The log end. Where it lies behind where it was the last time, what came since gets its time (the present one),
    // and sealing and flushing are told.
    Result<Position> observe();
    void tell_waiters();
    bool has_waiters() const { return has_waiters_; }
    // The file that others may append to at present; null where nobody does.
    std::shared_ptr<Head> watched_head();
    // Whether somebody beside append() has head open for writing.
    Result<bool> others_write();
    // By who was lent head, when its writers are closed.
    void head_returned();

    // The sealer's. Seals what is due (all there is with `all`), up to some batches; then says by BackgroundWork when
    // there is more to do. Returns the raw bytes that were sealed. One caller at a time works, others wait.
    Result<std::uint64_t> seal_due(BatchBuilder& builder, bool all = false);
    Position sealed_end() const { return sealed_end_.load(std::memory_order_acquire); }

    // The flusher's: syncs head if flush.ms is over.
    void flush_due();

    // What follows is in partition_retention.cpp.
    struct Retention {
        std::optional<TimestampMs> oldest;          // records before that may go
        std::optional<std::uint64_t> stored_bytes;  // what is more than that may go, the oldest first
    };
    // Moves the log start on, to the batch: past those in which all is older than `oldest`, and past those without
    // which as many stored bytes are left as are to be kept. What is unsealed is sealed where some of it is to go; as
    // stored bytes it counts when it is sealed, and no more than that many bytes stay unsealed.
    // A record that begins in a batch that goes and ends in one that is kept for its time stays, as a whole.
    Result<void> retain(const Retention& retention);
    // As retention.ms and retention.bytes say; by time where it is known, `now`.
    Result<void> retain_by_settings(std::optional<TimestampMs> now);
    // Moves the log start to the record `start`, which find_*() gave; never back. Durable on return. What lies before
    // is given back to the disk file.delete.delay.ms later, and can be read until then by those who know where it is.
    Result<void> advance_start(Found start);
    // Gives back what is due; says by BackgroundWork when there is more.
    Result<void> give_back_due();
    // For who makes room on the disk: the batch with the byte at `position`, or else the next one behind it. Behind
    // what is sealed it is what sealing would make one of.
    struct Removable {
        bool is_sealed = true;
        TimestampMs last_time;
        Position end;
        std::uint64_t disk_bytes = 0;
    };
    Result<std::optional<Removable>> removable(Position position);
    // Removes what begins before the batch at `upto`, and gives it back at once with all that was removed before.
    // Returns about how many bytes of disk came free: none where somebody reads what is to go, which then goes soon
    // after.
    Result<std::uint64_t> make_room(Position upto);
    // Bytes before it were given back, or are about to be: kNotFound.
    Position removed_end() const { return removed_end_; }

    // A checkpoint, in steps so that one syncfs can serve many partitions. One thread.
    struct Checkpoint {
        Position sealed_end;
        Offset sealed_end_offset;
        TimestampMs last_time;
        std::vector<std::pair<std::shared_ptr<Segment>, std::uint64_t>>
            segments;           // unsynced ones and their bytes by then
        Position segment_base;  // of the newest
        std::uint64_t segment_bytes = 0;
        bool new_files = false;
        std::uint64_t sequence = 0;
    };
    bool needs_checkpoint() const;
    // What a checkpoint gives back of head, but for a block.
    std::uint64_t sealed_bytes_in_head() const;
    // Below that head was given back.
    Position given_back_end() const { return unpunched_from_.load(); }
    // What is in head only, as far as it was seen; and how much of that is sealed at once.
    struct Unsealed {
        std::uint64_t bytes = 0;
        std::uint64_t batch_bytes = 0;
    };
    Unsealed unsealed() const;
    Result<void> checkpoint();  // all the steps, with syncs of its own
    Checkpoint begin_checkpoint();
    Result<void> sync_segments(const Checkpoint& checkpoint);      // or one syncfs for many
    Result<void> publish_checkpoint(Checkpoint& checkpoint);       // needs another syncfs, then:
    Result<void> finish_checkpoint(const Checkpoint& checkpoint);  // head is punched
    // Any file of the partition's file system synced as a whole.
    Result<void> sync_file_system();
    // Work that is tried again after a failure: it is logged when it begins to fail, and when that is over.
    enum class Work { kSeal, kCheckpoint, kLook, kTimes, kNewHead, kRetention };
    static constexpr std::size_t kWorks = 6;
    void note_failed(Work work, const Error& error, std::string_view consequence = "");
    void note_done(Work work);
    // A sealing or sync that failed: appends are refused from now on.
    void fail(const Error& error);

    // No appends any more, for a reason that is no failure; whether it is empty is decided together with that.
    Result<bool> retire_if_empty();
    void retire(const std::string& reason);
    void reinstate();
    // Its topic was removed: who waits for growth is told that there is none to come. What is open goes on.
    void removed();
    // And was brought back.
    void brought_back() { removed_ = false; }
    // Retired for ever: no sealing runs any more when this returns, and its files may go.
    void retire_for_good(const std::string& reason);
    bool is_removed() const { return removed_; }

    // Closes what was not used since the last call and is not needed.
    void close_idle();

    // Of ReadAhead: decodes the first batch of [from, upto) that nobody has decoded or is about to, and leaves the rest
    // to other threads.
    void load_ahead(Position from, Position upto);

private:
    struct SealedEnd {
        Position position;
        Offset offset;
    };
    PartitionLog(const PartitionEnvironment& environment, std::string directory,
                 std::shared_ptr<const TopicSettings> settings);
    Result<void> recover(bool power_was_cut);
    Result<void> adopt(Recovered recovered);
    Result<void> skip_lost_positions(Position lost_end);
    Result<std::shared_ptr<Head>> head();
    std::shared_ptr<const TopicSettings> settings() const;

    Result<std::size_t> append_locked(Head& open, Position log_end, std::span<const std::byte> bytes);
    void after_append(Position log_end, std::span<const std::byte> stored);
    void schedule_seal(Position log_end);
    void note_grown_locked(Position from);
    void note_opened(Position end);
    void note_opened_offset(const SealedEnd& from, std::span<const std::byte> raw, const TopicSettings& settings);
    Offset opened_offset();
    std::uint64_t count_read_records_locked(const PartitionStatus& status);
    PartitionCounts counts() const;
    std::uint64_t books_disk_bytes() const;
    void look_at_directory();
    void schedule_flush();
    void note_times(const Result<bool>& stored);
    void after_growth(Position from, Position log_end);
    std::uint64_t count_appended(Position from, Position to);
    Result<bool> others_write_locked(FileInfo& info);
    Result<void> open_head_locked();
    Result<void> find_outlived_writers();
    Result<void> close_head_locked();
    Result<void> replace_long_head();
    Result<void> begin_head(Position base);
    Result<void> remove_head(Position base);
    void use_new_head(Position base);
    Result<void> record_durable_nuls(Head& open, Position log_end);
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    Result<std::shared_ptr<Segment>> segment_for(const BatchBuilder::Batch& batch, const TopicSettings& settings);
    std::size_t unsynced_segments() const;
    bool pause_sealing();
    void resume_sealing();
    void bound_copy(const TopicSettings& settings);
    void note_backlog(std::uint64_t lag);
    Result<void> bound_unsynced();
    void replace_newest(Position base, std::shared_ptr<Segment> segment);
    Result<bool> has_room(Segment& segment, const BatchBuilder::Batch& batch, const TopicSettings& settings);
    Result<void> seal_batch(Head& open, BatchBuilder& builder, const TopicSettings& settings, std::uint32_t bytes);
    SealStatus seal_status(std::uint64_t lag, const TopicSettings& settings) const;

    // By base. A list never changes: one with a segment more or less takes its place, so readers hold it without a
    // lock.
    using SegmentList = std::vector<std::shared_ptr<Segment>>;
    std::shared_ptr<const SegmentList> segments() const;
    // Takes pieces one behind the other, up to `bytes`, as read() says of its result.
    template <typename Take>
    Result<std::size_t> gather(Position from, std::size_t bytes, Take take);
    Result<std::size_t> read_unnoted(Position from, std::span<std::byte> into);
    Result<ByteView> view_unnoted(Position from, std::size_t bytes_max);
    Result<std::size_t> read_head(Position from, std::span<std::byte> into, bool& again);
    Result<std::size_t> read_sealed(Position from, std::span<std::byte> into);
    Result<std::size_t> view_head(Position from, std::size_t bytes, ByteView& view, bool& again);
    Result<std::size_t> view_sealed(Position from, std::size_t bytes, ByteView& view);
    Result<std::size_t> view_copy(Position from, std::size_t bytes, ByteView& view, bool& again);
    // A batch, and the segment that has it.
    struct Piece {
        std::shared_ptr<Segment> segment;
        BatchCache::Batch batch;
        HeadPins::Pin pin;  // keeps it from being given back
        const IndexEntry& entry() const { return batch->entry; }
    };
    Result<Piece> sealed_piece(Position position);
    Result<Piece> find_sealed_piece(Position position);
    Error removed_position(Position position) const;
    Result<Found> find_offset_once(Offset offset);
    Result<Found> find_position_once(Position position);
    Result<Found> find_time_once(TimestampMs time);
    template <typename Find>
    auto again_if_removed(Find find) -> decltype(find());
    void look_for_removed();
    Error removed_or(Position position, Error error);
    // The segment whose range holds `position`, and where the next one begins.
    struct Place {
        std::shared_ptr<Segment> segment;  // none where the position lies before the first
        Position next_base;
    };
    Place place_of(Position position) const;
    void note_read(Position from, std::size_t bytes);
    void drop_passed(const ReadStreams::Range& passed);
    ReadStreams read_streams_;
    // All raw bytes of a piece, for looking at.
    struct RawBytes {
        BatchCache::Batch batch;
        Buffer copy;  // of a batch that is stored in the file
        std::span<const std::byte> bytes() const { return batch->is_stored() ? copy.bytes() : batch->raw.bytes(); }
    };
    Result<RawBytes> raw_bytes(const Piece& piece);
    void note_use(const std::shared_ptr<Segment>& segment);
    std::function<void(const std::shared_ptr<Segment>&)> note_probe();
    Result<BatchCache::Batch> decoded(const std::shared_ptr<Segment>& segment, const IndexEntry& entry);
    Error damage(Position from, Position to, const std::string& reason);
    Result<void> refresh_if_punched(Position from, bool& again);

    Result<Position> look();
    Result<Position> look_and_fence(TimestampMs time);
    Result<Position> fence(TimestampMs time, bool ahead, Haste haste);
    class StepBuilder;
    Result<Position> add_sealed_steps(Position at, Position to, StepBuilder& builder);
    Result<Position> add_head_steps(Position at, Position to, StepBuilder& builder);
    template <typename Read>
    Result<std::optional<Position>> last_delimiter_in(Position low, Position high, Read read_at);
    Result<std::optional<Position>> first_byte_at(TimestampMs time);
    Result<Found> found_at(Position position);
    Result<Found> find_in_head(Offset offset);
    Result<Found> log_end();
    Result<Found> log_end_once(bool& again);
    Result<std::uint64_t> count_between(Position from, Position to);
    template <typename Read>
    Result<std::uint64_t> count_with(Position from, Position to, Read read);
    SealedEnd sealed_end_pair() const;
    Result<Found> found_behind_loss(Position position, const SealedEnd& sealed);
    Result<Found> begin_of_record(Offset offset, Position inside);

    const PartitionEnvironment env_;
    const std::string directory_;

    std::mutex append_mutex_;  // appends, one at a time
    std::mutex seal_mutex_;    // sealing, one at a time
    std::mutex growth_mutex_;  // noting when head grew; taken alone or under append_mutex_

    mutable std::mutex mutex_;  // guards what follows; never held across I/O, but to open head
    std::shared_ptr<const TopicSettings> settings_;
    std::shared_ptr<const SegmentList> segments_ = std::make_shared<SegmentList>();
    std::vector<std::shared_ptr<Segment>> in_use_;  // the last few that were read, newest first
    std::shared_ptr<Head> head_;
    bool head_used_ = false;
    unsigned lent_ = 0;              // append_file()s that are there
    bool others_may_write_ = false;  // head was lent, and it is not known that all its writers are gone
    std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
    Position head_base_;
    Position closed_end_;  // the log end while head is not open
    std::uint64_t head_disk_bytes_ = 0;
    Offset sealed_end_offset_;
    std::vector<DamagedRange> damaged_;
    std::string failure_;
    std::string failure_before_;  // what failure_ was before it was retired
    Position counted_to_;         // records in head were counted up to here
    std::uint64_t counted_ = 0;
    bool new_segment_ = false;                      // begin another segment with the next batch
    std::optional<Segment::Origin> newest_origin_;  // of the newest segment, once asked for
    bool directory_dirty_ = false;

    Found log_start_;  // by mutex_
    std::atomic<Position> sealed_end_{};
    std::atomic<Position> durable_sealed_end_{};
    std::atomic<Position> punched_end_{};
    std::atomic<Position> synced_end_{};  // head was synced up to here by this process
    std::atomic<Position> nul_checked_end_{};
    std::atomic<Position> observed_end_{};  // what lies before it has its time; changed under growth_mutex_
    std::atomic<bool> has_waiters_{false};
    std::atomic<bool> failed_{false};
    std::atomic<bool> removed_{false};
    std::atomic<std::int64_t> seal_scheduled_{INT64_MAX};
    std::atomic<std::uint64_t> unflushed_records_{0};
    std::atomic<std::int64_t> flush_scheduled_{INT64_MAX};
    std::optional<Position> end_limit_;  // read-only after a power cut: nothing behind it is trusted

    // Head is punched from `unpunched_from_` up to the punched end once the pins of its viewers are gone.
    Result<void> punch_published(Head& open);
    HeadPins head_pins_;
    std::atomic<Position> unpunched_from_{};
    std::atomic<bool> punch_waits_{false};  // for the next round of the flusher

    // Removing the oldest. By retention_mutex_, but for what is atomic.
    Result<std::optional<Found>> start_by_time(TimestampMs oldest);
    Result<std::optional<Found>> start_by_bytes(std::uint64_t stored_bytes);
    Result<Found> first_record_in(const IndexEntry& batch);
    Result<void> advance_start_locked(Found start);
    Result<void> seal_upto(Position upto);
    Result<void> seal_as_far_as_can_be(Position upto);
    Result<void> seal_for_start(Position upto);
    Result<void> give_back_sealed();
    Result<void> move_start(Found start);
    Result<void> give_back_due_locked(std::int64_t due_ms);
    std::uint64_t segments_disk_bytes() const;
    Result<std::optional<IndexEntry>> sealed_batch(Position position);
    Result<void> checkpoint_here();
    Result<bool> give_back(Position upto);
    Result<void> remove_segments(Position upto);
    Result<void> give_back_front(Segment& segment, Position upto);
    void schedule_give_back(Position upto, std::int64_t due_ms);
    std::mutex retention_mutex_;
    struct GiveBack {
        Position upto;
        std::int64_t due_ms;  // monotonic
    };
    std::vector<GiveBack> give_backs_;  // in order
    HeadPins sealed_pins_;
    std::atomic<Position> removed_end_{};

    SealPace seal_pace_;               // by seal_mutex_
    Position checkpoint_asked_{};      // by seal_mutex_: where head's copy had become too long
    std::uint64_t noted_backlog_ = 0;  // by seal_mutex_: what the store's backlog has of this partition
    std::atomic<bool> seals_cheaper_{false};
    std::atomic<int> cheaper_level_{0};  // while that is so
    std::atomic<std::uint64_t> cheaper_batches_{0};
    std::atomic<bool> seal_paused_{false};  // until a checkpoint

    std::array<RepeatedFailure, kWorks> failures_;  // by Work
    // For figures: what was done since the store was opened, and times that others can be told without AppendTimes.
    std::array<std::atomic<std::uint64_t>, kWorks> failure_counts_{};  // by Work
    std::atomic<std::uint64_t> read_bytes_{0};
    std::atomic<std::uint64_t> sealed_raw_bytes_{0};
    std::atomic<std::uint64_t> sealed_stored_bytes_{0};
    std::atomic<std::uint64_t> sealed_batches_{0};
    std::atomic<std::int64_t> last_append_ms_{0};     // of the last byte that was seen
    std::atomic<std::int64_t> unsealed_since_ms_{0};  // of the byte at the sealed end, where there is one
    std::atomic<std::uint64_t> directory_bytes_{0};   // what the directory itself takes on the disk
    Position opened_end_;                             // the log end when the store was opened
    std::optional<Offset> opened_offset_;             // by mutex_: of the whole records then, once it is known
    std::uint64_t read_bytes_counted_ = 0;            // by mutex_: of read_bytes_, what is in read_records_
    long double read_records_ = 0;                    // by mutex_
    std::unique_ptr<AppendTimes> times_;
    std::atomic<Position> times_read_to_{};  // the log end when the times were read from their file
    std::unique_ptr<RecoveryFile> recovery_;
};

}  // namespace topicfs
