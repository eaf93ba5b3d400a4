// What a look-up costs: its results are checked by partition_log_random_test.cpp.
#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

// As many segments of one batch of ten records.
struct ManySegments {
    explicit ManySegments(std::uint64_t count) {
        partition.settings.segment_bytes = 1;
        partition.log->set_settings(std::make_shared<TopicSettings>(partition.settings));
        for (std::uint64_t i = 0; i < count; ++i) {
            partition.append("1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n");
            partition.seal_and_checkpoint();
            partition.clock.advance(1000);
        }
        partition.restart();
    }
    std::uint64_t open_files() { return partition.fs.calls("open") - partition.fs.calls("close"); }
    PartitionFixture partition;
};

}  // namespace

TEST_CASE("PartitionLog: a look-up opens the segment that it ends in, however many there are") {
    const std::uint64_t segments = GENERATE(20U, 200U);
    ManySegments many(segments);
    PartitionFixture& partition = many.partition;
    const std::uint64_t open_before = many.open_files();
    for (std::uint64_t i = 0; i < segments; ++i) {
        REQUIRE(partition.log->find_offset(Offset{i * 10 + 5}));
        REQUIRE(many.open_files() <= open_before + 5 * 2);
    }
    const std::uint64_t opened = partition.fs.calls("open");
    for (std::uint64_t i = 0; i < segments; ++i) {
        const auto found = partition.log->find_offset(Offset{i * 10 + 5});
        REQUIRE(found);
        CHECK(found->position.value == i * 20 + 10);
    }
    CHECK(partition.fs.calls("open") - opened <= segments * 2);
    const TimestampMs last = partition.log->last_append();
    for (std::uint64_t i = 0; i < segments; ++i) {
        REQUIRE(partition.log->find_time(last + (-static_cast<std::int64_t>(i) * 1000)));
        REQUIRE(many.open_files() <= open_before + 5 * 2);
    }
    const TimestampMs first = last + -static_cast<std::int64_t>(segments - 1) * 1000;
    for (std::uint64_t i = 0; i < segments; ++i) {
        const TimestampMs time = first + static_cast<std::int64_t>(i) * 1000;
        REQUIRE(*partition.log->bound_of(time) == TimeBound{Position{i * 20}, true});
        REQUIRE(*partition.log->time_of(Position{i * 20 + 7}) == time);
        REQUIRE(partition.log->records_end()->position == Position{segments * 20});
        REQUIRE(many.open_files() <= open_before + 5 * 2);
    }
}

TEST_CASE("PartitionLog: a segment's last entry is not remembered over what is sealed later") {
    PartitionFixture fixture;
    for (std::int64_t i = 0; i < 5; ++i) {
        fixture.append("a\n");
        fixture.seal();
        const auto found = fixture.log->find_time(fixture.clock.now());
        REQUIRE(found);
        CHECK(found->offset.value == static_cast<std::uint64_t>(i));
        fixture.clock.advance(1000);
    }
}
