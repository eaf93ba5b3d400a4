// Mappings of one file, window by window, kept between reads: so a read costs neither a map nor an unmap, and pages
// that were touched once stay in the page table.
//
// Threads: any. What was added to a view stays mapped as long as the view lives, whatever is dropped here. How many
// windows all files together keep is bounded, as each takes address space, an area of the kernel's, and page tables.
#pragma once

#include "io/file_system.h"

#include <topicfs/byte_view.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace topicfs {

class FileWindows {
public:
    static constexpr std::size_t kWindowBytes = 16u << 20;
    static constexpr std::size_t kKeptMax = 4;          // of one file
    static constexpr std::size_t kKeptMaxOfAll = 2048;  // of all files of the process

    FileWindows() = default;
    ~FileWindows();
    FileWindows(const FileWindows&) = delete;
    FileWindows& operator=(const FileWindows&) = delete;

    // Adds [at, at + bytes) of `file`, which reaches that far, to `view`; `file` is the same one each time. Returns how
    // many bytes were added: less than asked for where the rest cannot be mapped or read, and an error where none can.
    Result<std::size_t> add(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes, ByteView& view);

    std::size_t kept() const;

private:
    struct Window {
        std::uint64_t number = 0;  // the window begins at number * kWindowBytes
        std::shared_ptr<const Mapping> mapping;
    };
    std::shared_ptr<const Mapping> find(std::uint64_t number);
    void keep(Window window);
    Result<void> add_from_window(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes, ByteView& view);

    mutable std::mutex mutex_;
    std::vector<Window> kept_;  // most recently used first
};

}  // namespace topicfs
