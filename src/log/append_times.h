// When the bytes of head were appended, to 10 ms: a list in memory, and the same in the times file, which outlives the
// daemon.
//
// Times never fall along a partition: where the clock was set back, records get the largest time so far.
// There is one entry in each hundredth of a second in which something was appended: so a time is never too early by a
// whole second, minute or day, however few milliseconds after its begin a record came.
// The list holds what lies behind the durable sealed end; what is sealed and durable has its times in the batch
// headers.
//
// Threads: all members may be called from any thread. Nothing here is ever synced: after a power cut the times of what
// is in head are the next start's. The file is written some hundred times a second at most, and less often when nothing
// was sealed for long, so that the ring never overwrites what is still needed.
#pragma once

#include "format/batch.h"
#include "format/times_entry.h"
#include "io/file_system.h"

#include <topicfs/types.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace topicfs {

class AppendTimes final : public SpareFile {
public:
    // Contract: the time of a record is right to 10 ms.
    static constexpr std::int64_t kResolutionMs = 10;

    AppendTimes(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
    ~AppendTimes();
    AppendTimes(const AppendTimes&) = delete;
    AppendTimes& operator=(const AppendTimes&) = delete;

    // Takes over what the file holds from `from` up to the log end `to`; a file that is missing or damaged holds
    // nothing. `floor` is the largest time given below `from`. Entries behind `to` are of bytes that a power cut took:
    // others will stand there.
    void load(Position from, Position to, TimestampMs floor);

    // Beside the process that writes the file: as load(), with what it has noted since.
    void reload(Position from, Position to);

    // Forgets all and says: from `from` on, `time`. For bytes that came while no daemon ran, or that a power cut left.
    // Not made durable; the caller syncs the file by sync() where that is wanted.
    Result<void> restart(Position from, TimestampMs time);
    Result<void> sync();

    // Called before bytes are appended at `end`, one caller at a time. Returns whether there was an entry to store. One
    // that cannot be stored in the file is kept in memory all the same; the error is for the log.
    Result<bool> note(Position end, TimestampMs now);

    // Says afterwards that the bytes of [from, to) were appended just now, by others. Where it makes an entry it makes
    // one for `to` too, else it moves that or adds it: so what comes behind while nobody looks can be told from what
    // was seen.
    Result<bool> note_seen(Position from, Position to, TimestampMs now);

    // Says that what lies before `end` has its time, for note_unseen(). With `now` it goes to the file no more often
    // than each half hundredth of a second, as from note_seen(): of what others append behind what was seen before a
    // death some milliseconds may then count as theirs.
    Result<bool> mark_seen(Position end, std::optional<TimestampMs> now = std::nullopt);

    // Says that what will be at and behind `end`, the log end, is appended at `now` or later, also should the clock be
    // set back before it comes. Does nothing where the last entry is too young for another one; see last(). With
    // kAtOnce a millisecond is old enough, while a quarter of the file is enough for all entries. Errors as note().
    Result<bool> fence(Position end, TimestampMs now, Haste haste = Haste::kUsual);

    // As fence(), at a time that the clock has not reached, as it was set back. By the steady clock no more often than
    // other entries; where that is not given, at once.
    Result<bool> fence_ahead(Position end, TimestampMs time, std::optional<std::int64_t> monotonic_ms);
    // How long after an entry the next one may come; nothing while there is no room for more.
    std::optional<std::int64_t> fence_interval_ms() const;

    // At a start: bytes behind the newest entry, up to `to`, were appended while nobody looked if head was last
    // written, at `written`, later than a daemon would have left without an entry. They get `now` then; or about the
    // time `written`, where that is so soon after the newest entry that a daemon may have been there.
    Result<bool> note_unseen(Position to, TimestampMs written, TimestampMs now);

    // The times of [from, to), as a batch header wants them; the first is at raw offset 0.
    std::vector<BatchTime> slice(Position from, Position to) const;
    // The time of the byte at `position`.
    TimestampMs time_at(Position position) const;
    // The first position at or after `from` with a time of at least `time`; nothing where there is no such entry.
    std::optional<Position> find(Position from, TimestampMs time) const;

    // Forgets all but the largest time and goes on in another file, for a head that begins at `position`. The old file
    // is nobody's then.
    void change_file(std::string path, Position position);

    // What lies before `position` is durable in segments.
    void forget_before(Position position);
    // Whether an entry says the time at `position`.
    bool covers(Position position) const;
    // The largest time given so far.
    TimestampMs last() const;

    // What the file takes on the disk, in blocks of 4 KiB. Waits for nobody.
    std::uint64_t disk_bytes() const;

    // Closes the file; the next note opens it again.
    void close_file();
    bool let_go(Effort effort) override;

private:
    struct Entry {
        Position position;
        TimestampMs time;
    };

    std::int64_t interval_ms() const;
    bool is_due(TimestampMs now) const;
    bool is_later_step(TimestampMs time, TimestampMs than) const;
    Result<bool> mark_locked(Position end, std::optional<TimestampMs> now);
    Result<void> store(std::span<const Entry> entries);
    void load_locked(Position from, Position to, TimestampMs floor);
    void close_file_locked();
    Result<bool> store_new(std::span<const Entry> entries);
    Result<bool> fence_locked(Position end, TimestampMs time);
    TimestampMs time_at_locked(Position position) const;

    FileSystem& fs_;
    mutable std::mutex mutex_;
    std::string path_;
    File file_;
    std::deque<Entry> entries_;             // positions and times never fall
    TimestampMs floor_;                     // the largest time of what was forgotten
    std::optional<std::int64_t> ahead_at_;  // of the steady clock: the last fence_ahead()
    std::uint64_t next_sequence_ = 0;
    TimestampMs marked_at_{INT64_MIN / 2};  // when mark_locked() has stored its entry
    std::atomic<std::uint64_t> file_bytes_{0};
    bool newest_is_stored_ = false;  // the entry before next_sequence_ in the file is entries_.back()
};

}  // namespace topicfs
