#include "log/segment.h"

#include "unit/log/partition_fixture.h"
#include "unit/log/segment_fixture.h"

#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

const std::shared_ptr<BufferPool> buffers = std::make_shared<BufferPool>(0);

std::string decoded(Segment& segment, const IndexEntry& entry) {
    const auto batch = segment.read_batch(entry, *buffers);
    REQUIRE(batch);
    std::vector<std::byte> raw(entry.raw_bytes + 10);
    const auto copied = segment.copy_raw(*batch, 0, raw);
    REQUIRE(copied);
    raw.resize(*copied);
    return to_text(raw);
}

}  // namespace

TEST_CASE("Segment: an empty one has no batches") {
    SegmentFixture fixture;
    CHECK(fixture.segment->bytes() == 0);
    const auto found = fixture.segment->find(Position{70});
    REQUIRE(found);
    CHECK_FALSE(found->entry);
    CHECK_FALSE(*fixture.segment->first_entry());
    CHECK_FALSE(*fixture.segment->last_entry());
    CHECK_FALSE(*fixture.segment->find_offset(Offset{100}));
    CHECK_FALSE(*fixture.segment->find_time(TimestampMs{0}));
    CHECK_FALSE(*fixture.segment->origin());
}

TEST_CASE("Segment: each batch is found by position, offset and time, also by the next process") {
    SegmentFixture fixture(GENERATE(Codec::kNone, Codec::kLz4, Codec::kZstd));
    for (std::size_t i = 0; i < 20; ++i) {
        fixture.append(1 + i % 3, static_cast<char>('a' + i));
    }
    fixture.check_look_ups();
    CHECK(fixture.segment->bytes() == std::filesystem::file_size(fixture.path()));
    fixture.reopen(GENERATE(Segment::Access::kRead, Segment::Access::kReadWrite));
    fixture.check_look_ups();
    CHECK((*fixture.segment->first_entry())->base_offset == Offset{7});
    CHECK((*fixture.segment->last_entry())->end_offset() == fixture.headers.back().end_offset());
    CHECK((*fixture.segment->origin())->codec == fixture.headers[0].codec);
    CHECK((*fixture.segment->origin())->first_time == TimestampMs{1000});
    CHECK_FALSE(*fixture.segment->find_offset(Offset{7}));
    std::string all;
    for (std::uint64_t at = SegmentFixture::kBase; at < SegmentFixture::kBase + fixture.text.size();) {
        const IndexEntry entry = *fixture.segment->find(Position{at})->entry;
        all += decoded(*fixture.segment, entry);
        at = entry.end_position().value;
    }
    CHECK((all == fixture.text));
}

TEST_CASE("Segment: an index that is missing, cut, foreign or flipped is made anew, for readers in memory only") {
    const auto access = GENERATE(Segment::Access::kRead, Segment::Access::kReadWrite);
    SegmentFixture fixture;
    for (std::size_t i = 0; i < 6; ++i) {
        fixture.append(2, static_cast<char>('a' + i));
    }
    fixture.reopen(access);
    const std::string good = read_file(fixture.index_path());
    const auto check = [&](const std::string& content) {
        write_file(fixture.index_path(), content);
        fixture.reopen(access);
        fixture.check_look_ups();
        const bool is_rebuilt = read_file(fixture.index_path()) != content;
        REQUIRE((!is_rebuilt || access == Segment::Access::kReadWrite));
    };
    for (std::size_t size = 0; size < good.size(); size += 13) {
        CAPTURE(size);
        check(good.substr(0, size));
    }
    for (std::size_t bit = 0; bit < good.size() * 8; bit += 7) {
        CAPTURE(bit);
        std::string flipped = good;
        flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
        check(flipped);
    }
    std::string foreign = good;
    const auto header = encode_index_header({Position{71}});
    foreign.replace(0, header.size(), reinterpret_cast<const char*>(header.data()), header.size());
    check(foreign);
    check(good + std::string(640, '\0'));
    check(good + good.substr(kIndexHeaderBytes));
    std::filesystem::remove(fixture.index_path());
    fixture.reopen(access);
    fixture.check_look_ups();
}

TEST_CASE("Segment: a batch that could not be written is as if it had never been tried") {
    SegmentFixture fixture;
    fixture.append(3, 'a');
    const std::string before = read_file(fixture.path());
    const std::string part = GENERATE(".log.lz4", ".index");
    fixture.fs.set({.call = "pwrite", .path_part = part, .for_good = true, .system_errno = ENOSPC, .short_bytes = 5});
    CHECK(is_errno(fixture.try_append("lost\n").error(), ENOSPC));
    fixture.fs.clear();
    CHECK(fixture.segment->bytes() == before.size());
    CHECK((read_file(fixture.path()) == before));
    fixture.check_look_ups();
    fixture.append(2, 'b');
    fixture.check_look_ups();
    fixture.reopen();
    fixture.check_look_ups();
}

