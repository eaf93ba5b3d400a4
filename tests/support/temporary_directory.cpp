#include "support/temporary_directory.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>

namespace topicfs::test {

namespace {

constexpr std::uintmax_t kMemoryBytesMin = std::uintmax_t{1} << 30;

// In memory where there is room for it: tests sync thousands of times, and what a real disk makes of that is for those
// tests that mount one. TMPDIR says otherwise.
std::filesystem::path parent_directory() {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code error;
    const std::filesystem::space_info space = std::filesystem::space(memory, error);
    const bool usable = !error && space.available >= kMemoryBytesMin && ::access(memory.c_str(), W_OK | X_OK) == 0;
    return std::getenv("TMPDIR") == nullptr && usable ? memory : std::filesystem::temp_directory_path();
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
    std::string name = (parent_directory() / "topicfs-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), name);
    }
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    file.exceptions(std::ios::badbit | std::ios::failbit);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, std::string_view content) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.exceptions(std::ios::badbit | std::ios::failbit);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
}

}  // namespace topicfs::test
