// The lines of the tests of retention: each says its number, and all are of one length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace topicfs::test {

inline std::string numbered_line(std::uint64_t number, std::size_t bytes) {
    std::string text = std::to_string(number) + " ";
    text.append(bytes - 1 - text.size(), static_cast<char>('a' + number % 26));
    return text + "\n";
}

}  // namespace topicfs::test
