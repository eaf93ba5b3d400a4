// What every group of rows works with: the options, the scratch folder, and the way a row is measured and shown.
//
// One thread. Everything that a row starts or mounts is owned by an object in that row's function, so that it is gone
// when the row is over, however it ends.
#pragma once

#include "mount/bench/null_fuse.h"
#include "mount/bench/payload.h"
#include "mount/bench/row.h"

#include <topicfs/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace topicfs::bench {

struct BenchOptions {
    std::string directory;  // where the scratch folder is made
    unsigned pairs = 5;
    double seconds = 0.5;                      // of one measurement
    std::uint64_t bytes = 256u << 20;          // that one measurement writes at most; the partition that is read
    std::uint64_t data_bytes = 1024ull << 20;  // of the larger store of restart and lookup; the smaller has a tenth
    unsigned partitions = 1000;
    unsigned idle_partitions = 10000;
    std::string payload_file;
    bool json = false;
};

// A new folder of our own below `directory`. The destructor takes away what is mounted in it, and removes it.
class Scratch {
public:
    static Result<Scratch> make(const std::string& directory);
    Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    Scratch& operator=(Scratch&&) = delete;
    ~Scratch();
    const std::string& path() const { return path_; }

private:
    explicit Scratch(std::string path) : path_(std::move(path)) {}
    std::string path_;  // absolute, without links
};

class Bench {
public:
    Bench(BenchOptions options, Payload payload, std::string scratch)
        : options_(std::move(options)), payload_(std::move(payload)), scratch_(std::move(scratch)) {}

    const BenchOptions& options() const { return options_; }
    const Payload& payload() const { return payload_; }
    const std::string& scratch() const { return scratch_; }
    unsigned cores() const;

    // Measures and shows a row. Where `measure` fails, the row has that as its reason; the outcome is an error only
    // where a stop signal came.
    Result<void> row(const RowSpec& spec, const std::function<Result<Samples>()>& measure);
    // Several rows of one measurement; as many samples come back as there are specifications.
    Result<void> rows(const std::vector<RowSpec>& specs, const std::function<Result<std::vector<Samples>>()>& measure);

    // The pairs: ours, theirs, ours, theirs, …. Each returns the figure of one measurement; behind each, what it left
    // to be written to the disk is written, so that the next does not pay for it.
    using Measure = std::function<Result<double>()>;
    Result<Samples> in_turns(const Measure& ours, const Measure& theirs);
    // `ours` alone, as often.
    Result<Samples> repeated(const Measure& ours);

    // The file system that does nothing, mounted at a folder of the scratch folder.
    Result<NullFuse> start_null(NullMode mode, std::uint64_t file_bytes = 0) const;

    const std::vector<Row>& results() const { return results_; }

private:
    void show_progress(const std::string& text) const;
    Result<void> take(Row row);
    Result<double> one(const Measure& measure, unsigned pair, const char* side);

    const BenchOptions options_;
    const Payload payload_;
    const std::string scratch_;
    std::string current_;  // the name of the row that is being measured
    std::vector<Row> results_;
};

// Why a row cannot be measured here, as an error.
Error not_measurable(std::string reason);

// The groups of rows; an error only where a stop signal came.
Result<void> bench_append(Bench& bench);
Result<void> bench_read(Bench& bench);
Result<void> bench_follow(Bench& bench);
Result<void> bench_restart(Bench& bench);
Result<void> bench_lookup(Bench& bench);
Result<void> bench_consumers(Bench& bench);
Result<void> bench_consumer_groups(Bench& bench);
Result<void> bench_partitions(Bench& bench);

}  // namespace topicfs::bench
