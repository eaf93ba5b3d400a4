// What a partition counts, and what its figures say where head cannot be read.
#include "support/fault_file_system.h"
#include "unit/log/outside_writer.h"
#include "unit/log/partition_fixture.h"

#include <fcntl.h>

using namespace topicfs;
using namespace topicfs::test;

namespace {

std::string lines(std::size_t count, std::size_t bytes = 10) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += std::string(bytes - 1, 'x') + '\n';
    }
    return text;
}

std::uint64_t du(const PartitionFixture& fixture) {
    std::uint64_t sum = fixture.real->info(kPartitionDirectory)->disk_bytes;
    for (const std::string& name : fixture.file_names()) {
        sum += fixture.real->info(std::string(kPartitionDirectory) + "/" + name)->disk_bytes;
    }
    return sum;
}

}  // namespace

TEST_CASE("PartitionStatus: what was appended since the open is counted, whoever appended it") {
    PartitionFixture fixture;
    CHECK(fixture.status().counts.appended_bytes == 0);
    fixture.append(lines(3) + "front of a line");
    CHECK(fixture.status().counts.appended_bytes == 45);
    CHECK(fixture.status().counts.appended_records == 3);
    const auto lent = fixture.log->append_file();
    REQUIRE(lent);
    OutsideWriter(fixture.head_path()).append(", its rest\n");
    CHECK(fixture.status().counts.appended_bytes == 56);
    CHECK(fixture.status().counts.appended_records == 4);
    fixture.seal_and_checkpoint();
    CHECK(fixture.status().counts.appended_bytes == 56);
    CHECK(fixture.status().counts.appended_records == 4);
}

TEST_CASE("PartitionStatus: what was there at the open does not count, sealed or not, also where a line goes on") {
    const bool sealed = GENERATE(false, true);
    // Whether the figures are asked for before the batch is sealed in which the open lies.
    const bool asked_before = GENERATE(false, true);
    CAPTURE(sealed, asked_before);
    PartitionFixture fixture;
    fixture.append(lines(5) + "front");
    if (sealed) {
        fixture.seal_and_checkpoint();
    }
    fixture.restart();
    if (asked_before) {
        CHECK(fixture.status().counts.appended_records == 0);
        CHECK(fixture.status().counts.appended_bytes == 0);
    }
    fixture.append(" and rest\n" + lines(2));
    if (asked_before) {
        CHECK(fixture.status().counts.appended_records == 3);
    }
    fixture.seal();
    CHECK(fixture.status().counts.appended_records == 3);
    CHECK(fixture.status().counts.appended_bytes == 30);
    CHECK(fixture.status().end_offset == Offset{8});
}

