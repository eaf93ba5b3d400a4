// Figures wait for nobody: a call of the file system is held up, by who appends, seals, commits or makes a checkpoint,
// and the status and the metrics are read meanwhile.
#include "store/group.h"
#include "store/local_store.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <topicfs/group.h>

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>

namespace topicfs::test {
namespace {

// Nothing here takes so long unless it hangs.
constexpr std::chrono::seconds kPatience{20};

struct OwningFaults final : FaultFileSystem {
    explicit OwningFaults(std::unique_ptr<FileSystem> fs) : FaultFileSystem(*fs), inner(std::move(fs)) {}
    std::unique_ptr<FileSystem> inner;
};

// Holds up the first call of that name about such a path, from arm() until open().
class Gate {
public:
    void arm(std::string call, std::string path_part) {
        const std::scoped_lock lock(mutex_);
        call_ = std::move(call);
        path_part_ = std::move(path_part);
        is_armed_ = true;
        is_held_ = false;
        is_open_ = false;
    }
    void pass(std::string_view call, const std::string& path) {
        std::unique_lock lock(mutex_);
        if (!is_armed_ || call != call_ || path.find(path_part_) == std::string::npos) {
            return;
        }
        is_armed_ = false;
        is_held_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return is_open_; });
    }
    // Whether somebody was held up in time.
    bool await() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, kPatience, [&] { return is_held_; });
    }
    void open() {
        const std::scoped_lock lock(mutex_);
        is_armed_ = false;
        is_open_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string call_;
    std::string path_part_;
    bool is_armed_ = false;
    bool is_held_ = false;
    bool is_open_ = false;
};

class HeldStore {
public:
    HeldStore() {
        auto fs = open_file_system(directory_.string());
        REQUIRE(fs);
        auto faults = std::make_unique<OwningFaults>(std::move(*fs));
        faults->observe([this](std::string_view call, const std::string& path) { gate.pass(call, path); });
        StoreEnvironment environment;
        environment.fs = std::move(faults);
        environment.clock = &clock;
        environment.boot_id = "boot";
        environment.directory = directory_.string();
        StoreOptions options;
        options.maintenance = false;
        auto opened = LocalStore::open(std::move(environment), options);
        REQUIRE(opened);
        store = std::move(*opened);
        topic = *store->create_topic("t", {});
        group = *topic->create_group("g", {});
        reader = *group->open_reader(0);
        append("one\ntwo\nthree\n");
        REQUIRE(store->maintain(true));
        // Both what is sealed and what is not is there, and a commit that was not looked up.
        const auto bytes = reader->fetch(0, 8);
        REQUIRE(bytes);
        REQUIRE(reader->fetch(bytes->size(), 8));
        append("four\n");
    }
    ~HeldStore() {
        gate.open();
        reader.reset();
    }
    HeldStore(const HeldStore&) = delete;
    HeldStore& operator=(const HeldStore&) = delete;

    void append(std::string_view text) { REQUIRE((*topic->partition(0))->append(std::as_bytes(std::span(text)))); }

    TemporaryDirectory directory_;
    Gate gate;
    ManualClock clock{TimestampMs{1'700'000'000'000}};
    std::unique_ptr<LocalStore> store;
    std::shared_ptr<Topic> topic;
    std::shared_ptr<Group> group;
    std::shared_ptr<GroupReader> reader;
};

// Whether all figures are there in time; what they say of what is known is right.
bool are_figures_told(HeldStore& held) {
    auto figures = std::async(std::launch::async, [&] {
        const auto of_store = held.store->status_json();
        const auto of_topic = held.topic->status_json();
        const auto metrics = held.store->metrics_text();
        const auto attributes = (*held.topic->partition(0))->attributes();
        return of_store && of_topic && metrics && attributes.mtime_ns > 0 &&
               of_topic->find("\"end_offset\": 4") != std::string::npos &&
               of_topic->find("\"committed_offset\": 2") != std::string::npos &&
               metrics->find("topicfs_log_end_offset{topic=\"t\",partition=\"0\"} 4\n") != std::string::npos;
    });
    const bool in_time = figures.wait_for(kPatience) == std::future_status::ready;
    held.gate.open();  // so that this test ends in any case
    return figures.get() && in_time;
}

void seal_and_checkpoint(HeldStore& held) {
    held.append(std::string(5000, 'x'));  // no record more
    (void)held.store->maintain(true).has_value();
}

