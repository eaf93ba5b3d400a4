#include "codec/codec.h"

#include "support/bytes.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace topicfs {
namespace {

using test::Bytes;

TEST_CASE("none: the content lies in the frame as it is, where none_frame_offset says") {
    test::Random random;
    for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, kNoneBlockBytesMax - 1, kNoneBlockBytesMax,
                                   kNoneBlockBytesMax + 1, 2 * kNoneBlockBytesMax, 2 * kNoneBlockBytesMax + 9}) {
        CAPTURE(size);
        const Bytes raw = random.bytes(size);
        Bytes frame;
        REQUIRE(make_compressor(Codec::kNone, 0)->compress(raw, frame).has_value());
        REQUIRE(frame.size() == none_frame_bytes(size));
        for (std::size_t begin = 0; begin < size; begin += kNoneBlockBytesMax) {
            const std::size_t length = std::min(kNoneBlockBytesMax, size - begin);
            const auto expected = std::span(raw).subspan(begin, length);
            const auto found = std::span(frame).subspan(none_frame_offset(begin), length);
            REQUIRE(std::equal(expected.begin(), expected.end(), found.begin()));
            REQUIRE(none_frame_offset(begin + length - 1) == none_frame_offset(begin) + length - 1);
        }
    }
}

TEST_CASE("none: content that would compress is stored all the same") {
    const Bytes raw(100'000, std::byte{'x'});
    Bytes frame;
    REQUIRE(make_compressor(Codec::kNone, 0)->compress(raw, frame).has_value());
    CHECK(frame.size() == none_frame_bytes(raw.size()));
}

TEST_CASE("none: a frame is known by its layout, and by nothing else") {
    test::Random random;
    const std::size_t size = kNoneBlockBytesMax + 1000;
    const Bytes raw = random.bytes(size);
    Bytes frame;
    REQUIRE(make_compressor(Codec::kNone, 0)->compress(raw, frame).has_value());
    CHECK(is_none_frame(frame, size));
    CHECK_FALSE(is_none_frame(frame, size - 1));
    CHECK_FALSE(is_none_frame(std::span(frame).first(frame.size() - 1), size));
    CHECK_FALSE(is_none_frame({}, 0));
    // Its header, the headers of its two blocks, and its end mark.
    for (const std::size_t at : {std::size_t{0}, std::size_t{4}, std::size_t{14}, std::size_t{15}, std::size_t{18},
                                 none_frame_offset(kNoneBlockBytesMax) - 1, frame.size() - 1}) {
        CAPTURE(at);
        Bytes changed = frame;
        changed[at] ^= std::byte{1};
        CHECK_FALSE(is_none_frame(changed, size));
    }
    frame.clear();
    REQUIRE(make_compressor(Codec::kLz4, 1)->compress(raw, frame).has_value());  // stores, as it cannot compress
    CHECK(is_none_frame(frame, size) == (frame.size() == none_frame_bytes(size)));
}

TEST_CASE("none: no content is a frame without blocks") {
    Bytes frame;
    REQUIRE(make_compressor(Codec::kNone, 0)->compress({}, frame).has_value());
    Bytes out;
    CHECK(make_decompressor(Codec::kNone)->decompress(frame, out).has_value());
}

}  // namespace
}  // namespace topicfs
