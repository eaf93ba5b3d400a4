// The lines that the mount tests append: known from the writer's letter, a seed and the line's number, so that whoever
// reads them back can tell whether each is there once, whole, and in its writer's order.
//
// A line is the letter, the number's last digits (as many as there is room for), filler, and a newline; a line of one
// byte is the newline alone and nobody's. No line holds a NUL.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace topicfs::test {

class LinePattern {
public:
    LinePattern(char letter, std::uint64_t seed, std::size_t line_bytes_max)
        : letter_(letter), seed_(seed), line_bytes_max_(line_bytes_max) {}

    char letter() const { return letter_; }

    // With the newline. The first lines have the sizes at which something changes on the way to the disk; the others
    // are of all orders of magnitude alike.
    std::size_t line_bytes(std::uint64_t number) const {
        constexpr std::size_t kMiB = 1 << 20;
        constexpr std::array<std::size_t, 14> kSizes = {
            1, 2, 3 * kMiB, 4095, 4096, 4097, kMiB, 1, kMiB + 1, kMiB - 1, 3, kMiB - 4096, kMiB - 4095, kMiB - 4097};
        if (number < kSizes.size()) {
            return std::min(kSizes[number], line_bytes_max_);
        }
        const double share = static_cast<double>(mix(seed_ + number) >> 11) / static_cast<double>(1ULL << 53);
        return static_cast<std::size_t>(std::exp2(share * std::log2(static_cast<double>(line_bytes_max_))));
    }

    std::string line(std::uint64_t number) const {
        constexpr std::size_t kDigits = 10;
        std::string made(line_bytes(number), '\n');
        const std::size_t text_bytes = made.size() - 1;
        if (text_bytes == 0) {
            return made;
        }
        made[0] = letter_;
        std::uint64_t rest = number;
        const std::size_t filler_at = std::min(text_bytes, kDigits + 1);
        for (std::size_t at = filler_at; at > 1; --at, rest /= 10) {
            made[at - 1] = static_cast<char>('0' + rest % 10);
        }
        fill(made, filler_at, text_bytes, mix(seed_ ^ number));
        return made;
    }

private:
    // Every other line compresses well.
    static void fill(std::string& to, std::size_t from, std::size_t end, std::uint64_t state) {
        constexpr std::string_view kPhrase = " GET /index.html HTTP/1.1 200 in 12 ms;";
        constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
        const bool repeats = (state & 1) != 0;
        std::uint64_t bits = 0;
        for (std::size_t at = from; at < end; ++at, bits >>= 6) {
            if (repeats) {
                to[at] = kPhrase[(at + state) % kPhrase.size()];
                continue;
            }
            if ((at - from) % 10 == 0) {
                state = mix(state);
                bits = state;
            }
            to[at] = kAlphabet[bits & 63];
        }
    }

    // SplitMix64's step.
    static std::uint64_t mix(std::uint64_t x) {
        x += 0x9e3779b97f4a7c15;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        return x ^ (x >> 31);
    }

    char letter_;
    std::uint64_t seed_;
    std::size_t line_bytes_max_;
};

}  // namespace topicfs::test
