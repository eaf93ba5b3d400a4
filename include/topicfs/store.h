// The engine: a store of topics, each of some partitions, each an append-only log of bytes that are counted as records.
//
//     auto store = topicfs::open_store("/var/lib/app-log");
//     auto topic = (*store)->create_topic("orders");
//     auto partition = (*topic)->partition(0);
//     (*partition)->append(bytes);
//
// Ownership: a Store owns its topics and they their partitions; the shared pointers handed out stay usable as long as
// the Store lives. The Store must be the last to go. One process at a time owns a store (flock on its `lock` file).
// Threads: every member of these classes may be called from any thread at any time.
//
// What is durable when: append() has returned: the bytes are in the kernel's page cache and outlive the death of this
// process. sync() has returned: they outlive a power cut. Errors are in error.h.
#pragma once

#include <topicfs/byte_view.h>
#include <topicfs/result.h>
#include <topicfs/settings.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

// Names follow Kafka: [A-Za-z0-9._-], 1 to 249 bytes, no leading dot.
inline constexpr std::size_t kTopicNameBytesMax = 249;
// kInvalid, or kNameTooLong.
Result<void> check_topic_name(std::string_view name);
// A group's name follows the same rules.
Result<void> check_group_name(std::string_view name);

inline constexpr std::uint32_t kPartitionsMax = 100000;  // of one topic

// Owner, permission bits and times of a topic, a partition or the root, as stat(2) shows them.
struct Attributes {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t mode = 0;     // permission bits with set-id and sticky bits, 07777
    std::int64_t atime_ns = 0;  // since the Unix epoch
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
};

// What to change; the change time becomes now.
struct AttributesChange {
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::uint32_t> mode;
    std::optional<std::int64_t> atime_ns;
    std::optional<std::int64_t> mtime_ns;
};

struct SegmentStatus {
    Position base;
    Position end;
    std::uint64_t stored_bytes = 0;  // its batches, without those that were given back
    std::uint64_t disk_bytes = 0;    // allocated, its index included
};

// A range of positions whose bytes cannot be served, and why.
struct DamagedRange {
    Position from;
    Position to;
    std::string reason;
};

// How the sealer does. It compresses less than was asked for while it is far behind the appends.
struct SealStatus {
    std::uint64_t lag_bytes = 0;        // in head, not in a segment yet
    int level = 0;                      // that it compresses with; 0 for none
    std::uint64_t cheaper_batches = 0;  // since the store was opened, at less than what was asked for
    std::int64_t lag_ms = 0;            // how old the oldest byte is that is not in a segment; 0 where there is none
};

// What a partition has done since the store was opened.
struct PartitionCounts {
    // By whomever; what does not come through append() counts once somebody has looked at the log end.
    std::uint64_t appended_bytes = 0;
    std::uint64_t appended_records = 0;
    // Given to readers. The records are told from the bytes by the mean length of the log's records at the time of the
    // look: right where the whole log was read, or where records are about as long as each other.
    std::uint64_t read_bytes = 0;
    std::uint64_t read_records = 0;
    std::uint64_t sealed_bytes = 0;         // as they were appended
    std::uint64_t sealed_stored_bytes = 0;  // the batches that they became, headers included
    std::uint64_t sealed_batches = 0;
    // Work behind the appends that failed, each time it did.
    std::uint64_t seal_failures = 0;
    std::uint64_t checkpoint_failures = 0;
    std::uint64_t look_failures = 0;  // at what others have appended
    std::uint64_t times_failures = 0;
    std::uint64_t new_head_failures = 0;
    std::uint64_t retention_failures = 0;
};

struct PartitionStatus {
    Position start;
    Offset start_offset;
    Position sealed_end;  // positions below are in segments
    Position durable_sealed_end;
    Position end;
    Offset end_offset;  // records, an unfinished last one not counted
    SealStatus seal;
    PartitionCounts counts;
    std::uint64_t head_disk_bytes = 0;
    std::uint64_t books_disk_bytes = 0;  // the files of times and of the recovery point, and the directory
    std::vector<SegmentStatus> segments;
    std::vector<DamagedRange> damaged;
    std::string failed;       // why appends are refused (kReadOnly); empty where they are not
    std::string unreadable;   // why head cannot be read; `end` and `end_offset` are as they were last known then
    TimestampMs last_append;  // 0 where there was none

    std::uint64_t raw_bytes() const { return end - start; }
    std::uint64_t stored_bytes() const;  // of all segments
    std::uint64_t disk_bytes() const;    // segments, indexes, head, books: what du(1) says of the directory
};

