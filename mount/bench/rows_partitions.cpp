// The rows about what partitions cost: memory, descriptors, and time to start.
#include "base/text.h"
#include "io/fd.h"
#include "mount/bench/bench.h"
#include "mount/bench/loops.h"
#include "mount/bench/topic_mount.h"

#include <topicfs/store.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr const char* kStore = "store";
constexpr const char* kTopic = "log";

// Anonymous memory that the process has in use, in bytes.
Result<double> anonymous_bytes(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/status";
    std::ifstream file(path);
    constexpr std::string_view kKey = "RssAnon:";
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with(kKey)) {
            const std::string_view rest = trim(std::string_view(line).substr(kKey.size()));
            constexpr double kKibibyte = 1024;
            return static_cast<double>(parse_unsigned(rest.substr(0, rest.find(' '))).value_or(0)) * kKibibyte;
        }
    }
    return not_measurable(path + " has no RssAnon");
}

Result<double> descriptor_count(pid_t pid) {
    std::error_code failure;
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", failure);
    if (failure) {
        return system_error(failure.value(), "look at", "the daemon's descriptors");
    }
    return static_cast<double>(std::distance(begin(all), end(all)));
}

Result<void> read_each(const std::vector<std::string>& paths) {
    std::vector<char> buffer(128u << 10);
    for (const std::string& path : paths) {
        const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        ssize_t count = file ? 1 : -1;
        while (count > 0) {
            count = ::read(file.get(), buffer.data(), buffer.size());
        }
        if (count < 0) {
            return system_error(errno, "read", path);
        }
    }
    return {};
}

// The daemon's memory once each partition was written to and read, and all of them are still open.
Result<double> memory_in_use(const Bench& bench) {
    const unsigned count = bench.options().partitions;
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY(mount.make_topic(kTopic, {}, count));
    AppendWork work;
    for (unsigned i = 0; i < count; ++i) {
        work.paths.push_back(mount.file(kTopic, i));
    }
    work.write_bytes = 64u << 10;
    work.seconds = 60;
    work.bytes = std::max<std::uint64_t>(bench.options().bytes, count * work.write_bytes);
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients({{[&](ClientContext& context) -> Result<void> {
                                                           TOPICFS_TRY(append_loop(work, bench.payload(), context));
                                                           TOPICFS_TRY(read_each(work.paths));
                                                           TOPICFS_TRY_ASSIGN(context.report.value,
                                                                              anonymous_bytes(mount.pid()));
                                                           return {};
                                                       }}},
                                                       Seconds(120)));
    return reports.front().value;
}

Result<Samples> memory(Bench& bench) {
    TOPICFS_TRY_ASSIGN(Samples samples, bench.repeated([&] { return memory_in_use(bench); }));
    samples.note = std::to_string(bench.options().partitions) + " partitions, " +
                   short_number(static_cast<double>(bench.options().bytes)) + "B in all; RssAnon of the daemon";
    return samples;
}

// Through the engine, and without records: a line in each would be as many batches to seal and files to sync.
Result<void> make_partitions(const std::string& path, unsigned count) {
    TOPICFS_TRY_ASSIGN(const auto store, open_store(path));
    // As what new topics begin with: all are made durable together then.
    TOPICFS_TRY(store->set_default("num.partitions", std::to_string(count)));
    TOPICFS_TRY(store->create_topic(kTopic));
    return store->close();
}

Result<void> make_partitions_in_child(const std::string& path, unsigned count) {
    constexpr Seconds kMakeMax(300);
    TOPICFS_TRY(run_client([&](ClientReport&) { return make_partitions(path, count); }, kMakeMax));
    return {};
}

struct Idle {
    double seconds = 0;  // until the mount answers
    double bytes = 0;
    double descriptors = 0;
};

Result<Idle> start_idle(const Bench& bench, const std::string& store) {
    const std::uint64_t begin = monotonic_ns();
    TOPICFS_TRY_ASSIGN(TopicMount mount, TopicMount::start(bench.scratch(), store));
    mount.keep_store();
    Idle idle;
    idle.seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
    TOPICFS_TRY_ASSIGN(idle.bytes, anonymous_bytes(mount.pid()));
    TOPICFS_TRY_ASSIGN(idle.descriptors, descriptor_count(mount.pid()));
    TOPICFS_TRY(mount.stop());
    return idle;
}

// Samples of the start, and of what each partition takes beyond what a store with one takes.
Result<std::vector<Samples>> idle_partitions(Bench& bench) {
    const unsigned count = bench.options().idle_partitions;
    TOPICFS_TRY(make_partitions_in_child(bench.scratch() + "/idle", count));
    TOPICFS_TRY(make_partitions_in_child(bench.scratch() + "/one", 1));
    std::vector<Samples> samples(3);
    TOPICFS_TRY(bench.repeated([&]() -> Result<double> {
        TOPICFS_TRY_ASSIGN(const Idle many, start_idle(bench, "idle"));
        TOPICFS_TRY_ASSIGN(const Idle one, start_idle(bench, "one"));
        const double others = count - 1;
        samples[0].ours.push_back(many.seconds);
        samples[1].ours.push_back((many.bytes - one.bytes) / others);
        samples[2].ours.push_back((many.descriptors - one.descriptors) / others);
        return many.seconds;
    }));
    samples[0].note = std::to_string(count) + " partitions without records; until the mount answers";
    samples[1].note =
        "RssAnon of the daemon after the start, less that with one partition, by " + std::to_string(count);
    samples[2].note = "open descriptors of the daemon, less those with one partition, by " + std::to_string(count);
    std::error_code ignored;
    std::filesystem::remove_all(bench.scratch() + "/idle", ignored);
    std::filesystem::remove_all(bench.scratch() + "/one", ignored);
    return samples;
}

}  // namespace

Result<void> bench_partitions(Bench& bench) {
    constexpr double kMemoryMax = 64.0 * 1024 * 1024;
    TOPICFS_TRY(bench.row(
        {"partitions.memory", "memory of the daemon, all partitions written and read", "", at_most(kMemoryMax), "B"},
        [&] { return memory(bench); }));
    constexpr double kEachMax = 4096;
    // None each; one or two more of the daemon's own are not theirs.
    constexpr double kDescriptorsMax = 0.01;
    return bench.rows(
        {{"partitions.idle.start", "start with idle partitions", "", at_most(1), "s"},
         {"partitions.idle.memory", "memory for each idle partition", "", at_most(kEachMax), "B"},
         {"partitions.idle.descriptors", "descriptors for each idle partition", "", at_most(kDescriptorsMax), ""}},
        [&] { return idle_partitions(bench); });
}

}  // namespace topicfs::bench
