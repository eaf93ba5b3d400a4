// What `topicfs bench` makes of its measurements.
#include "mount/bench/row.h"
#include "mount/bench/statistics.h"

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <memory>

using namespace topicfs;
using namespace topicfs::bench;

TEST_CASE("summarize: the median of an odd number of figures is the middle one, whatever their order") {
    const Summary summary = summarize({5, 1, 3});
    CHECK(summary.median == 3);
    CHECK(summary.min == 1);
    CHECK(summary.max == 5);
}

TEST_CASE("summarize: the median of an even number of figures is the mean of the middle two") {
    CHECK(summarize({4, 1, 2, 100}).median == 3);
}

TEST_CASE("summarize: no figures give zeros") {
    CHECK(summarize({}).median == 0);
    CHECK(summarize({}).max == 0);
}

TEST_CASE("Histogram: small latencies are exact") {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 20; ++value) {
        histogram.add(value);
    }
    CHECK(histogram.count() == 20);
    CHECK(histogram.percentile(0.5) == 10);
    CHECK(histogram.percentile(0.95) == 19);
    CHECK(histogram.percentile(1) == 20);
}

TEST_CASE("Histogram: a percentile is not below the true one, and at most 1/32 above") {
    const auto histogram = std::make_unique<Histogram>();
    constexpr std::uint64_t kCount = 100'000;
    for (std::uint64_t value = 1; value <= kCount; ++value) {
        histogram->add(value * 37);
    }
    for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        CAPTURE(share);
        const double exact = share * kCount * 37;
        CHECK(static_cast<double>(histogram->percentile(share)) >= exact);
        CHECK(static_cast<double>(histogram->percentile(share)) <= exact * (1 + 1.0 / 32) + 1);
    }
}

TEST_CASE("Histogram: one late line in a hundred is the 99.5th percentile and not the 99th") {
    Histogram histogram;
    for (int i = 0; i < 99; ++i) {
        histogram.add(10);
    }
    histogram.add(1'000'000);
    CHECK(histogram.percentile(0.99) == 10);
    CHECK(histogram.percentile(0.995) >= 1'000'000);
}

TEST_CASE("Histogram: it takes every number there is, and none") {
    Histogram histogram;
    CHECK(histogram.percentile(0.5) == 0);
    histogram.add(std::numeric_limits<std::uint64_t>::max());
    CHECK(histogram.percentile(0.5) == std::numeric_limits<std::uint64_t>::max());
    histogram.add(0);
    CHECK(histogram.percentile(0.5) == 0);
    histogram.clear();
    CHECK(histogram.count() == 0);
}

TEST_CASE("Row: each pair gives a ratio, and the median decides whether the aim is reached") {
    Row row{{"a", "what", "baseline", at_least(0.8), "B/s"}, {{9, 90, 50}, {10, 100, 100}, ""}, ""};
    CHECK(row.values() == std::vector<double>{0.9, 0.9, 0.5});
    CHECK(row.aim_reached() == true);
    row.spec.aim = at_most(0.8);
    CHECK(row.aim_reached() == false);
}

TEST_CASE("Row: without a baseline the figure itself has the aim") {
    const Row row{{"a", "what", "", at_most(100), "ms"}, {{120, 80, 90}, {}, ""}, ""};
    CHECK(row.values() == std::vector<double>{120, 80, 90});
    CHECK(row.aim_reached() == true);
}

TEST_CASE("Row: what was not measured says why and reaches nothing") {
    const Row row{{"a.b", "what", "baseline", at_least(0.8), "B/s"}, {}, "there is no /dev/fuse"};
    CHECK_FALSE(row.aim_reached());
    CHECK(row.text().find("a.b") == 0);
    CHECK(row.text().find("not measured: there is no /dev/fuse") != std::string::npos);
}

TEST_CASE("short_number: three digits and a unit") {
    CHECK(short_number(0) == "0");
    CHECK(short_number(0.125) == "0.12");
    CHECK(short_number(12.34) == "12.3");
    CHECK(short_number(412'345) == "412 k");
    CHECK(short_number(1.27e9) == "1.27 G");
    CHECK(short_number(-1500) == "-1.5 k");
}
