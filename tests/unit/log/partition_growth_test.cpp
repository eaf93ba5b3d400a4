// Appends that others make to head: that they are seen, get their times, and are waited for.
#include "base/clock.h"
#include "unit/log/outside_writer.h"
#include "unit/log/partition_fixture.h"

#include <map>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// Counts what it is told; does nothing.
class ToldWork final : public BackgroundWork {
public:
    void seal_at(PartitionLog&, std::int64_t monotonic_ms) override { seals.push_back(monotonic_ms); }
    void flush_at(PartitionLog&, std::int64_t monotonic_ms) override { flushes.push_back(monotonic_ms); }
    void watch_head(PartitionLog&) override { ++watched; }
    void unwatch_head(PartitionLog&) override { ++unwatched; }
    void waits_for_growth(PartitionLog&) override { ++waits; }
    void has_grown(PartitionLog&) override { ++grown; }
    void checkpoint_soon() override {}

    std::vector<std::int64_t> seals;
    std::vector<std::int64_t> flushes;
    int watched = 0;
    int unwatched = 0;
    int waits = 0;
    int grown = 0;
};

class CountingWaiter final : public GrowthWaiter {
public:
    void grown() override { ++told; }
    int told = 0;
};

class Growth : public PartitionFixture {
public:
    Growth() { restart_with_work(); }
    void restart_with_work() {
        work = &told;
        restart();
    }
    std::shared_ptr<AppendFile> lend() {
        auto lent = log->append_file();
        INFO((lent ? std::string() : lent.error().message()));
        REQUIRE(lent);
        return *lent;
    }
    Position observe() {
        const auto end = log->observe();
        REQUIRE(end);
        return *end;
    }
    void idle() {
        log->close_idle();  // It was used since the last call.
        log->close_idle();
    }
    Position at(TimestampMs time) {
        const auto found = log->find_time(time);
        REQUIRE(found);
        return found->position;
    }

    ToldWork told;
};

}  // namespace

TEST_CASE_METHOD(Growth, "PartitionLog: what others append is there at once, and has the time at which it is seen") {
    const auto lent = lend();
    OutsideWriter writer(head_path());
    append("ours\n");
    clock.advance(100);
    const TimestampMs first = clock.now();
    writer.append("theirs\n");
    CHECK(all() == "ours\ntheirs\n");
    CHECK(observe() == Position{12});
    CHECK(log->last_append() == first);
    clock.advance(100);
    CHECK(observe() == Position{12});
    CHECK(log->last_append() == first);  // Nothing came.
    writer.append("more\n");
    writer.append("and more\n");
    CHECK(observe() == Position{26});
    CHECK(log->last_append() == clock.now());
    CHECK(at(first) == Position{5});
    CHECK(at(first + 1) == Position{12});
    CHECK(at(clock.now()) == Position{12});
    seal_and_checkpoint();
    restart_with_work();
    CHECK(at(first) == Position{5});
    CHECK(at(first + 1) == Position{12});
    CHECK(status().end_offset == Offset{4});
}

TEST_CASE_METHOD(Growth, "PartitionLog: what others have put before an append of ours has no later time than that") {
    const auto lent = lend();
    OutsideWriter writer(head_path());
    append("ours\n");
    clock.advance(1000);
    const TimestampMs later = clock.now();
    writer.append("theirs, not seen yet\n");
    append("ours again\n");
    CHECK(at(later) == Position{5});
    clock.advance(1000);
    CHECK(observe() == Position{37});
    CHECK(log->last_append() == later);
}

TEST_CASE_METHOD(Growth, "PartitionLog: the times of what others appended outlive the process") {
    const auto lent = lend();
    OutsideWriter writer(head_path());
    const TimestampMs first = clock.now();
    writer.append("one\n");
    observe();
    clock.advance(1000);
    writer.append("two\n");
    observe();
    clock.advance(1000);
    kill();
    open();
    CHECK(at(first) == Position{0});
    CHECK(at(first + 1) == Position{4});
    CHECK(log->last_append() == first + 1000);
}

TEST_CASE("PartitionLog: sealing and flushing are told of what others append") {
    Growth fixture;
    fixture.settings.seal_bytes = 1000;
    fixture.settings.seal_ms = 500;
    fixture.settings.flush_ms = 200;
    fixture.settings.flush_messages = 3;
    fixture.restart_with_work();
    const auto lent = fixture.lend();
    OutsideWriter writer(fixture.head_path());
    auto& told = fixture.told;
    told.seals.clear();
    told.flushes.clear();
    writer.append("one\n");
    fixture.observe();
    CHECK(told.seals == std::vector<std::int64_t>{500});
    CHECK(told.flushes == std::vector<std::int64_t>{200});
    fixture.clock.advance(100);
    writer.append("two\n");
    fixture.observe();
    CHECK(told.seals.size() == 1);
    CHECK(told.flushes.size() == 1);
    writer.append("three\n");
    fixture.observe();
    CHECK(told.flushes == std::vector<std::int64_t>{200, 0});
    writer.append(std::string(1000, 'x'));
    fixture.observe();
    CHECK(told.seals == std::vector<std::int64_t>{500, 0});
}

