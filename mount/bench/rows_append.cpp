// The rows about appending.
#include "io/fd.h"
#include "mount/bench/bench.h"
#include "mount/bench/loops.h"
#include "mount/bench/rows_codec.h"
#include "mount/bench/topic_mount.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr const char* kStore = "store";
constexpr const char* kTopic = "log";
constexpr std::size_t kLargeWriteBytes = 1u << 20;
constexpr Seconds kClientsMax{700};  // more than the longest measurement that can be asked for

AppendWork lines_to(const Bench& bench, const std::string& path) {
    AppendWork work;
    work.paths = {path};
    work.seconds = bench.options().seconds;
    work.bytes = bench.options().bytes;
    return work;
}

// Appends to the topic, then waits until that is sealed.
Result<double> append_and_settle(const Bench& bench, const TopicMount& mount, const AppendWork& work,
                                 unsigned writers) {
    TOPICFS_TRY_ASSIGN(const double speed, measure_append(work, bench.payload(), writers));
    TOPICFS_TRY(mount.settle(kTopic));
    return speed;
}

// The same to a new, plain file, which is removed then.
Result<double> append_to_file(const Bench& bench, AppendWork work, unsigned writers) {
    const std::string path = bench.scratch() + "/plain";
    work.paths = {path};
    const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) {
        return system_error(errno, "open", path);
    }
    auto speed = measure_append(work, bench.payload(), writers);
    ::unlink(path.c_str());
    return speed;
}

// The same to the file system that does nothing.
Result<double> append_to_null(const Bench& bench, const NullFuse& null, AppendWork work) {
    work.paths = {null.file()};
    auto speed = measure_append(work, bench.payload());
    // What it has grown to is of no use, and need not be written to the disk.
    if (::truncate(null.backing_file().c_str(), 0) != 0 && errno != ENOENT) {
        return system_error(errno, "truncate", null.backing_file());
    }
    return speed;
}

std::string way_note(const std::string& way) {
    return way == "passthrough" ? "appends pass through" : "appends go through the daemon";
}

// What a row is made of that compares appends to a topic with the same to a plain file.
struct FileRow {
    AppendWork work;
    unsigned writers = 1;
    bool passthrough_only = false;
};

Result<Samples> against_file(Bench& bench, FileRow row) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    if (row.passthrough_only) {
        TOPICFS_TRY(mount.need_passthrough());
    }
    TOPICFS_TRY_ASSIGN(const std::string way, mount.write_path());
    TOPICFS_TRY(mount.make_topic(kTopic));
    row.work.paths = {mount.file(kTopic)};
    TOPICFS_TRY_ASSIGN(Samples samples,
                       bench.in_turns([&] { return append_and_settle(bench, mount, row.work, row.writers); },
                                      [&] { return append_to_file(bench, row.work, row.writers); }));
    samples.note = way_note((row.work.flags & O_DSYNC) != 0 ? "daemon" : way);
    return samples;
}

// Lines, by one way or the other, against a file system that does nothing in the same mode.
Result<Samples> against_null(Bench& bench, NullMode mode) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    if (mode == NullMode::kPassthrough) {
        TOPICFS_TRY(mount.need_passthrough());
    }
    TOPICFS_TRY(mount.make_topic(kTopic, {{"write.path", mode == NullMode::kPassthrough ? "passthrough" : "daemon"}}));
    TOPICFS_TRY_ASSIGN(const NullFuse null, bench.start_null(mode));
    const AppendWork work = lines_to(bench, mount.file(kTopic));
    return bench.in_turns([&] { return append_and_settle(bench, mount, work, 1); },
                          [&] { return append_to_null(bench, null, work); });
}

Result<Samples> open_append_close(Bench& bench) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY_ASSIGN(const std::string way, mount.write_path());
    TOPICFS_TRY(mount.make_topic(kTopic));
    TOPICFS_TRY_ASSIGN(const NullFuse null,
                       bench.start_null(way == "passthrough" ? NullMode::kPassthrough : NullMode::kDaemon));
    AppendWork work = lines_to(bench, mount.file(kTopic));
    work.reopen_each = true;
    TOPICFS_TRY_ASSIGN(Samples samples, bench.in_turns([&] { return append_and_settle(bench, mount, work, 1); },
                                                       [&] { return append_to_null(bench, null, work); }));
    samples.note = way_note(way) + ", of the baseline too";
    return samples;
}

