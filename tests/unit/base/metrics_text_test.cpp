#include "base/metrics_text.h"

#include <catch2/catch.hpp>

#include <limits>

using topicfs::MetricsText;
using Type = topicfs::MetricsText::Type;

TEST_CASE("MetricsText: a family has its help and type once, before all its samples") {
    MetricsText text;
    text.family("a_total", Type::kCounter, "How many.");
    text.sample(MetricsText::labels({{"topic", "t"}, {"partition", "0"}}), std::uint64_t{1});
    text.sample(MetricsText::labels({{"topic", "t"}, {"partition", "1"}}), std::uint64_t{18446744073709551615U});
    text.family("b_seconds", Type::kGauge, "How long.").sample("", 0.25);
    CHECK(text.text() ==
          "# HELP a_total How many.\n"
          "# TYPE a_total counter\n"
          "a_total{topic=\"t\",partition=\"0\"} 1\n"
          "a_total{topic=\"t\",partition=\"1\"} 18446744073709551615\n"
          "# HELP b_seconds How long.\n"
          "# TYPE b_seconds gauge\n"
          "b_seconds 0.25\n");
}

TEST_CASE("MetricsText: a family without samples is left out") {
    MetricsText text;
    text.family("a", Type::kGauge, "Nothing.").family("b", Type::kGauge, "Something.").sample("", std::uint64_t{2});
    CHECK(text.text() == "# HELP b Something.\n# TYPE b gauge\nb 2\n");
}

TEST_CASE("MetricsText: quotes, backslashes and newlines are escaped, and what is no UTF-8 replaced") {
    CHECK(MetricsText::labels({{"l", "a\"b\\c\nd"}}) == "l=\"a\\\"b\\\\c\\nd\"");
    CHECK(MetricsText::labels({{"l", "\xC3\xA4\xF0\x9F\x98\x80"}}) == "l=\"\xC3\xA4\xF0\x9F\x98\x80\"");
    CHECK(MetricsText::labels({{"l", "a\xFFz\xC3"}}) == "l=\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
    MetricsText text;
    text.family("a", Type::kGauge, "a \"b\"\\c\nd").sample("", std::uint64_t{0});
    CHECK(text.text() == "# HELP a a \"b\"\\\\c\\nd\n# TYPE a gauge\na 0\n");
}

TEST_CASE("MetricsText: numbers are written in full, and those that are none as the format has them") {
    MetricsText text;
    text.family("h_seconds", Type::kHistogram, "x");
    text.sample("le=\"+Inf\"", std::uint64_t{3}, "_bucket")
        .sample("", 1e-05, "_sum")
        .sample("", std::uint64_t{3}, "_count");
    text.family("g", Type::kGauge, "x");
    text.sample("", std::numeric_limits<double>::infinity()).sample("", -std::numeric_limits<double>::infinity());
    text.sample("", std::numeric_limits<double>::quiet_NaN());
    CHECK(text.text() ==
          "# HELP h_seconds x\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"+Inf\"} 3\nh_seconds_sum 1e-05\n"
          "h_seconds_count 3\n# HELP g x\n# TYPE g gauge\ng +Inf\ng -Inf\ng NaN\n");
}
