// Looking a position up in the index of a segment, whose cost must not grow with the number of batches but by its
// logarithm.
#include "io/file_system.h"
#include "log/segment_index.h"
#include "support/temporary_directory.h"

#include <benchmark/benchmark.h>

#include <random>

namespace topicfs::test {

namespace {

constexpr std::uint32_t kRawBytes = 1u << 20;

IndexEntry entry_number(std::uint64_t n) {
    IndexEntry entry;
    entry.base_position = Position{n * kRawBytes};
    entry.raw_bytes = kRawBytes;
    entry.record_count = 100;
    entry.base_offset = Offset{n * entry.record_count};
    entry.batch_bytes = 1000;
    entry.file_offset = n * entry.batch_bytes;
    return entry;
}

void IndexLookUp(benchmark::State& state) {
    const TemporaryDirectory directory;
    const auto fs = open_file_system(directory.string()).value();
    const auto index = SegmentIndex::create(*fs, "index", Position{0}).value();
    const auto count = static_cast<std::uint64_t>(state.range(0));
    for (std::uint64_t n = 0; n < count; ++n) {
        if (!index->append(n, entry_number(n))) {
            state.SkipWithError("an entry was not written");
            return;
        }
    }
    std::mt19937_64 random(1);
    for (auto _ : state) {
        const Position wanted{random() % (count * kRawBytes)};
        const auto found =
            index->last_where(0, count, [&](const IndexEntry& entry) { return entry.base_position <= wanted; });
        if (!found || !*found || **found != wanted.value / kRawBytes) {
            state.SkipWithError("the wrong entry was found");
            return;
        }
    }
}
BENCHMARK(IndexLookUp)->RangeMultiplier(10)->Range(10, 10000);

}  // namespace

}  // namespace topicfs::test
