// The checksum, by the processor's instruction (where there is one) and by tables.
#include "base/crc32c.h"
#include "bench/log_text.h"

#include <benchmark/benchmark.h>

namespace topicfs::test {

namespace {

void Crc32c(benchmark::State& state) {
    const auto bytes = log_text().first(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) {
        benchmark::DoNotOptimize(crc32c(bytes));
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Crc32c)->Arg(64)->Arg(4096)->Arg(kBatchBytes);

void Crc32cByTables(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(crc32c_by_tables(log_text()));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatchBytes));
}
BENCHMARK(Crc32cByTables);

}  // namespace

}  // namespace topicfs::test
