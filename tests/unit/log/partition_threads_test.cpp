// Appends, reads, look-ups, sealing and checkpoints of one partition at the same time.
#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

#include <atomic>
#include <filesystem>
#include <iterator>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// Line n of a log, 16 bytes; so a reader knows what stands at each position.
constexpr std::size_t kLineBytes = 16;
std::string line(std::uint64_t number) {
    std::string digits = std::to_string(number);
    return std::string(kLineBytes - 1 - digits.size(), '0') + digits + "\n";
}

std::string lines(std::uint64_t from, std::uint64_t count) {
    std::string text;
    for (std::uint64_t i = from; i < from + count; ++i) {
        text += line(i);
    }
    return text;
}

TopicSettings busy() {
    TopicSettings settings;
    settings.seal_bytes = 3000;
    settings.segment_bytes = 20'000;
    return settings;
}

// Reads whole lines anywhere and checks them; false where something is wrong.
bool read_some(PartitionLog& log, Random& random, std::string& what) {
    const auto end = log.end();
    if (!end || end->value % kLineBytes != 0) {
        what = "the log end is not at a line's end";
        return false;
    }
    const std::uint64_t all = end->value / kLineBytes;
    if (all == 0) {
        return true;
    }
    const std::uint64_t from = random.between(all > 600 ? all - 600 : 0, all - 1);
    const std::uint64_t count = std::min<std::uint64_t>(all - from, random.between(1, 500));
    const auto text = PartitionFixture::read(log, Position{from * kLineBytes}, count * kLineBytes);
    if (!text || *text != lines(from, count)) {
        what = text ? "line " + std::to_string(from) + " is not what was appended" : text.error().message();
        return false;
    }
    const auto found = log.find_offset(Offset{from});
    if (!found || found->position.value != from * kLineBytes) {
        what = found ? "offset " + std::to_string(from) + " is elsewhere" : found.error().message();
        return false;
    }
    const auto in_time = log.find_time(TimestampMs{static_cast<std::int64_t>(random.between(0, 2'000'000'000'000))});
    if (!in_time || in_time->position.value != in_time->offset.value * kLineBytes) {
        what = in_time ? "a time is found inside a line" : in_time.error().message();
        return false;
    }
    return true;
}

constexpr std::uint64_t kLines = 12'000;

}  // namespace

TEST_CASE("PartitionLog: readers see every byte while others append, seal, checkpoint and close what is idle") {
    PartitionFixture fixture(busy());
    PartitionLog& log = *fixture.log;
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::string what;
    std::mutex what_mutex;
    const auto reader = [&](std::uint64_t seed) {
        Random random(seed);
        for (bool last = false; !last;) {
            last = done.load();
            std::string found;
            if (!read_some(log, random, found)) {
                ++wrong;
                const std::scoped_lock lock(what_mutex);
                what = found;
                return;
            }
        }
    };
    std::thread first(reader, 1);
    std::thread second(reader, 2);
    std::thread sealer([&] {
        BatchBuilder builder;
        while (!done) {
            wrong += log.seal_due(builder) ? 0 : 1;
            std::this_thread::yield();
        }
    });
    std::thread flusher([&] {
        while (!done) {
            wrong += log.checkpoint() ? 0 : 1;
            wrong += log.status() ? 0 : 1;
            wrong += log.sync() ? 0 : 1;
            log.close_idle();
            std::this_thread::yield();
        }
    });
    for (std::uint64_t at = 0; at < kLines; at += 20) {
        const std::string text = lines(at, 20);
        wrong += log.append(std::as_bytes(std::span(text))) ? 0 : 1;
        fixture.clock.advance(3);
    }
    done = true;
    for (std::thread* const thread : {&first, &second, &sealer, &flusher}) {
        thread->join();
    }
    INFO(what);
    CHECK(wrong == 0);
    CHECK((fixture.all() == lines(0, kLines)));
    CHECK(fixture.status().end_offset.value == kLines);
    CHECK(fixture.status().damaged.empty());
}