struct Found {
    Position position;
    Offset offset;
    friend bool operator==(const Found&, const Found&) = default;
};

// Where a moment lies in a partition; see Partition::bound_of().
struct TimeBound {
    Position position;
    bool is_final = false;
    friend bool operator==(const TimeBound&, const TimeBound&) = default;
};

// How far the times of a partition have come; see Partition::settle().
struct Settled {
    TimestampMs before;                       // all records that are older are there, for good
    std::optional<TimestampMs> newest;        // of the last byte there is; nothing in an empty partition
    Position end;                             // the log end
    TimestampMs looked_at;                    // the clock
    std::optional<TimestampMs> ask_again_at;  // `before` has not passed the time yet: when it may have
    bool is_read_only = false;                // nothing can be settled here
};

// The records from `from` on, up to the next step, have this time.
struct TimeStep {
    Position from;
    TimestampMs time;
    friend bool operator==(const TimeStep&, const TimeStep&) = default;
};

// A piece of a partition by the times of its records; see Partition::time_steps().
struct TimeSteps {
    std::vector<TimeStep> steps;  // at least one; positions rise, times never fall
    Position upto;                // where the last one ends
};

// Told when a partition has grown, or was removed and never will. Called from threads of the store, one call at a time
// for one partition, soon after the bytes can be read; must not block.
class GrowthWaiter {
public:
    virtual ~GrowthWaiter() = default;
    virtual void grown() = 0;
};

// Head of a partition, the ordinary file that holds its newest bytes, for writers that append to it by themselves, past
// append(): a mount hands it to the kernel (FUSE passthrough). While this lives the store looks for their appends, and
// head stays that file. Whoever opens it for writing must do it with O_APPEND, and must have closed it before this
// goes.
class AppendFile {
public:
    virtual ~AppendFile() = default;
    // Open for reading only; stays open until close_fd(), or as long as this lives.
    virtual int fd() const = 0;
    // By the one who has asked for this, once the file is open otherwise: descriptors are few.
    virtual void close_fd() = 0;
    // False once the partition has become kReadOnly: who opens it now must be refused by append().
    virtual bool usable() const = 0;
};

class Partition {
public:
    virtual ~Partition() = default;

    virtual std::uint32_t number() const = 0;

    // Appends `bytes`, never mixed with those of another append. Returns how many were stored: all of them, or fewer
    // where the disk became full on the way. kSystem (ENOSPC, EFBIG, …) where none were; after EIO the partition is
    // kReadOnly until the store is reopened. With flush.messages the bytes are durable as that setting says.
    virtual Result<std::size_t> append(std::span<const std::byte> bytes) = 0;

    // As append, but only where the log ends at `expected`; else kNotPermitted and nothing is stored.
    virtual Result<std::size_t> append_at(Position expected, std::span<const std::byte> bytes) = 0;

    // All that was appended before the call is durable when this returns. A failure makes the partition kReadOnly until
    // the store is reopened; a sync is never tried again.
    virtual Result<void> sync() = 0;

    // Log start and log end. The end can be behind at once, as others append.
    virtual Position start() const = 0;
    virtual Offset start_offset() const = 0;
    virtual Result<Position> end() const = 0;
    // Where the whole records end: the log end, or the first byte of an unfinished last record; and the offset of the
    // record that begins there. The cost does not grow with the data.
    virtual Result<Found> records_end() = 0;

    // Reads from `from` on: fills `into`, or stops short at the log end or before damage. 0 bytes at or behind the log
    // end. kDamaged where the very first byte cannot be served; kNotFound below the log start.
    virtual Result<std::size_t> read(Position from, std::span<std::byte> into) = 0;

    // As read(), up to `bytes_max` bytes from `from` on where they lie, in mappings of the files or in decoded batches
    // (or in a copy, where that costs less). For handing on to the kernel, which may find that they cannot be read (see
    // byte_view.h). A view may be held for long, but what head has below it is not given back to the disk meanwhile. It
    // must not outlive the Store.
    virtual Result<ByteView> view(Position from, std::size_t bytes_max) = 0;

    // Where a record begins. `offset` at the log end's offset gives the log end (of whole records), behind it
    // kNotFound; below the log start kNotFound. The cost does not grow with the data.
    virtual Result<Found> find_offset(Offset offset) = 0;

    // The record that the byte at `position` belongs to, or that begins there; at the log end the one that is
    // unfinished there or begins there. kNotFound below the log start and behind the log end. The cost does not grow
    // with the data.
    virtual Result<Found> find_position(Position position) = 0;

