#include "format/recovery_point.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>

namespace topicfs {
namespace {

using test::Bytes;

RecoveryPoint golden_point() {
    RecoveryPoint point;
    point.sequence = 7;
    point.log_start = Position{0x0102030405060708};
    point.log_start_offset = Offset{0x1112131415161718};
    point.sealed_end = Position{0x2122232425262728};
    point.sealed_end_offset = Offset{0x3132333435363738};
    point.durable_end = Position{0x4142434445464748};
    point.punched_end = Position{0x5152535455565758};
    point.segment_base = Position{0x6162636465666768};
    point.segment_bytes = 0x7172737475767778;
    point.last_time = TimestampMs{1'795'266'000'000};
    return point;
}

RecoveryPoint point_of(std::uint64_t sequence) {
    RecoveryPoint point;
    point.sequence = sequence;
    point.durable_end = Position{sequence * 100};
    return point;
}

void put_slot(Bytes& file, unsigned slot, const RecoveryPoint& point) {
    const auto bytes = encode_recovery_slot(point);
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(slot * kRecoverySlotStrideBytes));
}

TEST_CASE("RecoveryPoint: the golden slot decodes to what stands in it, and encoding gives the slot") {
    const Bytes golden = test::read_golden_hex("recovery_slot.hex");
    REQUIRE(golden.size() == kRecoverySlotBytes);
    CHECK(decode_recovery_slot(golden).value() == golden_point());
    CHECK(test::hex_dump(encode_recovery_slot(golden_point())) == test::hex_dump(golden));
}

TEST_CASE("RecoveryPoint: cut at any byte or with any bit flipped a slot is damaged") {
    test::check_damage(encode_recovery_slot(golden_point()), decode_recovery_slot);
}

TEST_CASE("RecoveryPoint: what a later version wrote is newer, unknown compatible flags do no harm") {
    test::check_versions(encode_recovery_slot(golden_point()), decode_recovery_slot);
}

TEST_CASE("RecoveryPoint: fields out of bounds are damaged though the checksum is right") {
    const std::vector<std::function<void(RecoveryPoint&)>> changes = {
        [](RecoveryPoint& point) { point.sequence = 0; },
        [](RecoveryPoint& point) { point.log_start.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.log_start_offset.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.sealed_end.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.sealed_end_offset.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.durable_end.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.punched_end.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.segment_base.value = kPositionMax + 1; },
        [](RecoveryPoint& point) { point.segment_bytes = kPositionMax + 1; }};
    for (const auto& change : changes) {
        RecoveryPoint point = golden_point();
        change(point);
        CHECK(decode_recovery_slot(encode_recovery_slot(point)).error().code == ErrorCode::kDamaged);
    }
}

TEST_CASE("choose_recovery_point: the slot with the higher sequence counts, whichever it is") {
    Bytes file(kRecoveryFileBytes);
    put_slot(file, 0, point_of(8));
    put_slot(file, 1, point_of(7));
    CHECK(choose_recovery_point(file)->point == point_of(8));
    CHECK(choose_recovery_point(file)->slot == 0);
    put_slot(file, 1, point_of(9));
    CHECK(choose_recovery_point(file)->point == point_of(9));
    CHECK(choose_recovery_point(file)->slot == 1);
}

TEST_CASE("choose_recovery_point: a slot that is damaged leaves the other one, whatever its sequence") {
    Bytes file(kRecoveryFileBytes);
    put_slot(file, 0, point_of(8));
    put_slot(file, 1, point_of(9));
    for (std::size_t bit = 0; bit < kRecoverySlotBytes * 8; ++bit) {
        Bytes flipped = file;
        flipped[kRecoverySlotStrideBytes + bit / 8] ^= std::byte{static_cast<unsigned char>(1u << (bit % 8))};
        REQUIRE(choose_recovery_point(flipped)->point == point_of(8));
    }
}

TEST_CASE("choose_recovery_point: a slot half of which was written leaves the other one") {
    Bytes before(kRecoveryFileBytes);
    put_slot(before, 0, point_of(8));
    put_slot(before, 1, point_of(7));
    Bytes after = before;
    put_slot(after, 1, point_of(9));
    for (std::size_t written = 0; written < kRecoverySlotBytes; ++written) {
        Bytes torn = before;
        const auto begin = after.begin() + kRecoverySlotStrideBytes;
        std::copy(begin, begin + static_cast<std::ptrdiff_t>(written), torn.begin() + kRecoverySlotStrideBytes);
        // The last bytes are the same in both, so that what is nearly all written can be all of it.
        const RecoveryPoint chosen = choose_recovery_point(torn)->point;
        REQUIRE((chosen == point_of(8) || (chosen == point_of(9) && torn == after)));
    }
}

TEST_CASE("has_newer_recovery_format: is true where either slot is a later version's, and not where one is damaged") {
    constexpr std::size_t kCrcAt = 4;
    constexpr std::size_t kVersionAt = 8;
    const Bytes newer = test::with_field<std::uint16_t>(encode_recovery_slot(point_of(9)), kVersionAt, 2, kCrcAt);
    for (const unsigned slot : {0u, 1u}) {
        Bytes file(kRecoveryFileBytes);
        put_slot(file, 1 - slot, point_of(8));
        CHECK_FALSE(has_newer_recovery_format(file));
        const auto begin = file.begin() + static_cast<std::ptrdiff_t>(slot * kRecoverySlotStrideBytes);
        std::copy(newer.begin(), newer.end(), begin);
        CHECK(has_newer_recovery_format(file));
        CHECK(choose_recovery_point(file)->point == point_of(8));
        *begin ^= std::byte{1};
        CHECK_FALSE(has_newer_recovery_format(file));
    }
    CHECK_FALSE(has_newer_recovery_format({}));
}

TEST_CASE("choose_recovery_point: of a file that is empty, short or without a valid slot there is none") {
    CHECK_FALSE(choose_recovery_point({}).has_value());
    CHECK_FALSE(choose_recovery_point(Bytes(kRecoveryFileBytes)).has_value());
    Bytes file(kRecoveryFileBytes);
    put_slot(file, 1, point_of(3));
    for (const std::size_t size : {std::size_t{1}, kRecoverySlotBytes, kRecoverySlotStrideBytes,
                                   kRecoverySlotStrideBytes + kRecoverySlotBytes - 1}) {
        CHECK_FALSE(choose_recovery_point(std::span(file).first(size)).has_value());
    }
    const auto enough = std::span(file).first(kRecoverySlotStrideBytes + kRecoverySlotBytes);
    CHECK(choose_recovery_point(enough)->point == point_of(3));
}

}  // namespace
}  // namespace topicfs
