// What a name with '@', a day's file or T/all shows: a file of bytes that is a part of a topic. Bytes are numbered from
// 0, where the view begins; what was shown once stays where it is and what it is.
//
// Threads: any. Ownership: keeps its partitions; the Store must outlive it.
#pragma once

#include <topicfs/store.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace topicfs {

class LogView {
public:
    struct Extent {
        std::uint64_t bytes = 0;   // that can be read now; never falls
        bool is_complete = false;  // nothing changes any more
        // When more may have come, or the view be complete, though nobody is told of growth: who waits asks again once
        // the clock is there.
        std::optional<TimestampMs> ask_again_at = std::nullopt;
        // When the last of these bytes was appended; none while there is none.
        std::optional<TimestampMs> last_time = std::nullopt;
    };

    virtual ~LogView() = default;

    virtual Result<Extent> extent() = 0;

    // Up to `bytes_max` bytes from `offset` on, as Partition::view(): short at the end of what can be read now or
    // before damage, empty behind it. kDamaged where the first byte cannot be served; kNotFound where retention has
    // taken it.
    virtual Result<ByteView> view(std::uint64_t offset, std::size_t bytes_max) = 0;

    // Records of the view that lie together: of one partition and one time.
    struct Chunk {
        std::uint32_t partition = 0;
        Position position;  // of the first byte, in the partition
        std::uint64_t bytes = 0;
        std::optional<TimestampMs> time;  // nothing where the record is unfinished
    };

    // Where the bytes from `offset` on come from, at most `count_max` chunks (1 or more): in order,
    // without a gap; the first one begins at `offset`. Fewer where damage comes, none behind the end. Errors as of
    // view(). The cost does not grow with the data.
    virtual Result<std::vector<Chunk>> describe(std::uint64_t offset, std::size_t count_max) = 0;

    // As Partition::start_waiting(): told when extent() may have changed.
    virtual void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;
    virtual void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) = 0;
};

}  // namespace topicfs
