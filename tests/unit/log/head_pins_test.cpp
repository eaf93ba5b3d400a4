#include "log/head_pins.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <thread>
#include <vector>

using namespace topicfs;
using namespace std::chrono_literals;

TEST_CASE("HeadPins: without a pin nobody waits") {
    HeadPins pins;
    CHECK(pins.wait_for_earlier(0ms));
    CHECK(pins.wait_for_earlier(0ms));
}

TEST_CASE("HeadPins: an earlier pin is waited for, a later one is not") {
    HeadPins pins;
    HeadPins::Pin earlier = pins.take();
    const HeadPins::Pin copy = earlier;
    CHECK_FALSE(pins.wait_for_earlier(0ms));
    HeadPins::Pin later = pins.take();
    earlier.reset();
    CHECK_FALSE(pins.wait_for_earlier(0ms));  // There is the copy, and `later` is earlier than this call.
}

TEST_CASE("HeadPins: who waits goes on as soon as the last earlier pin is gone") {
    HeadPins pins;
    HeadPins::Pin pin = pins.take();
    std::atomic<bool> released{false};
    std::thread reader([&] {
        std::this_thread::yield();
        released = true;
        pin.reset();
    });
    CHECK(pins.wait_for_earlier(60s));
    CHECK(released);
    reader.join();
    const HeadPins::Pin last = pins.take();
}

TEST_CASE("HeadPins: a pin may outlive them") {
    HeadPins::Pin pin;
    {
        HeadPins pins;
        pin = pins.take();
    }
    pin.reset();
}

// The use that they are made for: a value may be destroyed once its end was published and the earlier pins are gone.
TEST_CASE("HeadPins: nothing is destroyed under a reader") {
    HeadPins pins;
    constexpr int kValues = 300;
    std::vector<int> values(kValues, 1);  // plain: a race is seen by the thread sanitizer
    std::atomic<int> published{0};
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            while (!done) {
                const HeadPins::Pin pin = pins.take();
                const int from = published;
                if (from < kValues) {
                    wrong += values[static_cast<std::size_t>(from)] == 1 ? 0 : 1;
                }
            }
        });
    }
    for (int i = 0; i < kValues; ++i) {
        published = i + 1;
        wrong += pins.wait_for_earlier(60s) ? 0 : 1;
        values[static_cast<std::size_t>(i)] = 0;
    }
    done = true;
    for (std::thread& reader : readers) {
        reader.join();
    }
    CHECK(wrong == 0);
}