Result<void> follow_for_ever(const std::string& path, ClientContext& context) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "open", path);
    }
    std::vector<char> buffer(64u << 10);
    context.wait_for_others();
    for (;;) {
        if (::read(file.get(), buffer.data(), buffer.size()) < 0) {
            return system_error(errno, "read", path);
        }
    }
}

// A topic for each measurement, so that a follower has nothing to catch up with.
Result<double> append_to_new_topic(const Bench& bench, const TopicMount& mount, const std::string& topic,
                                   bool with_follower) {
    TOPICFS_TRY(mount.make_topic(topic));
    const AppendWork work = lines_to(bench, mount.file(topic));
    std::vector<Client> clients;
    clients.push_back({[&](ClientContext& context) { return append_loop(work, bench.payload(), context); }});
    if (with_follower) {
        clients.push_back(
            {[&](ClientContext& context) { return follow_for_ever(mount.file(topic) + "+follow", context); }, true});
    }
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients(clients, kClientsMax));
    TOPICFS_TRY(mount.settle(topic));
    return operations_per_second({reports.front()});
}

Result<Samples> beside_follower(Bench& bench) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY(mount.need_passthrough());
    unsigned turn = 0;
    const auto measure = [&](bool with_follower) {
        return append_to_new_topic(bench, mount, kTopic + std::to_string(turn++), with_follower);
    };
    return bench.in_turns([&] { return measure(true); }, [&] { return measure(false); });
}

Result<Samples> many_partitions(Bench& bench) {
    const unsigned count = bench.options().partitions;
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY_ASSIGN(const std::string way, mount.write_path());
    TOPICFS_TRY(mount.make_topic(kTopic));
    // What is left of a measurement is sealed soon, so that it is waited for and not met later.
    TOPICFS_TRY(mount.make_topic("many", {{"seal.ms", "1000"}}, count));
    const AppendWork one = lines_to(bench, mount.file(kTopic));
    AppendWork many = one;
    many.paths.clear();
    for (unsigned i = 0; i < count; ++i) {
        many.paths.push_back(mount.file("many", i));
    }
    const auto to_many = [&]() -> Result<double> {
        TOPICFS_TRY_ASSIGN(const double speed, measure_append(many, bench.payload()));
        TOPICFS_TRY(mount.settle("many", 0));
        return speed;
    };
    TOPICFS_TRY_ASSIGN(Samples samples,
                       bench.in_turns(to_many, [&] { return append_and_settle(bench, mount, one, 1); }));
    samples.note = std::to_string(count) + " partitions; " + way_note(way);
    return samples;
}

// What the page cache holds of the topic's segments is dropped, as far as it was written to the disk.
void drop_segments(const std::string& directory) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
        if (entry.path().filename().string().find(".log.") != std::string::npos) {
            const Fd segment(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
            ::posix_fadvise(segment.get(), 0, 0, POSIX_FADV_DONTNEED);
        }
    }
}

Result<void> read_cold(const std::string& path, const std::string& stored_in, ClientContext& context) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "open", path);
    }
    std::vector<char> buffer(128u << 10);
    drop_segments(stored_in);
    context.wait_for_others();
    for (;;) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0) {
            return system_error(errno, "read", path);
        }
        if (count == 0) {
            drop_segments(stored_in);
            ::lseek(file.get(), 0, SEEK_SET);
        }
    }
}

Result<Samples> beside_cold_reader(Bench& bench) {
    TOPICFS_TRY_ASSIGN(const TopicMount mount, TopicMount::start(bench.scratch(), kStore));
    TOPICFS_TRY_ASSIGN(const std::string way, mount.write_path());
    TOPICFS_TRY(mount.make_topic(kTopic));
    const AppendWork work = lines_to(bench, mount.file(kTopic));
    AppendWork preparing = work;
    preparing.write_bytes = kLargeWriteBytes;
    preparing.seconds = 60;
    TOPICFS_TRY(append_and_settle(bench, mount, preparing, 1));
    const std::string stored_in = bench.scratch() + "/" + kStore + "/topics/" + kTopic + "/0";
    const Client writer{[&](ClientContext& context) { return append_loop(work, bench.payload(), context); }};
    const Client reader{[&](ClientContext& context) { return read_cold(mount.file(kTopic), stored_in, context); },
                        true};
    const auto with_reader = [&]() -> Result<double> {
        TOPICFS_TRY_ASSIGN(const auto reports, run_clients({writer, reader}, kClientsMax));
        TOPICFS_TRY(mount.settle(kTopic));
        return operations_per_second({reports.front()});
    };
    TOPICFS_TRY_ASSIGN(Samples samples,
                       bench.in_turns(with_reader, [&] { return append_and_settle(bench, mount, work, 1); }));
    // The writer, the reader and the daemon for each of them.
    constexpr unsigned kCoresWanted = 4;
    samples.note = way_note(way) + "; " + std::to_string(bench.cores()) + " cores";
    samples.note += bench.cores() < kCoresWanted ? ": the aim is for machines with a core for both" : "";
    return samples;
}

