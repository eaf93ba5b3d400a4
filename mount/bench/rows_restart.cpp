// The rows about what must not grow with the data: a restart, and looking an offset or a time up.
#include "io/fd.h"
#include "mount/bench/bench.h"
#include "mount/bench/filled_store.h"
#include "mount/bench/loops.h"
#include "mount/bench/topic_mount.h"

#include <topicfs/store.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>

namespace topicfs::bench {

namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerUs = 1e3;

// Tries until the first byte is there; the time is the report's value.
Result<void> read_first_byte(const std::string& path, ClientReport& report) {
    constexpr std::uint64_t kPatienceNs = 50'000'000'000;
    const std::uint64_t end = monotonic_ns() + kPatienceNs;
    for (;;) {
        const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        char byte = 0;
        if (file && ::read(file.get(), &byte, 1) == 1) {
            report.value = static_cast<double>(monotonic_ns());
            return {};
        }
        if (monotonic_ns() > end) {
            return system_error(errno == 0 ? ETIMEDOUT : errno, "read", path);
        }
        const timespec nap = {0, 200'000};
        nanosleep(&nap, nullptr);
    }
}

// Milliseconds from starting `topicfs mount` to the first byte, after a daemon was killed that had an unsealed tail.
Result<double> restart(const Bench& bench, const std::string& store) {
    constexpr std::size_t kTailBytes = 512u << 10;  // less than a batch
    TOPICFS_TRY_ASSIGN(TopicMount killed, TopicMount::start(bench.scratch(), store));
    killed.keep_store();
    AppendWork tail;
    tail.paths = {killed.file(kFilledTopic)};
    tail.write_bytes = 64u << 10;
    tail.bytes = kTailBytes;
    tail.seconds = 60;
    TOPICFS_TRY(measure_append(tail, bench.payload()));
    TOPICFS_TRY(killed.kill_daemon());
    const auto begin = static_cast<double>(monotonic_ns());
    TOPICFS_TRY_ASSIGN(TopicMount mount, TopicMount::begin(bench.scratch(), store));
    mount.keep_store();
    TOPICFS_TRY_ASSIGN(const ClientReport report,
                       run_client([&](ClientReport& to) { return read_first_byte(mount.file(kFilledTopic), to); }));
    TOPICFS_TRY(mount.stop());
    return (report.value - begin) / kNsPerMs;
}

Result<std::vector<Samples>> restarts(Bench& bench) {
    TOPICFS_TRY_ASSIGN(const StorePair stores, make_store_pair(bench));
    TOPICFS_TRY_ASSIGN(Samples ratio, bench.in_turns([&] { return restart(bench, stores.large.name()); },
                                                     [&] { return restart(bench, stores.small.name()); }));
    ratio.note = scale_note(stores);
    Samples absolute;
    absolute.ours = ratio.ours;
    absolute.note = ratio.note + "; with the start of the program";
    return std::vector<Samples>{ratio, absolute};
}

// Microseconds for a look-up in the mean. Each goes to another part of the log by the golden section, so that no batch
// comes again while it is still decoded: what is measured is the way to it, with the same hits for both sizes (none).
template <typename LookUp>
Result<double> look_up_all_over(double seconds, LookUp&& look_up) {
    const double golden = (std::sqrt(5.0) - 1) / 2;
    constexpr std::uint64_t kLookUpsMin = 20;
    const std::uint64_t begin = monotonic_ns();
    const std::uint64_t end = begin + static_cast<std::uint64_t>(seconds * 1e9);
    std::uint64_t count = 0;
    double share = golden;
    while (count < kLookUpsMin || monotonic_ns() < end) {
        TOPICFS_TRY(look_up(share));
        share += golden;
        share -= std::floor(share);
        ++count;
    }
    return static_cast<double>(monotonic_ns() - begin) / kNsPerUs / static_cast<double>(count);
}

Result<double> look_ups(const FilledStore& filled, double seconds, bool by_time) {
    StoreOptions options;
    options.maintenance = false;
    TOPICFS_TRY_ASSIGN(const auto store, open_store(filled.path(), options));
    TOPICFS_TRY_ASSIGN(const auto topic, store->topic(kFilledTopic));
    TOPICFS_TRY_ASSIGN(const auto partition, topic->partition(0));
    TOPICFS_TRY_ASSIGN(const PartitionStatus status, partition->status());
    TOPICFS_TRY_ASSIGN(const Found last, partition->find_offset(status.end_offset));
    const auto records = static_cast<double>(last.offset.value);
    const TimestampMs first_time = filled.first_time();
    const auto span = static_cast<double>(filled.last_time() - first_time);
    return look_up_all_over(seconds, [&](double share) -> Result<Found> {
        if (by_time) {
            return partition->find_time(first_time + static_cast<std::int64_t>(share * span));
        }
        return partition->find_offset(Offset{static_cast<std::uint64_t>(share * records)});
    });
}

Result<double> look_ups_in_child(const Bench& bench, const FilledStore& filled, bool by_time) {
    TOPICFS_TRY_ASSIGN(const ClientReport report, run_client([&](ClientReport& to) -> Result<void> {
                           TOPICFS_TRY_ASSIGN(to.value, look_ups(filled, bench.options().seconds, by_time));
                           return {};
                       }));
    return report.value;
}

Result<Samples> look_up_pairs(Bench& bench, const StorePair& stores, bool by_time) {
    TOPICFS_TRY_ASSIGN(Samples samples,
                       bench.in_turns([&] { return look_ups_in_child(bench, stores.large, by_time); },
                                      [&] { return look_ups_in_child(bench, stores.small, by_time); }));
    constexpr std::uint64_t kEngineCacheBytes = 32u << 20;
    samples.note = scale_note(stores) + "; each look-up goes to another batch, in the page cache";
    samples.note += stores.small.bytes() < 2 * kEngineCacheBytes
                        ? "; the smaller data fit the cache of decoded batches, so more --data is needed"
                        : "";
    return samples;
}

// The same as a user does it: the views' names were never looked up before. With the first byte, so the batch it is in
// is decoded too.
Result<double> view_look_ups(const Bench& bench, const FilledStore& filled, bool by_time) {
    TOPICFS_TRY_ASSIGN(TopicMount mount, TopicMount::start(bench.scratch(), filled.name()));
    mount.keep_store();
    const std::string file = mount.file(kFilledTopic);
    const auto first_byte = [&](const std::string& name) -> Result<void> {
        const Fd view(::open((file + name).c_str(), O_RDONLY | O_CLOEXEC));
        char byte = 0;
        return view && ::read(view.get(), &byte, 1) == 1 ? Result<void>() : system_error(errno, "read", file + name);
    };
    const auto span = static_cast<double>(filled.last_time() - filled.first_time());
    // Lines of a generated payload are of one length, and the rest of the records there are is not looked up.
    constexpr double kRecordBytesMax = 128;
    const double records = static_cast<double>(filled.bytes()) / kRecordBytesMax;
    TOPICFS_TRY_ASSIGN(
        const ClientReport report, run_client([&](ClientReport& to) -> Result<void> {
            TOPICFS_TRY_ASSIGN(
                to.value, look_up_all_over(bench.options().seconds, [&](double share) {
                    const auto time = filled.first_time() + static_cast<std::int64_t>(share * span);
                    return first_byte(by_time ? "@ms" + std::to_string(time.value)
                                              : '@' + std::to_string(static_cast<std::uint64_t>(share * records)));
                }));
            return {};
        }));
    TOPICFS_TRY(mount.stop());
    return report.value;
}

Result<Samples> view_look_up_pairs(Bench& bench, const StorePair& stores, bool by_time) {
    TOPICFS_TRY_ASSIGN(Samples samples, bench.in_turns([&] { return view_look_ups(bench, stores.large, by_time); },
                                                       [&] { return view_look_ups(bench, stores.small, by_time); }));
    samples.note = scale_note(stores) + "; open and first byte of a view, each of another batch";
    return samples;
}

}  // namespace

Result<void> bench_restart(Bench& bench) {
    return bench.rows(
        {{"restart.growth", "restart after kill -9, until the first read is answered",
          "the same with a tenth of the data", at_most(1.2), "ms"},
         {"restart.time", "restart after kill -9, until the first read is answered", "", at_most(100), "ms"}},
        [&] { return restarts(bench); });
}

Result<void> bench_lookup(Bench& bench) {
    const RowSpec offset = {"lookup.offset", "look-up of an offset", "the same with a tenth of the data", at_most(1.2),
                            "us"};
    RowSpec time = offset;
    time.name = "lookup.time";
    time.what = "look-up of a time";
    RowSpec view_offset = offset;
    view_offset.name = "lookup.view_offset";
    view_offset.what = "T/0@OFFSET, until its first byte";
    RowSpec view_time = offset;
    view_time.name = "lookup.view_time";
    view_time.what = "T/0@TIME, until its first byte";
    return bench.rows({offset, time, view_offset, view_time}, [&]() -> Result<std::vector<Samples>> {
        TOPICFS_TRY_ASSIGN(const StorePair stores, make_store_pair(bench));
        TOPICFS_TRY_ASSIGN(const Samples by_offset, look_up_pairs(bench, stores, false));
        TOPICFS_TRY_ASSIGN(const Samples by_time, look_up_pairs(bench, stores, true));
        TOPICFS_TRY_ASSIGN(const Samples by_view_offset, view_look_up_pairs(bench, stores, false));
        TOPICFS_TRY_ASSIGN(const Samples by_view_time, view_look_up_pairs(bench, stores, true));
        return std::vector<Samples>{by_offset, by_time, by_view_offset, by_view_time};
    });
}

}  // namespace topicfs::bench
