// The rows about reading, by one reader, by ten consumers of one partition and by a consumer group.
#include "codec/codec.h"
#include "mount/bench/bench.h"
#include "mount/bench/loops.h"
#include "mount/bench/rows_codec.h"
#include "mount/bench/topic_mount.h"

#include <algorithm>
#include <optional>

namespace topicfs::bench {

namespace {

constexpr const char* kStore = "store";
constexpr const char* kTopic = "log";
constexpr std::size_t kFillBytes = 1u << 20;  // of each write that makes the data
// Less than the largest seal.bytes, so that all of it stays in head.
constexpr std::uint64_t kHeadBytes = 15u << 20;
constexpr std::uint64_t kDaemonCacheBytes = 32u << 20;

struct Data {
    std::string name;  // "head" or the codec's
    TopicSettingsText settings;
    std::uint64_t bytes = 0;
    std::optional<Codec> decoded_by;  // where reading means decoding
};

Data data_of(const Bench& bench, Codec codec) {
    const std::string name = codec_name(codec);
    // Whole batches only: what is sealed for its age would be one by itself.
    const std::uint64_t bytes = std::max<std::uint64_t>(1, bench.options().bytes / kFillBytes) * kFillBytes;
    return {name, {{"compression.type", name}}, bytes, codec == Codec::kNone ? std::nullopt : std::optional(codec)};
}

Data data_in_head(const Bench& bench) {
    constexpr const char* kNever = "9000000000000";
    return {"head",
            {{"seal.bytes", "16777216"}, {"seal.ms", kNever}},
            std::min(kHeadBytes, bench.options().bytes),
            std::nullopt};
}

Result<void> fill(const Bench& bench, const TopicMount& mount, const Data& data) {
    TOPICFS_TRY(mount.make_topic(kTopic, data.settings));
    AppendWork work;
    work.paths = {mount.file(kTopic)};
    work.write_bytes = kFillBytes;
    work.seconds = 120;
    work.bytes = data.bytes;
    TOPICFS_TRY(measure_append(work, bench.payload()));
    return data.name == "head" ? Result<void>() : mount.settle(kTopic);
}

// `readers` of a partition, against as many of a file of that size that comes out of memory, or against what the codec
// can do where that is less.
Result<Samples> read_whole(Bench& bench, const Data& data, unsigned readers) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY(fill(bench, mount, data));
    TOPICFS_TRY_ASSIGN(const NullFuse null, bench.start_null(NullMode::kDaemon, data.bytes));
    ReadWork ours;
    ours.path = mount.file(kTopic);
    ours.seconds = bench.options().seconds;
    ReadWork theirs = ours;
    theirs.path = null.file();
    unsigned by_codec = 0;
    TOPICFS_TRY_ASSIGN(Samples samples,
                       bench.in_turns([&] { return measure_read(ours, readers); },
                                      [&]() -> Result<double> {
                                          TOPICFS_TRY_ASSIGN(const double limit, measure_read(theirs, readers));
                                          if (!data.decoded_by) {
                                              return limit;
                                          }
                                          TOPICFS_TRY_ASSIGN(const double codec, decode_speed(bench, *data.decoded_by));
                                          by_codec += codec < limit ? 1 : 0;
                                          return std::min(limit, codec);
                                      }));
    samples.note = short_number(static_cast<double>(data.bytes)) + "B, in the page cache";
    if (data.decoded_by) {
        samples.note += "; the codec was the limit in " + std::to_string(by_codec) + " of " +
                        std::to_string(samples.ours.size()) + " pairs";
        samples.note += data.bytes < 2 * kDaemonCacheBytes ? "; the daemon's cache holds much of it decoded" : "";
    }
    return samples;
}

// A group's reader against one that follows, over the same records. Each turn has a group of its own, which begins at
// the log start.
Result<Samples> read_as_group(Bench& bench, const Data& data, std::size_t read_bytes) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY(fill(bench, mount, data));
    ReadWork following;
    following.path = mount.file(kTopic) + "+follow";
    following.read_bytes = read_bytes;
    following.seconds = bench.options().seconds;
    // A line that the last write has cut is no record yet.
    following.bytes = std::max<std::uint64_t>(1, data.bytes - kFillBytes);
    unsigned turn = 0;
    return bench.in_turns(
        [&]() -> Result<double> {
            ReadWork consuming = following;
            TOPICFS_TRY_ASSIGN(consuming.path, mount.make_group(kTopic, "group" + std::to_string(turn++)));
            return measure_read(consuming);
        },
        [&] { return measure_read(following); });
}

RowSpec spec_of(const std::string& group, const Data& data, const std::string& who, const std::string& null) {
    RowSpec spec;
    spec.name = group + "." + data.name;
    spec.what = who + (data.name == "head" ? ", not sealed yet" : ", sealed with " + data.name);
    spec.baseline = null;
    if (data.decoded_by) {
        spec.baseline += ", or the codec on all cores, whichever is less";
    }
    spec.aim = at_least(data.decoded_by ? 0.8 : 0.9);
    spec.unit = "B/s";
    return spec;
}

}  // namespace

Result<void> bench_read(Bench& bench) {
    for (const Data& data : {data_in_head(bench), data_of(bench, Codec::kNone), data_of(bench, Codec::kLz4),
                             data_of(bench, Codec::kZstd)}) {
        TOPICFS_TRY(bench.row(spec_of("read", data, "a whole partition by 128 KiB reads",
                                      "a FUSE file system that does nothing, direct I/O"),
                              [&] { return read_whole(bench, data, 1); }));
    }
    return {};
}

Result<void> bench_consumers(Bench& bench) {
    constexpr unsigned kConsumers = 10;
    for (const Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
        const Data data = data_of(bench, codec);
        RowSpec spec = spec_of("consumers", data, "10 consumers of one partition",
                               "10 readers of a FUSE file system that does nothing");
        spec.aim = at_least(0.8);
        TOPICFS_TRY(bench.row(spec, [&] { return read_whole(bench, data, kConsumers); }));
    }
    return {};
}

Result<void> bench_consumer_groups(Bench& bench) {
    struct Buffer {
        const char* name;
        std::size_t bytes;
    };
    for (const Buffer& buffer : {Buffer{"128k", 128u << 10}, Buffer{"1m", 1u << 20}}) {
        const Data data = data_of(bench, Codec::kLz4);
        RowSpec spec;
        spec.name = std::string("group.") + buffer.name;
        spec.what = std::string("a group's reader, sealed with lz4, reads of ") + buffer.name;
        spec.baseline = "a +follow reader of the same";
        spec.aim = at_least(0.8);
        spec.unit = "B/s";
        TOPICFS_TRY(bench.row(spec, [&] { return read_as_group(bench, data, buffer.bytes); }));
    }
    return {};
}

}  // namespace topicfs::bench
