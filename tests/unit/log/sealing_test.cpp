// How the sealer keeps up, and that it waits for nobody.
#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

#include <atomic>
#include <functional>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// Notes what a partition asks for; the test is the threads.
class NotedWork final : public BackgroundWork {
public:
    void seal_at(PartitionLog&, std::int64_t) override { ++seals; }
    void flush_at(PartitionLog&, std::int64_t) override {}
    void checkpoint_soon() override { ++checkpoints; }

    std::atomic<int> seals{0};
    std::atomic<int> checkpoints{0};
};

struct SealingFixture {
    explicit SealingFixture(const TopicSettings& settings) : partition(settings) {
        partition.kill();
        auto opened = PartitionLog::open({fs, partition.clock, partition.cache, &work}, kPartitionDirectory,
                                         std::make_shared<TopicSettings>(settings), false);
        REQUIRE(opened);
        partition.log = *opened;
    }
    ~SealingFixture() { partition.kill(); }  // before its file system goes
    SealingFixture(const SealingFixture&) = delete;
    SealingFixture& operator=(const SealingFixture&) = delete;

    NotedWork work;
    PartitionFixture partition;
    FaultFileSystem fs{*partition.real};  // which really syncs
};

}  // namespace

TEST_CASE("Sealing: with retention.bytes a checkpoint is asked for before head's copy is much beside what is kept") {
    constexpr std::uint64_t kMiB = 1u << 20;
    TopicSettings settings;
    settings.compression_type = Codec::kNone;
    settings.retention_bytes = GENERATE(as<std::optional<std::uint64_t>>(), std::nullopt, 1, 100 * kMiB);
    SealingFixture fixture(settings);
    PartitionFixture& partition = fixture.partition;
    const Bytes bytes(kMiB, std::byte{'a'});
    const std::uint64_t copy_bytes_max = settings.retention_bytes == 1 ? 32 * kMiB : 50 * kMiB;
    int wanted = 0;
    for (std::uint64_t sealed = kMiB; sealed <= 120 * kMiB; sealed += kMiB) {
        REQUIRE(partition.log->append(bytes));
        REQUIRE(partition.log->seal_due(partition.builder, true));
        // Once, until that much more has come: who makes it may take a while.
        wanted += settings.retention_bytes && sealed % copy_bytes_max == 0 ? 1 : 0;
        REQUIRE(fixture.work.checkpoints == wanted);
    }
    REQUIRE(partition.log->checkpoint());
    const int before = fixture.work.checkpoints;
    for (std::uint64_t sealed = kMiB; sealed < copy_bytes_max; sealed += kMiB) {
        REQUIRE(partition.log->append(bytes));
        REQUIRE(partition.log->seal_due(partition.builder, true));
    }
    CHECK(fixture.work.checkpoints == before);
}

