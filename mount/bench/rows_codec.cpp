#include "mount/bench/rows_codec.h"

#include "codec/codec.h"
#include "io/file_system.h"
#include "log/partition_log.h"
#include "mount/bench/clients.h"
#include "mount/bench/loops.h"

#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr std::size_t kBlockBytes = 1u << 20;  // a full batch, as seal.bytes is by default
constexpr const char* kPartition = "partition";

std::span<const std::byte> block(const Payload& payload, std::uint64_t n) {
    return std::as_bytes(std::span(payload.block(n, kBlockBytes)));
}

std::uint64_t block_count(const Bench& bench) {
    constexpr std::uint64_t kSealedBytesMax = 64u << 20;  // enough to be measured, and little to write
    return std::max<std::uint64_t>(1, std::min(bench.options().bytes, kSealedBytesMax) / kBlockBytes);
}

// Keeps this process on one core: sealing is to be compared with the codec on one.
Result<void> take_one_core() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return system_error(errno, "ask for the cores", "");
    }
    for (std::size_t core = CPU_SETSIZE; core-- > 0;) {
        if (CPU_ISSET(core, &allowed)) {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            return ::sched_setaffinity(0, sizeof one, &one) == 0 ? Result<void>()
                                                                 : system_error(errno, "take one core", "");
        }
    }
    return {};
}

TopicSettings settings_with(Codec codec) {
    TopicSettings settings;
    settings.compression_type = codec;
    return settings;
}

struct Sealed {
    double bytes_per_second = 0;
    std::uint64_t disk_bytes = 0;
};

// A partition of our own, without a daemon: filled, and then sealed by this thread.
Result<Sealed> seal_partition(const Bench& bench, const std::string& directory, Codec codec) {
    TOPICFS_TRY(take_one_core());
    TOPICFS_TRY_ASSIGN(const auto fs, open_file_system(directory));
    TOPICFS_TRY(fs->make_directory(kPartition));
    TOPICFS_TRY(PartitionLog::create_files(*fs, kPartition, system_clock().now(), false));
    BatchCache cache(kBlockBytes);
    const PartitionEnvironment environment{*fs, system_clock(), cache};
    TOPICFS_TRY_ASSIGN(
        const auto log,
        PartitionLog::open(environment, kPartition, std::make_shared<TopicSettings>(settings_with(codec)), false));
    const std::uint64_t count = block_count(bench);
    for (std::uint64_t n = 0; n < count; ++n) {
        TOPICFS_TRY(log->append(block(bench.payload(), n)));
    }
    BatchBuilder builder;
    const std::uint64_t begin = monotonic_ns();
    TOPICFS_TRY_ASSIGN(const std::uint64_t bytes, log->seal_due(builder, true));
    const double seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
    if (bytes != count * kBlockBytes) {
        return not_measurable("not everything was sealed");
    }
    TOPICFS_TRY(log->checkpoint());
    TOPICFS_TRY_ASSIGN(const PartitionStatus status, log->status());
    return Sealed{static_cast<double>(bytes) / seconds, status.disk_bytes()};
}

// As above in a child process and a folder that is removed then.
Result<Sealed> seal_in_child(const Bench& bench, Codec codec) {
    const std::string directory = bench.scratch() + "/sealing";
    if (::mkdir(directory.c_str(), 0700) != 0) {
        return system_error(errno, "make a folder", directory);
    }
    const auto report = run_client([&](ClientReport& to) -> Result<void> {
        TOPICFS_TRY_ASSIGN(const Sealed sealed, seal_partition(bench, directory, codec));
        to.value = sealed.bytes_per_second;
        to.bytes = sealed.disk_bytes;
        return {};
    });
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    if (!report) {
        return report.error();
    }
    return Sealed{report->value, report->bytes};
}

