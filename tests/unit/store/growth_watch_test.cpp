// What others append to heads is seen, with inotify as it is; waiting is for conditions.
#include "store/growth_watch.h"

#include "base/clock.h"
#include "log/layout.h"
#include "support/temporary_directory.h"
#include "unit/log/outside_writer.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::chrono::seconds kPatience(20);

// A store's part of the work, as Maintenance does it; nothing is sealed.
class WatchWork final : public BackgroundWork {
public:
    explicit WatchWork(GrowthWatch& watch) : watch_(watch) {}
    void seal_at(PartitionLog& partition, std::int64_t) override {
        // Called when bytes were observed that are not sealed.
        const std::scoped_lock lock(mutex_);
        seen_.insert(&partition);
        changed_.notify_all();
    }
    void flush_at(PartitionLog&, std::int64_t) override {}
    void watch_head(PartitionLog& partition) override { watch_.watch(partition); }
    void unwatch_head(PartitionLog& partition) override { watch_.unwatch(partition); }
    void waits_for_growth(PartitionLog& partition) override { watch_.waits(partition); }
    void has_grown(PartitionLog& partition) override { watch_.has_grown(partition); }
    void checkpoint_soon() override {}

    bool await_seen(PartitionLog& partition) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPatience, [&] { return seen_.contains(&partition); });
    }

private:
    GrowthWatch& watch_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<PartitionLog*> seen_;
};

// Waits for the log end to come to a position.
class EndWaiter final : public GrowthWaiter {
public:
    explicit EndWaiter(PartitionLog& log) : log_(log) {}
    void grown() override {
        const auto end = log_.end();
        const std::scoped_lock lock(mutex_);
        end_ = std::max(end_, end.value_or(Position{0}));
        changed_.notify_all();
    }
    bool await(std::uint64_t end) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPatience, [&] { return end_ >= Position{end}; });
    }

private:
    PartitionLog& log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Position end_;
};

// What partitions stand on. The watch may be the last that holds one and let it go at any time, so this stays to the
// end.
struct Ground {
    explicit Ground(const std::string& directory) : fs(std::move(*open_file_system(directory))) {}
    std::unique_ptr<FileSystem> fs;
    ManualClock clock{TimestampMs{1'700'000'000'000}};
    BatchCache cache{1u << 20};
};

Ground& make_ground(const std::string& directory) {
    static std::vector<std::unique_ptr<Ground>> all;
    return *all.emplace_back(std::make_unique<Ground>(directory));
}

class WatchedPartition {
public:
    explicit WatchedPartition(BackgroundWork& work) {
        REQUIRE(ground.fs->make_directory("p"));
        REQUIRE(PartitionLog::create_files(*ground.fs, "p", ground.clock.now(), false));
        auto opened = PartitionLog::open({*ground.fs, ground.clock, ground.cache, &work}, "p",
                                         std::make_shared<TopicSettings>(), false);
        REQUIRE(opened);
        log = *opened;
    }

    void lend() {
        auto file = log->append_file();
        REQUIRE(file);
        lent = *file;
    }
    std::shared_ptr<EndWaiter> wait() {
        auto waiter = std::make_shared<EndWaiter>(*log);
        log->start_waiting(waiter);
        return waiter;
    }
    void append(std::string_view bytes) { REQUIRE(log->append(std::as_bytes(std::span(bytes)))); }
    std::filesystem::path head_path() const { return directory / "p" / head_file_name(Position{0}); }

    TemporaryDirectory directory;
    Ground& ground = make_ground(directory.string());
    std::shared_ptr<PartitionLog> log;
    std::shared_ptr<AppendFile> lent;
};

