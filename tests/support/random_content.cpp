#include "support/random_content.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <iostream>

namespace topicfs::test {
namespace {

std::uint64_t choose_seed() {
    const char* const given = std::getenv("TOPICFS_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cerr << "seed " << seed << " (TOPICFS_TEST_SEED=" << seed << " repeats this run)\n";
    return seed;
}

std::uint64_t run_seed() {
    static const std::uint64_t seed = choose_seed();
    return seed;
}

}  // namespace

Random::Random() : Random(run_seed()) {}

std::uint64_t Random::between(std::uint64_t low, std::uint64_t high) {
    return std::uniform_int_distribution<std::uint64_t>(low, high)(engine_);
}

Bytes Random::bytes(std::size_t count) {
    Bytes bytes(count);
    for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
        const std::uint64_t word = engine_();
        std::memcpy(bytes.data() + at, &word, std::min(sizeof word, count - at));
    }
    return bytes;
}

std::string Random::log_line() {
    static constexpr std::array kVerbs = {"GET", "POST", "PUT", "DELETE"};
    static constexpr std::array kPlaces = {"/", "/cart", "/orders/", "/items/", "/login", "/static/app.js"};
    static constexpr std::array kCodes = {"200", "201", "304", "404", "500"};
    std::string line = "10.0." + std::to_string(between(0, 9)) + "." + std::to_string(between(1, 254));
    line += " - - [21/Nov/2026:14:" + std::to_string(between(10, 59)) + ":" + std::to_string(between(10, 59));
    line += " +0000] \"";
    line += kVerbs.at(between(0, kVerbs.size() - 1));
    line += " ";
    line += kPlaces.at(between(0, kPlaces.size() - 1));
    line += std::to_string(between(0, 99'999)) + " HTTP/1.1\" ";
    line += kCodes.at(between(0, kCodes.size() - 1));
    line += " " + std::to_string(between(20, 90'000)) + " \"-\" \"agent/" + std::to_string(between(1, 20)) + ".0\"\n";
    return line;
}

Bytes Random::log_lines(std::size_t count) {
    std::string text;
    text.reserve(count + 256);
    while (text.size() < count) {
        text += log_line();
    }
    text.resize(count);
    if (count > 0) {
        text.back() = '\n';
    }
    return to_bytes(text);
}

}  // namespace topicfs::test
