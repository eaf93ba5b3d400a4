// Files of tests/golden/: bytes as they stand on disk, so that a change of a layout is seen.
#pragma once

#include "support/bytes.h"

#include <string>
#include <string_view>

namespace topicfs::test {

// A file of hexadecimal digits. White space means nothing, '#' begins a comment up to the line's end, and `00*40` is 40
// bytes of 00. Throws where there is no such file, or something else in it.
Bytes read_golden_hex(std::string_view name);

// A file as it is.
std::string read_golden_text(std::string_view name);

// In hexadecimal, sixteen bytes a line, so that a failed comparison shows where.
std::string hex_dump(std::span<const std::byte> bytes);

}  // namespace topicfs::test
