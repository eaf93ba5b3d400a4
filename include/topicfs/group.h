// A consumer group of a topic: for each partition the offset up to which its records were consumed, and the readers
// that move it on.
//
// A committed offset is the next record's that the group is to get: Kafka's. It is at a record's begin, and never goes
// backwards but by reset().
//
// What is durable when: a commit that committed() or status() has shown outlives the death of the process, at once. It
// outlives a power cut a second later at most, and when the reader's close() has returned; what it says was consumed is
// made durable in the log before. After a power cut no commit lies behind the log end.
//
// Threads: any, but as said for GroupReader. Ownership: whoever holds a Group or a GroupReader keeps it; the Store must
// outlive both.
#pragma once

#include <topicfs/byte_view.h>
#include <topicfs/result.h>
#include <topicfs/settings.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace topicfs {

class GrowthWaiter;
struct Attributes;
struct AttributesChange;
struct Found;

// Where to set a committed offset: at a record's begin.
struct GroupEarliest {};  // the log start
struct GroupLatest {};    // the end of the whole records
struct GroupShift {       // so many records on from where it is, or back
    std::int64_t records = 0;
};
// Offset: that record, or the one that will come next. TimestampMs: the first record at or after that; the end of the
// whole records where there is none.
using GroupPoint = std::variant<GroupEarliest, GroupLatest, Offset, TimestampMs, GroupShift>;

// As N.offset and `topicfs reset` take it: earliest (start), latest (end), an offset, +N or -N records, or a time as a
// view's name has it (2026-11-21T14:00, today, -15m, ms1763683200000). kInvalid.
Result<GroupPoint> parse_group_point(std::string_view text, TimestampMs now);

// What a group is like in one partition.
struct GroupPartitionStatus {
    std::uint32_t partition = 0;
    Offset committed;
    Offset end_offset;         // of the whole records
    std::uint64_t lag = 0;     // end_offset - committed
    std::uint64_t missed = 0;  // records passed over as retention was faster, ever: with `latest` up to the end
    bool has_reader = false;
};

// One open of T/.groups/G/N or of T/.groups/G/all: a stream of whole records, from the committed offsets on. Bytes of
// the stream are numbered from 0 at its open.
//
// The reader of a partition has it alone. Readers of `all` share those that have no reader of their own: as evenly as
// whole partitions can be, and with as few changes as can be, whenever one comes or goes. A partition goes over only
// when its reader has come back for all records of it that he was given (or has gone, or did not come for
// max.poll.interval.ms): so what was not committed is given again only after a death. Records of a partition come in
// order; there is no order between partitions, but one that has more is not kept waiting by others.
//
// Calls of one reader wait for each other, but for start_waiting() and stop_waiting().
class GroupReader {
public:
    // As close(), without saying what went wrong.
    virtual ~GroupReader() = default;

    // The reader has come back at byte `at` of the stream: with enable.auto.commit all records that end at or before it
    // are committed. Gives up to `bytes_max` bytes from there on: whole records of one partition, or where not even one
    // fits the next piece of it. Empty where there is nothing (yet). `at` is at most what was given before, and not
    // before the last call's; bytes that were given already from there on are given again, the same.
    // kSystem with EIO where it has lost its partitions (max.poll.interval.ms), at this and every later call; kDamaged
    // as Partition::view(), after which what is behind the damage is next when it is asked again. Of a record that the
    // damage has cut that is its rest, as a record of its own. EIO too where retention has taken what is to be given
    // again, or the rest of a record of which a piece was given.
    virtual Result<ByteView> fetch(std::uint64_t at, std::size_t bytes_max) = 0;
    // The same, but more than was given before only where readiness() says so. For a reader that waits.
    virtual Result<ByteView> fetch_enough(std::uint64_t at, std::size_t bytes_max) = 0;

    // Commits all records that end at or before byte `at` of what was given. Also where enable.auto.commit is false.
    virtual Result<void> commit(std::uint64_t at) = 0;

    // Where the bytes come from that were given from `at` on and are not committed: as LogView::describe(), for what
    // has been given only.
    struct Chunk {
        std::uint32_t partition = 0;
        Position position;  // of the first byte, in the partition
        std::uint64_t bytes = 0;
        // Nothing for a record of which only a piece was given, and for what retention has taken since.
        std::optional<TimestampMs> time;
    };
    virtual Result<std::vector<Chunk>> describe(std::uint64_t at, std::size_t count_max) = 0;

    // Whether fetch_enough() at the end of what was given gives something: there are fetch.min.bytes, or
    // fetch.max.wait.ms have passed since this was asked first, by either call, and there was something; and when to
    // ask again although nobody is told.
    struct Readiness {
        bool is_ready = false;  // also where fetch() would give an error
        bool is_over = false;   // there will be no more: the topic or the group was removed
        std::optional<TimestampMs> ask_again_at;
    };
    virtual Result<Readiness> readiness() = 0;

    // As Partition::start_waiting(): told when readiness() may have changed, by growth or a change of partitions; also
    // from within calls of the group and of its other readers. Who waits is there, as max.poll.interval.ms goes.
    virtual void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;
    virtual void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;

    // What was committed is durable when this returns.
    virtual Result<void> sync() = 0;

    // Gives its partitions up, and commits nothing; what was committed is durable when this returns. Nothing can be
    // fetched after it. A second call does nothing.
    virtual Result<void> close() = 0;
};

class Group {
public:
    virtual ~Group() = default;

    virtual const std::string& name() const = 0;
    // Unique in the topic, below 2^20, kept for the group's life; for building inode numbers.
    virtual std::uint32_t id() const = 0;

    // `partition`, or all that have no reader of their own. kBusy where the partition has a reader: who came for it
    // alone, or who was given it as one of all and has records of it in hand. That one gives it up when it comes back,
    // and it is kept for a second then for who asks again. kNotFound where there is no such partition. The first reader
    // of a group begins it: all partitions without a commit get one, by auto.offset.reset.
    virtual Result<std::shared_ptr<GroupReader>> open_reader(std::optional<std::uint32_t> partition) = 0;

    virtual Result<Offset> committed(std::uint32_t partition) = 0;

    // Where committed() would be after reset(). Errors as that.
    virtual Result<Offset> find(std::uint32_t partition, const GroupPoint& point) = 0;
    // Sets the committed offset; durable on return. kBusy while the partition has a reader (also as one of all).
    // kInvalid where no record can be read there: before the log start, behind the log end. With enable.auto.commit
    // false an Offset is a commit of its reader's: from what is committed to what he was given.
    virtual Result<void> reset(std::uint32_t partition, const GroupPoint& point) = 0;

    virtual Result<std::vector<GroupPartitionStatus>> status() = 0;

    // The group has a reader.
    virtual bool is_in_use() const = 0;

    virtual Attributes attributes() const = 0;
    virtual Result<void> change_attributes(const AttributesChange& change) = 0;

    virtual GroupSettings settings() const = 0;
    // As Topic::set().
    virtual Result<void> set(std::string_view key, std::string_view value) = 0;
};

}  // namespace topicfs