TEST_CASE("Retention: by bytes a check asks for a checkpoint where head's copy makes it more") {
    TopicSettings settings;
    settings.compression_type = Codec::kNone;
    SealingFixture fixture(settings);
    PartitionFixture& partition = fixture.partition;
    REQUIRE(partition.log->append(Bytes(100'000, std::byte{'a'})));
    REQUIRE(partition.log->seal_due(partition.builder, true));
    PartitionLog::Retention retention;
    retention.stored_bytes = 1'000'000;
    REQUIRE(partition.log->retain(retention));
    CHECK(fixture.work.checkpoints == 0);
    retention.stored_bytes = 150'000;
    REQUIRE(partition.log->retain(retention));
    CHECK(fixture.work.checkpoints == 1);
    REQUIRE(partition.log->checkpoint());
    REQUIRE(partition.log->retain(retention));
    CHECK(fixture.work.checkpoints == 1);
}

TEST_CASE("Sealing: too many unsynced segments pause it until a checkpoint, and no sync is waited for") {
    TopicSettings settings;
    settings.seal_bytes = 1000;
    settings.segment_bytes = 4096;
    settings.compression_type = Codec::kNone;
    SealingFixture fixture(settings);
    PartitionFixture& partition = fixture.partition;
    Random random(1);
    const Bytes bytes = random.bytes(300'000);
    REQUIRE(partition.log->append(bytes));
    int syncs_of_sealer = 0;
    fixture.fs.observe([&](std::string_view call, const std::string&) {
        syncs_of_sealer += call.find("sync") == std::string_view::npos ? 0 : 1;
    });
    REQUIRE(partition.log->seal_due(partition.builder));
    CHECK(syncs_of_sealer == 0);
    CHECK(fixture.work.checkpoints == 1);
    const Position paused_at = partition.log->sealed_end();
    CHECK(partition.status().segments.size() == 32);
    CHECK(paused_at.value < bytes.size());
    const int asked = fixture.work.seals;
    REQUIRE(partition.log->append(std::span(bytes).first(5000)));  // does not make the sealer busy
    CHECK(fixture.work.seals == asked);
    REQUIRE(partition.log->checkpoint());
    CHECK(fixture.work.seals == asked + 1);
    syncs_of_sealer = 0;
    REQUIRE(partition.log->seal_due(partition.builder));
    CHECK(partition.log->sealed_end() > paused_at);
    CHECK(syncs_of_sealer == 0);
    // Who seals all, to close the store, waits.
    REQUIRE(partition.log->seal_due(partition.builder, true));
    CHECK(partition.log->sealed_end().value == 305'000);
    CHECK(syncs_of_sealer > 0);
    const std::string expected = to_text(bytes) + to_text(std::span(bytes).first(5000));
    CHECK((partition.all() == expected));
}

TEST_CASE("Sealing: far behind it compresses less, says so, and goes back when it has caught up") {
    TopicSettings settings;
    settings.seal_bytes = 1000;
    settings.compression_type = GENERATE(Codec::kLz4, Codec::kZstd);
    settings.compression_zstd_level = 3;
    settings.compression_lz4_level = 9;
    PartitionFixture fixture(settings);
    const int asked_for = settings.compression_level();
    Random random(1);
    const Bytes lines = random.log_lines(60'000);
    fixture.append(to_text(lines));
    SealStatus seal = fixture.status().seal;
    CHECK(seal.lag_bytes == lines.size());
    CHECK(seal.level == asked_for);
    CHECK(seal.cheaper_batches == 0);
    // Each batch takes a fifth of a second: the first one shows how far behind the rest is.
    fixture.fs.observe([&](std::string_view call, const std::string& path) {
        if (call == "pwrite" && path.find(".log.") != std::string::npos) {
            fixture.clock.advance(200);
        }
    });
    // A failing disk stops it in the middle.
    fixture.fs.set({.call = "pwrite", .path_part = ".log.", .number = 10, .for_good = true, .system_errno = ENOSPC});
    REQUIRE_FALSE(fixture.log->seal_due(fixture.builder));
    fixture.fs.clear();
    seal = fixture.status().seal;
    CHECK(seal.lag_bytes == lines.size() - 9000);
    CHECK(seal.level == 1);
    CHECK(seal.cheaper_batches == 8);
    fixture.seal();
    seal = fixture.status().seal;
    CHECK(seal.lag_bytes == 0);
    CHECK(seal.level == asked_for);
    CHECK(seal.cheaper_batches == 60 - 1 - 2);
    CHECK((fixture.all() == to_text(lines)));
}

TEST_CASE("Sealing: a change of the codec begins a new segment, one of its level does not, also over a restart") {
    const bool restarted = GENERATE(false, true);
    const auto [before, after] = GENERATE(std::pair(Codec::kLz4, Codec::kZstd), std::pair(Codec::kZstd, Codec::kLz4),
                                          std::pair(Codec::kLz4, Codec::kNone), std::pair(Codec::kNone, Codec::kLz4));
    CAPTURE(restarted, before, after);
    PartitionFixture fixture;
    const auto set = [&](Codec codec, int level) {
        fixture.settings.compression_type = codec;
        fixture.settings.compression_lz4_level = fixture.settings.compression_zstd_level = level;
        if (restarted) {
            REQUIRE(fixture.log->checkpoint());  // else it is all sealed again
            fixture.restart();
        } else {
            fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
        }
    };
    set(before, 1);
    fixture.append_batches({"one\n", "two\n"});
    set(before, 3);
    fixture.append_batches({"three\n"});
    REQUIRE(fixture.status().segments.size() == 1);
    set(after, 3);
    fixture.append_batches({"four\n", "five\n"});
    const std::vector<SegmentStatus> segments = fixture.status().segments;
    REQUIRE(segments.size() == 2);
    CHECK(segments[0].end == Position{14});
    CHECK(segments[1].base == Position{14});
    CHECK(segments[1].end == Position{24});
    CHECK(std::filesystem::exists(fixture.segment_path(0, before)));
    CHECK(std::filesystem::exists(fixture.segment_path(14, after)));
    CHECK(fixture.all() == "one\ntwo\nthree\nfour\nfive\n");
}

TEST_CASE("Sealing: what cannot be sealed makes nobody else hurry") {
    PartitionFixture fixture;
    fixture.settings.seal_bytes = 1000;
    fixture.kill();
    SealBacklog backlog;
    auto opened = PartitionLog::open({fixture.fs, fixture.clock, fixture.cache, nullptr, false, nullptr, &backlog},
                                     kPartitionDirectory, std::make_shared<TopicSettings>(fixture.settings), false);
    REQUIRE(opened);
    fixture.log = *opened;
    fixture.append(std::string(50'000, 'x'));
    fixture.fs.set({.call = "pwrite", .path_part = ".log.", .for_good = true, .system_errno = ENOSPC});
    REQUIRE_FALSE(fixture.log->seal_due(fixture.builder));
    CHECK(backlog.bytes() == 0);
    fixture.fs.clear();
    std::uint64_t most = 0;
    fixture.fs.observe([&](std::string_view, const std::string&) { most = std::max(most, backlog.bytes()); });
    fixture.seal();
    CHECK(most == 50'000);
    CHECK(backlog.bytes() == 0);
}
