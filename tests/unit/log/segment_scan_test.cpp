#include "log/segment_scan.h"

#include "unit/log/partition_fixture.h"
#include "unit/log/segment_fixture.h"

#include <fcntl.h>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct Walk {
    SegmentScan scan;
    std::vector<std::uint64_t> seen;  // base positions
    std::size_t bad_payloads = 0;
};

Walk walk(SegmentFixture& fixture, SegmentScanOptions options = {}) {
    options.expected = std::max(options.expected, Position{SegmentFixture::kBase});
    const auto file = fixture.fs.open("p/" + fixture.path().filename().string(), O_RDONLY);
    REQUIRE(file);
    Walk result;
    auto scan = scan_segment(fixture.fs, *file, options, [&](const ScannedBatch& batch) {
        result.seen.push_back(batch.header.base_position.value);
        result.bad_payloads += batch.payload_error.empty() ? 0u : 1u;
        return true;
    });
    INFO((scan ? std::string() : scan.error().message()));
    REQUIRE(scan);
    result.scan = std::move(scan).value();
    return result;
}

void fill(SegmentFixture& fixture) {
    fixture.append(3, 'a');
    fixture.append(4, 'b');
    fixture.append(5, 'c');
}

}  // namespace

TEST_CASE("SegmentScan: a whole segment ends without a gap") {
    SegmentFixture fixture(GENERATE(Codec::kNone, Codec::kLz4, Codec::kZstd));
    CHECK(walk(fixture).scan.valid_end == 0);
    fill(fixture);
    SegmentScanOptions options;
    options.decode_payload = GENERATE(false, true);
    const Walk walked = walk(fixture, options);
    CHECK(walked.seen == std::vector<std::uint64_t>{70, 100, 140});
    CHECK(walked.scan.end == Position{190});
    CHECK(walked.scan.end_offset == Offset{7 + 12});
    CHECK(walked.scan.valid_end == std::filesystem::file_size(fixture.path()));
    CHECK(walked.scan.gaps.empty());
    CHECK_FALSE(walked.scan.torn);
    CHECK(walked.bad_payloads == 0);
}

TEST_CASE("SegmentScan: a file that ends inside a batch is torn, at whatever byte") {
    SegmentFixture fixture;
    fill(fixture);
    const std::string whole = read_file(fixture.path());
    const bool stop = GENERATE(false, true);
    for (std::size_t size = fixture.places[2] + 1; size < whole.size(); ++size) {
        write_file(fixture.path(), whole.substr(0, size));
        SegmentScanOptions options;
        options.stop_at_damage = stop;
        const Walk walked = walk(fixture, options);
        CAPTURE(size);
        REQUIRE(walked.scan.torn);
        REQUIRE(walked.scan.gaps.size() == 1);
        REQUIRE(walked.scan.gaps[0].file_from == fixture.places[2]);
        REQUIRE(walked.scan.gaps[0].position_from == Position{140});
        REQUIRE_FALSE(walked.scan.gaps[0].position_to);
        REQUIRE(walked.scan.valid_end == fixture.places[2]);
        REQUIRE(walked.scan.end == Position{140});
    }
}

TEST_CASE("SegmentScan: whatever bit of a header in the middle is wrong, the batches around it are found") {
    SegmentFixture fixture;
    fill(fixture);
    const std::string whole = read_file(fixture.path());
    const std::size_t header_bytes = fixture.headers[1].header_bytes;
    for (std::size_t bit = 0; bit < header_bytes * 8; ++bit) {
        std::string flipped = whole;
        const std::size_t at = fixture.places[1] + bit / 8;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << (bit % 8)));
        write_file(fixture.path(), flipped);
        const Walk walked = walk(fixture);
        CAPTURE(bit);
        REQUIRE(walked.seen == std::vector<std::uint64_t>{70, 140});
        REQUIRE(walked.scan.gaps.size() == 1);
        const ScanGap& gap = walked.scan.gaps[0];
        REQUIRE(gap.file_from == fixture.places[1]);
        REQUIRE(gap.file_to == fixture.places[2]);
        REQUIRE(gap.position_from == Position{100});
        REQUIRE(gap.position_to == Position{140});
        REQUIRE_FALSE(walked.scan.torn);
        REQUIRE(walked.scan.valid_end == whole.size());
    }
}

TEST_CASE("SegmentScan: a wrong payload is told with its batch, or ends the walk") {
    SegmentFixture fixture;
    fill(fixture);
    overwrite(fixture.path(), fixture.end_of(1) - 15, "?");
    const Walk walked = walk(fixture);
    CHECK(walked.seen.size() == 3);
    CHECK(walked.bad_payloads == 1);
    CHECK(walked.scan.gaps.empty());
    SegmentScanOptions options;
    options.stop_at_damage = true;
    const Walk stopped = walk(fixture, options);
    CHECK(stopped.seen == std::vector<std::uint64_t>{70});
    CHECK(stopped.scan.valid_end == fixture.places[1]);
    CHECK(stopped.scan.end == Position{100});
    CHECK_FALSE(stopped.scan.torn);
    options.check_payload_crc = false;
    CHECK(walk(fixture, options).seen.size() == 3);
}

TEST_CASE("SegmentScan: garbage, zeros and old batches behind the end are damage, not batches") {
    SegmentFixture fixture;
    fill(fixture);
    const std::string whole = read_file(fixture.path());
    const std::vector<std::string> tails{std::string(5000, '\0'), std::string(3, 'x'), std::string(2'000'000, 'x'),
                                         whole.substr(0, fixture.places[1]), whole.substr(fixture.places[1])};
    const std::string& behind = tails[GENERATE(0u, 1u, 2u, 3u, 4u)];
    write_file(fixture.path(), whole + behind);
    const Walk walked = walk(fixture);
    CHECK(walked.seen == std::vector<std::uint64_t>{70, 100, 140});
    CHECK(walked.scan.valid_end == whole.size());
    REQUIRE(walked.scan.gaps.size() == 1);
    CHECK(walked.scan.gaps[0].file_from == whole.size());
    SegmentScanOptions options;
    options.file_end = whole.size();
    CHECK(walk(fixture, options).scan.gaps.empty());
}

TEST_CASE("SegmentScan: a batch is found behind damage of any length") {
    SegmentFixture fixture;
    fill(fixture);
    const std::string whole = read_file(fixture.path());
    // Around the length of a step of the search.
    for (const std::size_t length :
         {1u, 111u, 112u, 113u, (1u << 20) - 113, (1u << 20) - 12, (1u << 20) - 1, 1u << 20, 3u << 20}) {
        CAPTURE(length);
        write_file(fixture.path(),
                   whole.substr(0, fixture.places[1]) + std::string(length, 'x') + whole.substr(fixture.places[2]));
        const Walk walked = walk(fixture);
        CHECK(walked.seen == std::vector<std::uint64_t>{70, 140});
        REQUIRE(walked.scan.gaps.size() == 1);
        CHECK(walked.scan.gaps[0].file_to - walked.scan.gaps[0].file_from == length);
    }
}

TEST_CASE("SegmentScan: a walk can begin at any batch") {
    SegmentFixture fixture;
    fill(fixture);
    SegmentScanOptions options;
    options.from = fixture.places[1];
    options.expected = Position{100};
    CHECK(walk(fixture, options).seen == std::vector<std::uint64_t>{100, 140});
    options.from = fixture.end_of(2);
    options.expected = Position{190};
    const Walk at_end = walk(fixture, options);
    CHECK(at_end.seen.empty());
    CHECK(at_end.scan.end == Position{190});
    CHECK(at_end.scan.valid_end == fixture.end_of(2));
}
