// The lines that are written: generated ones of 100 bytes that look like a service's log, or those of a file. The
// generated ones are the same in each run.
//
// A value; children of a fork use their parent's.
#pragma once

#include <topicfs/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs::bench {

inline constexpr std::size_t kLineBytes = 100;

class Payload {
public:
    static Payload generate();
    // kInvalid where the file has no lines. Repeated until there are some megabytes of it.
    static Result<Payload> load(const std::string& path);

    // Each with its newline. Who needs more begins again.
    const std::vector<std::string_view>& lines() const { return lines_; }
    // Bytes from the place on where the `n`th piece of that size begins, going round. At most kBlockBytesMax.
    std::string_view block(std::uint64_t n, std::size_t bytes) const;
    static constexpr std::size_t kBlockBytesMax = 1u << 20;
    // For people: what it is made of.
    const std::string& description() const { return description_; }

private:
    Payload(std::string text, std::size_t once_bytes, std::string description);
    std::vector<char> text_;  // keeps its place when moved, as the lines point into it
    std::vector<std::string_view> lines_;
    std::size_t once_bytes_;  // what is behind it is there so that every block is in one piece
    std::string description_;
};

}  // namespace topicfs::bench
