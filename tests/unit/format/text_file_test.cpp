#include "format/text_file.h"

#include "base/crc32c.h"
#include "support/golden.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <span>

namespace topicfs {
namespace {

const TextFile kGolden = {
    "topic", 1, {{"owner", "1000"}, {"record.delimiter", "\x1e"}, {"remark", "one\ntwo \\ three = 3"}}};

// `body` with the line that vouches for it.
std::string with_crc(const std::string& body) {
    char line[32];
    std::snprintf(line, sizeof line, "crc32c = %08x\n", crc32c(std::as_bytes(std::span(body))));
    return body + line;
}

ErrorCode code_of(const std::string& content, std::string_view kind = "topic", unsigned version_max = 1) {
    const Result<TextFile> file = decode_text_file(content, kind, version_max);
    REQUIRE_FALSE(file.has_value());
    return file.error().code;
}

TEST_CASE("TextFile: the golden file decodes to what stands in it, and encoding gives the file") {
    const std::string golden = test::read_golden_text("topic.txt");
    CHECK(decode_text_file(golden, "topic", 1).value() == kGolden);
    CHECK(encode_text_file(kGolden) == golden);
}

TEST_CASE("TextFile: any value comes back") {
    TextFile file{"state", 3, {}};
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) {
        every_byte += static_cast<char>(byte);
    }
    file.values = {{"a", ""},           {"b", every_byte},   {"c", " = "},
                   {"d", "\\n\\x00\\"}, {"e", "  spaces  "}, {"f.g_h-1", "x"}};
    CHECK(decode_text_file(encode_text_file(file), "state", 3).value() == file);
    const TextFile empty{"store", 1, {}};
    CHECK(decode_text_file(encode_text_file(empty), "store", 1).value() == empty);
}

TEST_CASE("TextFile: random values come back") {
    test::Random random;
    for (int round = 0; round < 300; ++round) {
        TextFile file{"topic", 1, {}};
        for (std::uint64_t left = random.between(0, 5); left > 0; --left) {
            file.values["key" + std::to_string(left)] = test::to_text(random.bytes(random.between(0, 40)));
        }
        REQUIRE(decode_text_file(encode_text_file(file), "topic", 1).value() == file);
    }
}

TEST_CASE("TextFile: cut at any byte it is damaged") {
    const std::string whole = encode_text_file(kGolden);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CAPTURE(size);
        REQUIRE(code_of(std::string(whole, 0, size)) == ErrorCode::kDamaged);
    }
}

TEST_CASE("TextFile: with any bit flipped it is damaged") {
    const std::string whole = encode_text_file(kGolden);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        CAPTURE(bit);
        std::string flipped = whole;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        REQUIRE(code_of(flipped) == ErrorCode::kDamaged);
    }
}

TEST_CASE("TextFile: bytes behind it are damage") {
    CHECK(code_of(encode_text_file(kGolden) + "\n") == ErrorCode::kDamaged);
    CHECK(code_of(encode_text_file(kGolden) + "more = 1\n") == ErrorCode::kDamaged);
}

TEST_CASE("TextFile: a file that was edited by hand says so") {
    std::string edited = encode_text_file(kGolden);
    edited.replace(edited.find("1000"), 4, "2000");
    const Result<TextFile> file = decode_text_file(edited, "topic", 1);
    REQUIRE_FALSE(file.has_value());
    CHECK_THAT(file.error().message(), Catch::Contains("edited by hand"));
}

TEST_CASE("TextFile: a later version is newer, whatever its lines look like, once its checksum is right") {
    CHECK(code_of(with_crc("topicfs-topic 2\nlines of another form\n")) == ErrorCode::kNewerFormat);
    CHECK(code_of("topicfs-topic 2\nlines of another form\ncrc32c = 00000000\n") == ErrorCode::kDamaged);
    CHECK(decode_text_file(with_crc("topicfs-topic 2\n"), "topic", 2).value().version == 2);
}

TEST_CASE("TextFile: another kind, or none, is damaged") {
    const std::string whole = encode_text_file(kGolden);
    CHECK(code_of(whole, "store") == ErrorCode::kDamaged);
    CHECK(code_of(whole, "top") == ErrorCode::kDamaged);
    CHECK(code_of(whole, "topic2") == ErrorCode::kDamaged);
    for (const char* const first : {"", "\n", "topic 1\n", "topicfs-topic\n", "topicfs-topic \n", "topicfs-topic x\n",
                                    "topicfs-topic 0\n", "topicfs-topic 99999\n", "topicfs-topic 1 \n"}) {
        CAPTURE(first);
        CHECK(code_of(with_crc(first)) == ErrorCode::kDamaged);
    }
}

TEST_CASE("TextFile: lines of a wrong form are damaged though the checksum is right") {
    for (const char* const line : {"no assignment", "key=value", "key =value", " = value", "Key = value", "k y = value",
                                   "key = a\\", "key = a\\q", "key = \\x1", "key = \\xZZ", "key = \\x1E", "key = a\tb",
                                   "crc32c = 00000000", "", "a = 1\na = 2"}) {
        CAPTURE(line);
        CHECK(code_of(with_crc(std::string("topicfs-topic 1\n") + line + "\n")) == ErrorCode::kDamaged);
    }
    CHECK(decode_text_file(with_crc("topicfs-topic 1\nkey = \n"), "topic", 1).value().values.at("key").empty());
}

TEST_CASE("TextFile: a file over the cap is not looked at") {
    CHECK(code_of(std::string(kTextFileBytesMax + 1, 'x')) == ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace topicfs
