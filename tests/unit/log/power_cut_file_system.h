// A file system that can lose power: it remembers what of each file was synced, and cut() leaves on disk what a power
// cut could: of what was not synced each block old or new, each file longer or shorter, new names there or not.
//
// Nothing is really synced, which makes tests fast. One thread at a time while recording.
#pragma once

#include "support/fault_file_system.h"
#include "support/random_content.h"
#include "support/temporary_directory.h"

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

namespace topicfs::test {

class PowerCutFileSystem final : public FaultFileSystem {
public:
    PowerCutFileSystem(FileSystem& inner, std::filesystem::path root)
        : FaultFileSystem(inner), root_(std::move(root)) {}

    // What is there now counts as synced.
    void record() {
        recording_ = true;
        keep_all();
    }
    // Files must be closed.
    void cut(Random& random);

    Result<void> fdatasync(const File& file) override { return fsync(file); }
    Result<void> fsync(const File& file) override;
    Result<void> syncfs(const File&) override {
        keep_all();
        return {};
    }
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> unlink(const std::string& path) override;

private:
    void keep_all();
    void keep_names(const std::string& directory);
    static std::string mix(Random& random, const std::string& old, const std::string& now,
                           std::set<std::size_t>& holes);

    const std::filesystem::path root_;
    bool recording_ = false;
    std::map<std::string, std::string> synced_;    // content by path
    std::map<std::string, std::string> replaced_;  // by a rename that was not synced yet
    std::set<std::string> names_;                  // whose directory was synced since they were made
};

}  // namespace topicfs::test
