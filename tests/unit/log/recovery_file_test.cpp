#include "log/recovery_file.h"

#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

using namespace topicfs;
using namespace topicfs::test;

namespace {

class RecoveryFixture {
public:
    RecoveryFixture() {
        RecoveryPoint point;
        point.sequence = 1;
        REQUIRE(RecoveryFile::create(fs, "recovery", point));
    }
    RecoveryChoice load() {
        const auto choice = RecoveryFile::load(fs, "recovery");
        REQUIRE(choice);
        REQUIRE(*choice);
        return **choice;
    }
    std::string slot(unsigned number) const {
        return read_file(directory / "recovery").substr(number * kRecoverySlotStrideBytes, kRecoverySlotBytes);
    }

    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    FaultFileSystem fs{*real};
};

RecoveryFile::Change sealed_to(std::uint64_t position) {
    return [position](RecoveryPoint& point) { point.sealed_end = Position{position}; };
}

}  // namespace

TEST_CASE("RecoveryFile: a missing file is no point, other errors come through") {
    RecoveryFixture fixture;
    const auto missing = RecoveryFile::load(fixture.fs, "none");
    REQUIRE(missing);
    CHECK_FALSE(*missing);
    fixture.fs.set({.call = "open", .system_errno = EACCES});
    CHECK(is_errno(RecoveryFile::load(fixture.fs, "recovery").error(), EACCES));
    write_file(fixture.directory / "recovery", "damage");
    CHECK_FALSE(*RecoveryFile::load(fixture.fs, "recovery"));
}

TEST_CASE("RecoveryFile: what is published or committed is what is loaded") {
    RecoveryFixture fixture;
    RecoveryFile file(fixture.fs, "recovery", fixture.load());
    REQUIRE(file.commit(sealed_to(10)));
    CHECK(fixture.load().point.sealed_end == Position{10});
    REQUIRE(file.publish(sealed_to(20)));
    CHECK(fixture.load().point == file.point());
    CHECK(file.point().sequence == 3);
    REQUIRE(file.publish([](RecoveryPoint& point) { point.punched_end = Position{5}; }));
    CHECK(fixture.load().point.sealed_end == Position{20});
    CHECK(fixture.load().point.punched_end == Position{5});
}

TEST_CASE("RecoveryFile: the slot that holds the durable point is not written before another is durable") {
    RecoveryFixture fixture;
    RecoveryFile file(fixture.fs, "recovery", fixture.load());
    const unsigned first = fixture.load().slot;
    std::string durable = fixture.slot(first);
    for (std::uint64_t i = 1; i < 4; ++i) {
        REQUIRE(file.publish(sealed_to(i)));
        CHECK((fixture.slot(first) == durable));
    }
    REQUIRE(file.commit(sealed_to(9)));
    CHECK((fixture.slot(first) == durable));
    durable = fixture.slot(first ^ 1);
    for (std::uint64_t i = 10; i < 14; ++i) {
        REQUIRE(file.publish(sealed_to(i)));
        CHECK((fixture.slot(first ^ 1) == durable));
    }
    // Somebody else's sync counts for the point that it began with only.
    const std::uint64_t sequence = file.point().sequence;
    REQUIRE(file.publish(sealed_to(14)));
    file.note_synced(sequence);
    REQUIRE(file.publish(sealed_to(15)));
    CHECK((fixture.slot(first ^ 1) == durable));
    file.note_synced(file.point().sequence);
    durable = fixture.slot(first);
    REQUIRE(file.publish(sealed_to(16)));
    CHECK((fixture.slot(first) == durable));
}

TEST_CASE("RecoveryFile: a commit that was not synced leaves the durable slot alone") {
    RecoveryFixture fixture;
    RecoveryFile file(fixture.fs, "recovery", fixture.load());
    const unsigned first = fixture.load().slot;
    const std::string durable = fixture.slot(first);
    fixture.fs.set({.call = "fdatasync"});
    CHECK_FALSE(file.commit(sealed_to(10)));
    REQUIRE(file.publish(sealed_to(11)));
    CHECK((fixture.slot(first) == durable));
}

TEST_CASE("RecoveryFile: the other slot counts where the newer is damaged") {
    RecoveryFixture fixture;
    RecoveryFile file(fixture.fs, "recovery", fixture.load());
    REQUIRE(file.commit(sealed_to(10)));
    REQUIRE(file.commit(sealed_to(20)));
    const RecoveryChoice newest = fixture.load();
    std::string content = read_file(fixture.directory / "recovery");
    content[newest.slot * kRecoverySlotStrideBytes + 60] = 0x5a;
    write_file(fixture.directory / "recovery", content);
    CHECK(fixture.load().slot == (newest.slot ^ 1));
    CHECK(fixture.load().point.sealed_end == Position{10});
    // And then the damaged one is what is written.
    RecoveryFile again(fixture.fs, "recovery", fixture.load());
    REQUIRE(again.publish(sealed_to(30)));
    CHECK(fixture.load().slot == newest.slot);
    CHECK(fixture.load().point.sealed_end == Position{30});
}
