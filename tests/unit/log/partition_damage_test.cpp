// Damage to what is on disk: its range cannot be read, all around it can, and nothing is ever served that is wrong.
#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::size_t kBatchBytes = 100;

// `count` batches of ten lines each, in segments of `per_segment`; all in segments, and head given back as far as it
// goes.
class DamageFixture : public PartitionFixture {
public:
    DamageFixture(std::size_t count, std::size_t per_segment) : PartitionFixture(plain()) {
        for (std::size_t i = 0; i < count; ++i) {
            settings.segment_bytes = i % per_segment == 0 ? 1 : 1'000'000;
            log->set_settings(std::make_shared<TopicSettings>(settings));
            std::string batch;
            for (int line = 0; line < 10; ++line) {
                batch += std::string(9, static_cast<char>('a' + i)) + "\n";
            }
            clock.advance(1000);
            text += batch;
            append_batches({batch});
        }
        REQUIRE(log->checkpoint());
    }

    // Every position: what is not in [from, to) is right, what is in there is an error.
    void check_around(std::size_t from, std::size_t to) {
        for (std::size_t at = 0; at < text.size(); at += 10) {
            const auto got = read(*log, Position{at}, 25);
            CAPTURE(at);
            if (at >= from && at < to) {
                REQUIRE_FALSE(got);
                CHECK(got.error().code == ErrorCode::kDamaged);
            } else {
                REQUIRE(got);
                CHECK(*got == text.substr(at, at < from ? std::min<std::size_t>(25, from - at) : 25));
            }
        }
    }
    // Every record outside is found, by offset and by time; inside it is an error or, at the edges, right.
    void check_look_ups(std::size_t from, std::size_t to) {
        for (std::uint64_t offset = 0; offset <= text.size() / 10; ++offset) {
            CAPTURE(offset);
            const auto found = log->find_offset(Offset{offset});
            if (offset * 10 <= from || offset * 10 > to) {
                REQUIRE(found);
            }
            if (found) {
                CHECK(found->position.value == offset * 10);
            } else {
                CHECK(found.error().code == ErrorCode::kDamaged);
            }
        }
        for (std::size_t batch = 1; batch < text.size() / kBatchBytes; ++batch) {
            CAPTURE(batch);
            const auto found = log->find_time(
                clock.now() + -static_cast<std::int64_t>(1000 * (text.size() / kBatchBytes - 1 - batch)));
            if (found) {
                const std::size_t begin = batch * kBatchBytes;
                const bool is_lost = begin >= from && begin < to;
                CHECK((found->position.value == begin || (is_lost && found->position.value == to)));
            } else {
                CHECK(found.error().code == ErrorCode::kDamaged);
                CHECK(batch * kBatchBytes >= from);
                CHECK(batch * kBatchBytes <= to);
            }
        }
    }

    std::string text;

private:
    static TopicSettings plain() {
        TopicSettings settings;
        settings.compression_type = Codec::kNone;
        return settings;
    }
};

}  // namespace

TEST_CASE("PartitionLog: a damaged payload costs its batch only") {
    DamageFixture fixture(6, GENERATE(6u, 2u));
    const std::size_t victim = GENERATE(0u, 2u, 5u);
    const std::string fill(30, static_cast<char>('a' + victim));
    for (const std::string& name : fixture.file_names()) {
        const std::size_t at = read_file(fixture.path(name)).find(fill.substr(0, 9));
        if (at != std::string::npos && name.ends_with(".lz4")) {
            overwrite(fixture.path(name), at + 20, "??");
        }
    }
    if (GENERATE(false, true)) {
        fixture.restart();
    }
    fixture.check_around(victim * kBatchBytes, (victim + 1) * kBatchBytes);
    fixture.check_look_ups(victim * kBatchBytes, (victim + 1) * kBatchBytes);
    CHECK(fixture.status().damaged.size() == 1);
}

TEST_CASE("PartitionLog: a damaged batch header costs its batch only") {
    DamageFixture fixture(6, GENERATE(6u, 2u));
    const std::size_t victim = GENERATE(0u, 2u, 5u);
    for (const std::string& name : fixture.file_names()) {
        const std::size_t at = read_file(fixture.path(name)).find(std::string(9, static_cast<char>('a' + victim)));
        if (at != std::string::npos && name.ends_with(".lz4")) {
            overwrite(fixture.path(name), at - 60, "damage");
        }
    }
    const bool without_index = GENERATE(false, true);
    if (without_index) {
        fixture.kill();
        for (const std::string& name : fixture.file_names()) {
            if (name.ends_with(".index")) {
                std::filesystem::remove(fixture.path(name));
            }
        }
        fixture.open();
    }
    fixture.check_around(victim * kBatchBytes, (victim + 1) * kBatchBytes);
    fixture.check_look_ups(victim * kBatchBytes, (victim + 1) * kBatchBytes);
}

