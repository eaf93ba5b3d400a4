#include "store/line_search.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace topicfs {

namespace {

constexpr std::size_t kWindowBytes = 256u << 10;

// Compares one record after another, as they come in pieces.
class Matcher {
public:
    Matcher(std::span<const std::byte> line, std::byte delimiter, bool first_only)
        : line_(line), delimiter_(delimiter), first_only_(first_only) {}

    // False once nothing more is to be looked at.
    bool take(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const void* const end = std::memchr(bytes.data(), std::to_integer<int>(delimiter_), bytes.size());
            const std::size_t length =
                end == nullptr ? bytes.size()
                               : static_cast<std::size_t>(static_cast<const std::byte*>(end) - bytes.data()) + 1;
            same_ = same_ && length <= line_.size() - at_ && std::memcmp(bytes.data(), line_.data() + at_, length) == 0;
            at_ += same_ ? length : 0;
            bytes = bytes.subspan(length);
            if (end != nullptr) {
                found_.whole = same_ && at_ == line_.size();
                if (found_.whole || first_only_) {
                    at_ = 0;
                    return false;
                }
                same_ = true;
                at_ = 0;
            }
        }
        return true;
    }

    LineFound found() const { return {found_.whole, found_.whole || !same_ ? 0 : at_}; }

private:
    const std::span<const std::byte> line_;
    const std::byte delimiter_;
    const bool first_only_;
    std::size_t at_ = 0;  // so much of the present record is as the line
    bool same_ = true;
    LineFound found_;
};

}  // namespace

Result<LineFound> find_line(Partition& partition, std::span<const std::byte> line, std::byte delimiter, Position from,
                            bool only_there) {
    if (from < partition.start()) {
        return LineFound{true, 0};
    }
    Matcher matcher(line, delimiter, only_there);
    std::vector<std::byte> window(kWindowBytes);
    for (Position at = from; at < from + kLineSearchBytesMax;) {
        TOPICFS_TRY_ASSIGN(const std::size_t have, partition.read(at, window));
        if (have == 0 || !matcher.take(std::span(window).first(have))) {
            return matcher.found();
        }
        at = at + have;
    }
    return LineFound{};
}

}  // namespace topicfs
