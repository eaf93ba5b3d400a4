// A group with all the threads of a store: readers that come and go while others append, look at it and change it.
#include "unit/store/merged_fixture.h"

#include <topicfs/group.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace topicfs::test {
namespace {

constexpr std::uint32_t kParts = 6;
constexpr std::uint64_t kRecords = 300;  // of each partition

struct Counting final : GrowthWaiter {
    void grown() override { ++told; }
    std::atomic<int> told{0};
};

// What was come back for, of all readers.
class Done {
public:
    void add(const std::string& text) {
        const std::scoped_lock lock(mutex_);
        for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
            ++records_[text.substr(at, text.find('\n', at) - at)];
        }
    }
    std::size_t size() const {
        const std::scoped_lock lock(mutex_);
        return records_.size();
    }
    // A record that was come back for twice.
    std::string twice() const {
        const std::scoped_lock lock(mutex_);
        for (const auto& [record, count] : records_) {
            if (count > 1) {
                return record;
            }
        }
        return "";
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, int> records_;
};

}  // namespace

TEST_CASE("Group: readers, writers and lookers-on in threads of their own: each record is done once") {
    const TemporaryDirectory directory;
    auto store = open_store(directory.string());
    REQUIRE(store);
    REQUIRE((*store)->set_default("num.partitions", std::to_string(kParts)));
    const auto topic = *(*store)->create_topic("t");
    REQUIRE(topic->set("seal.bytes", "300"));
    const auto group = *topic->create_group("g", Attributes{});
    const auto other = *topic->create_group("other", Attributes{});
    Done done;
    std::atomic<bool> over{false};
    std::atomic<int> failures{0};
    std::vector<std::thread> threads;
    for (std::uint32_t partition = 0; partition < kParts; ++partition) {
        threads.emplace_back([&, partition] {
            const auto log = *topic->partition(partition);
            for (std::uint64_t number = 0; number < kRecords; ++number) {
                const std::string line = std::to_string(partition) + ":" + std::to_string(number) + "\n";
                failures += log->append(std::as_bytes(std::span(line))) ? 0 : 1;
            }
        });
    }
    for (int reader = 0; reader < 4; ++reader) {
        threads.emplace_back([&, reader] {
            for (int round = 0; !over; ++round) {
                auto opened = group->open_reader(std::nullopt);
                if (!opened) {
                    ++failures;
                    return;
                }
                const auto waiter = std::make_shared<Counting>();
                (*opened)->start_waiting(waiter);
                std::string last;
                std::uint64_t at = 0;
                for (int reads = 0; reads < 20 + reader * 10 && !over; ++reads) {
                    const auto view = (*opened)->fetch(at, 100);
                    if (!view) {
                        ++failures;
                        return;
                    }
                    done.add(last);
                    last = Merged::text(*view);
                    at += view->size();
                    failures += (*opened)->readiness() ? 0 : 1;
                }
                (*opened)->stop_waiting(waiter);
                failures += (*opened)->close() ? 0 : 1;
            }
        });
    }
    threads.emplace_back([&] {
        while (!over) {
            failures += group->status() ? 0 : 1;
            failures += topic->status_json() ? 0 : 1;
            failures += other->reset(0, GroupLatest{}) ? 0 : 1;
            failures += group->set("fetch.min.bytes", "1") ? 0 : 1;
        }
    });
    while (done.size() < kParts * kRecords && failures == 0) {
        std::this_thread::yield();
    }
    over = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
    CHECK(done.twice().empty());
    REQUIRE((*store)->close());
}

}  // namespace topicfs::test
