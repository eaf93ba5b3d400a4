#include "support/golden.h"

#include "support/temporary_directory.h"

#include <filesystem>
#include <sstream>
#include <stdexcept>

namespace topicfs::test {
namespace {

std::filesystem::path golden_path(std::string_view name) {
    return std::filesystem::path(TOPICFS_GOLDEN_DIRECTORY) / name;
}

std::byte parse_hex(const std::string& digits) {
    std::size_t used = 0;
    const unsigned long value = std::stoul(digits, &used, 16);
    if (digits.size() != 2 || used != 2) {
        throw std::runtime_error("a golden file has '" + digits + "' where two hexadecimal digits belong");
    }
    return static_cast<std::byte>(value);
}

}  // namespace

Bytes read_golden_hex(std::string_view name) {
    std::istringstream file(read_golden_text(name));
    Bytes bytes;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        for (std::string word; words >> word;) {
            const std::size_t star = word.find('*');
            const std::size_t count = star == std::string::npos ? 1 : std::stoul(word.substr(star + 1));
            bytes.insert(bytes.end(), count, parse_hex(word.substr(0, star)));
        }
    }
    return bytes;
}

std::string read_golden_text(std::string_view name) {
    return read_file(golden_path(name));
}

std::string hex_dump(std::span<const std::byte> bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    constexpr std::size_t kBytesPerLine = 16;
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto byte = std::to_integer<unsigned>(bytes[i]);
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xF];
        text += (i + 1) % kBytesPerLine == 0 ? '\n' : ' ';
    }
    return text;
}

}  // namespace topicfs::test
