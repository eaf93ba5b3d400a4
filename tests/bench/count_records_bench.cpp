// Counting the records of a batch, which is counting its newlines.
#include "bench/log_text.h"
#include "log/batch_builder.h"

#include <benchmark/benchmark.h>

namespace topicfs::test {

namespace {

void CountRecords(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(count_records(log_text(), '\n'));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatchBytes));
}
BENCHMARK(CountRecords);

}  // namespace

}  // namespace topicfs::test