// The codec alone on the same blocks, on one core: speed, and the bytes of the frames.
Result<Sealed> compress_in_child(const Bench& bench, Codec codec) {
    TOPICFS_TRY_ASSIGN(const ClientReport report, run_client([&](ClientReport& to) -> Result<void> {
                           TOPICFS_TRY(take_one_core());
                           const auto compressor = make_compressor(codec, settings_with(codec).compression_level());
                           std::vector<std::byte> frame;
                           const std::uint64_t begin = monotonic_ns();
                           for (std::uint64_t n = 0; n < block_count(bench); ++n) {
                               frame.clear();
                               TOPICFS_TRY(compressor->compress(block(bench.payload(), n), frame));
                               to.bytes += frame.size();
                           }
                           const double seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
                           to.value = static_cast<double>(block_count(bench) * kBlockBytes) / seconds;
                           return {};
                       }));
    return Sealed{report.value, report.bytes};
}

Result<Samples> sealing_speed(Bench& bench, Codec codec) {
    TOPICFS_TRY_ASSIGN(Samples samples, bench.in_turns(
                                            [&]() -> Result<double> {
                                                TOPICFS_TRY_ASSIGN(const Sealed sealed, seal_in_child(bench, codec));
                                                return sealed.bytes_per_second;
                                            },
                                            [&]() -> Result<double> {
                                                TOPICFS_TRY_ASSIGN(const Sealed alone, compress_in_child(bench, codec));
                                                return alone.bytes_per_second;
                                            }));
    samples.note = std::to_string(block_count(bench)) + " batches of 1 MiB, from head in the page cache into a segment";
    return samples;
}

Result<Samples> stored_bytes(const Bench& bench, Codec codec) {
    TOPICFS_TRY_ASSIGN(const Sealed sealed, seal_in_child(bench, codec));
    TOPICFS_TRY_ASSIGN(const Sealed alone, compress_in_child(bench, codec));
    Samples samples;
    samples.ours = {static_cast<double>(sealed.disk_bytes)};
    samples.theirs = {static_cast<double>(alone.disk_bytes)};
    samples.note = std::to_string(block_count(bench)) +
                   " MiB of lines; allocated blocks of segment, index, head and books; the same each time";
    return samples;
}

}  // namespace

Result<double> decode_speed(const Bench& bench, Codec codec) {
    constexpr std::uint64_t kBlocks = 8;
    const Client client{[&](ClientContext& context) -> Result<void> {
        const auto compressor = make_compressor(codec, settings_with(codec).compression_level());
        std::vector<std::vector<std::byte>> frames(kBlocks);
        for (std::uint64_t n = 0; n < kBlocks; ++n) {
            TOPICFS_TRY(compressor->compress(block(bench.payload(), n), frames[n]));
        }
        const auto decompressor = make_decompressor(codec);
        std::vector<std::byte> raw(kBlockBytes);
        context.wait_for_others();
        const std::uint64_t begin = monotonic_ns();
        const std::uint64_t end = begin + static_cast<std::uint64_t>(bench.options().seconds * 1e9);
        for (std::uint64_t n = 0; n == 0 || monotonic_ns() < end; ++n) {
            TOPICFS_TRY(decompressor->decompress(frames[n % kBlocks], raw));
            context.report.bytes += kBlockBytes;
        }
        context.report.seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
        return {};
    }};
    TOPICFS_TRY_ASSIGN(const auto reports,
                       run_clients(std::vector<Client>(bench.cores(), client), Seconds(60 + bench.options().seconds)));
    return bytes_per_second(reports);
}

Result<void> bench_sealing(Bench& bench) {
    for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
        const std::string name = codec_name(codec);
        TOPICFS_TRY(bench.row({"append.seal." + name, "sealing full batches with " + name,
                               "the codec alone on one core, the same blocks", at_least(0.8), "B/s"},
                              [&] { return sealing_speed(bench, codec); }));
    }
    for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
        const std::string name = codec_name(codec);
        TOPICFS_TRY(bench.row({"append.disk." + name, "bytes on disk of full batches with " + name,
                               "the frames of the codec alone on 1 MiB blocks", at_most(1.03), "B"},
                              [&] { return stored_bytes(bench, codec); }));
    }
    return {};
}

}  // namespace topicfs::bench
