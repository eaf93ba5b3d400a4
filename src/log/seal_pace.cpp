#include "log/seal_pace.h"

#include "codec/codec.h"

#include <algorithm>

namespace topicfs {

namespace {

// Measured on log lines, against level 1: lz4 -8 is about one and a half times as fast, zstd -5 twice.
constexpr int kLz4Hurry = -8;
constexpr int kLz4Race = -32;
constexpr int kZstdHurry = -5;
constexpr int kZstdRace = -20;

}  // namespace

void SealPace::note(std::uint64_t lag, std::uint64_t backlog, std::uint64_t seal_bytes) {
    const auto exceeds = [&](std::uint64_t batches) {
        return lag > batches * seal_bytes || backlog > kOfAll * batches * seal_bytes;
    };
    if (exceeds(kRaceBatches)) {
        step_ = Step::kRace;
    } else if (exceeds(kHurryBatches)) {
        step_ = std::max(step_, Step::kHurry);
    } else if (!exceeds(kCaughtUpBatches)) {
        step_ = Step::kAsked;
    }
}

int SealPace::level(Codec codec, int level) const {
    if (step_ == Step::kAsked || codec == Codec::kNone) {
        return level;
    }
    // From a slow level the fastest of the ordinary ones is gain enough for a first step.
    const bool is_slow = codec == Codec::kLz4 ? level > 2 : level > 1;
    if (step_ == Step::kHurry && is_slow) {
        return 1;
    }
    const int hurry = codec == Codec::kLz4 ? kLz4Hurry : kZstdHurry;
    const int race = codec == Codec::kLz4 ? kLz4Race : kZstdRace;
    return std::min(level, step_ == Step::kHurry ? hurry : race);
}

}  // namespace topicfs
