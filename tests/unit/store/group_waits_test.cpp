// What of a group goes by time: readers that do not come back, partitions that are kept for who asked, waits for enough
// bytes; and that the store's thread is told when to look.
#include "support/fault_file_system.h"
#include "unit/store/group_fixture.h"

#include <algorithm>
#include <cerrno>
#include <vector>

namespace topicfs::test {
namespace {

struct Waiter : GrowthWaiter {
    void grown() override { ++told; }
    int told = 0;
};

// What a group asks its keeper for.
struct Work : GroupWork {
    void group_due(StoredGroup& /*group*/, std::int64_t monotonic_ms) override { due.push_back(monotonic_ms); }
    std::vector<std::int64_t> due;
};

// A group of its own on the files of group "g", whose work is looked at.
class Watched : public Groups {
public:
    Watched() {
        const PartitionEnvironment environment{*fs, clock(), cache, nullptr, false, nullptr};
        auto opened = StoredGroup::open(environment, &work, std::dynamic_pointer_cast<StoredTopic>(topic), "g");
        REQUIRE(opened);
        watched = *opened;
    }
    Reading open_watched(std::optional<std::uint32_t> partition = std::nullopt) {
        auto opened = watched->open_reader(partition);
        REQUIRE(opened);
        return {*opened};
    }
    // It was asked for in so many milliseconds, or earlier; then that is done. Times are kept from now on.
    bool was_asked_for_in(std::int64_t delay_ms) {
        const bool asked = !work.due.empty() &&
                           *std::min_element(work.due.begin(), work.due.end()) <= clock().monotonic_ms() + delay_ms;
        work.due.clear();
        return asked;
    }
    // As the keeper's thread.
    void keep() {
        work.due.clear();
        watched->keep();
    }

