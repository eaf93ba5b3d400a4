// Compressing and decompressing a full batch.
#include "bench/log_text.h"
#include "codec/codec.h"

#include <benchmark/benchmark.h>

#include <vector>

namespace topicfs::test {

namespace {

void count_bytes(benchmark::State& state) {
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kBatchBytes));
    state.SetLabel(codec_name(static_cast<Codec>(state.range(0))));
}

void Compress(benchmark::State& state) {
    const auto compressor = make_compressor(static_cast<Codec>(state.range(0)), 1);
    std::vector<std::byte> frame;
    for (auto _ : state) {
        frame.clear();
        if (!compressor->compress(log_text(), frame)) {
            state.SkipWithError("it was not compressed");
            return;
        }
        benchmark::DoNotOptimize(frame.data());
    }
    count_bytes(state);
    state.counters["ratio"] = static_cast<double>(kBatchBytes) / static_cast<double>(frame.size());
}
BENCHMARK(Compress)->DenseRange(0, kCodecCount - 1);

void Decompress(benchmark::State& state) {
    const auto codec = static_cast<Codec>(state.range(0));
    std::vector<std::byte> frame;
    const auto compressor = make_compressor(codec, 1);
    if (!compressor->compress(log_text(), frame)) {
        state.SkipWithError("it was not compressed");
        return;
    }
    const auto decompressor = make_decompressor(codec);
    std::vector<std::byte> raw(kBatchBytes);
    for (auto _ : state) {
        if (!decompressor->decompress(frame, raw)) {
            state.SkipWithError("it was not decompressed");
            return;
        }
        benchmark::DoNotOptimize(raw.data());
    }
    count_bytes(state);
}
BENCHMARK(Decompress)->DenseRange(0, kCodecCount - 1);

}  // namespace

}  // namespace topicfs::test
