// What holds for every codec.
#include "codec/codec.h"

#include "support/bytes.h"
#include "support/damage.h"
#include "support/random_content.h"
#include "support/stock_tool.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <set>
#include <string>

namespace topicfs {
namespace {

using test::Bytes;

constexpr Codec kAllCodecs[] = {Codec::kNone, Codec::kLz4, Codec::kZstd};

Bytes frame_of(Codec codec, std::span<const std::byte> raw, int level = 1) {
    Bytes frame;
    REQUIRE(make_compressor(codec, level)->compress(raw, frame).has_value());
    return frame;
}

// The content, where `frame` is one of exactly `content_bytes`.
Result<Bytes> content_of(Codec codec, std::span<const std::byte> frame, std::size_t content_bytes) {
    Bytes out(content_bytes);
    TOPICFS_TRY(make_decompressor(codec)->decompress(frame, out));
    return out;
}

bool is_damaged(const Result<Bytes>& content) {
    return !content.has_value() && content.error().code == ErrorCode::kDamaged;
}

TEST_CASE("codec: the persisted numbers are what they have always been") {
    CHECK(static_cast<int>(Codec::kNone) == 0);
    CHECK(static_cast<int>(Codec::kLz4) == 1);
    CHECK(static_cast<int>(Codec::kZstd) == 2);
    CHECK(kCodecCount == std::size(kAllCodecs));
}

TEST_CASE("codec: each name is parsed back, and nothing else is") {
    for (const Codec codec : kAllCodecs) {
        CHECK(parse_codec(codec_name(codec)).value() == codec);
    }
    for (const char* const name : {"", "gzip", "LZ4", "lz4 "}) {
        const Result<Codec> codec = parse_codec(name);
        REQUIRE_FALSE(codec.has_value());
        CHECK(codec.error().code == ErrorCode::kInvalid);
        CHECK_THAT(codec.error().message(), Catch::StartsWith("compression.type: '" + std::string(name) + "'"));
    }
}

TEST_CASE("codec: the file suffix is that which stock tools know") {
    CHECK(std::string(codec_file_suffix(Codec::kNone)) == ".log.lz4");
    CHECK(std::string(codec_file_suffix(Codec::kLz4)) == ".log.lz4");
    CHECK(std::string(codec_file_suffix(Codec::kZstd)) == ".log.zst");
}

TEST_CASE("codec: what was compressed is decompressed, at sizes around every bound, by one object used again") {
    test::Random random;
    constexpr std::size_t kMiB = 1u << 20;
    const std::size_t sizes[] = {0,     1,    2,        13,           4095,     65535,        65536,
                                 65537, kMiB, kMiB + 1, 4 * kMiB - 1, 4 * kMiB, 4 * kMiB + 1, 9 * kMiB + 7,
                                 100};
    for (const Codec codec : kAllCodecs) {
        const auto compressor = make_compressor(codec, 1);
        const auto decompressor = make_decompressor(codec);
        for (const std::size_t size : sizes) {
            for (const bool is_compressible : {true, false}) {
                CAPTURE(codec_name(codec), size, is_compressible);
                const Bytes raw = is_compressible ? random.log_lines(size) : random.bytes(size);
                Bytes frame;
                REQUIRE(compressor->compress(raw, frame).has_value());
                Bytes out(size, std::byte{0x55});
                REQUIRE(decompressor->decompress(frame, out).has_value());
                REQUIRE((out == raw));
            }
        }
    }
}

TEST_CASE("codec: every level gives the content back, and levels outside the range are taken as the nearest") {
    const Bytes raw = test::Random().log_lines(50'000);
    for (int level = kLz4LevelMin - 1; level <= kLz4LevelMax + 1; ++level) {
        REQUIRE((content_of(Codec::kLz4, frame_of(Codec::kLz4, raw, level), raw.size()).value() == raw));
    }
    for (int level = kZstdLevelMin - 1; level <= kZstdLevelMax + 1; ++level) {
        REQUIRE((content_of(Codec::kZstd, frame_of(Codec::kZstd, raw, level), raw.size()).value() == raw));
    }
    CHECK(frame_of(Codec::kLz4, raw, 12).size() < frame_of(Codec::kLz4, raw, 1).size());
    CHECK(frame_of(Codec::kZstd, raw, 19).size() < frame_of(Codec::kZstd, raw, -5).size());
}

TEST_CASE("codec: a frame is appended behind what is there") {
    const Bytes raw = test::to_bytes("alpha\nbravo\n");
    for (const Codec codec : kAllCodecs) {
        Bytes out = test::to_bytes("before");
        REQUIRE(make_compressor(codec, 1)->compress(raw, out).has_value());
        CHECK(test::to_text(std::span(out).first(6)) == "before");
        CHECK(content_of(codec, std::span(out).subspan(6), raw.size()).value() == raw);
    }
}

TEST_CASE("codec: a frame that is cut at any byte is damaged") {
    const Bytes raw = test::Random().log_lines(1500);
    for (const Codec codec : kAllCodecs) {
        test::for_each_truncation(frame_of(codec, raw), [&](const Bytes& cut, std::size_t size) {
            CAPTURE(codec_name(codec), size);
            REQUIRE(is_damaged(content_of(codec, cut, raw.size())));
        });
    }
}

// The frames have no checksum, so a flipped bit of the content shows only as other content; the batch's CRC finds it.
TEST_CASE("codec: with any bit flipped a frame is damaged or holds other content, and no memory is touched beside it") {
    const Bytes raw = test::Random().log_lines(700);
    for (const Codec codec : kAllCodecs) {
        const auto decompressor = make_decompressor(codec);
        Bytes out(raw.size());
        const Bytes frame = frame_of(codec, raw);
        test::for_each_bit_flip(frame, [&](const Bytes& flipped, std::size_t bit) {
            CAPTURE(codec_name(codec), bit);
            const Result<void> result = decompressor->decompress(flipped, out);
            REQUIRE((result.has_value() || result.error().code == ErrorCode::kDamaged));
        });
        // And the object decodes a good one after all of that.
        REQUIRE(decompressor->decompress(frame, out).has_value());
        REQUIRE((out == raw));
    }
}

TEST_CASE("codec: random bytes behind a good beginning never do harm") {
    test::Random random;
    for (const Codec codec : kAllCodecs) {
        const Bytes raw = random.log_lines(3000);
        const Bytes good = frame_of(codec, raw);
        const auto decompressor = make_decompressor(codec);
        for (int round = 0; round < 2000; ++round) {
            Bytes frame = good;
            const std::size_t from = random.between(4, frame.size() - 1);
            const Bytes garbage = random.bytes(random.between(1, frame.size() - from));
            std::copy(garbage.begin(), garbage.end(), frame.begin() + static_cast<std::ptrdiff_t>(from));
            Bytes out(raw.size());
            const Result<void> result = decompressor->decompress(frame, out);
            REQUIRE((result.has_value() || result.error().code == ErrorCode::kDamaged));
        }
    }
}

TEST_CASE("codec: content of another size than expected is damaged") {
    test::Random random;
    for (const Codec codec : kAllCodecs) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{700}, std::size_t{100'000}}) {
            const Bytes frame = frame_of(codec, random.log_lines(size));
            CHECK(is_damaged(content_of(codec, frame, size - 1)));
            CHECK(is_damaged(content_of(codec, frame, size + 1)));
            CHECK(is_damaged(content_of(codec, frame, 0)));
        }
    }
}

TEST_CASE("codec: bytes behind the frame are damage, another whole frame too") {
    const Bytes raw = test::Random().log_lines(700);
    for (const Codec codec : kAllCodecs) {
        const Bytes frame = frame_of(codec, raw);
        Bytes longer = frame;
        longer.push_back(std::byte{0});
        CHECK(is_damaged(content_of(codec, longer, raw.size())));
        Bytes twice = frame;
        twice.insert(twice.end(), frame.begin(), frame.end());
        CHECK(is_damaged(content_of(codec, twice, raw.size())));
        CHECK(is_damaged(content_of(codec, twice, 2 * raw.size())));
        Bytes with_empty = frame;
        const Bytes empty = frame_of(codec, {});
        with_empty.insert(with_empty.end(), empty.begin(), empty.end());
        CHECK(is_damaged(content_of(codec, with_empty, raw.size())));
    }
}

TEST_CASE("codec: a skippable frame is no content") {
    const Bytes skippable = {std::byte{0x5E}, std::byte{0x2A}, std::byte{0x4D}, std::byte{0x18},
                             std::byte{0},    std::byte{0},    std::byte{0},    std::byte{0}};
    for (const Codec codec : kAllCodecs) {
        CHECK(is_damaged(content_of(codec, skippable, 0)));
        Bytes before_frame = skippable;
        const Bytes frame = frame_of(codec, test::to_bytes("alpha\n"));
        before_frame.insert(before_frame.end(), frame.begin(), frame.end());
        CHECK(is_damaged(content_of(codec, before_frame, 6)));
    }
}

TEST_CASE("codec: a frame of another codec is damaged, but for none and lz4, which are both LZ4 frames") {
    const Bytes raw = test::Random().log_lines(700);
    CHECK(is_damaged(content_of(Codec::kZstd, frame_of(Codec::kLz4, raw), raw.size())));
    CHECK(is_damaged(content_of(Codec::kLz4, frame_of(Codec::kZstd, raw), raw.size())));
    CHECK(content_of(Codec::kLz4, frame_of(Codec::kNone, raw), raw.size()).value() == raw);
}

TEST_CASE("codec: stock lz4 and zstd decode every frame, and frames one after another") {
    const test::TemporaryDirectory directory;
    test::Random random;
    for (const Codec codec : kAllCodecs) {
        const std::string program = codec == Codec::kZstd ? "zstd" : "lz4";
        if (!test::has_tool(program, std::string("decoding a frame of ") + codec_name(codec) + " with a stock tool")) {
            continue;
        }
        Bytes all_raw;
        Bytes all_frames;
        const auto compressor = make_compressor(codec, 1);
        for (const std::size_t size : {1u, 700u, 1u << 20, (4u << 20) + 1, 5u}) {
            const Bytes raw = size % 2 == 0 ? random.log_lines(size) : random.bytes(size);
            all_raw.insert(all_raw.end(), raw.begin(), raw.end());
            REQUIRE(compressor->compress(raw, all_frames).has_value());
        }
        const std::filesystem::path file = directory / (std::string("frames") + codec_file_suffix(codec));
        test::write_file(file, test::to_text(all_frames));
        const std::optional<std::string> output = test::output_of(program + " -dcq", file);
        REQUIRE(output.has_value());
        CHECK((*output == test::to_text(all_raw)));
    }
}

}  // namespace
}  // namespace topicfs
