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

constexpr std::uint64_t kRateKnownMs = 100;
constexpr std::uint64_t kRateSpanMs = 1000;

}  // namespace

void SealPace::note(std::uint64_t lag, std::uint64_t backlog) {
    if (bytes_ == 0 || took_ms_ < kRateKnownMs) {
        return;  // Nothing is known yet: a batch or two can have been held up.
    }
    const double ms_per_byte = static_cast<double>(took_ms_) / static_cast<double>(bytes_);
    const double behind_ms = static_cast<double>(std::max(lag, backlog)) * ms_per_byte;
    if (behind_ms > kRaceMs) {
        step_ = Step::kRace;
    } else if (behind_ms > kHurryMs) {
        step_ = std::max(step_, Step::kHurry);
    } else if (behind_ms <= kCaughtUpMs) {
        step_ = Step::kAsked;
    }
}

void SealPace::sealed(std::uint64_t bytes, std::uint64_t took_ms) {
    if (step_ != Step::kAsked) {
        return;
    }
    bytes_ += bytes;
    took_ms_ += took_ms;
    if (took_ms_ > kRateSpanMs) {
        bytes_ = (bytes_ + 1) / 2;
        took_ms_ /= 2;
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
