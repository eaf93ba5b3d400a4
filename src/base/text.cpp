#include "base/text.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <system_error>

namespace topicfs {
namespace {

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

template <typename T>
std::optional<T> parse_whole(std::string_view text) {
    T number{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number, 10);
    if (error != std::errc{} || stop != end) {
        return std::nullopt;
    }
    return number;
}

}  // namespace

std::optional<std::uint64_t> parse_unsigned(std::string_view text) {
    return parse_whole<std::uint64_t>(text);
}

std::optional<std::int64_t> parse_signed(std::string_view text) {
    return parse_whole<std::int64_t>(text);
}

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(kWhiteSpace);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(kWhiteSpace) - begin + 1);
}

std::vector<std::string_view> split_lines(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    }
    return lines;
}

std::string zero_padded(std::uint64_t value, unsigned width) {
    std::string digits = std::to_string(value);
    if (digits.size() < width) {
        digits.insert(0, width - digits.size(), '0');
    }
    return digits;
}

std::string human_bytes(std::uint64_t bytes) {
    static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    constexpr double kStep = 1024;
    if (bytes < 1024) {
        return std::to_string(bytes) + " B";
    }
    double amount = static_cast<double>(bytes) / kStep;
    std::size_t unit = 0;
    // What would be shown as 1024.0 of a unit is shown as 1.0 of the next.
    while (amount >= kStep - 0.05 && unit + 1 < kUnits.size()) {
        amount /= kStep;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f %s", amount, kUnits[unit]);
    return text.data();
}

std::string human_time(std::int64_t unix_ms) {
    constexpr std::int64_t kMillisecondsPerSecond = 1000;
    std::int64_t seconds = unix_ms / kMillisecondsPerSecond;
    std::int64_t milliseconds = unix_ms % kMillisecondsPerSecond;
    if (milliseconds < 0) {
        milliseconds += kMillisecondsPerSecond;
        --seconds;
    }
    const std::time_t time = seconds;
    std::tm local{};
    if (::localtime_r(&time, &local) == nullptr) {
        return std::to_string(unix_ms) + " ms";  // A year that no calendar shows.
    }
    std::array<char, 64> date{};
    std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%S", &local);
    const long offset_minutes = local.tm_gmtoff / 60;
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%s.%03d%c%02ld:%02ld", date.data(), static_cast<int>(milliseconds),
                  offset_minutes < 0 ? '-' : '+', std::labs(offset_minutes) / 60, std::labs(offset_minutes) % 60);
    return text.data();
}

}  // namespace topicfs
