// What a benchmark makes of its measurements: median and spread of some figures, and a histogram of latencies.
//
// Values; one thread at a time each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace topicfs::bench {

// Of some figures. With an even number of them the median is the mean of the middle two. All 0 where there are none.
struct Summary {
    double median = 0;
    double min = 0;
    double max = 0;
};
Summary summarize(std::vector<double> values);

// Counts latencies in buckets whose width is at most 1/32 of their value, so a percentile is right to about 3 %. It is
// plain memory of a fixed size: a child process can fill one that its parent reads.
class Histogram {
public:
    void add(std::uint64_t nanoseconds);
    void clear() { *this = Histogram(); }
    std::uint64_t count() const { return count_; }
    // The smallest bucket's upper end that `share` (above 0, at most 1) of the latencies do not exceed; 0 where there
    // are none.
    std::uint64_t percentile(double share) const;

private:
    static constexpr unsigned kSubBits = 5;
    static constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << kSubBits;
    static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;
    static std::size_t bucket_of(std::uint64_t nanoseconds);
    static std::uint64_t upper_end(std::size_t bucket);

    std::array<std::uint64_t, kBuckets> counts_ = {};
    std::uint64_t count_ = 0;
};

}  // namespace topicfs::bench
