// How many requests of each kind the kernel has sent.
//
// Any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace topicfs {

class RequestCounts {
public:
    void note(std::uint32_t opcode) {
        counts_[opcode < counts_.size() ? opcode : 0].fetch_add(1, std::memory_order_relaxed);
    }
    std::uint64_t of(std::uint32_t opcode) const { return counts_.at(opcode).load(std::memory_order_relaxed); }
    // A JSON object: the kinds that have come, by the protocol's names, and how often.
    std::string to_json() const;

private:
    static constexpr std::size_t kOpcodesMax = 64;
    std::array<std::atomic<std::uint64_t>, kOpcodesMax> counts_{};
};

}  // namespace topicfs
