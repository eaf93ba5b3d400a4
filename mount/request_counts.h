// What the kernel has asked for: how many requests of each kind, how long their answers took, and which errors there
// were.
//
// A request's time is from when it was read from the device to when its answer was handed to the kernel, if the thread
// that read it gave the answer; to when that thread was done with it where there is no answer (FORGET). What waits for
// something that others do (a read at the end of a +follow file, a lock, a group's partition) is answered later by
// somebody else: it is counted, but has no time.
//
// Any thread; no locks: a request costs some relaxed additions, each kind has cache lines of its own.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace topicfs {

class MetricsText;

class RequestCounts {
public:
    // Upper bounds of the histogram's buckets; behind them comes one without.
    static constexpr std::array<std::uint32_t, 15> kBucketsMicroseconds = {
        10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 500'000, 2'500'000};

    // This thread has read that request (its whole message) from the device.
    void begin(std::span<const std::byte> request);
    // This thread is about to give an answer to that request, with that errno or 0: who has it finds it counted.
    // Notifications (`unique` is 0) are none.
    void answers(std::uint64_t unique, int system_errno);
    // It has given it.
    void answered(std::uint64_t unique);
    // This thread is done with the request that it has read.
    void end();

    std::uint64_t of(std::uint32_t opcode) const { return kinds_.at(opcode).count.load(std::memory_order_relaxed); }
    // How many of a kind took a time in each bucket, the last one without a bound.
    std::array<std::uint64_t, kBucketsMicroseconds.size() + 1> times_of(std::uint32_t opcode) const;
    std::uint64_t errors_of(int system_errno) const;

    // A JSON object: the kinds that have come, by the protocol's names, and how often.
    std::string to_json() const;
    // The same of the errors that were answered, by their names.
    std::string errors_to_json() const;
    // Families of all three.
    void write(MetricsText& text) const;

private:
    static constexpr std::size_t kOpcodesMax = 64;
    static constexpr std::size_t kErrnosMax = 134;  // Linux has 133; others count as 0
    struct alignas(64) Kind {
        std::atomic<std::uint64_t> count{0};
        std::atomic<std::uint64_t> nanoseconds{0};
        std::array<std::atomic<std::uint64_t>, kBucketsMicroseconds.size() + 1> times{};
    };
    void note_time();

    std::array<Kind, kOpcodesMax> kinds_{};  // by opcode; those that are none of the protocol's count as 0
    std::array<std::atomic<std::uint64_t>, kErrnosMax> errors_{};
};

}  // namespace topicfs
