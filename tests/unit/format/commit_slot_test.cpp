#include "format/commit_slot.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <vector>

namespace topicfs {
namespace {

using test::Bytes;

CommitSlot golden_slot() {
    CommitSlot slot;
    slot.sequence = 7;
    slot.partition = 0x71727374;
    slot.begun = true;
    slot.position = Position{0x2122232425262728};
    slot.known = Position{0x0102030405060708};
    slot.known_offset = Offset{0x1112131415161718};
    slot.missed = 0x3132333435363738;
    slot.time = TimestampMs{1'795'266'000'000};
    return slot;
}

CommitSlot slot_of(std::uint32_t partition, std::uint64_t sequence) {
    CommitSlot slot;
    slot.partition = partition;
    slot.sequence = sequence;
    slot.position = Position{sequence * 100};
    return slot;
}

void put(Bytes& file, unsigned index, const CommitSlot& slot) {
    const auto bytes = encode_commit_slot(slot);
    std::copy(bytes.begin(), bytes.end(),
              file.begin() + static_cast<std::ptrdiff_t>(commit_slot_at(slot.partition, index)));
}

}  // namespace

TEST_CASE("CommitSlot: the golden slot decodes to what stands in it, and encoding gives the slot") {
    const Bytes golden = test::read_golden_hex("commit_slot.hex");
    REQUIRE(golden.size() == kCommitSlotBytes);
    CHECK(decode_commit_slot(golden).value() == golden_slot());
    CHECK(test::hex_dump(encode_commit_slot(golden_slot())) == test::hex_dump(golden));
}

TEST_CASE("CommitSlot: cut at any byte or with any bit flipped a slot is damaged") {
    test::check_damage(encode_commit_slot(golden_slot()), decode_commit_slot);
}

TEST_CASE("CommitSlot: what a later version wrote is newer, unknown compatible flags do no harm") {
    test::check_versions(encode_commit_slot(golden_slot()), decode_commit_slot);
}

TEST_CASE("CommitSlot: fields out of bounds are damaged though the checksum is right") {
    const std::vector<std::function<void(CommitSlot&)>> changes = {
        [](CommitSlot& slot) { slot.sequence = 0; },
        [](CommitSlot& slot) { slot.sequence = kPositionMax + 1; },
        [](CommitSlot& slot) { slot.position.value = kPositionMax + 1; },
        [](CommitSlot& slot) { slot.known.value = slot.position.value + 1; },
        [](CommitSlot& slot) { slot.known_offset.value = kPositionMax + 1; },
        [](CommitSlot& slot) { slot.missed = kPositionMax + 1; }};
    for (const auto& change : changes) {
        CommitSlot slot = golden_slot();
        change(slot);
        CHECK(decode_commit_slot(encode_commit_slot(slot)).error().code == ErrorCode::kDamaged);
    }
}

TEST_CASE("CommitSlot: no two slots of a partition share a block, and no two of any share a byte") {
    std::vector<std::uint64_t> places;
    for (std::uint32_t partition = 0; partition < 100; ++partition) {
        for (unsigned index = 0; index < kCommitSlots; ++index) {
            const std::uint64_t at = commit_slot_at(partition, index);
            CHECK(at + kCommitSlotBytes <= commit_file_bytes(partition + 1));
            for (unsigned other = 0; other < index; ++other) {
                CHECK(commit_slot_at(partition, other) / kCommitBlockBytes != at / kCommitBlockBytes);
            }
            places.push_back(at);
        }
    }
    std::sort(places.begin(), places.end());
    for (std::size_t i = 1; i < places.size(); ++i) {
        CHECK(places[i] - places[i - 1] >= kCommitSlotBytes);
    }
}

TEST_CASE("choose_commit: the valid slot with the highest sequence counts") {
    Bytes file(commit_file_bytes(40));
    CHECK_FALSE(choose_commit(file, 33)->slot);
    CHECK(choose_commit(file, 33)->damaged == 0);
    put(file, 0, slot_of(33, 8));
    put(file, 1, slot_of(33, 9));
    put(file, 2, slot_of(33, 7));
    CHECK(choose_commit(file, 33)->slot == slot_of(33, 9));
    CHECK(choose_commit(file, 33)->index == 1);
    for (std::size_t bit = 0; bit < kCommitSlotBytes * 8; ++bit) {
        Bytes flipped = file;
        flipped[commit_slot_at(33, 1) + bit / 8] ^= std::byte{static_cast<unsigned char>(1u << (bit % 8))};
        const auto choice = choose_commit(flipped, 33);
        REQUIRE(choice->slot == slot_of(33, 8));
        REQUIRE(choice->damaged == 1);
    }
    // Another partition's slot, though it is whole, is none of this one.
    const auto strange = encode_commit_slot(slot_of(34, 20));
    std::copy(strange.begin(), strange.end(), file.begin() + static_cast<std::ptrdiff_t>(commit_slot_at(33, 2)));
    CHECK(choose_commit(file, 33)->slot == slot_of(33, 9));
    CHECK(choose_commit(file, 33)->damaged == 1);
    // A short file has the slots that it has.
    CHECK_FALSE(choose_commit(std::span(file).first(commit_slot_at(33, 0)), 33)->slot);
    CHECK(choose_commit(std::span(file).first(commit_slot_at(33, 1)), 33)->slot == slot_of(33, 8));
    CHECK_FALSE(choose_commit({}, 0)->slot);
    const Bytes newer = test::with_field<std::uint16_t>(encode_commit_slot(slot_of(33, 1)), 8, 2, 4);
    std::copy(newer.begin(), newer.end(), file.begin() + static_cast<std::ptrdiff_t>(commit_slot_at(33, 0)));
    CHECK(choose_commit(file, 33).error().code == ErrorCode::kNewerFormat);
}

}  // namespace topicfs
