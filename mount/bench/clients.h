// The loops that are measured run in child processes, outside of every daemon: a write or read that a daemon does not
// answer then hangs a child, and never the benchmark itself.
//
// A client's work gets a report in memory that it shares with its parent. All clients of a run wait at a gate until the
// last is there. One thread.
#pragma once

#include "mount/bench/process.h"
#include "mount/bench/statistics.h"

#include <topicfs/result.h>

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace topicfs::bench {

struct ClientReport {
    double seconds = 0;
    std::uint64_t operations = 0;
    std::uint64_t bytes = 0;
    double value = 0;  // what else there is to say
    Histogram latency;
    std::array<char, 256> failure = {};  // empty where it went well
};

struct ClientContext {
    ClientReport& report;
    // Blocks until every client of the run is ready; each calls it once, where its measurement begins.
    std::function<void()> wait_for_others;
};

struct Client {
    std::function<Result<void>(ClientContext&)> work;
    // Goes on until the others have ended; then it is killed, whatever it waits for. Its report is what it was then.
    bool background = false;
};

// Runs them side by side and returns their reports in the same order. The first failure of one is the outcome.
// kSystem with ETIMEDOUT where one has not ended after `limit`; its process is killed.
Result<std::vector<ClientReport>> run_clients(const std::vector<Client>& clients, Seconds limit);

// For one, with no gate; also for everything else that touches a mount.
Result<ClientReport> run_client(std::function<Result<void>(ClientReport&)> work, Seconds limit = Seconds(60));

}  // namespace topicfs::bench
