#include "log/batch_builder.h"

#include "base/crc32c.h"
#include "support/bytes.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

using namespace topicfs;
using namespace topicfs::test;

TEST_CASE("BatchBuilder: records are counted by the delimiter, and bytes where there is none") {
    const Bytes bytes = to_bytes(std::string("a\nb\n\0c\0", 7));
    CHECK(count_records(bytes, '\n') == 2);
    CHECK(count_records(bytes, std::uint8_t{0}) == 2);
    CHECK(count_records(bytes, 'x') == 0);
    CHECK(count_records(bytes, std::nullopt) == 7);
    CHECK(count_records({}, '\n') == 0);
}

TEST_CASE("BatchBuilder: records are counted right at every length and alignment") {
    Random random;
    Bytes bytes = random.bytes(20'000);
    for (std::byte& byte : bytes) {
        byte = random.one_in(3) ? byte : std::byte{0xfe};
    }
    for (int round = 0; round < 300; ++round) {
        const std::size_t from = random.between(0, 100);
        const auto some = std::span<const std::byte>(bytes).subspan(
            from, round < 150 ? random.between(0, 70) : random.between(0, bytes.size() - from));
        CAPTURE(random.seed(), from, some.size());
        CHECK(count_records(some, std::uint8_t{0xfe}) ==
              static_cast<std::uint64_t>(std::count(some.begin(), some.end(), std::byte{0xfe})));
    }
    const Bytes same(1'000'000, std::byte{'x'});  // more in one lane than a byte can count
    CHECK(count_records(same, 'x') == same.size());
}

TEST_CASE("BatchBuilder: a batch decodes to what went in, with one builder for all codecs") {
    Random random;
    BatchBuilder builder;
    for (int round = 0; round < 30; ++round) {
        CAPTURE(random.seed(), round);
        const auto codec = static_cast<Codec>(random.between(0, 2));
        const std::size_t size = random.between(1, 100'000);
        const Bytes raw = random.one_in(2) ? random.bytes(size) : random.log_lines(size);
        std::copy(raw.begin(), raw.end(), builder.raw(size).begin());
        BatchHeader header;
        header.base_offset = Offset{random.between(0, 1000)};
        header.base_position = Position{random.between(0, 1000)};
        header.times = {{0, {5}}, {static_cast<std::uint32_t>(size - 1), {6}}};
        const auto batch = builder.build(header, codec, 1, '\n');
        REQUIRE(batch);
        const BatchDecoded decoded = decode_batch_header(batch->bytes);
        REQUIRE(decoded.outcome == BatchOutcome::kBatch);
        CHECK(decoded.header == batch->header);
        CHECK(decoded.header.codec == codec);
        CHECK(decoded.header.base_offset == header.base_offset);
        CHECK(decoded.header.record_count == count_records(raw, '\n'));
        CHECK(decoded.header.times == header.times);
        REQUIRE(batch->bytes.size() == decoded.header.batch_bytes());
        const auto frame = batch->bytes.subspan(decoded.header.header_bytes);
        CHECK(crc32c(frame) == decoded.header.payload_crc);
        Bytes back(decoded.header.raw_bytes);
        REQUIRE(make_decompressor(codec)->decompress(frame, back));
        CHECK((back == raw));
    }
}
