#include "mount/bench/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace topicfs::bench {

Summary summarize(std::vector<double> values) {
    if (values.empty()) {
        return {};
    }
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

// Values below kSubBuckets have a bucket of their own. Above, each power of two is cut into kSubBuckets parts.
std::size_t Histogram::bucket_of(std::uint64_t nanoseconds) {
    if (nanoseconds < kSubBuckets) {
        return static_cast<std::size_t>(nanoseconds);
    }
    const unsigned power = static_cast<unsigned>(std::bit_width(nanoseconds)) - 1;
    const unsigned shift = power - kSubBits;
    const std::uint64_t part = (nanoseconds >> shift) - kSubBuckets;
    return static_cast<std::size_t>((shift + 1) * kSubBuckets + part);
}

std::uint64_t Histogram::upper_end(std::size_t bucket) {
    if (bucket < kSubBuckets) {
        return bucket;
    }
    const std::uint64_t shift = bucket / kSubBuckets - 1;
    const std::uint64_t part = bucket % kSubBuckets + kSubBuckets;
    // The last bucket's end is the largest number: there the sum wraps to 0 before 1 is taken off.
    return ((part + 1) << shift) - 1;
}

void Histogram::add(std::uint64_t nanoseconds) {
    ++counts_[bucket_of(nanoseconds)];
    ++count_;
}

std::uint64_t Histogram::percentile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        seen += counts_[bucket];
        if (seen > 0 && seen >= wanted) {
            return upper_end(bucket);
        }
    }
    return 0;
}

}  // namespace topicfs::bench
