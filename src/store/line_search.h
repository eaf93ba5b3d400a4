// Whether a line that was going to be appended to a partition is there. Others append to a partition too, past the
// daemon, so the place is not known, only where the log ended before.
//
// Any thread.
#pragma once

#include <topicfs/store.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace topicfs {

// What of a line is in a partition.
struct LineFound {
    bool whole = false;
    std::uint64_t front_bytes = 0;  // where the partition ends in the front of it
    friend bool operator==(const LineFound&, const LineFound&) = default;
};

// Looks for `line`, which ends in `delimiter` and has no other one, at `from` and at the records that begin behind it;
// or at `from` only where it is `only_there`, as for the rest of a line. What lies kLineSearchBytesMax behind `from` is
// not looked at. A log that begins behind `from` has it: it was kept for long enough to be removed by age. Errors are
// those of Partition::read.
inline constexpr std::uint64_t kLineSearchBytesMax = std::uint64_t{256} << 20;
Result<LineFound> find_line(Partition& partition, std::span<const std::byte> line, std::byte delimiter, Position from,
                            bool only_there);

}  // namespace topicfs
