// LZ4 frames as others make them, and as nobody should.
#include "codec/codec.h"

#include "support/bytes.h"
#include "support/random_content.h"

#include <lz4frame.h>
#include <catch2/catch.hpp>

#include <algorithm>

namespace topicfs {
namespace {

using test::Bytes;

Bytes stock_frame(std::span<const std::byte> raw, LZ4F_preferences_t preferences) {
    preferences.frameInfo.contentSize = raw.size();
    Bytes frame(LZ4F_compressFrameBound(raw.size(), &preferences));
    const std::size_t used = LZ4F_compressFrame(frame.data(), frame.size(), raw.data(), raw.size(), &preferences);
    REQUIRE(LZ4F_isError(used) == 0);
    frame.resize(used);
    return frame;
}

LZ4F_preferences_t preferences_of(LZ4F_blockSizeID_t block_size, LZ4F_blockMode_t mode) {
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.blockSizeID = block_size;
    preferences.frameInfo.blockMode = mode;
    return preferences;
}

// Lines whose later parts repeat the earlier ones, so that linked blocks refer far back.
Bytes repeating_lines() {
    const Bytes part = test::Random().log_lines(50'000);
    Bytes raw;
    for (int i = 0; i < 8; ++i) {
        raw.insert(raw.end(), part.begin(), part.end());
    }
    return raw;
}

TEST_CASE("lz4: frames of every block size decode, with linked blocks and with independent ones") {
    const Bytes raw = repeating_lines();
    for (const auto block_size : {LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB}) {
        for (const auto mode : {LZ4F_blockLinked, LZ4F_blockIndependent}) {
            CAPTURE(static_cast<int>(block_size), static_cast<int>(mode));
            Bytes out(raw.size());
            const auto frame = stock_frame(raw, preferences_of(block_size, mode));
            REQUIRE(make_decompressor(Codec::kLz4)->decompress(frame, out).has_value());
            REQUIRE((out == raw));
        }
    }
}

TEST_CASE("lz4: a linked block that says it were independent is damaged, not decoded out of what lies before it") {
    const Bytes raw = repeating_lines();
    // As independent blocks, each may not refer to what is before it.
    const Bytes linked = stock_frame(raw, preferences_of(LZ4F_max64KB, LZ4F_blockLinked));
    const Bytes independent = stock_frame(raw, preferences_of(LZ4F_max64KB, LZ4F_blockIndependent));
    Bytes crossed(independent.begin(), independent.begin() + 15);  // the frame's header
    crossed.insert(crossed.end(), linked.begin() + 15, linked.end());
    Bytes out(raw.size());
    CHECK_FALSE(make_decompressor(Codec::kLz4)->decompress(crossed, out).has_value());
}

TEST_CASE("lz4: frames with checksums or without content size are not ours") {
    const Bytes raw = test::Random().log_lines(700);
    Bytes out(raw.size());
    const auto decompressor = make_decompressor(Codec::kLz4);

    LZ4F_preferences_t with_content_checksum = LZ4F_INIT_PREFERENCES;
    with_content_checksum.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    CHECK_FALSE(decompressor->decompress(stock_frame(raw, with_content_checksum), out).has_value());

    LZ4F_preferences_t with_block_checksums = LZ4F_INIT_PREFERENCES;
    with_block_checksums.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    CHECK_FALSE(decompressor->decompress(stock_frame(raw, with_block_checksums), out).has_value());

    Bytes without_size(LZ4F_compressFrameBound(raw.size(), nullptr));
    without_size.resize(LZ4F_compressFrame(without_size.data(), without_size.size(), raw.data(), raw.size(), nullptr));
    CHECK_FALSE(decompressor->decompress(without_size, out).has_value());
}

TEST_CASE("lz4: blocks with impossible lengths are damaged") {
    const Bytes raw = test::Random().log_lines(700);
    Bytes frame;
    REQUIRE(make_compressor(Codec::kLz4, 1)->compress(raw, frame).has_value());
    constexpr std::size_t kBlockHeaderAt = 15;
    const auto decompressor = make_decompressor(Codec::kLz4);
    Bytes out(raw.size());
    for (const std::uint32_t length :
         {0u, 1u, 0x3FFFFFu, 0x400001u, 0x7FFFFFFFu, 0x80000000u, 0x80000001u, 0xFFFFFFFFu}) {
        CAPTURE(length);
        Bytes changed = frame;
        for (std::size_t i = 0; i < 4; ++i) {
            changed[kBlockHeaderAt + i] = static_cast<std::byte>(length >> (8 * i));
        }
        const Result<void> result = decompressor->decompress(changed, out);
        REQUIRE_FALSE(result.has_value());
        CHECK(result.error().code == ErrorCode::kDamaged);
    }
}

TEST_CASE("lz4: a frame whose blocks hold less than it declares is damaged") {
    const Bytes raw = test::Random().log_lines(700);
    Bytes frame;
    REQUIRE(make_compressor(Codec::kNone, 0)->compress(raw, frame).has_value());
    frame.resize(kNoneFrameHeaderBytes);
    frame.resize(kNoneFrameHeaderBytes + 4);  // the end mark at once
    Bytes out(raw.size());
    const Result<void> result = make_decompressor(Codec::kLz4)->decompress(frame, out);
    REQUIRE_FALSE(result.has_value());
    CHECK_THAT(result.error().message(), Catch::Contains("less than it declares"));
}

TEST_CASE("lz4: a large declared size takes no memory") {
    // 2^62 bytes of content, which the header's own checksum vouches for.
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.contentSize = 1ull << 62;
    LZ4F_cctx* context = nullptr;
    REQUIRE(LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) == 0);
    Bytes frame(LZ4F_HEADER_SIZE_MAX);
    frame.resize(LZ4F_compressBegin(context, frame.data(), frame.size(), &preferences));
    LZ4F_freeCompressionContext(context);
    Bytes out(100);
    const Result<void> result = make_decompressor(Codec::kLz4)->decompress(frame, out);
    REQUIRE_FALSE(result.has_value());
    CHECK_THAT(result.error().message(), Catch::Contains("declares another size"));
}

}  // namespace
}  // namespace topicfs
