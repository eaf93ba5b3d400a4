#include "format/batch.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>

namespace topicfs {
namespace {

using test::Bytes;

BatchHeader small_header() {
    BatchHeader header;
    header.codec = Codec::kZstd;
    header.base_offset = Offset{7};
    header.base_position = Position{700};
    header.record_count = 2;
    header.raw_bytes = 100;
    header.stored_bytes = 60;
    header.payload_crc = 0x12345678;
    header.times = {{0, TimestampMs{1000}}, {40, TimestampMs{1010}}};
    return header;
}

Bytes encoded(BatchHeader header) {
    Bytes out;
    encode_batch_header(header, out);
    return out;
}

BatchHeader decoded(const Bytes& bytes) {
    BatchDecoded result = decode_batch_header(bytes);
    REQUIRE(result.outcome == BatchOutcome::kBatch);
    return result.header;
}

TEST_CASE("BatchHeader: the golden segment's header decodes to what stands in it") {
    const BatchHeader header = decoded(test::read_golden_hex("segment_none.hex"));
    CHECK(header.codec == Codec::kNone);
    CHECK(header.base_offset == Offset{0x0102030405060708});
    CHECK(header.base_position == Position{0x1112131415161718});
    CHECK(header.record_count == 3);
    CHECK(header.raw_bytes == 20);
    CHECK(header.stored_bytes == 43);
    CHECK(header.payload_crc == 0x50f8c3ef);
    CHECK(header.times == std::vector<BatchTime>{{0, TimestampMs{1'795'266'000'000}},
                                                 {6, TimestampMs{1'795'266'000'010}},
                                                 {12, TimestampMs{1'795'266'000'310}}});
    CHECK(header.header_bytes == 119);
    CHECK(header.batch_bytes() == 162);
    CHECK(header.end_offset() == Offset{0x010203040506070b});
    CHECK(header.end_position() == Position{0x111213141516172c});
}

TEST_CASE("BatchHeader: the golden segment's header is what encoding it gives") {
    const Bytes golden = test::read_golden_hex("segment_none.hex");
    const BatchHeader header = decoded(golden);
    CHECK(test::hex_dump(encoded(header)) == test::hex_dump(std::span(golden).first(header.header_bytes)));
}

TEST_CASE("BatchHeader: encoding appends, and says how long the header is") {
    BatchHeader header = small_header();
    Bytes out = test::to_bytes("before");
    encode_batch_header(header, out);
    CHECK(header.header_bytes == kBatchHeaderFixedBytes + 4);
    CHECK(out.size() == 6 + header.header_bytes);
    CHECK(decode_batch_header(std::span(out).subspan(6)).header == header);
}

TEST_CASE("BatchHeader: decoding takes no notice of what follows on it") {
    const Bytes alone = encoded(small_header());
    for (const char filler : {'\0', '\xFF', 'x'}) {
        Bytes followed = alone;
        followed.insert(followed.end(), 50, static_cast<std::byte>(filler));
        CHECK(decoded(followed) == decoded(alone));
    }
}

TEST_CASE("BatchHeader: the extremes of every field come back") {
    BatchHeader header;
    header.codec = Codec::kLz4;
    header.raw_bytes = kBatchRawBytesMax;
    header.record_count = kBatchRawBytesMax;
    header.stored_bytes = batch_stored_bytes_max(kBatchRawBytesMax);
    header.base_offset = Offset{kPositionMax - header.record_count};
    header.base_position = Position{kPositionMax - header.raw_bytes};
    header.payload_crc = 0xFFFFFFFF;
    header.times = {{0, TimestampMs{std::numeric_limits<std::int64_t>::min()}},
                    {kBatchRawBytesMax - 1, TimestampMs{std::numeric_limits<std::int64_t>::max()}}};
    BatchHeader back = decoded(encoded(header));
    back.header_bytes = 0;
    CHECK(back == header);

    BatchHeader least;
    least.raw_bytes = 1;
    least.stored_bytes = 1;
    least.times = {{0, TimestampMs{0}}};
    back = decoded(encoded(least));
    back.header_bytes = 0;
    CHECK(back == least);
}

TEST_CASE("BatchHeader: times may repeat a place or a moment") {
    BatchHeader header = small_header();
    header.times = {{0, TimestampMs{5}}, {0, TimestampMs{6}}, {9, TimestampMs{6}}, {9, TimestampMs{6}}};
    CHECK(decoded(encoded(header)).times == header.times);
}

TEST_CASE("BatchHeader: random headers come back as they were") {
    test::Random random;
    for (int round = 0; round < 500; ++round) {
        BatchHeader header;
        header.codec = static_cast<Codec>(random.between(0, kCodecCount - 1));
        header.raw_bytes = static_cast<std::uint32_t>(random.between(1, kBatchRawBytesMax));
        header.stored_bytes = static_cast<std::uint32_t>(random.between(1, batch_stored_bytes_max(header.raw_bytes)));
        header.record_count = static_cast<std::uint32_t>(random.between(0, header.raw_bytes));
        header.base_offset = Offset{random.between(0, kPositionMax - header.record_count)};
        header.base_position = Position{random.between(0, kPositionMax - header.raw_bytes)};
        header.payload_crc = static_cast<std::uint32_t>(random.between(0, 0xFFFFFFFF));
        BatchTime time{0, TimestampMs{static_cast<std::int64_t>(random.between(0, 2'000'000'000'000))}};
        header.times.push_back(time);
        while (random.one_in(5) == false) {
            time.raw_offset = static_cast<std::uint32_t>(random.between(time.raw_offset, header.raw_bytes - 1));
            time.time.value += static_cast<std::int64_t>(random.between(0, 1'000'000));
            header.times.push_back(time);
        }
        BatchHeader back = decoded(encoded(header));
        back.header_bytes = 0;
        REQUIRE(back == header);
    }
}

TEST_CASE("BatchHeader: times that do not fit are thinned out evenly, and the first and the last stay") {
    BatchHeader header = small_header();
    header.raw_bytes = kBatchRawBytesMax;
    header.stored_bytes = 1000;
    header.times.clear();
    constexpr std::uint32_t kStep = 200;  // two bytes as a varint
    for (std::uint32_t offset = 0; offset + kStep < kBatchRawBytesMax; offset += kStep) {
        header.times.push_back({offset, TimestampMs{static_cast<std::int64_t>(offset)}});
    }
    const std::vector<BatchTime> before = header.times;
    Bytes out;
    encode_batch_header(header, out);
    CHECK(out.size() <= kBatchHeaderBytesMax);
    CHECK(header.times.size() > before.size() / 16);
    CHECK(header.times.front() == before.front());
    CHECK(header.times.back() == before.back());
    CHECK(std::includes(before.begin(), before.end(), header.times.begin(), header.times.end(),
                        [](const BatchTime& a, const BatchTime& b) { return a.raw_offset < b.raw_offset; }));
    const std::uint32_t gap = header.times[1].raw_offset - header.times[0].raw_offset;
    for (std::size_t i = 1; i + 1 < header.times.size(); ++i) {
        REQUIRE(header.times[i].raw_offset - header.times[i - 1].raw_offset == gap);
    }
    CHECK(decoded(out) == header);
}

TEST_CASE("batch_stored_bytes_max: holds every codec's frame of incompressible bytes") {
    test::Random random;
    for (const Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
        for (const std::uint32_t size : {1u, 100u, 65536u, 1u << 20, (4u << 20) + 1, kBatchRawBytesMax}) {
            Bytes frame;
            REQUIRE(make_compressor(codec, 1)->compress(random.bytes(size), frame).has_value());
            CHECK(frame.size() <= batch_stored_bytes_max(size));
        }
    }
}

}  // namespace
}  // namespace topicfs
