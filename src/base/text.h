// Small helpers for text that people type and read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

// A decimal number that is all of `text`: no sign but '-' for the signed one, no spaces; nothing where it is none or
// does not fit.
std::optional<std::uint64_t> parse_unsigned(std::string_view text);
std::optional<std::int64_t> parse_signed(std::string_view text);

// Without leading and trailing ASCII white space.
std::string_view trim(std::string_view text);

// The lines of `text` without their newlines; a last line without one counts.
std::vector<std::string_view> split_lines(std::string_view text);

// `value` in decimal with leading zeros to at least `width` digits.
std::string zero_padded(std::uint64_t value, unsigned width);

// For people: "1.4 GiB", "640 B".
std::string human_bytes(std::uint64_t bytes);

// Local time with zone, to the millisecond: "2026-11-21T14:00:00.000+01:00".
std::string human_time(std::int64_t unix_ms);

}  // namespace topicfs
