// The records of all partitions of a topic in one order: by time, then by partition, then by offset. It is made of
// chunks: for each time, of each partition the records of that time, whole ones, as they lie together. Nothing is
// parsed to merge them.
//
// A place in that order is a state: how far it is in each partition. A byte's number in the order is the sum of the
// positions, a record's the sum of the offsets. Both are there without counting, and stay what they are when a
// partition is added, which begins with 0.
//
// What is settled: the records that are older than a time which no partition can undercut any more, as each of them was
// told that what comes is not older (Partition::settle). look() sees to that for all that is there, whole or not, which
// takes some 10 ms, or 20; with kAtOnce what is a millisecond old or older is settled, mostly. Settled records never
// change their order: it is a pure function of the log.
// - The clock is set back: the partitions are told a time that is later than all records nevertheless; so readers go on
//   at once. While the clock is behind, a topic's time goes on by 1 ms with each look that finds something, at most
//   every 10 ms.
// - A store that is read only cannot tell the partitions anything. There it is the look at which all whole records that
//   are there count as settled, and it is the only one: what comes later could belong before them. Beside a daemon the
//   newest milliseconds can so be in another order than that which the daemon finds in the end.
// - A partition is added: it takes over the others' times (Topic::add_partition), so it undercuts nothing.
//
// Numbers count what retention has taken too. Where it has taken more of one partition than of another, the order of
// what is left is still right, but what lay between is not known any more: an offset into where only some of the
// partitions still have records can be another record after the next round of retention.
//
// Threads: one at a time. Ownership: keeps the topic; the Store must outlive it.
#pragma once

#include <topicfs/store.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace topicfs {

// One position a partition; of partitions behind its end the first one.
class MergedState {
public:
    MergedState() = default;
    explicit MergedState(std::vector<Position> positions) : positions_(std::move(positions)) {}
    Position of(std::size_t partition) const {
        return partition < positions_.size() ? positions_[partition] : Position{};
    }
    void set(std::size_t partition, Position position) {
        positions_.resize(std::max(positions_.size(), partition + 1));
        positions_[partition] = position;
    }
    std::uint64_t bytes() const;
    // Of two places in the order.
    static MergedState later(const MergedState& a, const MergedState& b);
    std::size_t size() const { return positions_.size(); }
    friend bool operator==(const MergedState& a, const MergedState& b);

private:
    std::vector<Position> positions_;
};

class MergedLog {
public:
    explicit MergedLog(std::shared_ptr<Topic> topic) : topic_(std::move(topic)) {}

    // Settles what can be settled now. What the partitions' look-ups fail with.
    Result<void> look(Haste haste = Haste::kUsual);

    // As of the last look(); never falls.
    const MergedState& settled() const { return settled_; }
    // What comes is not older.
    TimestampMs settled_before() const { return before_; }
    // There is something unsettled, for which look() is to be called then.
    std::optional<TimestampMs> ask_again_at() const { return ask_again_at_; }
    // The clock at the last look().
    TimestampMs looked_at() const { return looked_at_; }
    bool is_read_only() const { return read_only_; }
    // The topic was removed: there is nothing to wait for.
    bool is_removed() const;
    // By the last look: nothing whole lies behind what is settled.
    bool is_all_settled() const;

    const std::vector<std::shared_ptr<Partition>>& partitions() const { return partitions_; }
    // Called with each partition that is found to have been added.
    void on_added(std::function<void(Partition&)> told) { added_ = std::move(told); }

    // Where the partitions begin now, and the record's number there.
    MergedState start() const;
    std::uint64_t start_offset() const;
    // How many records there are before settled().
    Result<std::uint64_t> settled_offset();

    // The first record at or after `time`. Nothing where that is not settled; the partitions are told of `time`, where
    // the clock has reached it.
    Result<std::optional<MergedState>> at_time(TimestampMs time);
    // Where record number `offset` begins; nothing where it is not settled. kNotFound before the log starts.
    Result<std::optional<MergedState>> at_offset(std::uint64_t offset);
    // When the record there was appended; nothing where none that is settled begins there.
    Result<std::optional<TimestampMs>> time_of(const MergedState& state);
    // When the last record between them was appended; nothing where there is none that retention or
    // damage has left.
    Result<std::optional<TimestampMs>> last_time_before(const MergedState& to, const MergedState& from);
    // Where `bytes` bytes lie between `base` and the result, which can be inside of a record; at most settled().
    // kNotFound where retention has taken since what it would take to know that.
    Result<MergedState> at_bytes(const MergedState& base, std::uint64_t bytes);

private:
    // What a state's numbers are by: the sum over the partitions.
    using Weight = std::uint64_t (*)(const Found&);
    using Places = std::vector<Found>;
    // The last time step that begins with no more than `wanted` by weight: `low` is where it begins, `high` where the
    // next one does. Nothing has to be looked for where all of `high` is no more than that; `low` is that then.
    struct TimeStepFound {
        Places low;
        Places high;
    };
    Result<TimeStepFound> step_of(std::uint64_t wanted, Places low, Weight weight);
    Result<Found> place_at(std::size_t partition, TimestampMs time, Weight weight);
    Result<std::optional<std::uint64_t>> first_certain_byte(const MergedState& base);
    Result<Found> settled_place(std::size_t partition);
    void take_new_partitions(std::uint32_t count);

    const std::shared_ptr<Topic> topic_;
    std::vector<std::shared_ptr<Partition>> partitions_;
    std::function<void(Partition&)> added_;
    MergedState settled_;
    TimestampMs before_{INT64_MIN};
    std::vector<std::optional<Position>> all_settled_at_;  // the log end, where nothing behind settled_ is whole
    std::vector<Found> snapshot_;                          // of a store that is read only: settled_, with the offsets
    std::optional<TimestampMs> ask_again_at_;
    TimestampMs looked_at_{};
    bool read_only_ = false;
};

}  // namespace topicfs
