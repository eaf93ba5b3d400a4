#include "bench/log_text.h"

#include <array>
#include <cstdio>
#include <random>
#include <string>

namespace topicfs::test {

namespace {

std::string make_text() {
    constexpr std::size_t kLineBytes = 100;
    constexpr unsigned kSeed = 7;
    std::mt19937_64 random(kSeed);
    std::string text;
    for (unsigned n = 0; text.size() < kBatchBytes; ++n) {
        const unsigned long long chance = random();
        std::array<char, 2 * kLineBytes> line = {};
        std::snprintf(line.data(), line.size(), "2026-01-01T00:%02u:%02u.%03uZ INFO svc-%02llu GET /items id=%016llx",
                      n / 60000 % 60, n / 1000 % 60, n % 1000, chance & 15, chance);
        std::string padded = line.data();
        padded.resize(kLineBytes - 1, '.');
        text += padded + '\n';
    }
    text.resize(kBatchBytes);
    return text;
}

}  // namespace

std::span<const std::byte> log_text() {
    static const std::string text = make_text();
    return std::as_bytes(std::span(text));
}

}  // namespace topicfs::test
