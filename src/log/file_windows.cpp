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

// A window that is not kept, as there are too many, is always new.
std::shared_ptr<FileWindows::Window> FileWindows::window(std::uint64_t number) {
    std::shared_ptr<Window> oldest;  // unmapped without the lock
    const std::scoped_lock lock(mutex_);
    const auto found =
        std::find_if(kept_.begin(), kept_.end(), [&](const auto& window) { return window->number == number; });
    if (found != kept_.end()) {
        std::rotate(kept_.begin(), found, std::next(found));
        return kept_.front();
    }
    auto window = std::make_shared<Window>(number);
    if (kept_.size() == kKeptMax) {
        oldest = std::move(kept_.back());
        kept_.pop_back();
    } else if (++kept_of_all > kKeptMaxOfAll) {
        --kept_of_all;
        return window;
    }
    kept_.insert(kept_.begin(), window);
    return window;
}

FileWindows::Use FileWindows::note_use(Window& window, std::size_t at, std::size_t bytes, Use use) {
    const auto first = window.chunks.begin() + static_cast<std::ptrdiff_t>(at / kChunkBytes);
    const auto last = window.chunks.begin() + static_cast<std::ptrdiff_t>((at + bytes - 1) / kChunkBytes);
    const std::scoped_lock lock(mutex_);
    const Use before = *std::min_element(first, std::next(last));
    std::transform(first, std::next(last), first, [&](Use chunk) { return std::max(chunk, use); });
    return before;
}

Result<std::shared_ptr<const Mapping>> FileWindows::mapping_of(Window& window, FileSystem& fs, const File& file) {
    {
        const std::scoped_lock lock(mutex_);
        if (window.mapping) {
            return window.mapping;
        }
    }
    TOPICFS_TRY_ASSIGN(Mapping mapped, fs.map(file, window.number * kWindowBytes, kWindowBytes));
    auto mapping = std::make_shared<const Mapping>(std::move(mapped));
    const std::scoped_lock lock(mutex_);
    if (!window.mapping) {  // else another thread was first
        window.mapping = std::move(mapping);
    }
    return window.mapping;
}

// `bytes` of one window; false where they are better copied.
Result<bool> FileWindows::add_from_window(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes,
                                          ByteView& view) {
    const std::shared_ptr<Window> window = this->window(at / kWindowBytes);
    const std::size_t inside = at % kWindowBytes;
    const Use before = note_use(*window, inside, bytes, Use::kRead);
    if (before == Use::kNone) {
        return false;
    }
    TOPICFS_TRY_ASSIGN(auto mapping, mapping_of(*window, fs, file));
    if (before != Use::kPopulated) {
        TOPICFS_TRY(mapping->populate(inside, bytes));
        note_use(*window, inside, bytes, Use::kPopulated);
    }
    view.add(mapping->bytes().subspan(inside, bytes), mapping);
    return true;
}

Result<std::size_t> FileWindows::add(FileSystem& fs, const File& file, std::uint64_t at, std::size_t bytes,
                                     ByteView& view) {
    std::size_t added = 0;
    while (added < bytes) {
        const std::size_t left_in_window = kWindowBytes - (at + added) % kWindowBytes;
        const std::size_t step = std::min(bytes - added, left_in_window);
        auto outcome = add_from_window(fs, file, at + added, step, view);
        if (!outcome && added == 0) {
            return std::move(outcome).error();
        }
        if (!outcome || !*outcome) {
            break;
        }
        added += step;
    }
    return added;
}

}  // namespace topicfs
