#include "support/stock_tool.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace topicfs::test {

bool has_tool(const std::string& program, const std::string& what) {
    if (std::system(("command -v " + program + " >/dev/null").c_str()) == 0) {
        return true;
    }
    std::cerr << "SKIPPED: " << what << ": there is no program '" << program << "' in PATH\n";
    return false;
}

std::optional<std::string> output_of(const std::string& command, const std::filesystem::path& file) {
    std::FILE* const pipe = ::popen((command + " '" + file.string() + "'").c_str(), "r");
    if (pipe == nullptr) {
        return std::nullopt;
    }
    std::string output;
    std::array<char, 65536> buffer{};
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
        output.append(buffer.data(), got);
    }
    return ::pclose(pipe) == 0 ? std::optional(output) : std::nullopt;
}

}  // namespace topicfs::test