TEST_CASE("PartitionLog: appends of many threads are not mixed, and each is there once") {
    PartitionFixture fixture(busy());
    constexpr std::uint64_t kEach = 500;
    std::atomic<int> wrong{0};
    std::vector<std::thread> writers;
    for (std::uint64_t writer = 0; writer < 4; ++writer) {
        writers.emplace_back([&, writer] {
            for (std::uint64_t i = 0; i < kEach; ++i) {
                const std::string text = line(writer * kEach + i);
                wrong += fixture.log->append(std::as_bytes(std::span(text))) ? 0 : 1;
            }
        });
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    CHECK(wrong == 0);
    fixture.seal_and_checkpoint();
    const std::string all = fixture.all();
    REQUIRE(all.size() == 4 * kEach * kLineBytes);
    std::vector<std::string> found;
    for (std::size_t at = 0; at < all.size(); at += kLineBytes) {
        found.push_back(all.substr(at, kLineBytes));
    }
    std::sort(found.begin(), found.end());
    for (std::uint64_t i = 0; i < 4 * kEach; ++i) {
        REQUIRE(found[i] == line(i));
    }
}

TEST_CASE("PartitionLog: a reader of its own beside the writer sees every byte, though head is punched under it") {
    PartitionFixture fixture(busy());
    fixture.append(lines(0, 20));
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::string what;
    std::thread beside([&] {
        Random random(3);
        for (bool last = false; !last;) {
            last = done.load();
            const auto reader = fixture.try_open(false, true);
            if (!reader) {
                what = reader.error().message();
                ++wrong;
                return;
            }
            for (int i = 0; i < 20; ++i) {
                if (!read_some(**reader, random, what)) {
                    ++wrong;
                    return;
                }
            }
            const auto status = (*reader)->status();
            if (!status || !status->damaged.empty()) {
                what = status ? status->damaged[0].reason : status.error().message();
                ++wrong;
                return;
            }
        }
    });
    BatchBuilder builder;
    for (std::uint64_t at = 20; at < kLines && wrong == 0; at += 20) {
        const std::string text = lines(at, 20);
        wrong += fixture.log->append(std::as_bytes(std::span(text))) ? 0 : 1;
        wrong += fixture.log->seal_due(builder) ? 0 : 1;
        if (at % 60 == 0) {
            wrong += fixture.log->checkpoint() ? 0 : 1;
        }
    }
    done = true;
    beside.join();
    INFO(what);
    CHECK(wrong == 0);
}

TEST_CASE("PartitionLog: a read that meets a punch reads again, now from the segment") {
    PartitionFixture fixture(busy());
    const std::string text = lines(0, 1000);
    fixture.append(text);
    bool is_first = true;
    fixture.fs.observe([&](std::string_view call, const std::string& path) {
        if (call == "pread" && path.ends_with(".head") && is_first) {
            is_first = false;  // The read has found its bytes in head, and has not read them.
            fixture.seal_and_checkpoint();
        }
    });
    CHECK((fixture.read(0, text.size()) == text));
    CHECK_FALSE(is_first);
    const auto info = fixture.real->info("p/00000000000000000000.head");
    REQUIRE(info);
    CHECK(info->disk_bytes < info->size);
}

TEST_CASE("PartitionLog: the status can be read while segments are added") {
    TopicSettings settings = busy();
    settings.seal_bytes = 1000;
    settings.segment_bytes = 1000;  // each batch is a segment
    PartitionFixture fixture(settings);
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::thread beside([&] {
        while (!done) {
            const auto status = fixture.log->status();
            wrong += status && status->sealed_end <= status->end ? 0 : 1;
        }
    });
    BatchBuilder builder;
    for (std::uint64_t at = 0; at < 20'000; at += 100) {
        fixture.append(lines(at, 100));
        wrong += fixture.log->seal_due(builder) ? 0 : 1;
    }
    done = true;
    beside.join();
    CHECK(wrong == 0);
}

TEST_CASE("PartitionLog: many small segments take few descriptors, to seal and to read") {
    TopicSettings settings = busy();
    settings.seal_bytes = 1000;
    settings.segment_bytes = 1000;
    PartitionFixture fixture(settings);
    const auto descriptors = [] {
        const std::filesystem::directory_iterator all("/proc/self/fd");
        return std::distance(begin(all), end(all));
    };
    const auto before = descriptors();
    const std::string text = lines(0, 20'000);
    fixture.append(text);
    BatchBuilder builder;
    REQUIRE(fixture.log->seal_due(builder, true));
    REQUIRE(fixture.log->status()->segments.size() > 100);
    CHECK(descriptors() - before < 100);
    fixture.seal_and_checkpoint();
    fixture.log->close_idle();
    CHECK((fixture.read(0, text.size()) == text));
    CHECK(descriptors() - before < 20);
}
