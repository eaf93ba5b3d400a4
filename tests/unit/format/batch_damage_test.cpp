// What decode_batch_header says of bytes that are no good header.
#include "format/batch.h"

#include "base/byte_order.h"
#include "base/crc32c.h"
#include "support/bytes.h"
#include "support/damage.h"
#include "support/golden.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

#include <cstring>
#include <functional>

namespace topicfs {
namespace {

using test::Bytes;

constexpr std::size_t kFrameSizeAt = 4;
constexpr std::size_t kCrcAt = 12;
constexpr std::size_t kVersionAt = 16;
constexpr std::size_t kCodecAt = 18;
constexpr std::size_t kIncompatibleFlagsAt = 20;
constexpr std::size_t kCompatibleFlagsAt = 24;
constexpr std::size_t kBaseOffsetAt = 28;
constexpr std::size_t kBasePositionAt = 36;
constexpr std::size_t kRecordCountAt = 44;
constexpr std::size_t kRawBytesAt = 48;
constexpr std::size_t kStoredBytesAt = 52;
constexpr std::size_t kFirstTimeAt = 60;
constexpr std::size_t kLastTimeAt = 68;
constexpr std::size_t kTimesCountAt = 76;
constexpr std::size_t kTimesBytesAt = 80;
constexpr std::size_t kReservedAt = 84;

// The header of the golden segment's first batch: 20 raw bytes, three times in seven bytes.
Bytes good_header() {
    Bytes bytes = test::read_golden_hex("segment_none.hex");
    bytes.resize(119);
    return bytes;
}

void fix_crc(Bytes& bytes) {
    store_le<std::uint32_t>(bytes.data() + kCrcAt, 0);
    store_le<std::uint32_t>(bytes.data() + kCrcAt, crc32c(bytes));
}

BatchOutcome outcome_of(const Bytes& bytes) {
    return decode_batch_header(bytes).outcome;
}

// What decoding says of the good header with a field changed and the checksum right again.
template <typename T>
BatchOutcome outcome_with(std::size_t at, T value) {
    Bytes bytes = good_header();
    store_le<T>(bytes.data() + at, value);
    fix_crc(bytes);
    return outcome_of(bytes);
}

// The same with other times, all lengths right.
BatchOutcome outcome_with_times(const std::vector<unsigned>& times, std::uint32_t count, std::int64_t last_delta) {
    Bytes bytes = good_header();
    bytes.resize(kBatchHeaderFixedBytes);
    for (const unsigned byte : times) {
        bytes.push_back(static_cast<std::byte>(byte));
    }
    store_le<std::uint32_t>(bytes.data() + kFrameSizeAt, static_cast<std::uint32_t>(bytes.size() - 8));
    store_le<std::uint32_t>(bytes.data() + kTimesCountAt, count);
    store_le<std::uint32_t>(bytes.data() + kTimesBytesAt, static_cast<std::uint32_t>(times.size()));
    store_le<std::int64_t>(bytes.data() + kLastTimeAt, load_le<std::int64_t>(bytes.data() + kFirstTimeAt) + last_delta);
    fix_crc(bytes);
    return outcome_of(bytes);
}

TEST_CASE("BatchHeader: no bytes are the end") {
    CHECK(outcome_of({}) == BatchOutcome::kEnd);
}

TEST_CASE("BatchHeader: cut at any byte it is torn, never a batch") {
    test::for_each_truncation(good_header(), [](const Bytes& cut, std::size_t size) {
        CAPTURE(size);
        REQUIRE(outcome_of(cut) == (size == 0 ? BatchOutcome::kEnd : BatchOutcome::kTorn));
    });
}

TEST_CASE("BatchHeader: any flipped bit is found") {
    test::for_each_bit_flip(good_header(), [](const Bytes& flipped, std::size_t bit) {
        CAPTURE(bit);
        const BatchOutcome outcome = outcome_of(flipped);
        // A size that became larger makes a header look cut; nothing else does.
        const bool is_in_size = bit / 8 >= kFrameSizeAt && bit / 8 < kFrameSizeAt + 4;
        REQUIRE((outcome == BatchOutcome::kDamaged || (outcome == BatchOutcome::kTorn && is_in_size)));
    });
}

TEST_CASE("BatchHeader: any flipped bit is found when the payload follows too") {
    const Bytes segment = test::read_golden_hex("segment_none.hex");
    for (std::size_t bit = 0; bit < good_header().size() * 8; ++bit) {
        CAPTURE(bit);
        Bytes flipped = segment;
        flipped[bit / 8] ^= std::byte{static_cast<unsigned char>(1u << (bit % 8))};
        REQUIRE(outcome_of(flipped) != BatchOutcome::kBatch);
    }
}

TEST_CASE("BatchHeader: zeros, text and other frames are damaged from the first byte on that differs") {
    CHECK(outcome_of(Bytes(1)) == BatchOutcome::kDamaged);
    CHECK(outcome_of(Bytes(4096)) == BatchOutcome::kDamaged);
    CHECK(outcome_of(test::to_bytes("10.0.0.1 - - GET /")) == BatchOutcome::kDamaged);
    Bytes other = good_header();
    other[8] = std::byte{'X'};
    for (std::size_t size = 9; size <= other.size(); ++size) {
        REQUIRE(outcome_of({other.begin(), other.begin() + static_cast<std::ptrdiff_t>(size)}) ==
                BatchOutcome::kDamaged);
    }
}

TEST_CASE("BatchHeader: a size that no header has is damaged, however much follows") {
    for (const std::uint32_t size :
         {0u, 1u, 103u, static_cast<std::uint32_t>(kBatchHeaderBytesMax - 8) + 1, 0xFFFFFFFFu}) {
        CAPTURE(size);
        Bytes bytes = good_header();
        store_le<std::uint32_t>(bytes.data() + kFrameSizeAt, size);
        bytes.resize(kBatchHeaderBytesMax + 100);
        REQUIRE(outcome_of(bytes) == BatchOutcome::kDamaged);
        bytes.resize(8);
        REQUIRE(outcome_of(bytes) == BatchOutcome::kDamaged);
    }
}

TEST_CASE("BatchHeader: what a later version wrote is newer, not damaged, once its checksum is right") {
    CHECK(outcome_with<std::uint16_t>(kVersionAt, 2) == BatchOutcome::kNewer);
    CHECK(outcome_with<std::uint8_t>(kCodecAt, kCodecCount) == BatchOutcome::kNewer);
    for (int bit = 0; bit < 32; ++bit) {
        REQUIRE(outcome_with<std::uint32_t>(kIncompatibleFlagsAt, 1u << bit) == BatchOutcome::kNewer);
    }
}

TEST_CASE("BatchHeader: unknown compatible flags and what they put into reserved room do no harm") {
    CHECK(outcome_with<std::uint32_t>(kCompatibleFlagsAt, 0xFFFFFFFF) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint64_t>(kReservedAt, 0x0123456789ABCDEF) == BatchOutcome::kBatch);
}

TEST_CASE("BatchHeader: fields out of bounds are damaged though the checksum is right") {
    CHECK(outcome_with<std::uint32_t>(kRawBytesAt, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint32_t>(kRawBytesAt, kBatchRawBytesMax + 1) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint32_t>(kRawBytesAt, 12) == BatchOutcome::kDamaged);  // a time begins at 12
    CHECK(outcome_with<std::uint32_t>(kRawBytesAt, 13) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint32_t>(kRecordCountAt, 20) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint32_t>(kRecordCountAt, 21) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint32_t>(kStoredBytesAt, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint32_t>(kStoredBytesAt, batch_stored_bytes_max(20) + 1) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint64_t>(kBasePositionAt, kPositionMax - 20) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint64_t>(kBasePositionAt, kPositionMax - 19) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint64_t>(kBaseOffsetAt, kPositionMax - 3) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint64_t>(kBaseOffsetAt, ~std::uint64_t{0}) == BatchOutcome::kDamaged);
}

TEST_CASE("BatchHeader: times that do not agree with what is said of them are damaged") {
    const std::vector<unsigned> good = {0, 0, 6, 10, 6, 0xAC, 2};
    CHECK(outcome_with_times(good, 3, 310) == BatchOutcome::kBatch);
    CHECK(outcome_with_times(good, 3, 311) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times(good, 2, 10) == BatchOutcome::kDamaged);   // bytes are left
    CHECK(outcome_with_times(good, 4, 310) == BatchOutcome::kDamaged);  // bytes are missing
    CHECK(outcome_with_times(good, 0xFFFFFFFF, 310) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times({}, 0, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times({0}, 1, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times({1, 0}, 1, 0) == BatchOutcome::kDamaged);         // the first is not at 0
    CHECK(outcome_with_times({0, 1}, 1, 1) == BatchOutcome::kDamaged);         // and not at the first time
    CHECK(outcome_with_times({0, 0, 20, 0}, 2, 0) == BatchOutcome::kDamaged);  // behind the batch
    CHECK(outcome_with_times({0, 0, 19, 0}, 2, 0) == BatchOutcome::kBatch);
    CHECK(outcome_with<std::uint32_t>(kTimesBytesAt, 6) == BatchOutcome::kDamaged);
    CHECK(outcome_with<std::uint32_t>(kTimesBytesAt, 8) == BatchOutcome::kDamaged);
}

TEST_CASE("BatchHeader: a varint that is cut, overlong or too large is damaged") {
    CHECK(outcome_with_times({0, 0, 0, 0x80}, 2, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times({0, 0, 0, 0x80, 0}, 2, 0) == BatchOutcome::kDamaged);
    const std::vector<unsigned> largest = {0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1};
    // A time beyond all times, also where it would come out below the first one as the number wraps around.
    CHECK(outcome_with_times(largest, 2, 0) == BatchOutcome::kDamaged);
    CHECK(outcome_with_times(largest, 2, -1) == BatchOutcome::kDamaged);
    std::vector<unsigned> too_large = largest;
    too_large.back() = 2;
    CHECK(outcome_with_times(too_large, 2, 0) == BatchOutcome::kDamaged);
    // Bit 64, which has no room, must not be dropped either.
    CHECK(outcome_with_times({0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 0}, 2, 0) ==
          BatchOutcome::kDamaged);
    std::vector<unsigned> too_long = largest;
    too_long.back() = 0x81;
    too_long.push_back(0);
    CHECK(outcome_with_times(too_long, 2, 0) == BatchOutcome::kDamaged);
}

TEST_CASE("BatchHeader: random times with a right checksum are a batch or damaged, and never read beyond") {
    test::Random random;
    for (int round = 0; round < 20'000; ++round) {
        std::vector<unsigned> times = {0, 0};
        for (std::uint64_t left = random.between(0, 20); left > 0; --left) {
            times.push_back(static_cast<unsigned>(random.between(0, 255)));
        }
        const auto count = static_cast<std::uint32_t>(random.between(0, 12));
        const BatchOutcome outcome = outcome_with_times(times, count, 0);
        REQUIRE((outcome == BatchOutcome::kBatch || outcome == BatchOutcome::kDamaged));
    }
}

TEST_CASE("find_batch_magic: finds each header, and the end where there is none") {
    const Bytes segment = test::read_golden_hex("segment_none.hex");
    CHECK(find_batch_magic(segment, 0) == 0);
    CHECK(find_batch_magic(segment, 1) == 162);
    CHECK(find_batch_magic(segment, 162) == 162);
    CHECK(find_batch_magic(segment, 163) == segment.size());
    CHECK(find_batch_magic(segment, segment.size()) == segment.size());
    CHECK(find_batch_magic(segment, segment.size() + 5) == segment.size());
    CHECK(find_batch_magic({}, 0) == 0);
}

TEST_CASE("find_batch_magic: wants all of the magic numbers") {
    const Bytes header = good_header();
    Bytes start(header.begin(), header.begin() + kBatchMagicBytes);
    CHECK(find_batch_magic(start, 0) == 0);
    for (const std::size_t at : {0u, 1u, 2u, 3u, 8u, 9u, 10u, 11u}) {
        Bytes changed = start;
        changed[at] ^= std::byte{1};
        CHECK(find_batch_magic(changed, 0) == changed.size());
    }
    start.pop_back();
    CHECK(find_batch_magic(start, 0) == start.size());
}

TEST_CASE("find_batch_magic: is not led astray by letters that only look like a header's") {
    Bytes bytes = test::to_bytes("TFSB and TFSTFSB and TFSB");
    const std::size_t at = bytes.size();
    const Bytes header = good_header();
    bytes.insert(bytes.end(), header.begin(), header.end());
    CHECK(find_batch_magic(bytes, 0) == at);
}

}  // namespace
}  // namespace topicfs