    // The first record that was appended at or after `time`; the end of the whole records where there is none. Times
    // never fall along a partition: a clock that is set back gives its records the largest time so far. A record's time
    // is its last byte's: when it was whole. What others have appended and nobody has looked at yet gets the present
    // time first, for good.
    virtual Result<Found> find_time(TimestampMs time) = 0;

    // Where the records from before `time` end and those at or after it begin. What is final stays so: whatever is
    // appended later, however the clock is set, also after the process has died. What is not final is not decided yet:
    // it lies at `position`, which is the end of the whole records, or behind it; so no record before `position` turns
    // out to be at or after `time` while the store is open. It is final once a byte with such a time is there. Where
    // there is none and the clock has reached `time`, the present time is noted at the log end (10 ms or less later; a
    // second or less where very much is unsealed): what comes behind has at least that time from then on, also when the
    // clock is set back. Without that in a store that is read only, where times are as the daemon has noted them, and
    // in a partition that is kReadOnly.
    virtual Result<TimeBound> bound_of(TimestampMs time) = 0;

    // Sees to it that what is appended from now on is later than `time`, at which there is a record, in whichever
    // partition: so that no partition can get one any more that would come before it. Where the clock has passed `time`
    // the present time is noted at the log end, as bound_of() does. Where it has not, as it was set back, a later time
    // than `time` is noted nevertheless: what comes behind has at least that time. Not at once where the last note is
    // too young; ask_again_at says when to ask then. (With kAtOnce a millisecond is old enough, but where very much is
    // unsealed.) Without a `time`, and in a store that is read only, nothing is
    // noted; the answer is what is known. In a partition that is kReadOnly what is noted holds until the store is
    // closed.
    virtual Result<Settled> settle(std::optional<TimestampMs> time, Haste haste = Haste::kUsual) = 0;

    // The times of the whole records from `from` on, up to `to` at most: as many as lie together, in one batch or in
    // head, and one at least. `from` is where a record begins, below `to`, and `to` where one ends; both are as
    // bound_of() and the like have told. What is lost counts as a record, with the time of what is before it (the
    // smallest there is where that is not asked for). The cost does not grow with the data. kNotFound where it was
    // given back: until then who has begun before the log start moved reads on.
    virtual Result<TimeSteps> time_steps(Position from, Position to) = 0;

    // When the byte at `position` was appended; kNotFound below the log start, and at or behind the log end.
    virtual Result<TimestampMs> time_of(Position position) = 0;

    // Moves the log start on to the record that begins at `start`, as a find function gave it; does nothing where it is
    // there already, or further on. Durable on return. What lies before is given back to the disk, as what retention
    // removes: file.delete.delay.ms later. kReadOnly.
    virtual Result<void> trim(const Found& start) = 0;

    // Waits for nobody who appends to the partition, seals it or makes a checkpoint, however long the disk takes.
    virtual Result<PartitionStatus> status() = 0;

    // kReadOnly where appends are refused at present, or the topic is in the trash; kInvalid where each of them must be
    // made durable before it is answered (flush.messages=1), which only append() does; kSystem where head cannot be
    // opened, or where the file system cannot tell who has a file open (leases, F_SETLEASE): then it could not be known
    // when the writers are gone.
    virtual Result<std::shared_ptr<AppendFile>> append_file() = 0;

    // Until stop_waiting() `waiter` is told of growth. Bytes that were there when this returned may not be told any
    // more: look at end() after it. One waiter may wait once.
    virtual void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;
    // No call of `waiter` begins after this has returned; one may still be running.
    virtual void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;

    // Its topic was removed (delete_topic(), remove_topic()): who waits for more waits in vain. In the trash it goes on
    // taking what those append who had it open.
    virtual bool is_removed() const = 0;

    // Whoever opens the partition to append to it by append() for longer than a moment holds what this returns for as
    // long: then the topic is not removed for good meanwhile. kReadOnly where the topic is in the trash: nobody new
    // appends to it, whoever has it open goes on.
    virtual Result<std::shared_ptr<const void>> open_for_append() = 0;

    virtual Attributes attributes() const = 0;
    virtual Result<void> change_attributes(const AttributesChange& change) = 0;
    // What stat shows beside: allocated bytes, cheaply (status() counts segments one by one).
    virtual std::uint64_t disk_bytes() const = 0;
};

inline constexpr std::size_t kLineBytesMax = std::size_t{64} << 20;  // of a line for a whole topic, its delimiter too

