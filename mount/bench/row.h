// A row of the table: what was measured, against what, the aim, and what came out; and how rows are shown.
//
// Values; one thread.
#pragma once

#include "base/json.h"

#include <topicfs/result.h>

#include <optional>
#include <string>
#include <vector>

namespace topicfs::bench {

struct Aim {
    enum class Kind { kAtLeast, kAtMost, kNone };
    Kind kind = Kind::kNone;
    double bound = 0;
};
inline Aim at_least(double bound) {
    return {Aim::Kind::kAtLeast, bound};
}
inline Aim at_most(double bound) {
    return {Aim::Kind::kAtMost, bound};
}

struct RowSpec {
    std::string name;      // of words and dots: "append.line.passthrough"
    std::string what;      // what is measured
    std::string baseline;  // against what; empty where the figure itself has the aim
    Aim aim;               // of the ratio, or of the figure where there is no baseline
    std::string unit;      // of the figures: "lines/s", "MB/s", "ms"
};

// One entry a pair.
struct Samples {
    std::vector<double> ours;
    std::vector<double> theirs;  // empty where there is no baseline
    std::string note;            // what to know about how it was measured here
};

struct Row {
    RowSpec spec;
    Samples samples;
    std::string reason;  // why it could not be measured; else empty

    // The ratios ours / theirs of each pair; the figures themselves where there is no baseline.
    std::vector<double> values() const;
    // Nothing where it was not measured or has no aim. The median decides.
    std::optional<bool> aim_reached() const;
    std::string text() const;  // some lines for people
    void write(JsonWriter& json) const;
};

// "412 k", "1.27 G", "0.53": three digits for people.
std::string short_number(double value);

}  // namespace topicfs::bench