TEST_CASE("Segment: damage is an error of its batch") {
    SegmentFixture fixture;
    for (const char fill : {'a', 'b', 'c'}) {
        fixture.append(3, fill);
    }
    const IndexEntry second = *fixture.segment->find(fixture.headers[1].base_position)->entry;
    const bool in_header = GENERATE(false, true);
    overwrite(fixture.path(), in_header ? fixture.places[1] + 20 : fixture.end_of(1) - 15, "?");
    CHECK(fixture.segment->read_batch(second, *buffers).error().code == ErrorCode::kDamaged);
    const auto found = fixture.segment->find(fixture.headers[1].base_position);
    REQUIRE(found);
    CHECK(found->entry.has_value() == !in_header);
    if (in_header) {
        CHECK(found->gap_from == fixture.headers[1].base_position);
        CHECK(found->gap_to == fixture.headers[2].base_position);
    }
    CHECK(decoded(*fixture.segment, *fixture.segment->find(fixture.headers[2].base_position)->entry) ==
          fixture.text.substr(60));
}

TEST_CASE("Segment: what is not synced keeps its file open, what is can be closed") {
    SegmentFixture fixture;
    fixture.append(3, 'a');
    CHECK(fixture.segment->synced_bytes() == 0);
    const std::uint64_t opened = fixture.fs.calls("open");
    fixture.segment->close_idle();
    fixture.check_look_ups();
    CHECK(fixture.fs.calls("open") == opened);
    REQUIRE(fixture.segment->sync(true));
    CHECK(fixture.segment->synced_bytes() == fixture.segment->bytes());
    fixture.segment->close_idle();
    fixture.check_look_ups();
    CHECK(fixture.fs.calls("open") > opened);
    fixture.append(2, 'b');
    fixture.check_look_ups();
}

TEST_CASE("Segment: where descriptors are few its files are closed, once they are synced") {
    SegmentFixture fixture;
    fixture.append(3, 'a');
    CHECK_FALSE(fixture.segment->let_go(Segment::Effort::kClose));
    CHECK(fixture.fs.spare_files().let_go());
    CHECK_FALSE(fixture.segment->is_open());
    CHECK(fixture.segment->synced_bytes() == fixture.segment->bytes());
    fixture.append(2, 'b');
    fixture.check_look_ups();
    CHECK(fixture.segment->is_open());
    REQUIRE(fixture.segment->sync(true));
    CHECK(fixture.segment->let_go(Segment::Effort::kClose));
    fixture.check_look_ups();
}

TEST_CASE("Segment: a sync that fails before its files are to be closed is the next sync's failure") {
    SegmentFixture fixture;
    FaultFileSystem fs(*fixture.real);
    REQUIRE(fs.make_directory("q"));
    fixture.segment = *Segment::create(fs, "q", Position{SegmentFixture::kBase}, Codec::kNone);
    fixture.append(3, 'a');
    const std::uint64_t bytes = fixture.segment->bytes();
    fs.set({"fdatasync"});
    CHECK_FALSE(fs.spare_files().let_go());
    CHECK(fixture.segment->is_open());
    const auto noted = fixture.segment->note_synced(bytes);
    REQUIRE_FALSE(noted);
    CHECK(is_errno(noted.error(), EIO));
    CHECK_FALSE(fixture.segment->sync(true));
    CHECK(fixture.segment->synced_bytes() == 0);
    fixture.segment.reset();
}

TEST_CASE("Segment: readers find each batch that is published while others are appended") {
    SegmentFixture fixture;
    fixture.append(1, 'a');
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                const auto last = fixture.segment->last_entry();
                const auto batch =
                    last && *last ? fixture.segment->read_batch(**last, *buffers) : Result<Segment::Decoded>(Error{});
                wrong += batch && batch->entry == **last ? 0 : 1;
                fixture.segment->close_idle();
            }
        });
    }
    for (int i = 0; i < 300; ++i) {
        fixture.append(1, 'b');
        if (i % 20 == 0) {
            wrong += fixture.segment->sync(false) ? 0 : 1;
        }
    }
    done = true;
    for (std::thread& reader : readers) {
        reader.join();
    }
    CHECK(wrong == 0);
    fixture.check_look_ups();
}