    std::unique_ptr<FileSystem> fs = std::move(*open_file_system(fixture.directory.string()));
    BatchCache cache{1u << 20};
    Work work;
    std::shared_ptr<StoredGroup> watched;
};

}  // namespace

TEST_CASE("Group waits: a partition that was asked for is kept for a second, no shorter and no longer") {
    Groups groups;
    groups.append(0, "a\n");
    Reading all = groups.open_reader();
    CHECK(all.read() == "a\n");
    CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
    groups.append(0, "b\n");
    groups.clock().advance(999);
    CHECK(all.read().empty());
    SECTION("who asked gets it, and what he leaves is everybody's at once") {
        Reading reading = groups.open_reader(0);
        CHECK(reading.read() == "b\n");
        CHECK(reading.read().empty());
        groups.append(0, "c\n");
        reading.close();
        CHECK(all.read() == "c\n");
    }
    SECTION("nobody comes") {
        groups.clock().advance(1);
        CHECK(all.read() == "b\n");
    }
    SECTION("another that comes for all does not get it") {
        Reading other = groups.open_reader();
        CHECK(other.read().empty());
        CHECK(groups.open_reader(0).read() == "b\n");
    }
    SECTION("asked for again it is kept for longer") {
        // In hand of nobody by now, so it is had at once.
        CHECK(groups.open_reader(0).read() == "b\n");
    }
}

TEST_CASE("Group waits: reads that go on keep a reader's partitions, and so does a wait and its end") {
    Groups groups;
    REQUIRE(groups.group()->set("max.poll.interval.ms", "1000"));
    Reading reading = groups.open_reader(0);
    for (int i = 0; i < 10; ++i) {
        groups.append(0, "x\n");
        groups.clock().advance(800);
        groups.seal();
        CHECK(reading.read() == "x\n");
    }
    CHECK(groups.committed(0) == 9);
    const auto waiter = std::make_shared<Waiter>();
    CHECK(reading.read().empty());
    reading.reader->start_waiting(waiter);
    groups.clock().advance(50'000);
    groups.seal();
    CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
    reading.reader->stop_waiting(waiter);
    groups.clock().advance(1000);
    groups.append(0, "y\n");
    CHECK(reading.read() == "y\n");
    CHECK(groups.committed(0) == 10);
    REQUIRE(groups.group()->set("max.poll.interval.ms", "off"));
    groups.clock().advance(50'000);
    CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
    CHECK(reading.read().empty());
    CHECK(groups.committed(0) == 11);
}

TEST_CASE("Group waits: a reader in the middle of a call is there, however long the disk takes") {
    Groups groups;
    groups.append(0, "a\n");
    groups.seal();
    groups.fixture.end();
    FaultFileSystem* faults = nullptr;
    groups.fixture.wrap = [&](std::unique_ptr<FileSystem> fs) {
        auto wrapped = std::make_unique<OwningFaultFileSystem>(std::move(fs));
        faults = wrapped.get();
        return wrapped;
    };
    groups.open();
    REQUIRE(groups.group()->set("max.poll.interval.ms", "1000"));
    Reading reading = groups.open_reader(0);
    const auto group = groups.group();
    int reads = 0;
    faults->observe([&](std::string_view call, const std::string& path) {
        if (call == "pread" && path.find(".log.") != std::string::npos) {
            ++reads;
            groups.clock().advance(5000);
            CHECK(code_of(group->open_reader(0)) == ErrorCode::kBusy);
        }
    });
    CHECK(reading.read() == "a\n");
    faults->observe({});
    CHECK(reads > 0);
    groups.clock().advance(1000);  // since the call's end
    CHECK(reading.read().empty());
    CHECK(groups.committed(0) == 1);
}

TEST_CASE("Group waits: a reader that has lost its partitions gets EIO for all, and commits nothing any more") {
    Groups groups;
    groups.append(0, "a\nb\n");
    REQUIRE(groups.group()->set("max.poll.interval.ms", "1000"));
    const bool auto_commit = GENERATE(true, false);
    REQUIRE(groups.group()->set("enable.auto.commit", auto_commit ? "true" : "false"));
    Reading late = groups.open_reader();
    CHECK(late.read() == "a\nb\n");
    groups.clock().advance(1001);
    const int how = GENERATE(0, 1, 2);
    if (how == 0) {
        groups.seal();  // The store sees it.
    } else if (how == 1) {
        REQUIRE(groups.group()->reset(0, Offset{1}));  // Somebody sets the group.
        CHECK(groups.committed(0) == 1);
    }
    const std::uint64_t before = how == 1 ? 1 : 0;
    for (int again = 0; again < 2; ++again) {
        const auto committed = late.reader->commit(2);
        REQUIRE_FALSE(committed);
        CHECK(committed.error().code == ErrorCode::kSystem);
        CHECK(committed.error().system_errno == EIO);
        const auto read = late.try_read();
        REQUIRE_FALSE(read);
        CHECK(read.error().system_errno == EIO);
        const auto described = late.reader->describe(0, 10);
        REQUIRE_FALSE(described);
        CHECK(described.error().system_errno == EIO);
    }
    CHECK(groups.committed(0) == before);
    // Also where another has got on meanwhile, who may commit.
    Reading other = groups.open_reader(0);
    CHECK(other.read() == (before == 1 ? "b\n" : "a\nb\n"));
    CHECK_FALSE(late.reader->commit(4));
    CHECK(groups.committed(0) == before);
    REQUIRE(late.reader->sync());
    REQUIRE(late.reader->close());
    REQUIRE(other.reader->commit(other.at));
    CHECK(groups.committed(0) == 2);
}

TEST_CASE("Group waits: for fetch.min.bytes each time anew, of all partitions together, and for fetch.max.wait.ms") {
    Groups groups;
    REQUIRE(groups.group()->set("fetch.min.bytes", "6"));
    REQUIRE(groups.group()->set("fetch.max.wait.ms", "50"));
    Reading reading = groups.open_reader();
    const auto ask_again_in = [&]() -> std::int64_t {
        const auto readiness = reading.reader->readiness();
        REQUIRE(readiness);
        REQUIRE_FALSE(readiness->is_ready);
        return readiness->ask_again_at ? *readiness->ask_again_at - groups.clock().now() : -1;
    };
    CHECK(ask_again_in() == -1);
    groups.append(0, "a\n");
    CHECK(ask_again_in() == 50);
    groups.clock().advance(20);
    groups.append(1, "b\n");
    CHECK(ask_again_in() == 30);
    groups.append(2, "unfinished");
    CHECK(ask_again_in() == 30);
    SECTION("enough: what comes then has its own time") {
        groups.append(2, "\n");
        CHECK(reading.reader->readiness()->is_ready);
        CHECK(reading.read().size() + reading.read().size() + reading.read().size() == 15);
        groups.append(0, "c\n");
        CHECK(ask_again_in() == 50);
    }
    SECTION("enough, of a partition that had some") {
        groups.append(0, "A\n");
        CHECK(reading.reader->readiness()->is_ready);
    }
    SECTION("long enough: a read gives what there is") {
        groups.clock().advance(29);
        CHECK(ask_again_in() == 1);
        groups.clock().advance(1);
        CHECK(reading.reader->readiness()->is_ready);
        CHECK(reading.read().size() + reading.read().size() == 4);
    }
    SECTION("a read does not wait, whatever the settings say") {
        CHECK(reading.read() == "b\n");
        CHECK(ask_again_in() == 50);  // for the other one, from now on
    }
    SECTION("what goes to another is waited for no longer") {
        Reading zero = groups.open_reader(0);
        Reading one = groups.open_reader(1);
        CHECK(ask_again_in() == -1);
        CHECK(zero.read() == "a\n");
        CHECK(zero.read().empty());
        zero.close();
        CHECK(ask_again_in() == -1);
        groups.clock().advance(1000);
        groups.append(0, "d\n");
        CHECK(ask_again_in() == 50);
    }
}

TEST_CASE("Group waits: the store's thread is asked to look when a commit, a claim or an absence is due") {
    Watched groups;
    groups.append(0, "a\nb\n");
    groups.append(1, "c\n");
    Reading all = groups.open_watched();
    groups.keep();
    SECTION("commits become durable within a second") {
        CHECK(groups.work.due.empty());
        std::string first = all.read(2);
        CHECK(groups.work.due.empty());
        first = all.read(2);
        CHECK(groups.was_asked_for_in(1000));
        // Once is enough.
        first = all.read(2);
        CHECK(groups.work.due.empty());
        groups.keep();
        CHECK(all.read(2).empty());
        CHECK(groups.was_asked_for_in(1000));
    }
    SECTION("a partition that was asked for, and that nobody has come for") {
        CHECK(all.read() == "c\n");
        CHECK(code_of(groups.watched->open_reader(1)) == ErrorCode::kBusy);
        CHECK(groups.was_asked_for_in(1001));
        CHECK(all.read() == "a\nb\n");
        groups.append(1, "d\n");
        const auto waiter = std::make_shared<Waiter>();
        CHECK(all.read().empty());
        all.reader->start_waiting(waiter);
        waiter->told = 0;
        groups.clock().advance(1001);
        groups.keep();
        CHECK(waiter->told > 0);
        CHECK(all.reader->readiness()->is_ready);
        all.reader->stop_waiting(waiter);
    }
    SECTION("a reader that does not come back") {
        REQUIRE(groups.watched->set("max.poll.interval.ms", "60000"));
        CHECK(groups.was_asked_for_in(60'001));
        CHECK(all.read() == "c\n");
        groups.keep();
        CHECK(groups.was_asked_for_in(60'001));
        groups.clock().advance(60'000);
        groups.keep();
        CHECK(groups.watched->is_in_use());
        CHECK(groups.was_asked_for_in(1));
        groups.clock().advance(1);
        groups.keep();
        CHECK_FALSE(groups.watched->is_in_use());
        CHECK(groups.work.due.empty());
        const Reading another = groups.open_watched(2);
        CHECK(groups.was_asked_for_in(60'001));
    }
    SECTION("nobody does without max.poll.interval.ms") {
        groups.clock().advance(1'000'000);
        groups.keep();
        CHECK(groups.work.due.empty());
        CHECK(groups.watched->is_in_use());
    }
}

}  // namespace topicfs::test
