#include "format/head_header.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

namespace topicfs {
namespace {

using test::Bytes;

const HeadHeader kGolden = {Position{0x1112131415161718}, TimestampMs{1'795'266'000'000}};
const HeadHeader kGoldenVersion1 = {kGolden.base, kGolden.created, kHeadDataAtOfVersion1};

TEST_CASE("HeadHeader: the golden block decodes to what stands in it, and encoding gives the block") {
    const Bytes golden = test::read_golden_hex("head_header.hex");
    REQUIRE(golden.size() == kHeadHeaderBytes);
    CHECK(decode_head_header(golden).value() == kGolden);
    CHECK(test::hex_dump(encode_head_header(kGolden)) == test::hex_dump(golden));
}

TEST_CASE("HeadHeader: a block of version 1 has its raw bytes right behind it, and stays of that version") {
    const Bytes golden = test::read_golden_hex("head_header_v1.hex");
    CHECK(decode_head_header(golden).value() == kGoldenVersion1);
    CHECK(test::hex_dump(encode_head_header(kGoldenVersion1)) == test::hex_dump(golden));
}

TEST_CASE("HeadHeader: raw bytes can begin in one place only") {
    const auto block = encode_head_header({Position{0}, {}, kHeadDataAt + 1});
    CHECK(decode_head_header(block).error().code == ErrorCode::kDamaged);
}

TEST_CASE("HeadHeader: the extremes come back") {
    for (const HeadHeader& header : {HeadHeader{Position{0}, TimestampMs{INT64_MIN}},
                                     HeadHeader{Position{kPositionMax}, TimestampMs{INT64_MAX}}}) {
        CHECK(decode_head_header(encode_head_header(header)).value() == header);
    }
}

TEST_CASE("HeadHeader: raw bytes behind the block are not looked at") {
    const auto block = encode_head_header(kGolden);
    Bytes file(block.begin(), block.end());
    file.resize(file.size() + 100, std::byte{'x'});
    CHECK(decode_head_header(file).value() == kGolden);
}

TEST_CASE("HeadHeader: cut at any byte or with any bit flipped it is damaged") {
    test::check_damage(encode_head_header(GENERATE(kGolden, kGoldenVersion1)), decode_head_header);
}

TEST_CASE("HeadHeader: what a later version wrote is newer, unknown compatible flags do no harm") {
    test::check_versions(encode_head_header(kGolden), decode_head_header, 3);
}

TEST_CASE("HeadHeader: an impossible base is damaged") {
    CHECK(decode_head_header(encode_head_header({Position{kPositionMax + 1}, {}})).error().code == ErrorCode::kDamaged);
}

}  // namespace
}  // namespace topicfs