// Appends lines to a whole topic. Each line (what record.delimiter ends) goes to one partition: with key.separator set
// by its key, to the one that Kafka's default partitioner picks among those that the topic has then; a line without a
// key to the writer's own, which it got when it needed one, in turn with other writers. It keeps that one, so that its
// lines stay in order; when 1 MiB or more went there and it was quiet for 20 ms or longer, it takes the next in turn:
// so a merge by time has the lines in order all the same. The lines of a key are in order in its partition while the
// topic has the same number of partitions.
//
// A writer may cut its lines anywhere: what stands behind the last delimiter is kept until the rest comes. It outlives
// the death of the process: the next start writes it, with a delimiter added, as close() does. Where death or a power
// cut have left the front of a line in a partition, the first line that comes behind it begins with the delimiter that
// is missing there; so lines never mix then either.
//
// Calls of one writer wait for each other. A writer that is dropped without close() leaves what it kept to the next
// start of the store.
class TopicWriter {
public:
    virtual ~TopicWriter() = default;

    // Lines never mix with what others append. Returns how many bytes are stored, or kept for the unfinished line: all,
    // or fewer where there was no room for the rest, and the rest may be tried again. Where lines of one call go to
    // several partitions and the disk becomes full on the way, some behind those bytes may have been stored too.
    // kSystem (ENOSPC, EFBIG for a line over kLineBytesMax, …) where none were; some may have been stored all the same,
    // but what was acknowledged before is neither lost nor stored twice. kNotPermitted where record.delimiter is none.
    // kReadOnly after another failure, until the store is reopened.
    virtual Result<std::size_t> append(std::span<const std::byte> bytes) = 0;

    // All that this writer has appended is durable when this returns, an unfinished line too. With flush.messages=1 it
    // is when append() has returned.
    virtual Result<void> sync() = 0;

    // Writes an unfinished line, with a delimiter. Where that fails the next start does it. Nothing can be appended
    // after it, whatever it says; a second call does nothing.
    virtual Result<void> close() = 0;
};

class Group;  // group.h

// Of a topic in the trash: what it was called, and when it was removed.
struct Removal {
    std::string name;
    TimestampMs time;
    friend bool operator==(const Removal&, const Removal&) = default;
};

// In the trash a topic can be read; whatever would change it is kReadOnly, but what is open for appending goes on.
class Topic {
public:
    virtual ~Topic() = default;

    // In the trash it can be another one than it was before. Changes when it is moved there, and back.
    virtual std::string name() const = 0;
    // None where it is not in the trash.
    virtual std::optional<Removal> removal() const = 0;
    // Below 2^38, unique in the store, kept for the topic's life; for building inode numbers.
    virtual std::uint64_t id() const = 0;

    virtual std::uint32_t partition_count() const = 0;
    // kNotFound at or above partition_count().
    virtual Result<std::shared_ptr<Partition>> partition(std::uint32_t number) const = 0;
    // Adds the next partition; kExists where `number` is there already, kInvalid where it would leave a gap. Durable on
    // return.
    virtual Result<std::shared_ptr<Partition>> add_partition(std::uint32_t number, const Attributes& attributes) = 0;

    // For appending to the topic as a whole. kNotPermitted where record.delimiter is none: a byte log has no lines.
    // kReadOnly.
    virtual Result<std::shared_ptr<TopicWriter>> open_writer() = 0;

    // Consumer groups, by name in order.
    virtual std::vector<std::string> group_names() const = 0;
    virtual Result<std::shared_ptr<Group>> group(std::string_view name) const = 0;  // kNotFound
    // With the default settings; durable on return. It begins with its first reader. kExists, kInvalid, kNameTooLong.
    virtual Result<std::shared_ptr<Group>> create_group(std::string_view name, const Attributes& attributes) = 0;
    // With its commits. kBusy where it has a reader. Durable on return.
    virtual Result<void> remove_group(std::string_view name) = 0;

    virtual Attributes attributes() const = 0;
    virtual Result<void> change_attributes(const AttributesChange& change) = 0;

    virtual TopicSettings settings() const = 0;
    // Validated, durable on return, in force at once. kInvalid, kNotFound.
    virtual Result<void> set(std::string_view key, std::string_view value) = 0;
    // What set() would refuse at present, without setting it.
    virtual Result<void> check(std::string_view key, std::string_view value) const = 0;

    // The topic in figures, JSON; the schema is in FORMAT.md, "Status".
    virtual Result<std::string> status_json() = 0;
};

// A member of a status beside those of the store.
struct StatusFact {
    std::string key;
    std::string json;  // its value
};

class Store {
public:
    // Closes: see close(); what goes wrong is logged.
    virtual ~Store() = default;

