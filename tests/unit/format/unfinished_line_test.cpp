#include "format/unfinished_line.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace topicfs {
namespace {

using test::Bytes;
using test::to_bytes;
using test::to_text;
using Kind = UnfinishedKind;

// A file of frames, put together piece by piece.
struct Chain {
    std::uint64_t generation = 0x0102030405060708;
    std::uint32_t index = 0;
    Bytes file;

    Chain& add(UnfinishedFrame frame) {
        frame.generation = generation;
        frame.index = index++;
        const Bytes bytes = encode_unfinished_frame(frame);
        file.insert(file.end(), bytes.begin(), bytes.end());
        return *this;
    }
    Chain& add(Kind kind, const std::string& text = "", std::optional<std::uint32_t> partition = {},
               std::uint64_t log_end = 0, std::uint64_t placed = 0) {
        const Bytes data = to_bytes(text);
        UnfinishedFrame frame;
        frame.kind = kind;
        frame.partition = partition;
        frame.log_end.value = log_end;
        frame.placed = placed;
        frame.data = data;
        return add(frame);
    }
    UnfinishedLine line(bool power_was_cut = false) const {
        return decode_unfinished_file(file, power_was_cut).value();
    }
    std::string text(bool power_was_cut = false) const { return to_text(line(power_was_cut).bytes); }
};

// A frame as its bytes, which can be compared.
Result<Bytes> decode_to_bytes(std::span<const std::byte> bytes) {
    TOPICFS_TRY_ASSIGN(const UnfinishedFrame frame, decode_unfinished_frame(bytes));
    return encode_unfinished_frame(frame);
}

Chain golden_chain() {
    Chain chain;
    return chain.add(Kind::kBegin, "7;an unfinis")
        .add(Kind::kSynced)
        .add(Kind::kPlaced, "", 0x21222324, 0, 3)
        .add(Kind::kMore, "hed l")
        .add(Kind::kLine, "ine\n", 0x21222324, 0x3132333435363738);
}

TEST_CASE("UnfinishedLine: the golden file decodes to what stands in it, and encoding gives the file") {
    const Bytes golden = test::read_golden_hex("unfinished_line.hex");
    CHECK(test::hex_dump(golden_chain().file) == test::hex_dump(golden));
    const UnfinishedLine line = decode_unfinished_file(golden, false).value();
    CHECK(to_text(line.bytes) == "7;an unfinished line\n");
    CHECK(line.placed == 3);
    CHECK(line.partition == 0x21222324u);
    CHECK(line.appended == UnfinishedLine::Appended{0x21222324, Position{0x3132333435363738}});
    CHECK(line.synced);
}

TEST_CASE("UnfinishedLine: cut at any byte or with any bit flipped a frame is damaged") {
    test::check_damage(Chain().add(Kind::kBegin, "some bytes", 7).file, decode_to_bytes);
    test::check_damage(Chain().add(Kind::kBegin).file, decode_to_bytes);
}

TEST_CASE("UnfinishedLine: what a later version wrote is newer, unknown compatible flags do no harm") {
    test::check_versions(Chain().add(Kind::kBegin, "", 7).file, decode_to_bytes);
    Chain chain = Chain().add(Kind::kBegin, "abc");
    constexpr std::size_t kVersionAt = 8;
    const Bytes newer = test::with_field<std::uint16_t>(Chain(chain).add(Kind::kSynced).file, kVersionAt, 2, 4);
    CHECK(decode_unfinished_file(test::with_field<std::uint16_t>(chain.file, kVersionAt, 2, 4), false).error().code ==
          ErrorCode::kNewerFormat);
    CHECK(newer.size() == chain.file.size() + kUnfinishedFrameHeaderBytes);
}

TEST_CASE("UnfinishedLine: a frame with what its kind has not, or without what it has, is damaged") {
    constexpr std::size_t kCrcAt = 4;
    constexpr std::size_t kIndexAt = 32;
    constexpr std::size_t kKindAt = 36;
    constexpr std::size_t kPartitionAt = 40;
    constexpr std::size_t kNumberAt = 48;
    const auto is_damaged = [](const Bytes& frame) {
        const auto decoded = decode_unfinished_frame(frame);
        return !decoded && decoded.error().code == ErrorCode::kDamaged;
    };
    const auto frame_of = [](Kind kind, const std::string& data, std::optional<std::uint32_t> partition,
                             std::uint64_t placed = 0) {
        Chain chain;
        chain.index = 3;
        return chain.add(kind, data, partition, 5, placed).file;
    };
    const Bytes begin = Chain().add(Kind::kBegin, "a").file;
    const Bytes line = frame_of(Kind::kLine, "a\n", 1);
    CHECK_FALSE(is_damaged(line));
    CHECK(is_damaged(test::with_field<std::uint16_t>(begin, kKindAt, 0, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint16_t>(begin, kKindAt, 6, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint32_t>(begin, kIndexAt, 1, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint32_t>(line, kIndexAt, 0, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint32_t>(line, kPartitionAt, 0xFFFFFFFF, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint64_t>(line, kNumberAt, kPositionMax + 1, kCrcAt)));
    const Bytes more = frame_of(Kind::kMore, "a", {});
    CHECK_FALSE(is_damaged(more));
    CHECK(is_damaged(test::with_field<std::uint32_t>(more, kPartitionAt, 1, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint16_t>(more, kKindAt, 3, kCrcAt)));
    const Bytes synced = frame_of(Kind::kSynced, "", {});
    CHECK_FALSE(is_damaged(synced));
    CHECK(is_damaged(test::with_field<std::uint16_t>(synced, kKindAt, 2, kCrcAt)));
    CHECK(is_damaged(test::with_field<std::uint16_t>(synced, kKindAt, 5, kCrcAt)));
    const Bytes placed = frame_of(Kind::kPlaced, "", 1, 9);
    CHECK_FALSE(is_damaged(placed));
    CHECK(is_damaged(test::with_field<std::uint64_t>(placed, kNumberAt, 0, kCrcAt)));
}

TEST_CASE("UnfinishedLine: a file that is empty or holds nothing of ours has no line") {
    CHECK_FALSE(decode_unfinished_file({}, false).value().is_there());
    CHECK_FALSE(decode_unfinished_file(Bytes(5000), false).value().is_there());
    CHECK_FALSE(Chain().add(Kind::kBegin).line().is_there());
    CHECK(Chain().add(Kind::kBegin, "", 0).line().is_there());
    CHECK(Chain().add(Kind::kBegin, "a").line().is_there());
}

TEST_CASE("UnfinishedLine: cut at any byte, a file has the line up to the last whole frame") {
    const Bytes whole = golden_chain().file;
    test::for_each_truncation(whole, [](const Bytes& cut, std::size_t size) {
        const std::string text = to_text(decode_unfinished_file(cut, false).value().bytes);
        const std::size_t ends[] = {64 + 12, 64 + 12 + 64 + 64 + 64 + 5};
        const std::string expected = size < ends[0] ? "" : size < ends[1] ? "7;an unfinis" : "7;an unfinished l";
        if (text != expected) {
            FAIL("cut at byte " << size << ": " << text);
        }
    });
}

TEST_CASE("UnfinishedLine: frames of an earlier chain behind the newest one do not count") {
    const Chain old = Chain().add(Kind::kBegin, "abcd").add(Kind::kMore, "efgh").add(Kind::kMore, "ijkl");
    Chain chain;
    ++chain.generation;
    chain.add(Kind::kBegin, "ABCD");
    Bytes file = old.file;
    std::copy(chain.file.begin(), chain.file.end(), file.begin());
    CHECK(to_text(decode_unfinished_file(file, false).value().bytes) == "ABCD");
    Chain skipped = Chain().add(Kind::kBegin, "ab");
    skipped.index = 2;
    CHECK(skipped.add(Kind::kMore, "ef").text() == "ab");
}

TEST_CASE("UnfinishedLine: nothing counts behind the frame that ends the line") {
    const Chain chain = Chain().add(Kind::kBegin, "a").add(Kind::kLine, "b\n", 1, 5).add(Kind::kMore, "c");
    CHECK(chain.text() == "ab\n");
}

TEST_CASE("UnfinishedLine: more placed than there is, or less than before, ends the chain") {
    CHECK(Chain().add(Kind::kBegin, "abc").add(Kind::kPlaced, "", 1, 0, 4).line().placed == 0);
    const Chain chain = Chain().add(Kind::kBegin, "abc").add(Kind::kPlaced, "", 1, 0, 2);
    CHECK(chain.line().placed == 2);
    CHECK(chain.line().partition == 1u);
    CHECK(Chain(chain).add(Kind::kPlaced, "", 1, 0, 1).line().placed == 2);
    CHECK(Chain(chain).add(Kind::kPlaced, "", 1, 0, 3).line().placed == 3);
}

TEST_CASE("UnfinishedLine: after a power cut what was synced counts, and a line that was told of behind it") {
    Chain chain = Chain().add(Kind::kBegin, "ab");
    CHECK(chain.text(true) == "");
    chain.add(Kind::kSynced);
    CHECK(chain.text(true) == "ab");
    CHECK(chain.line(true).synced);
    chain.add(Kind::kMore, "cd");
    CHECK(chain.text(true) == "ab");
    CHECK(chain.text() == "abcd");
    chain.add(Kind::kLine, "e\n", 1, 5);
    CHECK(chain.line(true) == chain.line());
    CHECK(Chain().add(Kind::kBegin, "ab").add(Kind::kLine, "e\n", 1, 5).line(true) == UnfinishedLine{});
}

}  // namespace
}  // namespace topicfs
