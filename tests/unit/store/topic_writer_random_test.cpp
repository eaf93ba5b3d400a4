// Writers on threads, with buffers that cut lines anywhere.
#include "store/partitioner.h"
#include "unit/store/store_fixture.h"

#include <algorithm>
#include <iostream>
#include <random>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::uint32_t kPartitions = 5;
constexpr int kWriters = 8;
constexpr int kLines = 1500;

// Line `number` of a writer: "KEY;WRITER NUMBER xxx", or without a key.
std::string line_of(int writer, int number, bool keyed) {
    std::mt19937 random(static_cast<unsigned>(writer * 100'000 + number));
    std::string line = keyed && number % 5 != 0 ? "key" + std::to_string(random() % 20) + ";" : "";
    line += std::to_string(writer) + " " + std::to_string(number) + " ";
    line.append(random() % 50 == 0 ? random() % 9000 : random() % 60, static_cast<char>('a' + writer));
    return line + "\n";
}

void run_writer(Topic& topic, int number, bool keyed, unsigned seed) {
    std::mt19937 random(seed + static_cast<unsigned>(number));
    std::string text;
    for (int i = 0; i < kLines; ++i) {
        text += line_of(number, i, keyed);
    }
    auto writer = topic.open_writer();
    std::size_t buffer = number % 2 == 0 ? 4096 : 0;  // as stdio does, or at random
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t most = random() % 30 == 0 ? 100'000 : 300;
        const std::size_t want = std::min(buffer != 0 ? buffer : 1 + random() % most, text.size() - at);
        const auto stored = (*writer)->append(std::as_bytes(std::span(text)).subspan(at, want));
        if (!stored || *stored != want) {
            std::abort();
        }
        at += want;
        if (random() % 400 == 0) {
            // The next line goes on in another writer; what is unfinished gets a delimiter.
            const bool is_whole = text[at - 1] == '\n';
            if (is_whole) {
                (void)(*writer)->close().has_value();
                writer = topic.open_writer();
            }
        }
    }
    (void)(*writer)->close().has_value();
}

void check(Topic& topic, bool keyed) {
    std::map<std::string, int> times_seen;
    for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
        const std::string text = read_all(topic, partition);
        std::map<std::string, std::map<int, int>> last_of_key;  // and writer
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            REQUIRE(end != std::string::npos);
            const std::string line = text.substr(at, end + 1 - at);
            at = end + 1;
            ++times_seen[line];
            const std::size_t separator = line.find(';');
            if (keyed && separator != std::string::npos) {
                const std::string key = line.substr(0, separator);
                if (partition_of_key(std::as_bytes(std::span(key)), kPartitions) != partition) {
                    FAIL("key " << key << " in partition " << partition);
                }
                int writer = 0;
                int number = 0;
                REQUIRE(std::sscanf(line.c_str() + separator + 1, "%d %d", &writer, &number) == 2);
                const auto [last, is_first] = last_of_key[key].try_emplace(writer, number);
                if (!is_first && last->second >= number) {
                    FAIL("writer " << writer << " line " << number << " behind " << last->second);
                }
                last->second = number;
            }
        }
    }
    for (int writer = 0; writer < kWriters; ++writer) {
        for (int i = 0; i < kLines; ++i) {
            const std::string line = line_of(writer, i, keyed);
            if (times_seen[line] != 1) {
                FAIL("line " << i << " of writer " << writer << " is there " << times_seen[line] << " times");
            }
        }
    }
    CHECK(times_seen.size() == static_cast<std::size_t>(kWriters) * kLines);
}

}  // namespace

TEST_CASE_METHOD(StoreFixture,
                 "TopicWriter: lines of writers on threads, cut anywhere, are each there once and whole") {
    const unsigned seed = std::random_device()();
    std::cout << "seed " << seed << "\n";
    CAPTURE(seed);
    for (const bool keyed : {false, true}) {
        const std::string name = keyed ? "keyed" : "sticky";
        open();
        REQUIRE(store->set_default("num.partitions", std::to_string(kPartitions)));
        const auto topic = *static_cast<Store&>(*store).create_topic(name);
        if (keyed) {
            REQUIRE(topic->set("key.separator", ";"));
        }
        std::vector<std::thread> threads;
        for (int number = 0; number < kWriters; ++number) {
            threads.emplace_back([&, number] { run_writer(*topic, number, keyed, seed); });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        check(*topic, keyed);
        CHECK(std::filesystem::is_empty(path("topics/" + name + "/unfinished")));
    }
}
