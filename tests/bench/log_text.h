// What the benchmarks of the parts work on: text that looks like a service's log, the same in each run.
#pragma once

#include <cstddef>
#include <span>

namespace topicfs::test {

inline constexpr std::size_t kBatchBytes = 1u << 20;  // a full batch, as seal.bytes is by default

// A batch of lines of 100 bytes. Lives as long as the process.
std::span<const std::byte> log_text();

}  // namespace topicfs::test
