#include "base/units.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <span>

namespace topicfs {

namespace {

struct Suffix {
    std::string_view text;
    std::uint64_t factor;
};

constexpr std::uint64_t kMinuteMs = 60'000;

constexpr std::array<Suffix, 6> kTimes = {
    {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", kMinuteMs}, {"h", 60 * kMinuteMs}, {"d", 24 * 60 * kMinuteMs}}};

constexpr std::uint64_t kKibi = 1024;
constexpr std::uint64_t kMebi = kKibi * kKibi;
constexpr std::uint64_t kGibi = kKibi * kMebi;
constexpr std::uint64_t kTebi = kKibi * kGibi;

// In small letters.
constexpr std::array<Suffix, 14> kSizes = {{{"", 1},
                                            {"b", 1},
                                            {"k", kKibi},
                                            {"kib", kKibi},
                                            {"kb", 1'000},
                                            {"m", kMebi},
                                            {"mib", kMebi},
                                            {"mb", 1'000'000},
                                            {"g", kGibi},
                                            {"gib", kGibi},
                                            {"gb", 1'000'000'000},
                                            {"t", kTebi},
                                            {"tib", kTebi},
                                            {"tb", 1'000'000'000'000}}};

char small(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::span<const Suffix> suffixes_of(Unit unit) {
    constexpr std::span<const Suffix> kTimeSuffixes = kTimes;
    return unit == Unit::kNone ? kTimeSuffixes.first(1) : unit == Unit::kBytes ? kSizes : kTimeSuffixes;
}

const Suffix* find_suffix(std::string_view text, Unit unit) {
    for (const Suffix& suffix : suffixes_of(unit)) {
        const bool is_it = std::equal(suffix.text.begin(), suffix.text.end(), text.begin(), text.end(),
                                      [&](char a, char b) { return a == (unit == Unit::kBytes ? small(b) : b); });
        if (is_it) {
            return &suffix;
        }
    }
    return nullptr;
}

Error wrong(const char* what) {
    return make_error(ErrorCode::kInvalid, "", "", what);
}

Error no_amount(Unit unit) {
    return wrong(unit == Unit::kNone ? "is no whole number" : unit == Unit::kBytes ? "is no size" : "is no time");
}

}  // namespace

const char* unit_examples(Unit unit) {
    switch (unit) {
        case Unit::kMilliseconds:
            return "500ms, 90s, 15m, 1h or 7d";
        case Unit::kMinutes:
            return "15m, 1h or 7d";
        case Unit::kBytes:
            return "64KiB, 64MiB or 1GiB";
        case Unit::kNone:
            break;
    }
    return "";
}

Result<std::uint64_t> parse_amount(std::string_view text, Unit unit) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const Suffix* const suffix = find_suffix(text.substr(digits), unit);
    if (digits == 0 || suffix == nullptr) {
        return no_amount(unit);
    }
    const auto number = parse_unsigned(text.substr(0, digits));
    if (!number || *number > std::numeric_limits<std::uint64_t>::max() / suffix->factor) {
        return wrong("is too large");
    }
    if (unit != Unit::kMinutes || suffix->text.empty()) {
        return *number * suffix->factor;
    }
    const std::uint64_t ms = *number * suffix->factor;
    return ms % kMinuteMs == 0 ? Result<std::uint64_t>(ms / kMinuteMs) : wrong("is no whole number of minutes");
}

}  // namespace topicfs
