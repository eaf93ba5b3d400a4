#include "mount/bench/row.h"

#include "mount/bench/statistics.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace topicfs::bench {

namespace {

std::string fixed(double value, int digits) {
    std::array<char, 64> text = {};
    std::snprintf(text.data(), text.size(), "%.*f", digits, value);
    return text.data();
}

// "412 k lines/s", "1.27 GB/s", "10.6 ms".
std::string figure(double value, const RowSpec& spec) {
    const std::string number = short_number(value);
    const bool prefixed = spec.unit.starts_with('B') && number.find(' ') != std::string::npos;
    return number + (spec.unit.empty() || prefixed ? "" : " ") + spec.unit;
}

std::string value_text(double value, const RowSpec& spec) {
    return spec.baseline.empty() ? figure(value, spec) : fixed(value, 3);
}

std::string aim_text(const RowSpec& spec) {
    const std::string bound = spec.baseline.empty() ? figure(spec.aim.bound, spec) : short_number(spec.aim.bound);
    switch (spec.aim.kind) {
        case Aim::Kind::kAtLeast:
            return "at least " + bound;
        case Aim::Kind::kAtMost:
            return "at most " + bound;
        case Aim::Kind::kNone:
            break;
    }
    return "none";
}

void write_summary(JsonWriter& json, std::string_view name, const std::vector<double>& values) {
    const Summary summary = summarize(values);
    json.key(name).begin_object();
    json.member("median", summary.median).member("min", summary.min).member("max", summary.max);
    json.key("each").begin_array();
    for (const double value : values) {
        json.value(value);
    }
    json.end_array().end_object();
}

}  // namespace

std::string short_number(double value) {
    constexpr std::array<const char*, 4> kSuffixes = {"", " k", " M", " G"};
    std::size_t power = 0;
    while (std::abs(value) >= 1000 && power + 1 < kSuffixes.size()) {
        value /= 1000;
        ++power;
    }
    const double magnitude = std::abs(value);
    std::string digits = fixed(value, magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2);
    if (digits.find('.') != std::string::npos) {
        digits.erase(digits.find_last_not_of('0') + 1);
        if (digits.back() == '.') {
            digits.pop_back();
        }
    }
    return digits + kSuffixes.at(power);
}

std::vector<double> Row::values() const {
    if (samples.theirs.empty()) {
        return samples.ours;
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < samples.ours.size() && i < samples.theirs.size(); ++i) {
        ratios.push_back(samples.theirs[i] == 0 ? 0 : samples.ours[i] / samples.theirs[i]);
    }
    return ratios;
}

std::optional<bool> Row::aim_reached() const {
    if (!reason.empty() || samples.ours.empty() || spec.aim.kind == Aim::Kind::kNone) {
        return std::nullopt;
    }
    const double median = summarize(values()).median;
    return spec.aim.kind == Aim::Kind::kAtLeast ? median >= spec.aim.bound : median <= spec.aim.bound;
}

std::string Row::text() const {
    std::string line = spec.name;
    constexpr std::size_t kNameWidth = 28;
    line.resize(std::max(kNameWidth, line.size() + 1), ' ');
    if (!reason.empty()) {
        line += "not measured: " + reason + "\n";
    } else {
        const Summary summary = summarize(values());
        const auto reached = aim_reached();
        line += value_text(summary.median, spec) + "  (" + value_text(summary.min, spec) + " .. " +
                value_text(summary.max, spec) + ")  aim: " + aim_text(spec);
        line += reached ? (*reached ? ", reached\n" : ", MISSED\n") : "\n";
    }
    const std::string indent(kNameWidth, ' ');
    line += indent + spec.what;
    line += spec.baseline.empty() ? "" : ", against " + spec.baseline;
    if (reason.empty() && !spec.baseline.empty()) {
        line += ": " + figure(summarize(samples.ours).median, spec) + " against " +
                figure(summarize(samples.theirs).median, spec);
    }
    line += '\n';
    if (!samples.note.empty()) {
        line += indent + samples.note + '\n';
    }
    return line;
}

void Row::write(JsonWriter& json) const {
    json.begin_object();
    json.member("name", std::string_view(spec.name)).member("what", std::string_view(spec.what));
    json.key("baseline");
    spec.baseline.empty() ? json.null() : json.value(std::string_view(spec.baseline));
    json.member("unit", std::string_view(spec.unit));
    json.key("aim").begin_object();
    if (spec.aim.kind != Aim::Kind::kNone) {
        json.member(spec.aim.kind == Aim::Kind::kAtLeast ? "at_least" : "at_most", spec.aim.bound);
    }
    json.end_object();
    if (!reason.empty()) {
        json.member("measured", false).member("reason", std::string_view(reason)).end_object();
        return;
    }
    json.member("measured", true);
    if (!spec.baseline.empty()) {
        write_summary(json, "ratio", values());
    }
    write_summary(json, "ours", samples.ours);
    if (!spec.baseline.empty()) {
        write_summary(json, "theirs", samples.theirs);
    }
    json.key("aim_reached");
    const auto reached = aim_reached();
    reached ? json.value(*reached) : json.null();
    if (!samples.note.empty()) {
        json.member("note", std::string_view(samples.note));
    }
    json.end_object();
}

}  // namespace topicfs::bench
