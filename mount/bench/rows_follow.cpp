// The rows about latency: from when a line was due to when a follower has it, against a pipe between the same two
// processes.
#include "io/fd.h"
#include "mount/bench/bench.h"
#include "mount/bench/loops.h"
#include "mount/bench/topic_mount.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/text.h"

namespace topicfs::bench {

namespace {

constexpr std::array<unsigned, 3> kLinesPerSecond = {1000, 10000, 50000};
// Of a measurement; at the slowest rate half a second would give 1 % of the lines too few members.
constexpr double kSecondsFactor = 2;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::size_t kTimeDigits = 20;

struct Pace {
    unsigned lines_per_second = 0;
    std::uint64_t lines = 0;
};

Pace pace_of(const Bench& bench, unsigned lines_per_second) {
    const double seconds = bench.options().seconds * kSecondsFactor;
    return {lines_per_second, std::max<std::uint64_t>(10, static_cast<std::uint64_t>(seconds * lines_per_second))};
}

// Sleeps while that is certain to end in time, then waits awake: the lateness of a timer is not to be measured.
void wait_until(std::uint64_t due) {
    constexpr std::uint64_t kAwakeNs = 150'000;
    for (std::uint64_t now = monotonic_ns(); now < due; now = monotonic_ns()) {
        if (due - now > kAwakeNs) {
            const std::uint64_t wake = due - kAwakeNs;
            const timespec at = {static_cast<time_t>(wake / kNanosecondsPerSecond),
                                 static_cast<long>(wake % kNanosecondsPerSecond)};
            ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
        }
    }
}

// Each line begins with the time it was due. One that could not be sent in time is sent as soon as can be, and the next
// are due when they always were: that one was late counts for all that had to wait for it.
Result<void> write_at_pace(int file, const Pace& pace, ClientContext& context) {
    std::array<char, kLineBytes + 1> line = {};
    context.wait_for_others();
    const std::uint64_t begin = monotonic_ns() + kNanosecondsPerSecond / 100;
    for (std::uint64_t n = 0; n < pace.lines; ++n) {
        const std::uint64_t due = begin + n * kNanosecondsPerSecond / pace.lines_per_second;
        std::snprintf(line.data(), line.size(), "%020llu %078d\n", static_cast<unsigned long long>(due), 0);
        wait_until(due);
        if (::write(file, line.data(), kLineBytes) != static_cast<ssize_t>(kLineBytes)) {
            return system_error(errno, "write", "a line");
        }
    }
    return {};
}

Result<void> read_and_note(int file, const Pace& pace, ClientContext& context) {
    ClientReport& report = context.report;
    std::vector<char> buffer(256u << 10);
    std::size_t kept = 0;  // of a line that is not whole yet
    context.wait_for_others();
    while (report.operations < pace.lines) {
        const ssize_t count = ::read(file, buffer.data() + kept, buffer.size() - kept);
        if (count <= 0) {
            return system_error(count < 0 ? errno : ENODATA, "read", "the followed file");
        }
        const std::uint64_t now = monotonic_ns();
        const std::size_t end = kept + static_cast<std::size_t>(count);
        std::size_t at = 0;
        for (; at + kLineBytes <= end; at += kLineBytes) {
            const auto due = parse_unsigned({buffer.data() + at, kTimeDigits});
            if (!due) {
                return not_measurable("a follower got something else than was written");
            }
            report.latency.add(now > *due ? now - *due : 0);
            ++report.operations;
        }
        kept = end - at;
        std::memmove(buffer.data(), buffer.data() + at, kept);
    }
    return {};
}

struct Latency {
    double p50 = 0;  // microseconds
    double p99 = 0;
};

Result<Latency> run_pair(const Pace& pace, const Client& writer, const Client& reader) {
    const Seconds limit(60 + static_cast<double>(pace.lines) / pace.lines_per_second);
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients({writer, reader}, limit));
    const Histogram& latency = reports[1].latency;
    constexpr double kNsPerUs = 1000;
    return Latency{static_cast<double>(latency.percentile(0.5)) / kNsPerUs,
                   static_cast<double>(latency.percentile(0.99)) / kNsPerUs};
}

Result<Latency> by_topic(const TopicMount& mount, const std::string& topic, const Pace& pace) {
    // A topic for each measurement, so that a follower has nothing to catch up with.
    TOPICFS_TRY(mount.make_topic(topic));
    const auto open_and = [&](const std::string& path, int flags, ClientContext& context, auto&& loop) -> Result<void> {
        const Fd file(::open(path.c_str(), flags | O_CLOEXEC));
        if (!file) {
            return system_error(errno, "open", path);
        }
        return loop(file.get(), pace, context);
    };
    const std::string path = mount.file(topic);
    return run_pair(
        pace, {[&](ClientContext& context) { return open_and(path, O_WRONLY | O_APPEND, context, write_at_pace); }},
        {[&](ClientContext& context) { return open_and(path + "+follow", O_RDONLY, context, read_and_note); }});
}

Result<Latency> by_pipe(const Pace& pace) {
    std::array<int, 2> ends = {-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return system_error(errno, "pipe", "");
    }
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    return run_pair(pace, {[&](ClientContext& context) { return write_at_pace(in.get(), pace, context); }},
                    {[&](ClientContext& context) { return read_and_note(out.get(), pace, context); }});
}

// The samples of p50 and of p99.
Result<std::vector<Samples>> follow(Bench& bench, unsigned lines_per_second) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), "store"));
    TOPICFS_TRY_ASSIGN(const std::string way, mount.write_path());
    const Pace pace = pace_of(bench, lines_per_second);
    std::vector<Samples> samples(2);
    unsigned turn = 0;
    TOPICFS_TRY(bench.in_turns(
        [&]() -> Result<double> {
            TOPICFS_TRY_ASSIGN(const Latency ours, by_topic(mount, "log" + std::to_string(turn++), pace));
            samples[0].ours.push_back(ours.p50);
            samples[1].ours.push_back(ours.p99);
            return 0.0;
        },
        [&]() -> Result<double> {
            TOPICFS_TRY_ASSIGN(const Latency theirs, by_pipe(pace));
            samples[0].theirs.push_back(theirs.p50);
            samples[1].theirs.push_back(theirs.p99);
            return 0.0;
        }));
    for (Samples& each : samples) {
        each.note = std::to_string(pace.lines) + " lines a measurement, from when each was due; appends " +
                    (way == "passthrough" ? "pass through" : "go through the daemon");
    }
    return samples;
}

}  // namespace

Result<void> bench_follow(Bench& bench) {
    for (const unsigned rate : kLinesPerSecond) {
        const std::string thousands = std::to_string(rate / 1000) + "k";
        const std::string what = "from append to +follow reader at " + thousands + " lines/s, ";
        const std::string pipe = "a pipe between the same two processes";
        TOPICFS_TRY(bench.rows({{"follow." + thousands + ".p50", what + "half of the lines", pipe, at_most(5), "us"},
                                {"follow." + thousands + ".p99", what + "99 of 100 lines", pipe, at_most(10), "us"}},
                               [&] { return follow(bench, rate); }));
    }
    return {};
}

}  // namespace topicfs::bench
