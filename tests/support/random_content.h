// Chance with a seed: every run prints the seed of its first Random, and TOPICFS_TEST_SEED repeats it.
#pragma once

#include "support/bytes.h"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

namespace topicfs::test {

class Random {
public:
    // Seeded by TOPICFS_TEST_SEED, else by the machine; all that are made so in one run have the same seed.
    Random();
    explicit Random(std::uint64_t seed) : seed_(seed), engine_(seed) {}

    std::uint64_t seed() const { return seed_; }
    // From `low` to `high`, both included.
    std::uint64_t between(std::uint64_t low, std::uint64_t high);
    // True once in `times` on average.
    bool one_in(std::uint64_t times) { return between(1, times) == 1; }
    // Bytes that no codec makes shorter.
    Bytes bytes(std::size_t count);
    // Lines as a web server logs them, exactly `count` bytes, the last of them a newline.
    Bytes log_lines(std::size_t count);

private:
    std::string log_line();

    std::uint64_t seed_;
    std::mt19937_64 engine_;
};

}  // namespace topicfs::test
