// Views of a partition that much happens to: nothing that was shown is taken back.
#include "support/random_content.h"
#include "unit/store/view_fixture.h"

#include <atomic>
#include <thread>
#include <vector>

using namespace topicfs;
using namespace topicfs::test;

TEST_CASE_METHOD(Views, "PartitionView: random appends, seals, deaths and clock steps take nothing back") {
    Random random;
    for (int round = 0; round < 10; ++round) {
        CAPTURE(random.seed(), round);
        struct Kept {
            std::string name;
            std::shared_ptr<PartitionView> view;
            std::string shown;
            bool complete;
        };
        const TimestampMs now = clock().now();
        std::vector<Kept> kept;
        const auto offset = [&] {
            return std::to_string(partition->records_end()->offset.value + random.between(0, 30));
        };
        const auto time = [&] { return at(now + (static_cast<std::int64_t>(random.between(0, 1500)) - 300)); };
        const auto point = [&] {
            const std::uint64_t kind = random.between(0, 4);
            return kind == 0 ? offset() : kind == 1 ? "-" + std::to_string(random.between(0, 20)) : time();
        };
        for (int step = 0; step < 120; ++step) {
            CAPTURE(step);
            switch (random.between(0, 7)) {
                case 0:
                case 1:
                case 2:
                    append(random.one_in(3) ? "part" : "of\nlines\n");
                    break;
                case 3:
                    clock().advance(static_cast<std::int64_t>(random.between(0, 100)));
                    break;
                case 4:
                    clock().step_to(clock().now() + (static_cast<std::int64_t>(random.between(0, 200)) - 100));
                    break;
                case 5:
                    seal();
                    break;
                case 6:
                    if (kept.size() < 30) {
                        std::string name = point();
                        const std::uint64_t kind = random.between(0, 3);
                        name += kind == 0   ? ""
                                : kind == 1 ? "..+" + std::to_string(random.between(0, 500)) + "ms"
                                            : ".." + point();
                        kept.push_back({name, view(name), "", false});
                    }
                    break;
                default:
                    if (random.one_in(10)) {
                        random.one_in(2) ? fixture.die() : fixture.end();
                        open();
                        // Those that go by names that mean the same now.
                        std::erase_if(kept,
                                      [](const Kept& k) { return !k.complete || k.name.find("-") != k.name.npos; });
                        for (Kept& k : kept) {
                            k.view = view(k.name);
                        }
                    }
                    break;
            }
            for (Kept& k : kept) {
                const std::string shown = text(*k.view);
                const bool complete = range(*k.view).is_complete;
                CAPTURE(k.name, k.complete);
                REQUIRE((shown.substr(0, k.shown.size()) == k.shown));
                REQUIRE((!k.complete || (complete && shown == k.shown)));
                // Another look-up of a name that means the same now shows the same.
                if (complete && k.name.find("-") == std::string::npos) {
                    REQUIRE((text(*view(k.name)) == shown));
                }
                k.shown = shown;
                k.complete = complete;
            }
        }
    }
}

TEST_CASE_METHOD(Views, "PartitionView: many threads ask while lines are appended") {
    append("0\n");
    const auto growing = view("start");
    const auto finite = view("start.." + at(begin + 50));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            Position seen_growing;
            Position seen_finite;
            bool complete = false;
            while (!stop) {
                const auto all = growing->range();
                const auto some = finite->range();
                const bool good = all && some && all->to >= seen_growing && some->to >= seen_finite &&
                                  (!complete || (some->is_complete && some->to == seen_finite));
                if (!good) {
                    ++wrong;
                    break;
                }
                seen_growing = all->to;
                seen_finite = some->to;
                complete = some->is_complete;
            }
        });
    }
    for (int i = 0; i < 300; ++i) {
        const auto stored = partition->append(std::as_bytes(std::span("line\n", 5)));
        wrong += stored ? 0 : 1;
        clock().advance(1);
        if (i % 50 == 0) {
            wrong += fixture.store->maintain(true) ? 0 : 1;
        }
    }
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
    CHECK(range(*finite).is_complete);
}
