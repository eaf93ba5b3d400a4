// A view of one partition: which positions a name such as `0@-15m..today` shows, decided at the look-up and from then
// on.
//
// What is decided when:
// - Durations ago, dates, today and yesterday become moments at the look-up, by the time given then. `start`, `end` and
//   `-N` become positions at the look-up, and stay there.
// - An offset or a moment that the log has not reached is decided once the log is there. Until then a FROM shows
//   nothing, and a TO hides nothing.
// - A TO that is a duration from FROM counts from FROM's moment; where FROM is `end`, from the look-up; where it is
//   another that is no time, from the time of the record at FROM, once that is there.
//
// What the points mean:
// - A view begins and ends between records. A record is as old as its last byte.
// - A moment: the first record at or after it. Before the log start: the log start.
// - An offset: where that record begins. Before the log start, as FROM and as TO: kNotFound, so nobody is given less
//   than he asked for unawares.
// - `start`: the log start. `end`: where the whole records end; so `@end` begins with the unfinished last record, if
//   there is one, and `@start..end` ends before it.
// - `-N`: as many whole records before `end`; the log start where there are fewer. An unfinished last one is shown by
//   `@-N` beside them.
// - Without TO the view goes to the log end, an unfinished record included, and grows. A TO before FROM is no error:
//   such a view is empty. A TO that is a moment hides an unfinished record: it can only be whole later.
// In a byte log each byte is a record, and an offset is a position.
//
// What is shown is never taken back: no byte is shown that could turn out to lie behind TO. While TO is not decided all
// there is lies before it (see Partition::bound_of). A view is complete once TO is decided and FROM is too, or can only
// be decided behind TO; then nothing about it changes any more, whatever is appended and however the clock is set. A TO
// that is a moment is decided when the log's own times have reached it, or when the clock has: then the log is told
// that what comes is later. The clock alone says nothing, as it may have been set back. So a view is complete some
// milliseconds after its TO has passed (Partition::bound_of has the figures). In a store that is read only the log must
// reach TO itself.
//
// Threads: any. What is not complete is looked up again by each range(), one caller at a time; the cost does not grow
// with the data. Ownership: keeps the Partition; the Store must outlive it.
#pragma once

#include "store/log_view.h"
#include "store/view_name.h"

#include <topicfs/store.h>

#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

namespace topicfs {

class PartitionView final : public LogView {
public:
    // The positions from `from` to before `to` can be read now. They can have gone from the log by retention since.
    struct Range {
        Position from;
        Position to;
        bool has_begun = false;    // `from` stays what it is; else the view is empty, and `from` is not known yet
        bool is_complete = false;  // nothing changes any more
        // TO, where it is a moment that is not decided yet. Nobody is told when it passes: who waits for the view to be
        // complete asks again once the clock is there, and when the partition has grown.
        std::optional<TimestampMs> to_time = std::nullopt;
        std::uint64_t bytes() const { return to - from; }
        friend bool operator==(const Range&, const Range&) = default;
    };

    // Looks FROM and TO up; `now` is the wall clock. kNotFound for an offset before the log start; what the partition's
    // look-ups fail with.
    static Result<std::shared_ptr<PartitionView>> open(std::shared_ptr<Partition> partition, const ViewPoint& from,
                                                       const std::optional<ViewBound>& to, TimestampMs now);

    PartitionView(const PartitionView&) = delete;
    PartitionView& operator=(const PartitionView&) = delete;

    // As of now. Once complete, from memory. Once the view has begun `from` stays and `to` never falls. What the
    // partition's look-ups fail with; kNotFound where the log start has passed what was not decided yet.
    Result<Range> range();

    Result<Extent> extent() override;
    Result<ByteView> view(std::uint64_t offset, std::size_t bytes_max) override;
    Result<std::vector<Chunk>> describe(std::uint64_t offset, std::size_t count_max) override;
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override { partition_->start_waiting(waiter); }
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override { partition_->stop_waiting(waiter); }

    const std::shared_ptr<Partition>& partition() const { return partition_; }

private:
    // One end of the view: where it is once that is decided, until then what decides it.
    using Bound = std::variant<Position, Offset, TimestampMs, ViewAfterFrom>;
    // What is not decided lies at `position` or behind it.
    struct Looked {
        Position position;
        bool is_decided = false;
    };

    explicit PartitionView(std::shared_ptr<Partition> partition) : partition_(std::move(partition)) {}
    Result<Bound> begin(const FixedPoint& point, const Found& records_end);
    Result<Range> range_locked();
    Result<Looked> look(Bound& bound);
    Result<Looked> look_for_offset(Offset offset);
    Result<Looked> look_for_duration(ViewAfterFrom duration, const Looked& from);

    const std::shared_ptr<Partition> partition_;
    std::mutex mutex_;  // guards what follows; held over look-ups
    Bound from_;
    std::optional<Bound> to_;    // none: the log end, whatever that is
    std::optional<Range> last_;  // by the last look
};

}  // namespace topicfs