TEST_CASE("PartitionLog: a segment that is missing or all damaged costs its own range only") {
    DamageFixture fixture(9, 3);
    const std::size_t victim = GENERATE(0u, 1u);
    const std::size_t from = victim * 3 * kBatchBytes;
    const std::size_t to = from + 3 * kBatchBytes;
    fixture.kill();
    const bool is_missing = GENERATE(false, true);
    if (is_missing) {
        std::filesystem::remove(fixture.segment_path(from));
    } else {
        const std::size_t bytes = read_file(fixture.segment_path(from)).size();
        overwrite(fixture.segment_path(from), 0, std::string(bytes, '?'));
    }
    fixture.open();
    fixture.check_around(from, to);
    fixture.check_look_ups(from, to);
}

TEST_CASE("PartitionLog: damage in segments survives the loss of the recovery file") {
    DamageFixture fixture(9, 3);
    const std::size_t victim = GENERATE(1u, 2u, 4u, 5u);
    fixture.append("tail\n");
    fixture.text += "tail\n";
    fixture.kill();
    const auto segment = fixture.segment_path(victim / 3 * 3 * kBatchBytes);
    const std::size_t at = read_file(segment).find(std::string(9, static_cast<char>('a' + victim)));
    const bool in_header = GENERATE(false, true);
    overwrite(segment, in_header ? at - 60 : at, "damage");
    std::filesystem::remove(fixture.recovery_path());
    // Head has no copy of what is sealed.
    const std::string head = read_file(fixture.head_path());
    std::filesystem::resize_file(fixture.head_path(), kHeadDataAt);
    std::filesystem::resize_file(fixture.head_path(), head.size() - 5);
    overwrite(fixture.head_path(), head.size() - 5, "tail\n");
    fixture.open(GENERATE(false, true));
    const std::size_t from = victim * kBatchBytes;
    CHECK((fixture.read(0, 10'000) == fixture.text.substr(0, from)));
    CHECK(fixture.read_error(from) == ErrorCode::kDamaged);
    CHECK((fixture.read(from + kBatchBytes, 10'000) == fixture.text.substr(from + kBatchBytes)));
    const PartitionStatus status = fixture.status();
    CHECK(status.end.value == fixture.text.size());
    CHECK(status.end_offset.value == fixture.text.size() / 10 + 1);
    REQUIRE(status.damaged.size() == 1);
    CHECK(status.damaged[0].from.value == from);
    CHECK(status.damaged[0].to.value == from + kBatchBytes);
}

TEST_CASE("PartitionLog: whatever bit of an index is wrong, look-ups are right") {
    DamageFixture fixture(4, 4);
    fixture.kill();
    const std::string index = read_file(fixture.index_path(0));
    for (std::size_t bit = 0; bit < index.size() * 8; bit += 3) {
        std::string flipped = index;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        write_file(fixture.index_path(0), flipped);
        fixture.open();
        CAPTURE(bit);
        REQUIRE((fixture.all() == fixture.text));
        const std::uint64_t offset = bit % 41;
        REQUIRE(fixture.log->find_offset(Offset{offset})->position.value == offset * 10);
        fixture.kill();
    }
}

TEST_CASE("PartitionLog: an index of another segment, or one that is too short, is made anew") {
    DamageFixture fixture(6, 2);
    fixture.kill();
    switch (GENERATE(0, 1, 2, 3, 4)) {
        case 0:
            std::filesystem::copy_file(fixture.index_path(0), fixture.index_path(200),
                                       std::filesystem::copy_options::overwrite_existing);
            break;
        case 1:
            std::filesystem::resize_file(fixture.index_path(200), 100);
            break;
        case 2:
            std::filesystem::resize_file(fixture.index_path(200), kIndexHeaderBytes + kIndexEntryBytes);
            break;
        case 3:
            write_file(fixture.index_path(200), "");
            break;
        default:
            std::filesystem::remove(fixture.index_path(200));
            break;
    }
    fixture.open();
    fixture.check_around(0, 0);
    fixture.check_look_ups(0, 0);
    CHECK(std::filesystem::file_size(fixture.index_path(200)) == kIndexHeaderBytes + 2 * kIndexEntryBytes);
}
