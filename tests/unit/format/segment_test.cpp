// Whole segments: header and payload together, for ours and for stock programs.
#include "base/crc32c.h"
#include "codec/codec.h"
#include "format/batch.h"
#include "support/bytes.h"
#include "support/damage.h"
#include "support/golden.h"
#include "support/random_content.h"
#include "support/stock_tool.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <optional>
#include <string>

namespace topicfs {
namespace {

using test::Bytes;

// The content of all batches; nothing where one of them is not whole and right.
std::optional<std::string> content_of(std::span<const std::byte> segment) {
    std::string content;
    for (;;) {
        const BatchDecoded decoded = decode_batch_header(segment);
        if (decoded.outcome == BatchOutcome::kEnd) {
            return content;
        }
        if (decoded.outcome != BatchOutcome::kBatch || segment.size() < decoded.header.batch_bytes()) {
            return std::nullopt;
        }
        const auto payload = segment.subspan(decoded.header.header_bytes, decoded.header.stored_bytes);
        Bytes raw(decoded.header.raw_bytes);
        if (crc32c(payload) != decoded.header.payload_crc ||
            !make_decompressor(decoded.header.codec)->decompress(payload, raw).has_value()) {
            return std::nullopt;
        }
        content += test::to_text(raw);
        segment = segment.subspan(decoded.header.batch_bytes());
    }
}

void append_batch(Codec codec, Position position, std::span<const std::byte> raw, Bytes& segment) {
    Bytes payload;
    REQUIRE(make_compressor(codec, 1)->compress(raw, payload).has_value());
    BatchHeader header;
    header.codec = codec;
    header.base_position = position;
    header.raw_bytes = static_cast<std::uint32_t>(raw.size());
    header.stored_bytes = static_cast<std::uint32_t>(payload.size());
    header.payload_crc = crc32c(payload);
    header.times = {{0, TimestampMs{1000}}};
    encode_batch_header(header, segment);
    segment.insert(segment.end(), payload.begin(), payload.end());
}

std::string golden_lines() {
    std::string lines;
    for (int i = 0; i < 40; ++i) {
        lines += "line " + std::to_string(i) + " of some that compress well\n";
    }
    return lines;
}

TEST_CASE("segment: the golden segments of every codec decode") {
    CHECK(content_of(test::read_golden_hex("segment_none.hex")) == "alpha\nbravo\ncharlie\ndelta\n");
    CHECK(content_of(test::read_golden_hex("segment_lz4.hex")) == golden_lines());
    CHECK(content_of(test::read_golden_hex("segment_zstd.hex")) == golden_lines());
}

TEST_CASE("segment: the golden segment of none is what encoding its content gives, byte for byte") {
    const Bytes golden = test::read_golden_hex("segment_none.hex");
    Bytes frame;
    REQUIRE(make_compressor(Codec::kNone, 0)->compress(test::to_bytes("alpha\nbravo\ncharlie\n"), frame).has_value());
    CHECK(test::hex_dump(frame) == test::hex_dump(std::span(golden).subspan(119, 43)));
}

TEST_CASE("segment: stock lz4 and zstd give the content of golden segments") {
    const test::TemporaryDirectory directory;
    struct Case {
        const char* golden;
        const char* program;
        const char* file;
        std::string content;
    };
    for (const Case& c : {Case{"segment_none.hex", "lz4", "none.lz4", "alpha\nbravo\ncharlie\ndelta\n"},
                          Case{"segment_lz4.hex", "lz4", "lz4.lz4", golden_lines()},
                          Case{"segment_zstd.hex", "zstd", "zstd.zst", golden_lines()}}) {
        if (test::has_tool(c.program, std::string("decoding ") + c.golden + " with a stock tool")) {
            test::write_file(directory / c.file, test::to_text(test::read_golden_hex(c.golden)));
            CHECK(test::output_of(std::string(c.program) + " -dcq", directory / c.file) == c.content);
        }
    }
}

TEST_CASE("segment: stock lz4 and zstd give the content of many batches, also of several files at once") {
    const test::TemporaryDirectory directory;
    test::Random random;
    struct Case {
        Codec codec;
        const char* tool;
        const char* command;
    };
    for (const Case& c : {Case{Codec::kNone, "lz4", "lz4 -dcmq"}, Case{Codec::kLz4, "lz4", "lz4 -dcmq"},
                          Case{Codec::kZstd, "zstdcat", "zstdcat -q"}}) {
        if (!test::has_tool(c.tool,
                            std::string("decoding a segment of ") + codec_name(c.codec) + " with a stock tool")) {
            continue;
        }
        std::string content;
        std::string first_file;
        for (const char* const name : {"1", "2"}) {
            Bytes segment;
            for (int i = 0; i < 5; ++i) {
                const Bytes raw = random.log_lines(random.between(1, 200'000));
                append_batch(c.codec, Position{content.size()}, raw, segment);
                content += test::to_text(raw);
            }
            const std::string file = directory / (std::string(name) + codec_file_suffix(c.codec));
            test::write_file(file, test::to_text(segment));
            first_file = first_file.empty() ? file : first_file;
            if (file != first_file) {
                const auto output = test::output_of(std::string(c.command) + " '" + first_file + "'", file);
                REQUIRE(output.has_value());
                CHECK((*output == content));
            }
        }
    }
}

TEST_CASE("segment: any flipped bit is found, in headers and payloads of every codec") {
    for (const char* const name : {"segment_none.hex", "segment_lz4.hex", "segment_zstd.hex"}) {
        test::for_each_bit_flip(test::read_golden_hex(name), [&](const Bytes& flipped, std::size_t bit) {
            CAPTURE(name, bit);
            REQUIRE_FALSE(content_of(flipped).has_value());
        });
    }
}

TEST_CASE("segment: cut at any byte it is whole only where a batch ends") {
    const Bytes segment = test::read_golden_hex("segment_none.hex");
    test::for_each_truncation(segment, [](const Bytes& cut, std::size_t size) {
        CAPTURE(size);
        REQUIRE(content_of(cut).has_value() == (size == 0 || size == 162));
    });
}

}  // namespace
}  // namespace topicfs
