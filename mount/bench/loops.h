// The loops whose speed is measured: plain write(2) and read(2), the same for what is measured and for its baseline.
//
// They run in client processes (clients.h). A measurement ends when its seconds are over or its bytes are written.
#pragma once

#include "mount/bench/clients.h"
#include "mount/bench/payload.h"

#include <topicfs/result.h>

#include <cstdint>
#include <string>
#include <vector>

namespace topicfs::bench {

struct AppendWork {
    std::vector<std::string> paths;  // written in turn; opened before the clock runs
    int flags = 0;                   // beside O_WRONLY | O_APPEND
    std::size_t write_bytes = 0;     // of each write; 0 for one line each
    bool sync_each = false;          // fdatasync(2) after each write
    bool reopen_each = false;        // open, append and close each time, as `echo x >>` does
    double seconds = 0;
    std::uint64_t bytes = 0;
};
Result<void> append_loop(const AppendWork& work, const Payload& payload, ClientContext& context);

struct ReadWork {
    std::string path;
    std::size_t read_bytes = 128u << 10;
    double seconds = 0;       // at least one whole pass is done
    std::uint64_t bytes = 0;  // of a file that waits at its end: so many, once
};
// From the start to the end, again and again; or the first `bytes`.
Result<void> read_loop(const ReadWork& work, ClientContext& context);

// All their operations or bytes over the time of the slowest.
double operations_per_second(const std::vector<ClientReport>& reports);
double bytes_per_second(const std::vector<ClientReport>& reports);

// `writers` clients with the same work side by side; operations or, where write_bytes is given, bytes a second.
Result<double> measure_append(const AppendWork& work, const Payload& payload, unsigned writers = 1);
// `readers` clients; bytes a second.
Result<double> measure_read(const ReadWork& work, unsigned readers = 1);

// Time since an arbitrary start, the same in all processes.
std::uint64_t monotonic_ns();

}  // namespace topicfs::bench