Result<void> line_rows(Bench& bench) {
    const std::string lines = "100 B lines, one write(2) each";
    TOPICFS_TRY(bench.row({"append.line.passthrough", lines + ", passing through, sealing on",
                           "a FUSE file system that only hands out a backing file", at_least(0.95), "lines/s"},
                          [&] { return against_null(bench, NullMode::kPassthrough); }));
    TOPICFS_TRY(bench.row(
        {"append.line.file", lines + ", passing through, sealing on", "a plain file", at_least(0.65), "lines/s"}, [&] {
            return against_file(bench, {lines_to(bench, ""), 1, true});
        }));
    TOPICFS_TRY(bench.row({"append.line.follow", lines + ", passing through, with a +follow reader beside it",
                           "itself without the reader", at_least(0.7), "lines/s"},
                          [&] { return beside_follower(bench); }));
    return bench.row({"append.line.daemon", lines + ", through the daemon, sealing on",
                      "a FUSE file system that does nothing", at_least(0.9), "lines/s"},
                     [&] { return against_null(bench, NullMode::kDaemon); });
}

Result<void> large_rows(Bench& bench) {
    AppendWork work = lines_to(bench, "");
    work.write_bytes = 64u << 10;
    TOPICFS_TRY(bench.row({"append.64k", "64 KiB writes", "a plain file", at_least(0.9), "B/s"},
                          [&] { return against_file(bench, {work}); }));
    work.write_bytes = kLargeWriteBytes;
    return bench.row({"append.1m", "1 MiB writes", "a plain file", at_least(0.9), "B/s"},
                     [&] { return against_file(bench, {work}); });
}

Result<void> durable_rows(Bench& bench) {
    constexpr unsigned kWriters = 8;
    AppendWork work = lines_to(bench, "");
    work.flags = O_DSYNC;
    TOPICFS_TRY(
        bench.row({"append.dsync", "100 B lines with O_DSYNC", "a plain file, the same", at_least(0.75), "lines/s"},
                  [&] { return against_file(bench, {work}); }));
    work.flags = 0;
    work.sync_each = true;
    TOPICFS_TRY(bench.row({"append.fdatasync", "100 B lines, fdatasync(2) after each", "a plain file, the same",
                           at_least(0.75), "lines/s"},
                          [&] { return against_file(bench, {work}); }));
    return bench.row({"append.fdatasync.8", "8 writers of 100 B lines, fdatasync(2) after each",
                      "a plain file, the same", at_least(0.75), "lines/s"},
                     [&] {
                         return against_file(bench, {work, kWriters});
                     });
}

}  // namespace

Result<void> bench_append(Bench& bench) {
    TOPICFS_TRY(line_rows(bench));
    TOPICFS_TRY(large_rows(bench));
    TOPICFS_TRY(durable_rows(bench));
    TOPICFS_TRY(bench.row({"append.open_close", "`echo x >>`: open, append a line, close",
                           "a FUSE file system that does nothing, the same", at_least(0.8), "lines/s"},
                          [&] { return open_append_close(bench); }));
    TOPICFS_TRY(bench.row({"append.partitions", "lines to many partitions in turn", "one partition, the same writes",
                           at_least(0.8), "lines/s"},
                          [&] { return many_partitions(bench); }));
    TOPICFS_TRY(bench.row({"append.cold_reader", "lines, while a reader reads from the log start, from the disk",
                           "the lines alone", at_least(0.9), "lines/s"},
                          [&] { return beside_cold_reader(bench); }));
    return bench_sealing(bench);
}

}  // namespace topicfs::bench
