// How hard the sealer compresses: what was asked for while it keeps up, less when it falls behind what is appended, and
// again what was asked for once it has caught up.
//
// Unsealed bytes lie raw in head, so a sealer that is slower than the appends would fill the disk with them. The steps
// have hysteresis, so that a partition does not go to and fro. Threads: SealBacklog any; SealPace one at a time.
#pragma once

#include <topicfs/types.h>

#include <atomic>
#include <cstdint>

namespace topicfs {

// The unsealed bytes of all partitions of a store, as far as the sealer knows.
class SealBacklog {
public:
    // What one partition had at the last call, and has now.
    void change(std::uint64_t before, std::uint64_t now) { bytes_ += now - before; }
    std::uint64_t bytes() const { return bytes_; }

private:
    std::atomic<std::uint64_t> bytes_{0};
};

class SealPace {
public:
    // In milliseconds that sealing would take as was asked for: with so much more unsealed data one step down, and
    // another one; with so little back. A burst that is sealed within some seconds is none of it.
    static constexpr std::uint64_t kHurryMs = 5000;
    static constexpr std::uint64_t kRaceMs = 20000;
    static constexpr std::uint64_t kCaughtUpMs = 500;

    // Called before each batch. `lag` is what this partition has unsealed, `backlog` what all have.
    void note(std::uint64_t lag, std::uint64_t backlog);
    // Called after each: so many bytes took so long. How fast it is as was asked for is known from the last while.
    void sealed(std::uint64_t bytes, std::uint64_t took_ms);

    // The level to compress with, where `level` was asked for. Never a slower one.
    int level(Codec codec, int level) const;
    bool is_cheaper(Codec codec, int asked_for) const { return level(codec, asked_for) != asked_for; }

private:
    enum class Step { kAsked, kHurry, kRace };
    Step step_ = Step::kAsked;
    // Sums over the last batches that were sealed as asked for, halved now and then.
    std::uint64_t bytes_ = 0;
    std::uint64_t took_ms_ = 0;
};

}  // namespace topicfs
