// A topic as one file: `T/all`, `T/all@1200`, `T/all@-15m..today`. Its records in the merged order (merged_log.h), from
// FROM to before TO, as far as they are settled: so what was shown once stays, and another view of the same range shows
// the same bytes. It is not as quick as a partition's view: a record is shown some tens of milliseconds after it was
// whole. An unfinished record is never shown, and keeps nobody waiting.
//
// What the points mean (view_name.h), each by all partitions:
// - A moment: the first record at or after it. It is decided once nothing older can come.
// - An offset: the record with so many before it in the order, those that retention has taken included. Before the sum
//   of the log starts: kNotFound.
// - `start`: the log starts. `end`: what was settled at the look-up. `-N`: as many records before that.
// - A TO that is a duration from FROM counts from FROM's moment; where FROM is `end`, from the look-up; where it is
//   another that is no time, from that of the record there.
// - Without TO it grows. A TO before FROM is an empty view.
// It is complete once TO is decided, and FROM is too or can only be decided behind TO. In a store that is read only it
// is complete at once, with all whole records that are there.
//
// A place is found without counting: the cost is that of some look-ups of a time in each partition, which does not grow
// with the data. Who reads on where a read ended pays one look-up a batch and partition.
//
// Threads: any; a look holds the view's lock, the reading of the bytes does not. Ownership: keeps the Topic; the Store
// must outlive it.
#pragma once

#include "store/log_view.h"
#include "store/merged_cursor.h"
#include "store/merged_log.h"
#include "store/view_name.h"

#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

namespace topicfs {

class MergedView final : public LogView {
public:
    // No view has more parts: what would is one, copied.
    static constexpr std::size_t kPartsMax = 128;

    // Looks FROM and TO up; `now` is the wall clock. kNotFound for an offset before the log starts; what the
    // partitions' look-ups fail with. `T/all` is from ViewStart.
    static Result<std::shared_ptr<MergedView>> open(std::shared_ptr<Topic> topic, const ViewPoint& from,
                                                    const std::optional<ViewBound>& to, TimestampMs now);

    MergedView(const MergedView&) = delete;
    MergedView& operator=(const MergedView&) = delete;

    Result<Extent> extent() override;
    Result<ByteView> view(std::uint64_t offset, std::size_t bytes_max) override;
    Result<std::vector<Chunk>> describe(std::uint64_t offset, std::size_t count_max) override;
    // Of partitions that are added meanwhile too.
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;

private:
    // One end of the view: where it is once that is decided, until then what decides it.
    using Bound = std::variant<MergedState, Offset, TimestampMs, ViewAfterFrom>;
    // A place that a reader has come to: he will want what comes behind.
    struct Place {
        std::uint64_t offset;
        MergedCursor cursor;
    };

    explicit MergedView(std::shared_ptr<Topic> topic);
    Result<Bound> begin(const FixedPoint& point);
    Result<void> look_locked();
    Result<bool> decide(Bound& bound);
    Result<Place> place_at(std::uint64_t offset);
    Result<void> walk(Place& place, std::uint64_t offset, bool goes_back);
    void remember(Place place);
    Result<std::vector<MergedChunk>> plan(std::uint64_t offset, std::uint64_t bytes);

    std::mutex mutex_;  // guards what follows; held over look-ups
    MergedLog log_;
    Bound from_;
    std::optional<Bound> to_;  // none: all that is settled, whatever that is
    MergedState limit_;        // where it ends at present; by the last look, as is extent_
    Extent extent_;
    bool is_final_ = false;      // nothing changes any more; a topic that was removed can be brought back
    std::vector<Place> places_;  // most recent last
    std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
};

}  // namespace topicfs
