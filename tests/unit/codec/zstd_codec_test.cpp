// zstd frames as others make them, and as nobody should.
#include "codec/codec.h"

#include "support/bytes.h"
#include "support/random_content.h"

#include <zstd.h>
#include <catch2/catch.hpp>

namespace topicfs {
namespace {

using test::Bytes;

Bytes stock_frame(std::span<const std::byte> raw, ZSTD_cParameter parameter, int value) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    REQUIRE(ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)) == 0);
    Bytes frame(ZSTD_compressBound(raw.size()));
    const std::size_t used = ZSTD_compress2(context, frame.data(), frame.size(), raw.data(), raw.size());
    ZSTD_freeCCtx(context);
    REQUIRE(ZSTD_isError(used) == 0);
    frame.resize(used);
    return frame;
}

TEST_CASE("zstd: a frame without its content size is not ours") {
    const Bytes raw = test::Random().log_lines(700);
    Bytes out(raw.size());
    CHECK_FALSE(
        make_decompressor(Codec::kZstd)->decompress(stock_frame(raw, ZSTD_c_contentSizeFlag, 0), out).has_value());
}

TEST_CASE("zstd: a frame with a checksum decodes, and the checksum is looked at") {
    const Bytes raw = test::Random().log_lines(700);
    Bytes out(raw.size());
    Bytes frame = stock_frame(raw, ZSTD_c_checksumFlag, 1);
    REQUIRE(make_decompressor(Codec::kZstd)->decompress(frame, out).has_value());
    CHECK((out == raw));
    frame.back() ^= std::byte{1};
    CHECK_FALSE(make_decompressor(Codec::kZstd)->decompress(frame, out).has_value());
}

TEST_CASE("zstd: a huge declared window is damage or is decoded, and takes no memory") {
    // RFC 8878: magic, a descriptor (no single segment, 8 bytes of content size), a window of 2^(10 + 31) bytes, the
    // content size of 5, one last raw block of 5 bytes.
    const unsigned char numbers[] = {0x28, 0xB5, 0x2F, 0xFD, 0xC0, 31 << 3, 5,   0,   0,   0,   0,
                                     0,    0,    0,    0x29, 0,    0,       'h', 'e', 'l', 'l', 'o'};
    Bytes frame;
    for (const unsigned char number : numbers) {
        frame.push_back(static_cast<std::byte>(number));
    }
    Bytes out(5);
    const auto decompressor = make_decompressor(Codec::kZstd);
    CHECK_FALSE(decompressor->decompress(frame, out).has_value());
    // With the largest window that the library takes at all, 2^(10 + 21).
    frame[5] = std::byte{21 << 3};
    REQUIRE(decompressor->decompress(frame, out).has_value());
    CHECK(test::to_text(out) == "hello");
}

}  // namespace
}  // namespace topicfs