TEST_CASE("PartitionLog: what is unsealed is due at its time, also where the wall clock was set back") {
    Growth fixture;
    fixture.settings.seal_ms = 500;
    fixture.restart_with_work();
    fixture.append("one\n");
    REQUIRE(fixture.told.seals == std::vector<std::int64_t>{500});
    fixture.clock.step_to(fixture.clock.now() + -3'600'000);
    fixture.clock.advance(200);
    REQUIRE(fixture.log->seal_due(fixture.builder));  // called too early: it changes nothing
    CHECK(fixture.status().sealed_end == Position{0});
    CHECK(fixture.told.seals.back() == 500);
    fixture.clock.advance(300);
    REQUIRE(fixture.log->seal_due(fixture.builder));
    CHECK(fixture.status().sealed_end == Position{4});
    // What came behind has a time of its own.
    fixture.append("two\n");
    CHECK(fixture.told.seals.back() == 1000);
    fixture.clock.advance(499);
    REQUIRE(fixture.log->seal_due(fixture.builder));
    CHECK(fixture.status().sealed_end == Position{4});
    fixture.clock.advance(1);
    REQUIRE(fixture.log->seal_due(fixture.builder));
    CHECK(fixture.status().sealed_end == Position{8});
}

TEST_CASE_METHOD(Growth, "PartitionLog: head is lent open for reading only, and is watched from then on") {
    const auto lent = lend();
    CHECK(told.watched == 1);
    CHECK((fcntl(lent->fd(), F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK(lent->usable());
    CHECK(log->watched_head() != nullptr);
    log->fail(system_error(EIO, "sync", "head"));
    CHECK_FALSE(lent->usable());
    CHECK(log->append_file().error().code == ErrorCode::kReadOnly);
}

TEST_CASE("PartitionLog: head is not lent where each append must be made durable, or none is taken") {
    Growth fixture;
    fixture.settings.flush_messages = 1;
    fixture.restart_with_work();
    CHECK(fixture.log->append_file().error().code == ErrorCode::kInvalid);
    const auto reader = fixture.try_open(false, true);
    REQUIRE(reader);
    CHECK((*reader)->append_file().error().code == ErrorCode::kReadOnly);
    CHECK(fixture.told.watched == 0);
}

TEST_CASE_METHOD(Growth, "PartitionLog: head is not lent where it cannot be told who has it open") {
    fs.set({.call = "has_writers", .for_good = true, .system_errno = EINVAL});
    CHECK(log->append_file().error().system_errno == EINVAL);
    fs.clear();
    CHECK(log->append_file());
}

TEST_CASE_METHOD(Growth, "PartitionLog: head stays open while it is lent or written to by others, and is closed then") {
    auto lent = lend();
    OutsideWriter writer(head_path());
    writer.append("one\n");
    observe();
    seal_and_checkpoint();
    idle();
    CHECK(log->watched_head() != nullptr);
    lent.reset();
    idle();
    CHECK(log->watched_head() != nullptr);
    CHECK(told.unwatched == 0);
    writer.append("two\n");
    CHECK(all() == "one\ntwo\n");
    writer.close();
    idle();
    CHECK(log->watched_head() != nullptr);  // What came last is in no segment yet.
    observe();
    seal_and_checkpoint();
    idle();
    CHECK(log->watched_head() == nullptr);
    CHECK(told.unwatched == 1);
    CHECK(all() == "one\ntwo\n");
}

TEST_CASE_METHOD(Growth,
                 "PartitionLog: what a writer puts there just before it is gone is not lost when head is closed") {
    auto lent = lend();
    OutsideWriter writer(head_path());
    writer.append("one\n");
    observe();
    seal_and_checkpoint();
    lent.reset();
    log->close_idle();
    writer.append("two\n");
    writer.close();
    log->close_idle();
    log->close_idle();
    CHECK(all() == "one\ntwo\n");
    append("three\n");
    CHECK(all() == "one\ntwo\nthree\n");
}

TEST_CASE_METHOD(Growth, "PartitionLog: a writer that outlived the process is found at the start") {
    auto lent = lend();
    OutsideWriter writer(head_path());
    writer.append("before\n");
    lent.reset();
    kill();
    writer.append("between\n");
    told = {};
    open();
    CHECK(told.watched == 1);
    CHECK(log->watched_head() != nullptr);
    CHECK(all() == "before\nbetween\n");
    clock.advance(100);
    writer.append("after\n");
    CHECK(observe() == Position{21});
    CHECK(at(clock.now()) == Position{15});
    seal_and_checkpoint();
    CHECK(all() == "before\nbetween\nafter\n");
    writer.append("last\n");
    writer.close();
    observe();
    seal_and_checkpoint();
    idle();
    CHECK(log->watched_head() == nullptr);
    restart_with_work();
    CHECK(log->watched_head() == nullptr);
    CHECK(all() == "before\nbetween\nafter\nlast\n");
}

TEST_CASE_METHOD(Growth, "PartitionLog: what came while no daemon ran has the start's time, and nothing else has") {
    constexpr std::int64_t kDayMs = 86'400'000;
    // By the clock of the file system, a day before.
    clock.advance(system_clock().now() - clock.now() - kDayMs);
    const TimestampMs first = clock.now();
    append("earlier\n");
    std::shared_ptr<AppendFile> lent;
    SECTION("head was lent before our append") {
        lent = lend();
        append("ours\n");
    }
    SECTION("head was lent behind it") {
        append("ours\n");
        lent = lend();
    }
    OutsideWriter writer(head_path());
    lent.reset();
    kill();
    writer.append("theirs\n");
    clock.advance(2 * kDayMs);
    open();
    CHECK(at(first) == Position{0});
    CHECK(at(first + AppendTimes::kResolutionMs) == Position{13});
    CHECK(at(clock.now()) == Position{13});
}

TEST_CASE_METHOD(Growth,
                 "PartitionLog: where the start cannot tell whether there is a writer, it takes it that there is") {
    append("one\n");
    seal_and_checkpoint();
    kill();
    told = {};
    fs.set({.call = "has_writers", .for_good = true, .system_errno = ENOMEM});
    open();
    CHECK(log->watched_head() != nullptr);
    OutsideWriter writer(head_path());
    writer.append("two\n");
    CHECK(observe() == Position{8});
    fs.clear();
    writer.close();
    seal_and_checkpoint();
    idle();
    CHECK(log->watched_head() == nullptr);
}

TEST_CASE_METHOD(Growth, "PartitionLog: an empty partition that somebody may append to is not retired") {
    auto lent = lend();
    OutsideWriter writer(head_path());
    lent.reset();
    CHECK(log->retire_if_empty().error().code == ErrorCode::kBusy);
    writer.close();
    const auto retired = log->retire_if_empty();
    REQUIRE(retired);
    CHECK(*retired);
    CHECK(log->append_file().error().code == ErrorCode::kReadOnly);
    log->reinstate();
    CHECK(log->append_file());
}

TEST_CASE_METHOD(Growth, "PartitionLog: one with records is not retired either, whoever wrote them") {
    auto lent = lend();
    OutsideWriter writer(head_path());
    writer.append("one\n");
    lent.reset();
    writer.close();
    const auto retired = log->retire_if_empty();
    REQUIRE(retired);
    CHECK_FALSE(*retired);
}

TEST_CASE_METHOD(Growth, "PartitionLog: who waits is told of growth until he waits no more") {
    const auto first = std::make_shared<CountingWaiter>();
    const auto second = std::make_shared<CountingWaiter>();
    append("nobody waits\n");
    CHECK(told.grown == 0);
    CHECK_FALSE(log->has_waiters());
    log->start_waiting(first);
    log->start_waiting(second);
    CHECK(told.waits == 2);
    CHECK(log->has_waiters());
    append("two wait\n");
    CHECK(told.grown == 1);
    CHECK(first->told == 0);  // An append does not wait for waiters: a thread of the store tells them.
    log->tell_waiters();
    CHECK(first->told == 1);
    CHECK(second->told == 1);
    log->stop_waiting(first);
    log->tell_waiters();
    CHECK(first->told == 1);
    CHECK(second->told == 2);
    log->stop_waiting(second);
    log->stop_waiting(second);
    CHECK_FALSE(log->has_waiters());
    append("nobody waits\n");
    CHECK(told.grown == 1);
}

TEST_CASE("FileSystem: whether somebody has a file open for writing is told by a lease") {
    const TemporaryDirectory directory;
    write_file(directory / "file", "x");
    const auto fs = std::move(*open_file_system(directory.string()));
    const auto file = fs->open("file", O_RDONLY);
    REQUIRE(file);
    const auto has_writers = [&] {
        const auto result = fs->has_writers(*file);
        REQUIRE(result);
        return *result;
    };
    CHECK_FALSE(has_writers());
    OutsideWriter writer(directory / "file");
    CHECK(has_writers());
    writer.close();
    CHECK_FALSE(has_writers());
    const auto reader = fs->open("file", O_RDONLY);
    CHECK_FALSE(has_writers());
    // The lease is given back: nobody who opens it for writing has to wait.
    const Fd quick(::open((directory / "file").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    CHECK(quick);
}