struct Fixture {
    Fixture() { REQUIRE(watch.start()); }
    ~Fixture() { watch.stop(); }
    GrowthWatch watch;
    WatchWork work{watch};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "GrowthWatch: what others append is observed, so that it is sealed and has its time") {
    WatchedPartition partition(work);
    partition.lend();
    OutsideWriter writer(partition.head_path());
    partition.ground.clock.advance(1000);
    writer.append("one\n");
    REQUIRE(work.await_seen(*partition.log));
    CHECK(partition.log->last_append() == partition.ground.clock.now());
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: who waits is told of each append, however it falls between the looks") {
    WatchedPartition partition(work);
    partition.lend();
    const auto waiter = partition.wait();
    OutsideWriter writer(partition.head_path());
    // So many that some meet the kernel between an event and the removal of the watch that has fired.
    constexpr std::uint64_t kAlone = 30000;
    for (std::uint64_t i = 1; i <= kAlone; ++i) {
        writer.append("x");
        REQUIRE(waiter->await(i));
    }
    // By append() too, in turns.
    for (std::uint64_t i = kAlone + 1; i <= kAlone + 200; ++i) {
        if (i % 2 == 0) {
            writer.append("x");
        } else {
            partition.append("x");
        }
        REQUIRE(waiter->await(i));
    }
    partition.log->stop_waiting(waiter);
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: a fast writer is followed to his last byte") {
    WatchedPartition partition(work);
    partition.lend();
    const auto waiter = partition.wait();
    OutsideWriter writer(partition.head_path());
    const std::string line(1000, 'x');
    std::uint64_t end = 0;
    for (int burst = 0; burst < 20; ++burst) {
        for (int i = 0; i < 2000; ++i) {
            writer.append(line);
        }
        end += 2000 * line.size();
        REQUIRE(waiter->await(end));
        writer.append("y");
        REQUIRE(waiter->await(++end));
    }
    partition.log->stop_waiting(waiter);
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: who begins to wait when others write already is told of the next append") {
    WatchedPartition partition(work);
    partition.lend();
    OutsideWriter writer(partition.head_path());
    for (std::uint64_t i = 1; i <= 200; ++i) {
        const auto waiter = partition.wait();
        writer.append("x");
        REQUIRE(waiter->await(i));
        partition.log->stop_waiting(waiter);
    }
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: of a partition that nobody else writes to, append() tells") {
    WatchedPartition partition(work);
    const auto waiter = partition.wait();
    for (std::uint64_t i = 1; i <= 200; ++i) {
        partition.append("x");
        REQUIRE(waiter->await(i));
    }
    partition.log->stop_waiting(waiter);
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: many partitions at the same time, of which some go") {
    std::vector<std::unique_ptr<WatchedPartition>> partitions;
    std::vector<std::shared_ptr<EndWaiter>> waiters;
    std::vector<OutsideWriter> writers;
    for (int i = 0; i < 30; ++i) {
        auto& partition = *partitions.emplace_back(std::make_unique<WatchedPartition>(work));
        partition.lend();
        waiters.push_back(partition.wait());
        writers.emplace_back(partition.head_path());
    }
    for (std::uint64_t round = 1; round <= 20; ++round) {
        for (OutsideWriter& writer : writers) {
            writer.append("x");
        }
        for (const auto& waiter : waiters) {
            REQUIRE(waiter->await(round));
        }
        // One that is closed while it is watched is forgotten.
        partitions.back()->log->stop_waiting(waiters.back());
        partitions.pop_back();
        waiters.pop_back();
        writers.pop_back();
    }
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        partitions[i]->log->stop_waiting(waiters[i]);
    }
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: after it was stopped and started again it sees what came meanwhile") {
    WatchedPartition partition(work);
    partition.lend();
    const auto waiter = partition.wait();
    OutsideWriter writer(partition.head_path());
    writer.append("x");
    REQUIRE(waiter->await(1));
    watch.stop();
    writer.append("x");
    REQUIRE(watch.start());
    REQUIRE(waiter->await(2));
    writer.append("x");
    REQUIRE(waiter->await(3));
    partition.log->stop_waiting(waiter);
}

TEST_CASE_METHOD(Fixture, "GrowthWatch: what is not watched any more, and what is watched again, is no trouble") {
    WatchedPartition partition(work);
    OutsideWriter writer(partition.head_path());
    for (std::uint64_t i = 1; i <= 50; ++i) {
        partition.lend();
        watch.unwatch(*partition.log);
        watch.unwatch(*partition.log);
        watch.watch(*partition.log);
        watch.watch(*partition.log);
        const auto waiter = partition.wait();
        writer.append("x");
        REQUIRE(waiter->await(i));
        partition.log->stop_waiting(waiter);
    }
}
