// Mappings of one file, window by window, kept between reads: so a read costs neither a map nor an unmap, and pages
// that were touched once stay in the page table.
//
// Entering a page into the page table, and taking it out again, costs more than copying it once. So what is read for
// the first time in a while is left to be copied; what is read again, by several consumers say, is mapped.
//
// Threads: any. What was added to a view stays mapped as long as the view lives, whatever is dropped here. How many
// windows all files together keep is bounded, as each takes address space, an area of the kernel's, and page tables.
#pragma once

#include "io/file_system.h"

#include <topicfs/byte_view.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace topicfs {

class FileWindows {
public:
    static constexpr std::size_t kWindowBytes = 16u << 20;
    static constexpr std::size_t kChunkBytes = 128u << 10;  // what is known of a window, it knows of pieces so large
    static constexpr std::size_t kKeptMax = 4;              // of one file
    static constexpr std::size_t kKeptMaxOfAll = 2048;      // of all files of the process

    FileWindows() = default;
    ~FileWindows();
    FileWindows(const FileWindows&) = delete;
    FileWindows& operator=(const FileWindows&) = delete;

    // Adds [at, at + bytes) of `file`, which reaches that far, to `view`; `file` is the same one each time. Returns how
    // many bytes were added: less than asked for where the rest cannot be mapped or read, and an error where none can.
    Result<std::size_t> add(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes, ByteView& view);

    std::size_t kept() const;

private:
    enum class Use : std::uint8_t { kNone, kRead, kPopulated };
    struct Window {
        explicit Window(std::uint64_t of) : number(of) {}
        const std::uint64_t number;                            // it begins at number * kWindowBytes
        std::array<Use, kWindowBytes / kChunkBytes> chunks{};  // guarded by mutex_
        std::shared_ptr<const Mapping> mapping;                // guarded by mutex_; once somebody reads again
    };
    std::shared_ptr<Window> window(std::uint64_t number);
    // The least that was done with the chunks of a range before; they are raised to at least `use`.
    Use note_use(Window& window, std::size_t at, std::size_t bytes, Use use);
    Result<std::shared_ptr<const Mapping>> mapping_of(Window& window, FileSystem& fs, const File& file);
    Result<bool> add_from_window(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes, ByteView& view);

    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<Window>> kept_;  // most recently used first
};

}  // namespace topicfs
