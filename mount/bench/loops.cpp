#include "mount/bench/loops.h"

#include "io/fd.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace topicfs::bench {

namespace {

// Whatever is measured is over by then, or hangs.
constexpr double kSlownessMax = 20;
constexpr Seconds kLimitMin{60};
// The clock is looked at once in so many operations that cost about a microsecond.
constexpr std::uint64_t kQuickOperations = 32;

Seconds limit_for(double seconds) {
    return std::max(kLimitMin, Seconds(seconds * kSlownessMax));
}

void allow_descriptors(std::size_t count) {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, std::max<rlim_t>(limit.rlim_cur, count + 64));
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

Result<Fd> open_for_appending(const AppendWork& work, const std::string& path) {
    Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | work.flags, 0600));
    if (!file) {
        return system_error(errno, "open", path);
    }
    return file;
}

Result<void> write_once(int file, std::string_view bytes, const std::string& path, bool sync) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written != static_cast<ssize_t>(bytes.size())) {
        return system_error(written < 0 ? errno : ENOSPC, "write", path);
    }
    if (sync && ::fdatasync(file) != 0) {
        return system_error(errno, "sync", path);
    }
    return {};
}

// One line to each before the clock runs: the first use of a file costs more than the others, and is not meant.
Result<void> warm_up(const std::vector<Fd>& files, const AppendWork& work, const Payload& payload) {
    for (std::size_t i = 0; i < files.size() && files.size() > 1; ++i) {
        TOPICFS_TRY(write_once(files[i].get(), payload.lines().front(), work.paths[i], false));
    }
    return {};
}

}  // namespace

std::uint64_t monotonic_ns() {
    timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
    return static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

Result<void> append_loop(const AppendWork& work, const Payload& payload, ClientContext& context) {
    ClientReport& report = context.report;
    allow_descriptors(work.paths.size());
    std::vector<Fd> files;
    for (const std::string& path : work.reopen_each ? std::vector<std::string>() : work.paths) {
        TOPICFS_TRY_ASSIGN(Fd file, open_for_appending(work, path));
        files.push_back(std::move(file));
    }
    TOPICFS_TRY(warm_up(files, work, payload));
    const std::size_t line_count = payload.lines().size();
    const bool slow = work.sync_each || work.reopen_each || work.write_bytes > 0 || work.flags != 0;
    const std::uint64_t between_looks = slow ? 1 : kQuickOperations;
    context.wait_for_others();
    const std::uint64_t begin = monotonic_ns();
    const std::uint64_t end = begin + static_cast<std::uint64_t>(work.seconds * 1e9);
    std::uint64_t done = 0;
    std::size_t file = 0;
    std::size_t line = 0;
    for (std::uint64_t n = 0; done < work.bytes; ++n) {
        if (n % between_looks == 0 && n > 0 && monotonic_ns() >= end) {
            break;
        }
        const std::string_view bytes =
            work.write_bytes > 0 ? payload.block(n, work.write_bytes) : payload.lines()[line];
        line = line + 1 == line_count ? 0 : line + 1;
        const std::string& path = work.paths[file];
        if (work.reopen_each) {
            TOPICFS_TRY_ASSIGN(const Fd once, open_for_appending(work, path));
            TOPICFS_TRY(write_once(once.get(), bytes, path, work.sync_each));
        } else {
            TOPICFS_TRY(write_once(files[file].get(), bytes, path, work.sync_each));
        }
        file = file + 1 == work.paths.size() ? 0 : file + 1;
        done += bytes.size();
        ++report.operations;
    }
    report.seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
    report.bytes = done;
    return {};
}

Result<void> read_loop(const ReadWork& work, ClientContext& context) {
    ClientReport& report = context.report;
    const Fd file(::open(work.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "open", work.path);
    }
    std::vector<char> buffer(work.read_bytes);
    context.wait_for_others();
    const std::uint64_t begin = monotonic_ns();
    const std::uint64_t end = begin + static_cast<std::uint64_t>(work.seconds * 1e9);
    for (bool whole = false; !whole || monotonic_ns() < end;) {
        const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
        if (count < 0) {
            return system_error(errno, "read", work.path);
        }
        if (count == 0) {
            if (report.bytes == 0 || ::lseek(file.get(), 0, SEEK_SET) != 0) {
                return system_error(ENODATA, "read", work.path);
            }
            whole = true;
        }
        ++report.operations;
        report.bytes += static_cast<std::uint64_t>(count);
        if (work.bytes > 0 && report.bytes >= work.bytes) {
            break;
        }
    }
    report.seconds = static_cast<double>(monotonic_ns() - begin) / 1e9;
    return {};
}

namespace {

double slowest(const std::vector<ClientReport>& reports) {
    double seconds = 0;
    for (const ClientReport& report : reports) {
        seconds = std::max(seconds, report.seconds);
    }
    return seconds;
}

}  // namespace

double operations_per_second(const std::vector<ClientReport>& reports) {
    std::uint64_t operations = 0;
    for (const ClientReport& report : reports) {
        operations += report.operations;
    }
    const double seconds = slowest(reports);
    return seconds > 0 ? static_cast<double>(operations) / seconds : 0;
}

double bytes_per_second(const std::vector<ClientReport>& reports) {
    std::uint64_t bytes = 0;
    for (const ClientReport& report : reports) {
        bytes += report.bytes;
    }
    const double seconds = slowest(reports);
    return seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
}

Result<double> measure_append(const AppendWork& work, const Payload& payload, unsigned writers) {
    const Client client{[&](ClientContext& context) { return append_loop(work, payload, context); }};
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients(std::vector<Client>(writers, client), limit_for(work.seconds)));
    return work.write_bytes > 0 ? bytes_per_second(reports) : operations_per_second(reports);
}

Result<double> measure_read(const ReadWork& work, unsigned readers) {
    const Client client{[&](ClientContext& context) { return read_loop(work, context); }};
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients(std::vector<Client>(readers, client), limit_for(work.seconds)));
    return bytes_per_second(reports);
}

}  // namespace topicfs::bench
