#include "log/file_windows.h"

#include <algorithm>
#include <atomic>

namespace topicfs {

namespace {

std::atomic<std::size_t> kept_of_all{0};

}  // namespace

FileWindows::~FileWindows() {
    kept_of_all -= kept_.size();
}

std::size_t FileWindows::kept() const {
    const std::scoped_lock lock(mutex_);
    return kept_.size();
}

std::shared_ptr<const Mapping> FileWindows::find(std::uint64_t number) {
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::find_if(kept_.begin(), kept_.end(), [&](const Window& window) { return window.number == number; });
    if (found == kept_.end()) {
        return nullptr;
    }
    std::rotate(kept_.begin(), found, std::next(found));
    return kept_.front().mapping;
}

void FileWindows::keep(Window window) {
    Window oldest;  // unmapped without the lock
    const std::scoped_lock lock(mutex_);
    const bool is_known =
        std::any_of(kept_.begin(), kept_.end(), [&](const Window& other) { return other.number == window.number; });
    if (is_known) {
        return;  // Another thread was first.
    }
    if (kept_.size() == kKeptMax) {
        oldest = std::move(kept_.back());
        kept_.pop_back();
    } else if (++kept_of_all > kKeptMaxOfAll) {
        --kept_of_all;
        return;
    }
    kept_.insert(kept_.begin(), std::move(window));
}

// `bytes` of one window.
Result<void> FileWindows::add_from_window(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes,
                                          ByteView& view) {
    const std::uint64_t number = at / kWindowBytes;
    const std::uint64_t begin = number * kWindowBytes;
    std::shared_ptr<const Mapping> mapping = find(number);
    if (!mapping) {
        TOPICFS_TRY_ASSIGN(Mapping mapped, fs.map(file, begin, kWindowBytes));
        mapping = std::make_shared<const Mapping>(std::move(mapped));
        keep({number, mapping});
    }
    TOPICFS_TRY(mapping->populate(at - begin, bytes));
    view.add(mapping->bytes().subspan(at - begin, bytes), mapping);
    return {};
}

Result<std::size_t> FileWindows::add(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes,
                                     ByteView& view) {
    std::size_t added = 0;
    while (added < bytes) {
        const std::size_t left_in_window = kWindowBytes - (at + added) % kWindowBytes;
        const std::size_t step = std::min(bytes - added, left_in_window);
        if (auto outcome = add_from_window(fs, file, at + added, step, view); !outcome) {
            return added > 0 ? Result<std::size_t>(added) : std::move(outcome).error();
        }
        added += step;
    }
    return added;
}

}  // namespace topicfs
