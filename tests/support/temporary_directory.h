// A directory for one test, removed with all that is in it at the end of its scope.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace topicfs::test {

class TemporaryDirectory {
public:
    // Below TMPDIR, or /tmp. Throws where it cannot be made.
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::string string() const { return path_.string(); }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

// The whole file, or a file of exactly `content`. Both throw where that fails.
std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace topicfs::test