struct Case {
    const char* what;
    const char* call;
    const char* path_part;
    void (*work)(HeldStore&);
};

void append_more(HeldStore& held) {
    held.clock.advance(1000);  // so that a time is noted
    held.append("more");
}

constexpr std::array kCases = {
    Case{"an append", "write", ".head", append_more},
    Case{"the time of an append", "pwrite", ".times", append_more},
    Case{"the sealer, reading head", "pread", ".head",
         [](HeldStore& held) { (void)held.store->maintain(true).has_value(); }},
    Case{"the sealer, at a segment", "pwrite", ".log.", seal_and_checkpoint},
    Case{"the sealer, at an index", "pwrite", ".index", seal_and_checkpoint},
    Case{"a checkpoint's sync", "fdatasync", ".log.", seal_and_checkpoint},
    Case{"a checkpoint's recovery point", "pwrite", "/recovery", seal_and_checkpoint},
    Case{"a checkpoint, punching head", "punch_hole", ".head", seal_and_checkpoint},
    Case{"an fsync", "fdatasync", ".head",
         [](HeldStore& held) { (void)(*held.topic->partition(0))->sync().has_value(); }},
    Case{"a commit", "pwrite", "/commits", [](HeldStore& held) { (void)held.reader->fetch(14, 8).has_value(); }},
    Case{"a commit's sync", "fdatasync", "/commits", [](HeldStore& held) { (void)held.reader->sync().has_value(); }},
    Case{"a setting of the topic", "rename", "/topic",
         [](HeldStore& held) { (void)held.topic->set("seal.ms", "1000").has_value(); }},
    Case{"a setting of the group", "rename", "/group",
         [](HeldStore& held) { (void)held.group->set("fetch.min.bytes", "2").has_value(); }},
    Case{"a setting of the store", "pwrite", "state",
         [](HeldStore& held) { (void)held.store->set_default("seal.ms", "1000").has_value(); }},
};

TEST_CASE("Figures: while a call of others hangs, the status and the metrics are told") {
    for (const Case& one : kCases) {
        CAPTURE(one.what);
        HeldStore held;
        held.gate.arm(one.call, one.path_part);
        std::thread work([&] { one.work(held); });
        const bool is_held = held.gate.await();
        const bool is_told = is_held && are_figures_told(held);
        held.gate.open();
        work.join();
        CHECK(is_held);
        CHECK(is_told);
    }
}

// Others that want to know of the times that the first one has in hand must not hold meanwhile what figures need. The
// order of the two is not fixed here, so it is tried again and again.
void tell_while_one_waits_for_another(void (*first)(HeldStore&, PartitionLog&),
                                      void (*second)(HeldStore&, PartitionLog&)) {
    for (int round = 0; round < 20; ++round) {
        HeldStore held;
        const std::shared_ptr<PartitionLog> log =
            std::static_pointer_cast<StoredPartition>(*held.topic->partition(0))->log();
        BatchBuilder builder;
        REQUIRE(log->seal_due(builder, true));
        held.clock.advance(1000);
        held.gate.arm("pwrite", ".times");
        std::thread one([&] { first(held, *log); });
        const bool is_held = held.gate.await();
        std::thread other([&] { second(held, *log); });
        bool is_told = is_held;
        for (int i = 0; i < 50 && is_told; ++i) {
            auto figures = std::async(std::launch::async, [&] { return held.store->metrics_text().has_value(); });
            is_told = figures.wait_for(kPatience) == std::future_status::ready;
            if (!is_told) {
                held.gate.open();
            }
            is_told = figures.get() && is_told;
        }
        held.gate.open();
        one.join();
        other.join();
        REQUIRE(is_held);
        REQUIRE(is_told);
    }
}

TEST_CASE("Figures: while an append hangs and a checkpoint waits for it, the status and the metrics are told") {
    tell_while_one_waits_for_another([](HeldStore& held, PartitionLog&) { held.append("more"); },
                                     [](HeldStore&, PartitionLog& log) { (void)log.checkpoint().has_value(); });
}

TEST_CASE("Figures: while a look-up hangs and the closing of idle files waits for it, the metrics are told") {
    tell_while_one_waits_for_another(
        [](HeldStore& held, PartitionLog& log) {
            (void)log.checkpoint().has_value();
            (void)log.bound_of(held.clock.now()).has_value();
        },
        [](HeldStore&, PartitionLog& log) {
            log.close_idle();
            log.close_idle();
        });
}

}  // namespace
}  // namespace topicfs::test