    // Names in order.
    virtual std::vector<std::string> topic_names() const = 0;
    virtual Result<std::shared_ptr<Topic>> topic(std::string_view name) const = 0;  // kNotFound
    // Whole and durable on return. kExists, kInvalid, kNameTooLong.
    virtual Result<std::shared_ptr<Topic>> create_topic(std::string_view name, const Attributes& attributes,
                                                        const TopicSettings& settings) = 0;
    // With the default settings.
    Result<std::shared_ptr<Topic>> create_topic(std::string_view name, const Attributes& attributes) {
        return create_topic(name, attributes, default_settings());
    }
    // As above, owned by the calling process's user, mode 0755.
    Result<std::shared_ptr<Topic>> create_topic(std::string_view name);
    // Only a topic without records: else kNotEmpty; kBusy where somebody has a partition's append_file() open for
    // writing, or open_writer(), or a reader of a group. Its groups go with it. Durable on return.
    virtual Result<void> remove_topic(std::string_view name) = 0;

    // The trash. Whatever happens at any moment, a topic is whole where it was, or whole where it goes; purging takes
    // all of it, and is finished by the next start if need be.

    // Names in order, and what is there by such a name; kNotFound.
    virtual std::vector<std::string> trash_names() const = 0;
    virtual Result<std::shared_ptr<Topic>> trashed_topic(std::string_view name) const = 0;
    // Moves a topic to the trash, where it is called `trash_name`. Who has it open goes on: reads to its end, where
    // waiting ends; appends, which are there when it is brought back. It keeps its id. Purged once trash.retention.ms
    // are over, by the system clock as far as that is believed (base/believed_time.h), and nobody has it open for
    // appending. Durable on return; on an error it is where it was (or in the trash, where the disk cannot even move it
    // back). kNotFound; kExists, where the trash has that name; kInvalid, kNameTooLong.
    virtual Result<void> delete_topic(std::string_view name, std::string_view trash_name) = 0;
    // Moves it back, with its settings and groups, and calls it `name`. Durable on return; on an error as above.
    // kNotFound; kExists; kInvalid, kNameTooLong.
    virtual Result<void> undelete_topic(std::string_view trash_name, std::string_view name) = 0;
    // Removes it for good. Who still reads it gets errors. kNotFound; kBusy where somebody has it open for appending.
    // When this returns it is gone for ever, also where its files could not all be removed yet.
    virtual Result<void> purge_topic(std::string_view trash_name) = 0;

    // Of the root of the tree.
    virtual Attributes attributes() const = 0;
    virtual Result<void> change_attributes(const AttributesChange& change) = 0;

    // What new topics start with.
    virtual TopicSettings default_settings() const = 0;
    virtual Result<void> set_default(std::string_view key, std::string_view value) = 0;

    // Settings of the store itself, by the keys of store_setting_infos(). kNotFound; kInvalid. Durable on return, in
    // force at once.
    virtual Result<std::string> store_setting(std::string_view key) const = 0;
    virtual Result<void> set_store_setting(std::string_view key, std::string_view value) = 0;

    // With what whoever serves the store has to say beside. The schema is in FORMAT.md, "Status". Waits for nobody who
    // appends to a partition, seals it or commits for a group.
    virtual Result<std::string> status_json(std::span<const StatusFact> facts) = 0;
    Result<std::string> status_json() { return status_json({}); }
    // The same and more, of each topic, partition and group, in the text format of Prometheus; the names are in
    // FORMAT.md, "Metrics". As status_json(), and of a partition that nobody uses no file is opened.
    virtual Result<std::string> metrics_text() = 0;

    // Lets nothing unsealed behind, as far as that goes in some seconds; what is left is safe in head. Syncs all,
    // records a clean end, gives up the lock. Appends that come later fail. A second call does nothing.
    virtual Result<void> close() = 0;
};

struct StoreOptions {
    bool create = true;       // make a store where the directory is empty or missing
    bool read_only = false;   // reads only, beside a daemon too: no lock, no thread, nothing is written
    bool alone = false;       // with read_only: not beside a daemon, nor beside another that is alone (kBusy)
    bool maintenance = true;  // threads that seal and sync; without them the caller does (tests)
};

// Opens or makes a store. kNotOurs: the directory holds other things (nothing is written into it). kBusy: a daemon owns
// it. kNewerFormat. kSystem: not a directory, not writable, …
Result<std::unique_ptr<Store>> open_store(const std::string& directory, const StoreOptions& options = {});

}  // namespace topicfs
