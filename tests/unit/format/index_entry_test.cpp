#include "format/index_entry.h"

#include "format/batch.h"
#include "support/bytes.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <functional>

namespace topicfs {
namespace {

using test::Bytes;

const IndexHeader kGoldenHeader = {Position{0x1112131415161718}};

IndexEntry golden_entry() {
    IndexEntry entry;
    entry.base_offset = Offset{0x0102030405060708};
    entry.base_position = Position{0x1112131415161718};
    entry.file_offset = 0x2122232425262728;
    entry.first_time = TimestampMs{1'795'266'000'000};
    entry.last_time = TimestampMs{1'795'266'000'310};
    entry.raw_bytes = 20;
    entry.batch_bytes = 161;
    entry.record_count = 3;
    return entry;
}

// What decoding says of the golden entry after `change`.
ErrorCode code_after(const std::function<void(IndexEntry&)>& change) {
    IndexEntry entry = golden_entry();
    change(entry);
    const Result<IndexEntry> decoded = decode_index_entry(encode_index_entry(entry));
    REQUIRE_FALSE(decoded.has_value());
    return decoded.error().code;
}

TEST_CASE("Index: the golden index decodes to what stands in it, and encoding gives it") {
    const Bytes golden = test::read_golden_hex("index.hex");
    REQUIRE(golden.size() == kIndexHeaderBytes + kIndexEntryBytes);
    CHECK(decode_index_header(golden).value() == kGoldenHeader);
    CHECK(decode_index_entry(std::span(golden).subspan(kIndexHeaderBytes)).value() == golden_entry());
    const auto header = encode_index_header(kGoldenHeader);
    const auto entry = encode_index_entry(golden_entry());
    Bytes encoded(header.begin(), header.end());
    encoded.insert(encoded.end(), entry.begin(), entry.end());
    CHECK(test::hex_dump(encoded) == test::hex_dump(golden));
}

TEST_CASE("IndexHeader: cut at any byte or with any bit flipped it is damaged") {
    test::check_damage(encode_index_header(kGoldenHeader), decode_index_header);
}

TEST_CASE("IndexHeader: what a later version wrote is newer, unknown compatible flags do no harm") {
    test::check_versions(encode_index_header(kGoldenHeader), decode_index_header);
}

TEST_CASE("IndexHeader: an impossible base is damaged") {
    CHECK(decode_index_header(encode_index_header({Position{kPositionMax + 1}})).error().code == ErrorCode::kDamaged);
}

TEST_CASE("IndexEntry: cut at any byte or with any bit flipped it is damaged") {
    test::check_damage(encode_index_entry(golden_entry()), decode_index_entry);
}

TEST_CASE("IndexEntry: zeros, as a file has that was extended, are damaged") {
    CHECK(decode_index_entry(Bytes(kIndexEntryBytes)).error().code == ErrorCode::kDamaged);
}

TEST_CASE("IndexEntry: the extremes come back") {
    IndexEntry entry;
    entry.raw_bytes = kBatchRawBytesMax;
    entry.record_count = kBatchRawBytesMax;
    entry.batch_bytes = static_cast<std::uint32_t>(kBatchHeaderBytesMax) + batch_stored_bytes_max(kBatchRawBytesMax);
    entry.base_offset = Offset{kPositionMax - entry.record_count};
    entry.base_position = Position{kPositionMax - entry.raw_bytes};
    entry.file_offset = kPositionMax - entry.batch_bytes;
    entry.first_time = TimestampMs{INT64_MIN};
    entry.last_time = TimestampMs{INT64_MAX};
    CHECK(decode_index_entry(encode_index_entry(entry)).value() == entry);
}

TEST_CASE("IndexEntry: fields out of bounds are damaged though the checksum is right") {
    CHECK(code_after([](IndexEntry& entry) { entry.raw_bytes = 0; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.raw_bytes = kBatchRawBytesMax + 1; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.record_count = 21; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.batch_bytes = 112; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.batch_bytes = 0xFFFFFFFF; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.base_offset.value = kPositionMax; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.base_position.value = kPositionMax; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.file_offset = kPositionMax; }) == ErrorCode::kDamaged);
    CHECK(code_after([](IndexEntry& entry) { entry.last_time.value = entry.first_time.value - 1; }) ==
          ErrorCode::kDamaged);
}

TEST_CASE("IndexEntry: says where its batch ends") {
    const IndexEntry entry = golden_entry();
    CHECK(entry.end_position() == entry.base_position + 20);
    CHECK(entry.end_offset() == entry.base_offset + 3);
    CHECK(entry.file_end() == entry.file_offset + 161);
}

}  // namespace
}  // namespace topicfs