TEST_CASE("PartitionStatus: bytes and records given to readers are counted, once, and no look-up is") {
    PartitionFixture fixture;
    fixture.append(lines(1000));
    (void)*fixture.log->find_offset(Offset{777});
    (void)*fixture.log->records_end();
    (void)*fixture.log->bound_of(fixture.clock.now());
    CHECK(fixture.status().counts.read_bytes == 0);
    fixture.read(0, 10'000);
    CHECK(fixture.status().counts.read_bytes == 10'000);
    CHECK(fixture.status().counts.read_records == 1000);
    fixture.seal_and_checkpoint();
    (void)*fixture.log->find_offset(Offset{777});
    CHECK(fixture.view(5000, 5000).size() == 5000);
    CHECK(fixture.log->view_records(Position{0}, Position{10'000}, 105)->view.size() == 100);
    const PartitionStatus status = fixture.status();
    CHECK(status.counts.read_bytes == 15'100);
    CHECK(status.counts.read_records == 1510);
}

TEST_CASE("PartitionStatus: records that were read never become fewer, whatever is appended then") {
    PartitionFixture fixture;
    fixture.append(lines(100));
    fixture.read(0, 1000);
    CHECK(fixture.status().counts.read_records == 100);
    fixture.append(std::string(100'000, 'x'));
    CHECK(fixture.status().counts.read_records == 100);
    fixture.read(0, 101'000);
    CHECK(fixture.status().counts.read_records == 200);
}

TEST_CASE("PartitionStatus: a view has a bounded number of parts, and is counted once where it was copied") {
    TopicSettings settings;
    settings.seal_bytes = 4096;
    PartitionFixture fixture(settings);
    std::vector<std::string> batches(2 * kViewPartsMax, lines(1));
    fixture.append_batches(batches);
    const auto view = fixture.log->view(Position{0}, 10 * batches.size());
    REQUIRE(view);
    CHECK(view->parts().size() <= kViewPartsMax);
    CHECK(fixture.text_of(*view) == lines(batches.size()));
    CHECK(fixture.status().counts.read_bytes == 10 * batches.size());
}

TEST_CASE("PartitionStatus: what is sealed is counted as it was and as it is stored") {
    PartitionFixture fixture;
    fixture.append_batches({lines(1000), lines(500)});
    const PartitionStatus status = fixture.status();
    CHECK(status.counts.sealed_bytes == 15'000);
    CHECK(status.counts.sealed_batches == 2);
    CHECK(status.counts.sealed_stored_bytes == status.stored_bytes());
}

TEST_CASE("PartitionStatus: the seal lag is the age of the oldest byte that is in no segment") {
    PartitionFixture fixture;
    CHECK(fixture.status().seal.lag_ms == 0);
    fixture.append("a\n");
    fixture.clock.advance(3000);
    fixture.append("b\n");
    fixture.clock.advance(2000);
    CHECK(fixture.status().seal.lag_ms == 5000);
    fixture.restart();
    CHECK(fixture.status().seal.lag_ms == 5000);
    CHECK(fixture.status().last_append == TimestampMs{1'700'000'003'000});
    fixture.seal();
    CHECK(fixture.status().seal.lag_ms == 0);
    fixture.clock.advance(1000);
    fixture.append("c\n");
    fixture.clock.advance(700);
    CHECK(fixture.status().seal.lag_ms == 700);
    CHECK(fixture.status().seal.lag_bytes == 2);
    fixture.clock.advance(-5000);
    CHECK(fixture.status().seal.lag_ms == 0);
}

TEST_CASE("PartitionStatus: the disk figure is what du says of the directory, open, sealed and closed") {
    PartitionFixture fixture;
    CHECK(fixture.log->disk_bytes() == du(fixture));
    fixture.append(lines(50'000));
    CHECK(fixture.status().disk_bytes() == du(fixture));
    for (const Codec codec : {Codec::kLz4, Codec::kZstd, Codec::kNone}) {
        fixture.settings.compression_type = codec;
        fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
        fixture.append(lines(30'000));
        fixture.clock.advance(20);
        fixture.seal();
        CHECK(fixture.status().disk_bytes() == du(fixture));
        CHECK(fixture.log->disk_bytes() == du(fixture));
    }
    REQUIRE(fixture.log->checkpoint());
    CHECK(fixture.status().disk_bytes() == du(fixture));
    fixture.log->close_idle();
    fixture.log->close_idle();
    CHECK(fixture.status().disk_bytes() == du(fixture));
    fixture.restart();
    CHECK(fixture.status().disk_bytes() == du(fixture));
    CHECK(fixture.log->disk_bytes() == du(fixture));
}

TEST_CASE("PartitionStatus: the disk figure follows what a file system keeps behind a segment's end and takes back") {
    PartitionFixture fixture;
    fixture.append(lines(50'000));
    fixture.clock.advance(20);
    fixture.seal();
    const std::string path = std::string(kPartitionDirectory) + "/" + segment_file_name(Position{0}, Codec::kLz4);
    const auto size = fixture.real->info(path)->size;
    const auto file = open_file(*fixture.real, path, O_RDWR);
    REQUIRE(file);
    if (::fallocate(file->fd.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(size), 1 << 20) != 0) {
        WARN("skipped: no room can be kept behind the end of a file here");
        return;
    }
    CHECK(fixture.status().disk_bytes() == du(fixture));
    REQUIRE(fixture.log->checkpoint());
    fixture.log->close_idle();
    CHECK(fixture.status().disk_bytes() == du(fixture));
    const std::uint64_t before = fixture.status().disk_bytes();
    REQUIRE(fixture.real->truncate(*file, size));
    CHECK(fixture.status().disk_bytes() == du(fixture));
    CHECK(fixture.log->disk_bytes() <= before - (1 << 20));
}

TEST_CASE("PartitionStatus: times of many hundredths of a second take room, and the disk figure knows it") {
    PartitionFixture fixture;
    for (int i = 0; i < 300; ++i) {
        fixture.append("x\n");
        fixture.clock.advance(10);
    }
    CHECK(fixture.real->info(std::string(kPartitionDirectory) + "/" + times_file_name(Position{0}))->disk_bytes > 4096);
    CHECK(fixture.status().disk_bytes() == du(fixture));
    fixture.restart();
    CHECK(fixture.status().disk_bytes() == du(fixture));
}

TEST_CASE("PartitionStatus: where head cannot be read the figures are as last known, and say why") {
    PartitionFixture fixture;
    fixture.append_batches({lines(10)});
    fixture.kill();
    FaultFileSystem faults(*fixture.real);
    auto opened = PartitionLog::open({faults, fixture.clock, fixture.cache, nullptr}, kPartitionDirectory,
                                     std::make_shared<TopicSettings>(), false);
    REQUIRE(opened);
    PartitionLog& log = **opened;
    const auto append = [&](const std::string& text) { REQUIRE(log.append(std::as_bytes(std::span(text)))); };
    append(lines(5));
    CHECK(log.status()->end_offset == Offset{15});
    append(lines(2));
    faults.set({"pread", ".head", 1, true, EIO});
    auto status = log.status();
    REQUIRE(status);
    CHECK_FALSE(status->unreadable.empty());
    CHECK(status->end_offset == Offset{15});
    CHECK(status->end == Position{170});
    CHECK(status->counts.appended_bytes == 70);
    faults.clear();
    status = log.status();
    CHECK(status->unreadable.empty());
    CHECK(status->end_offset == Offset{17});
}

TEST_CASE("PartitionStatus: to count what is in head decodes no batch, also where it is sealed meanwhile") {
    const bool given_back = GENERATE(false, true);
    CAPTURE(given_back);
    PartitionFixture fixture;
    fixture.kill();
    FaultFileSystem faults(*fixture.real);
    auto opened = PartitionLog::open({faults, fixture.clock, fixture.cache, nullptr}, kPartitionDirectory,
                                     std::make_shared<TopicSettings>(), false);
    REQUIRE(opened);
    PartitionLog& log = **opened;
    const std::string text = lines(100'000);  // is read in several pieces
    REQUIRE(log.append(std::as_bytes(std::span(text))));
    bool sealed = false;
    faults.observe([&](std::string_view name, const std::string& path) {
        if (!sealed && name == "pread" && path.find(".head") != std::string::npos) {
            sealed = true;
            REQUIRE(log.seal_due(fixture.builder, true));
            REQUIRE((!given_back || log.checkpoint()));
        }
    });
    const auto status = log.status();
    REQUIRE(sealed);
    REQUIRE(status);
    CHECK(status->end_offset == Offset{100'000});
    CHECK(status->counts.sealed_bytes == text.size());
    CHECK(fixture.cache.counts().misses == 0);
}

TEST_CASE("PartitionStatus: failures behind the appends are counted by what failed, each time") {
    PartitionFixture fixture;
    CHECK(fixture.status().counts.seal_failures == 0);
    const Error error = make_error(ErrorCode::kInvalid, "try", "p", "no");
    fixture.log->note_failed(PartitionLog::Work::kSeal, error);
    fixture.log->note_failed(PartitionLog::Work::kSeal, error);
    fixture.log->note_done(PartitionLog::Work::kSeal);
    fixture.log->note_failed(PartitionLog::Work::kCheckpoint, error);
    const PartitionCounts counts = fixture.status().counts;
    CHECK(counts.seal_failures == 2);
    CHECK(counts.checkpoint_failures == 1);
    CHECK(counts.look_failures + counts.times_failures + counts.new_head_failures == 0);
}

TEST_CASE("BatchCache: hits and misses are counted") {
    PartitionFixture fixture;
    fixture.append_batches({lines(100), lines(100)});
    CHECK(fixture.cache.counts().misses == 0);
    fixture.read(0, 10);
    fixture.read(10, 10);
    fixture.read(1000, 10);
    CHECK(fixture.cache.counts().misses == 2);
    CHECK(fixture.cache.counts().hits == 1);
}
