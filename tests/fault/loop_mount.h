// A small file system in an image file on a loop device, mounted in a directory of its own; all of it goes with the
// object.
#pragma once

#include "support/temporary_directory.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace topicfs::test {

class LoopMount {
public:
    // An empty ext4 with blocks of that size. Nothing where this cannot be done here, and why.
    static std::unique_ptr<LoopMount> make(std::uint64_t bytes, unsigned block_bytes, std::string& why);
    ~LoopMount();
    LoopMount(const LoopMount&) = delete;
    LoopMount& operator=(const LoopMount&) = delete;

    const std::filesystem::path& path() const { return path_; }
    // As a power cut: nothing more reaches the image, the journal neither.
    void shut_down();
    // Unmounts and mounts again, which replays the journal. Nothing may be open on it.
    void mount_again();

private:
    LoopMount() = default;
    std::string attach(const std::filesystem::path& image);
    std::string mount();
    void unmount();
    void detach();

    TemporaryDirectory root_;
    std::filesystem::path path_;
    std::string device_;
    bool is_mounted_ = false;
};

}  // namespace topicfs::test
