#include "mount/bench/payload.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>

namespace topicfs::bench {

namespace {

// More than the codecs look back, so that going round is not seen by them.
constexpr std::size_t kTextBytesMin = 16u << 20;

}  // namespace

Payload::Payload(std::string text, std::size_t once_bytes, std::string description)
    : once_bytes_(once_bytes), description_(std::move(description)) {
    text_.assign(text.begin(), text.end());
    // In `once_bytes`, a whole number of lines.
    std::size_t from = 0;
    while (from < once_bytes_) {
        const auto* end = static_cast<const char*>(std::memchr(&text_[from], '\n', once_bytes_ - from));
        const std::size_t length = static_cast<std::size_t>(end - &text_[from]) + 1;
        lines_.emplace_back(&text_[from], length);
        from += length;
    }
}

Payload Payload::generate() {
    constexpr std::array<const char*, 4> kLevels = {"INFO ", "INFO ", "WARN ", "DEBUG"};
    constexpr std::array<const char*, 4> kDeeds = {"GET /cart/items", "POST /orders", "PUT /users/profile", "GET /"};
    constexpr std::uint64_t kSeed = 20240229;
    std::mt19937_64 random(kSeed);
    std::string text;
    text.reserve(kTextBytesMin + Payload::kBlockBytesMax + kLineBytes);
    unsigned milliseconds = 0;
    while (text.size() < kTextBytesMin) {
        const std::uint64_t chance = random();
        milliseconds += static_cast<unsigned>(chance % 7);
        std::array<char, kLineBytes + 64> line = {};
        std::snprintf(line.data(), line.size(), "2026-01-01T%02u:%02u:%02u.%03uZ %s svc-%02u %s id=%016llx took=%ums",
                      milliseconds / 3'600'000 % 24, milliseconds / 60'000 % 60, milliseconds / 1000 % 60,
                      milliseconds % 1000, kLevels.at(chance >> 8 & 3), static_cast<unsigned>(chance >> 10 & 15),
                      kDeeds.at(chance >> 14 & 3), static_cast<unsigned long long>(random()),
                      static_cast<unsigned>(chance >> 16 & 1023));
        std::string padded = line.data();
        padded.resize(kLineBytes - 1, '.');
        text += padded + '\n';
    }
    const std::size_t once = text.size();
    text.append(text, 0, kBlockBytesMax);
    return {std::move(text), once, "generated lines of 100 B"};
}

Result<Payload> Payload::load(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return system_error(errno, "open", path);
    }
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (file.bad()) {
        return system_error(EIO, "read", path);
    }
    if (text.empty()) {
        return make_error(ErrorCode::kInvalid, "read", path, "it has no lines to write");
    }
    if (text.back() != '\n') {
        text += '\n';
    }
    const std::string once = text;
    while (text.size() < kTextBytesMin) {
        text += once;
    }
    const std::size_t bytes = text.size();
    text.append(text, 0, kBlockBytesMax);
    Payload payload(std::move(text), bytes, "");
    const std::size_t count = payload.lines_.size();
    payload.description_ = "lines of " + path + ", " + std::to_string(bytes / count) + " B in the mean, its " +
                           std::to_string(once.size()) + " bytes repeated";
    return payload;
}

std::string_view Payload::block(std::uint64_t n, std::size_t bytes) const {
    return {&text_[static_cast<std::size_t>(n * bytes % once_bytes_)], bytes};
}

}  // namespace topicfs::bench
