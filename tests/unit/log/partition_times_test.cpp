// Where a moment lies in a partition, and that what is said to be final stays so.
#include "support/random_content.h"
#include "unit/log/outside_writer.h"
#include "unit/log/partition_fixture.h"

#include <atomic>
#include <map>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;

class Times : public PartitionFixture {
public:
    explicit Times(TopicSettings with = {}) : PartitionFixture(with) {}

    TimeBound bound(TimestampMs time) {
        const auto bound = log->bound_of(time);
        INFO((bound ? std::string() : bound.error().message()));
        REQUIRE(bound);
        return *bound;
    }
    TimestampMs time_of(std::uint64_t position) {
        const auto time = log->time_of(Position{position});
        REQUIRE(time);
        return *time;
    }
    Found records_end() {
        const auto found = log->records_end();
        INFO((found ? std::string() : found.error().message()));
        REQUIRE(found);
        return *found;
    }
    static TimeBound final_at(std::uint64_t position) { return {Position{position}, true}; }
    static TimeBound open_at(std::uint64_t position) { return {Position{position}, false}; }
    const TimestampMs begin = clock.now();
};

}  // namespace

TEST_CASE_METHOD(Times, "PartitionLog: a bound is final once something with such a time is there") {
    append("one\n");
    clock.advance(1000);
    CHECK(bound(begin) == final_at(0));
    CHECK(bound(begin + 5000) == open_at(4));
    clock.advance(9000);
    append("two\n");
    CHECK(bound(begin + 5000) == final_at(4));
    CHECK(bound(begin + 20'000) == open_at(8));
}

TEST_CASE_METHOD(Times,
                 "PartitionLog: a bound is final once the clock has reached it, and stays so when that is set back") {
    append("one\n");
    clock.advance(1000);
    CHECK(bound(begin + 1000) == final_at(4));
    clock.step_to(begin + -kHourMs);
    append("two\n");
    CHECK(bound(begin + 1000) == final_at(4));
    CHECK(time_of(0) == begin);
    CHECK(time_of(4) == begin + 1000);
    CHECK(log->find_time(begin + 1000)->position == Position{4});
    CHECK(bound(begin + 1001) == open_at(8));
    SECTION("also after the process has died") {
        restart();
    }
    SECTION("also once it is in a segment") {
        seal_and_checkpoint();
        restart();
    }
    CHECK(bound(begin + 1000) == final_at(4));
    CHECK(time_of(4) == begin + 1000);
}

TEST_CASE_METHOD(
    Times, "PartitionLog: a bound that was final at the log end stays there over a death with the clock set back") {
    append("one\n");
    const bool sealed = GENERATE(false, true);
    if (sealed) {
        seal_and_checkpoint();
    }
    clock.advance(5000);
    CHECK(bound(begin + 2000) == final_at(4));
    restart();
    clock.step_to(begin + 100);
    append("two\n");
    CHECK(bound(begin + 2000) == final_at(4));
    CHECK(log->find_time(begin + 2000)->position == Position{4});
}

TEST_CASE_METHOD(
    Times, "PartitionLog: asking for bounds changes no append's time, and takes no room where nothing is appended") {
    append("one\n");
    CHECK(log->last_append() == begin);
    clock.advance(1000);
    bound(begin + 500);
    const auto size = std::filesystem::file_size(times_path());
    for (int i = 0; i < 10'000; ++i) {
        clock.advance(1000);
        bound(clock.now());
    }
    CHECK(std::filesystem::file_size(times_path()) == size);
    CHECK(log->last_append() == begin);
    seal_and_checkpoint();
    CHECK(log->last_append() == begin);
    restart();
    CHECK(log->last_append() == begin);
    CHECK(time_of(0) == begin);
    append("two\n");
    CHECK(log->last_append() == clock.now());
}

TEST_CASE_METHOD(Times, "PartitionLog: an empty partition has final bounds too") {
    CHECK(bound(begin + 1) == open_at(0));
    CHECK(bound(begin) == final_at(0));
    CHECK(bound(TimestampMs{-5}) == final_at(0));
    CHECK(log->last_append() == TimestampMs{0});
    clock.step_to(begin + -kHourMs);
    append("one\n");
    CHECK(time_of(0) == begin);
}

TEST_CASE_METHOD(Times, "PartitionLog: bounds are noted at most once in ten milliseconds") {
    append("one\n");
    clock.advance(9);
    CHECK(bound(begin + 5) == open_at(4));
    append("two\n");
    CHECK(bound(begin + 5) == open_at(8));
    clock.advance(1);
    CHECK(bound(begin + 5) == final_at(8));
}

TEST_CASE_METHOD(Times, "PartitionLog: a record belongs to the time at which it was whole") {
    append("one\nunfin");
    CHECK(bound(begin + 1000) == open_at(4));
    CHECK(log->find_time(begin + 1000)->position == Position{4});
    clock.advance(1000);
    append("ished");
    CHECK(bound(begin + 1000) == final_at(4));
    CHECK(bound(begin + 2000) == open_at(4));
    const bool sealed = GENERATE(false, true);
    if (sealed) {
        seal_and_checkpoint();
    }
    clock.advance(1000);
    append(" at last\nnext\n");
    CHECK(bound(begin + 1000) == final_at(4));
    CHECK(bound(begin + 2000) == final_at(4));
    CHECK(log->find_time(begin + 2000)->offset == Offset{1});
    CHECK(log->find_time(begin + 2001)->offset == Offset{3});
    CHECK(bound(begin) == final_at(0));
}

TEST_CASE_METHOD(Times, "PartitionLog: what others have appended gets its time before bounds are looked for") {
    const auto lent = log->append_file();
    REQUIRE(lent);
    OutsideWriter writer(head_path());
    append("ours\n");
    clock.advance(1000);
    writer.append("theirs\n");
    CHECK(log->find_time(begin + 500)->position == Position{5});
    clock.advance(1000);
    CHECK(log->find_time(begin + 500)->position == Position{5});
    CHECK(log->find_time(begin + 1001)->position == Position{12});
    writer.append("more\n");
    CHECK(bound(begin + 1001) == final_at(12));
    CHECK(bound(begin + 2001) == open_at(17));
    CHECK(time_of(12) == begin + 2000);
    writer.append("and more\n");
    clock.advance(5);
    CHECK(time_of(17) == begin + 2000);
    CHECK(log->time_of(Position{26}).error().code == ErrorCode::kNotFound);
}

TEST_CASE_METHOD(Times, "PartitionLog: the time of a byte is that of its append, wherever it is by now") {
    std::vector<std::uint64_t> starts;
    std::uint64_t size = 0;
    for (int i = 0; i < 20; ++i) {
        starts.push_back(size);
        const std::string line = "record " + std::to_string(i) + "\n";
        append(line);
        size += line.size();
        clock.advance(1000);
        if (i == 7) {
            seal();
        }
        if (i == 12) {
            seal_and_checkpoint();
        }
    }
    const auto check = [&] {
        for (std::size_t i = 0; i < starts.size(); ++i) {
            const TimestampMs time = begin + static_cast<std::int64_t>(i) * 1000;
            CHECK(time_of(starts[i]) == time);
            CHECK(time_of(starts[i] + 5) == time);
            CHECK(bound(time) == final_at(starts[i]));
            CHECK(bound(time + -1) == final_at(starts[i]));
        }
    };
    check();
    restart();
    check();
    seal_and_checkpoint();
    check();
    CHECK(log->time_of(Position{size}).error().code == ErrorCode::kNotFound);
}

TEST_CASE_METHOD(Times, "PartitionLog: the whole records end at the log end, or where an unfinished one begins") {
    CHECK(records_end() == Found{Position{0}, Offset{0}});
    append("un");
    CHECK(records_end() == Found{Position{0}, Offset{0}});
    append("finished\n");
    CHECK(records_end() == Found{Position{11}, Offset{1}});
    append("two\nthr");
    CHECK(records_end() == Found{Position{15}, Offset{2}});
    seal_and_checkpoint();
    CHECK(records_end() == Found{Position{15}, Offset{2}});
    append("ee, and ");
    CHECK(records_end() == Found{Position{15}, Offset{2}});
    restart();
    append("more\n");
    CHECK(records_end() == Found{Position{31}, Offset{3}});
}

TEST_CASE("PartitionLog: in a byte log each byte is a record") {
    TopicSettings settings;
    settings.record_delimiter.reset();
    Times fixture(settings);
    fixture.append("one\ntwo");
    CHECK(fixture.records_end() == Found{Position{7}, Offset{7}});
    fixture.clock.advance(1000);
    CHECK(fixture.bound(fixture.begin + 1000) == Times::final_at(7));
    fixture.append("more");
    CHECK(fixture.bound(fixture.begin + 1000) == Times::final_at(7));
    CHECK(fixture.bound(fixture.begin) == Times::final_at(0));
}

TEST_CASE_METHOD(Times, "PartitionLog: a reader beside a daemon sees the times that were noted since it came") {
    append("one\n");
    const auto reader = try_open(false, true);
    REQUIRE(reader);
    clock.advance(1000);
    append("two\n");
    CHECK((*reader)->find_time(begin + 1)->position == Position{4});
    CHECK(*(*reader)->bound_of(begin + 1) == final_at(4));
    CHECK(*(*reader)->time_of(Position{4}) == begin + 1000);
    CHECK((*reader)->last_append() == begin + 1000);
    clock.advance(1000);
    // Nothing is noted by a reader.
    const auto before = read_file(times_path());
    CHECK(*(*reader)->bound_of(clock.now()) == open_at(8));
    CHECK((read_file(times_path()) == before));
}

TEST_CASE_METHOD(Times, "PartitionLog: a partition that takes no appends notes no bounds") {
    append("one\n");
    clock.advance(1000);
    log->fail(system_error(EIO, "sync", "head"));
    CHECK(bound(clock.now()) == open_at(4));
    CHECK(bound(begin) == final_at(0));
}

TEST_CASE_METHOD(Times, "PartitionLog: a bound that cannot be stored is there all the same") {
    append("one\n");
    clock.advance(1000);
    fs.set({.call = "pwrite", .for_good = true, .system_errno = ENOSPC});
    CHECK(bound(clock.now()) == final_at(4));
    fs.clear();
}

TEST_CASE(
    "PartitionLog: whatever happens, a final bound stays and nothing below an open one turns out to be behind it") {
    Random random;
    for (int round = 0; round < 20; ++round) {
        CAPTURE(random.seed(), round);
        TopicSettings settings;
        settings.segment_bytes = 300;
        Times fixture(settings);
        std::map<TimestampMs, std::uint64_t> final_bounds;
        std::map<TimestampMs, std::uint64_t> open_bounds;
        // Half of the rounds by today's time, so that it can be compared with what the file system says of head.
        const TimestampMs begin = random.one_in(2) ? system_clock().now() : fixture.begin;
        fixture.clock.step_to(begin);
        auto lent = fixture.log->append_file();
        REQUIRE(lent);
        auto writer = std::make_unique<OutsideWriter>(fixture.head_path());
        const auto ask = [&](TimestampMs time) {
            const TimeBound now = fixture.bound(time);
            CAPTURE(time.value - begin.value, now.position.value, now.is_final);
            if (const auto known = final_bounds.find(time); known != final_bounds.end()) {
                REQUIRE(now == Times::final_at(known->second));
            }
            if (const auto open = open_bounds.find(time); open != open_bounds.end()) {
                REQUIRE(now.position.value >= open->second);
            }
            (now.is_final ? final_bounds : open_bounds)[time] = now.position.value;
        };
        for (int step = 0; step < 150; ++step) {
            CAPTURE(step);
            const std::string bytes = random.one_in(3) ? "x" : "yy\nz\n";
            switch (random.between(0, 9)) {
                case 0:
                case 1:
                    fixture.append(bytes);
                    break;
                case 2:
                case 3:
                    writer->append(bytes);
                    break;
                case 4:
                    fixture.clock.advance(static_cast<std::int64_t>(random.between(0, 30)));
                    break;
                case 5:
                    fixture.clock.step_to(fixture.clock.now() +
                                          (static_cast<std::int64_t>(random.between(0, 400)) - 200));
                    break;
                case 6:
                    fixture.seal();
                    break;
                case 7:
                    fixture.seal_and_checkpoint();
                    break;
                case 8:
                    if (random.one_in(4)) {
                        lent->reset();
                        fixture.restart();
                        open_bounds.clear();
                        lent = fixture.log->append_file();
                        REQUIRE(lent);
                    }
                    break;
                default:
                    break;
            }
            ask(begin + (static_cast<std::int64_t>(random.between(0, 600)) - 100));
            for (const auto& known : std::map(final_bounds)) {
                if (random.one_in(10)) {
                    ask(known.first);
                }
            }
        }
        for (const auto& known : std::map(open_bounds)) {
            ask(known.first);
        }
        for (const auto& known : std::map(final_bounds)) {
            ask(known.first);
        }
    }
}

TEST_CASE_METHOD(Times, "PartitionLog: bounds stay while the partition, others and the sealer are at work") {
    settings.seal_bytes = 4096;
    log->set_settings(std::make_shared<TopicSettings>(settings));
    const auto lent = log->append_file();
    REQUIRE(lent);
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            while (!stop) {
                const auto stored = log->append(std::as_bytes(std::span("ours\n", 5)));
                wrong += stored ? 0 : 1;
                std::this_thread::yield();
            }
        });
    }
    threads.emplace_back([&, writer = std::make_shared<OutsideWriter>(head_path())] {
        while (!stop) {
            writer->append("theirs\n");
            std::this_thread::yield();
        }
    });
    threads.emplace_back([&] {
        BatchBuilder own_builder;
        while (!stop) {
            clock.advance(1);
            wrong += log->observe() ? 0 : 1;
            wrong += log->seal_due(own_builder) ? 0 : 1;
            std::this_thread::yield();
        }
    });
    std::map<TimestampMs, std::uint64_t> final_bounds;
    std::map<TimestampMs, std::uint64_t> open_bounds;
    std::map<std::uint64_t, TimestampMs> times;
    for (int i = 0; final_bounds.size() < 200 && wrong == 0; ++i) {
        const TimestampMs time = clock.now() + (i % 5 - 3);
        const auto bound = log->bound_of(time);
        const auto log_end = log->end();
        const auto byte_time =
            log_end && log_end->value > 0 ? log->time_of(Position{log_end->value - 1}) : TimestampMs{0};
        if (!bound || !log_end || !byte_time) {
            ++wrong;
            break;
        }
        if (log_end->value > 0 && i % 32 == 0) {
            times[log_end->value - 1] = *byte_time;
        }
        auto& known = bound->is_final ? final_bounds : open_bounds;
        const auto [entry, is_new] = known.emplace(time, bound->position.value);
        wrong += is_new || (bound->is_final ? entry->second == bound->position.value
                                            : entry->second <= bound->position.value)
                     ? 0
                     : 1;
    }
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    REQUIRE(wrong == 0);
    clock.advance(1000);
    for (const auto& [time, position] : final_bounds) {
        REQUIRE(bound(time) == final_at(position));
    }
    for (const auto& [time, position] : open_bounds) {
        REQUIRE(bound(time).position.value >= position);
    }
    for (const auto& [position, time] : times) {
        REQUIRE(time_of(position) == time);
    }
}
