// Bytes that lie somewhere in memory, in one or more parts, with what keeps them there.
//
// A part may be a mapping of a file. The parts are meant to be handed to the kernel (writev, vmsplice), which answers
// EFAULT where they cannot be read: touching them in this process can raise SIGBUS, when the disk fails or the file was
// cut by somebody else. Who wants to look at the bytes uses Partition::read().
//
// Movable, not copyable. Threads: one at a time; what is viewed changes no more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace topicfs {

// What Partition::view() gives has no more parts than that, as writev(2) takes 1024 at most; what lies in more is
// copied, which then costs less than to list them.
inline constexpr std::size_t kViewPartsMax = 128;

class ByteView {
public:
    ByteView() = default;
    ByteView(ByteView&& other) noexcept
        : parts_(std::exchange(other.parts_, {})),
          owners_(std::exchange(other.owners_, {})),
          size_(std::exchange(other.size_, 0)) {}
    ByteView& operator=(ByteView&& other) noexcept {
        parts_ = std::exchange(other.parts_, {});
        owners_ = std::exchange(other.owners_, {});
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    ByteView(const ByteView&) = delete;
    ByteView& operator=(const ByteView&) = delete;
    ~ByteView() = default;

    // In their order; none is empty.
    std::span<const std::span<const std::byte>> parts() const { return parts_; }
    std::size_t size() const { return size_; }  // of all parts
    bool empty() const { return size_ == 0; }

    // Adds a part behind the others. A part that begins where the last one ends becomes one with it.
    void add(std::span<const std::byte> part, std::shared_ptr<const void> owner) {
        keep(std::move(owner));
        if (part.empty()) {
            return;
        }
        size_ += part.size();
        if (!parts_.empty() && parts_.back().data() + parts_.back().size() == part.data()) {
            parts_.back() = {parts_.back().data(), parts_.back().size() + part.size()};
        } else {
            parts_.push_back(part);
        }
    }
    // Leaves the first `bytes` of it, which are not more than there are.
    void cut(std::size_t bytes) {
        size_ = bytes;
        std::size_t count = 0;
        for (std::size_t left = bytes; left > 0; ++count) {
            parts_[count] = parts_[count].first(std::min(left, parts_[count].size()));
            left -= parts_[count].size();
        }
        parts_.resize(count);
    }
    // Holds on to `owner` as long as the view lives.
    void keep(std::shared_ptr<const void> owner) {
        if (owners_.empty() || owners_.back() != owner) {
            owners_.push_back(std::move(owner));
        }
    }

private:
    std::vector<std::span<const std::byte>> parts_;
    std::vector<std::shared_ptr<const void>> owners_;
    std::size_t size_ = 0;
};

}  // namespace topicfs
