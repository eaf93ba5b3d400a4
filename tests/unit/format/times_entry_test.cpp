#include "format/times_entry.h"

#include "support/bytes.h"
#include "support/golden.h"
#include "support/random_content.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <algorithm>

namespace topicfs {
namespace {

using test::Bytes;

const TimesEntry kGolden = {0x0102030405060708, Position{0x1112131415161718}, TimestampMs{1'795'266'000'000}};

TimesEntry entry_of(std::uint64_t sequence) {
    return {sequence, Position{sequence * 100}, TimestampMs{1000 + static_cast<std::int64_t>(sequence) * 10}};
}

void put(Bytes& file, const TimesEntry& entry) {
    const auto bytes = encode_times_entry(entry);
    std::copy(bytes.begin(), bytes.end(),
              file.begin() + static_cast<std::ptrdiff_t>(times_file_offset(entry.sequence)));
}

// A file in which entries `from` to `to` (not included) were written in turn.
Bytes file_of(std::uint64_t from, std::uint64_t to) {
    Bytes file(kTimesSlots * kTimesEntryBytes);
    for (std::uint64_t sequence = from; sequence < to; ++sequence) {
        put(file, entry_of(sequence));
    }
    return file;
}

std::vector<TimesEntry> entries_of(std::uint64_t from, std::uint64_t to) {
    std::vector<TimesEntry> entries;
    for (std::uint64_t sequence = from; sequence < to; ++sequence) {
        entries.push_back(entry_of(sequence));
    }
    return entries;
}

TEST_CASE("TimesEntry: the golden entry decodes to what stands in it, and encoding gives the entry") {
    const Bytes golden = test::read_golden_hex("times_entry.hex");
    REQUIRE(golden.size() == kTimesEntryBytes);
    CHECK(decode_times_entry(golden).value() == kGolden);
    CHECK(test::hex_dump(encode_times_entry(kGolden)) == test::hex_dump(golden));
}

TEST_CASE("TimesEntry: cut at any byte or with any bit flipped it is damaged") {
    test::check_damage(encode_times_entry(kGolden), decode_times_entry);
}

TEST_CASE("TimesEntry: an empty slot is damaged") {
    CHECK(decode_times_entry(Bytes(kTimesEntryBytes)).error().code == ErrorCode::kDamaged);
}

TEST_CASE("TimesEntry: what a later version wrote is newer") {
    const Bytes newer = test::with_field<std::uint16_t>(encode_times_entry(kGolden), 28, 2, 24);
    CHECK(decode_times_entry(newer).error().code == ErrorCode::kNewerFormat);
}

TEST_CASE("TimesEntry: an impossible position is damaged") {
    CHECK(decode_times_entry(encode_times_entry({0, Position{kPositionMax + 1}, {}})).error().code ==
          ErrorCode::kDamaged);
}

TEST_CASE("decode_times_file: gives all entries of a file that is not full") {
    CHECK(decode_times_file(Bytes(kTimesSlots * kTimesEntryBytes)).empty());
    CHECK(decode_times_file({}).empty());
    CHECK(decode_times_file(file_of(0, 1)) == entries_of(0, 1));
    CHECK(decode_times_file(file_of(0, 100)) == entries_of(0, 100));
}

TEST_CASE("decode_times_file: gives the newest of a ring that went round") {
    CHECK(decode_times_file(file_of(0, kTimesSlots)) == entries_of(0, kTimesSlots));
    const std::uint64_t end = 3 * kTimesSlots + 17;
    CHECK(decode_times_file(file_of(0, end)) == entries_of(end - kTimesSlots, end));
}

TEST_CASE("decode_times_file: a file that is cut gives what is before the cut") {
    const Bytes file = file_of(0, 50);
    for (std::size_t size = 0; size < 60 * kTimesEntryBytes; ++size) {
        const auto entries = decode_times_file(std::span(file).first(size));
        REQUIRE(entries == entries_of(0, std::min<std::uint64_t>(50, size / kTimesEntryBytes)));
    }
}

TEST_CASE("decode_times_file: begins behind an entry that is damaged") {
    Bytes file = file_of(0, 50);
    file[20 * kTimesEntryBytes + 3] ^= std::byte{1};
    CHECK(decode_times_file(file) == entries_of(21, 50));
    // The newest one, which a crash can leave half written, does not take the others with it.
    file = file_of(0, 50);
    file[49 * kTimesEntryBytes + 30] ^= std::byte{1};
    CHECK(decode_times_file(file) == entries_of(0, 49));
}

TEST_CASE("decode_times_file: begins where position or time fell") {
    Bytes file = file_of(0, 50);
    put(file, {20, Position{20 * 100}, TimestampMs{1}});
    CHECK(decode_times_file(file).front().sequence == 20);
    file = file_of(0, 50);
    put(file, {20, Position{1}, entry_of(20).time});
    CHECK(decode_times_file(file).front().sequence == 20);
    // The same again is no fall.
    file = file_of(0, 50);
    put(file, {20, entry_of(19).position, entry_of(19).time});
    CHECK(decode_times_file(file).size() == 50);
}

TEST_CASE("decode_times_file: an entry in another slot than its own does not count") {
    Bytes file = file_of(0, 50);
    const auto stray = encode_times_entry(entry_of(50));
    std::copy(stray.begin(), stray.end(), file.begin() + 70 * kTimesEntryBytes);
    CHECK(decode_times_file(file) == entries_of(0, 50));
}

TEST_CASE("decode_times_file: the largest sequence numbers are a run like any other") {
    Bytes file(kTimesSlots * kTimesEntryBytes);
    for (std::uint64_t back = 3; back > 0; --back) {
        put(file, {0 - back, Position{5}, TimestampMs{5}});
    }
    put(file, {0, Position{5}, TimestampMs{5}});
    // 0 does not follow on the largest number: it is the oldest there is.
    CHECK(decode_times_file(file).size() == 3);
}

TEST_CASE("decode_times_file: random bytes give a run that keeps the rules") {
    test::Random random;
    for (int round = 0; round < 20; ++round) {
        Bytes file = file_of(random.between(0, 9000), random.between(9000, 20'000));
        for (int i = 0; i < 20; ++i) {
            file[random.between(0, file.size() - 1)] = static_cast<std::byte>(random.between(0, 255));
        }
        const auto entries = decode_times_file(file);
        for (std::size_t i = 1; i < entries.size(); ++i) {
            REQUIRE(entries[i].sequence == entries[i - 1].sequence + 1);
            REQUIRE(entries[i].position >= entries[i - 1].position);
            REQUIRE(entries[i].time >= entries[i - 1].time);
        }
    }
}

}  // namespace
}  // namespace topicfs
