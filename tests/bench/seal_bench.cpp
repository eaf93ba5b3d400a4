// Sealing: building a batch of bytes that are in memory, and the whole of it from head into a segment.
#include "bench/log_text.h"
#include "io/file_system.h"
#include "log/partition_log.h"
#include "support/temporary_directory.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>

namespace topicfs::test {

namespace {

void count_bytes(benchmark::State& state) {
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatchBytes));
    state.SetLabel(codec_name(static_cast<Codec>(state.range(0))));
}

void BuildBatch(benchmark::State& state) {
    BatchBuilder builder;
    for (auto _ : state) {
        std::ranges::copy(log_text(), builder.raw(kBatchBytes).begin());
        BatchHeader header;
        header.times = {{0, TimestampMs{1}}};
        if (!builder.build(std::move(header), static_cast<Codec>(state.range(0)), 1, '\n')) {
            state.SkipWithError("no batch was built");
            return;
        }
    }
    count_bytes(state);
}
BENCHMARK(BuildBatch)->DenseRange(0, kCodecCount - 1);

// The append that comes before each is not counted.
void SealFromHead(benchmark::State& state) {
    const TemporaryDirectory directory;
    const auto fs = open_file_system(directory.string()).value();
    BatchCache cache(kBatchBytes);
    auto settings = std::make_shared<TopicSettings>();
    settings->compression_type = static_cast<Codec>(state.range(0));
    const PartitionEnvironment environment{*fs, system_clock(), cache};
    if (!fs->make_directory("0") || !PartitionLog::create_files(*fs, "0", system_clock().now(), false)) {
        state.SkipWithError("no partition was made");
        return;
    }
    const auto log = PartitionLog::open(environment, "0", settings, false).value();
    BatchBuilder builder;
    constexpr std::uint64_t kBatchesKept = 16;
    std::uint64_t batches = 0;
    for (auto _ : state) {
        state.PauseTiming();
        // What head holds of sealed batches is given back now and then.
        const bool kept = ++batches % kBatchesKept != 0 || log->checkpoint();
        const bool appended = kept && log->append(log_text());
        state.ResumeTiming();
        if (!appended || !log->seal_due(builder)) {
            state.SkipWithError("nothing was sealed");
            return;
        }
    }
    count_bytes(state);
}
// A bound, as every iteration stores a batch.
BENCHMARK(SealFromHead)->DenseRange(0, kCodecCount - 1)->Iterations(64);

}  // namespace

}  // namespace topicfs::test
