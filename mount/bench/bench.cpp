#include "mount/bench/bench.h"

#include "io/fd.h"
#include "mount/bench/stop.h"
#include "mount/command.h"
#include "mount/mount_table.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

namespace topicfs::bench {

Result<Scratch> Scratch::make(const std::string& directory) {
    TOPICFS_TRY_ASSIGN(const std::string absolute, resolve_path(directory));
    std::string pattern = absolute + "/topicfs-bench.XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        return system_error(errno, "make a folder", absolute);
    }
    return Scratch(pattern);
}

Scratch::~Scratch() {
    if (path_.empty()) {
        return;
    }
    if (const auto table = read_mount_table()) {
        for (const MountEntry& mount : *table) {
            if (is_inside(mount.mount_point, path_)) {
                take_mount_away(mount.mount_point);
            }
        }
    }
    const auto table = read_mount_table();
    const bool still_mounted = !table || std::any_of(table->begin(), table->end(), [&](const MountEntry& mount) {
        return is_inside(mount.mount_point, path_);
    });
    std::error_code failure;
    if (!still_mounted) {
        std::filesystem::remove_all(path_, failure);
    }
    if (still_mounted || failure) {
        warn(path_ + ": it could not be removed; look what is mounted there, and remove it by hand");
    }
}

unsigned Bench::cores() const {
    cpu_set_t set;
    CPU_ZERO(&set);
    return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

void Bench::show_progress(const std::string& text) const {
    if (::isatty(STDERR_FILENO) == 1) {
        std::fprintf(stderr, "\r%s\x1b[K", text.c_str());
        std::fflush(stderr);
    }
}

Result<void> Bench::take(Row row) {
    show_progress("");
    if (!options_.json && !print(row.text())) {
        // Nobody reads it any more; the rest need not be measured.
        return system_error(EPIPE, "write", "standard output");
    }
    results_.push_back(std::move(row));
    return {};
}

Result<void> Bench::row(const RowSpec& spec, const std::function<Result<Samples>()>& measure) {
    return rows({spec}, [&]() -> Result<std::vector<Samples>> {
        TOPICFS_TRY_ASSIGN(Samples samples, measure());
        return std::vector<Samples>{std::move(samples)};
    });
}

Result<void> Bench::rows(const std::vector<RowSpec>& specs,
                         const std::function<Result<std::vector<Samples>>()>& measure) {
    TOPICFS_TRY(check_stop());
    current_ = specs.front().name;
    show_progress(current_ + ": preparing");
    const Result<std::vector<Samples>> outcome = measure();
    TOPICFS_TRY(check_stop());
    for (std::size_t i = 0; i < specs.size(); ++i) {
        Row row{specs[i], {}, {}};
        if (outcome) {
            row.samples = outcome->at(i);
        } else {
            row.reason = outcome.error().message();
        }
        TOPICFS_TRY(take(std::move(row)));
    }
    return {};
}

Result<double> Bench::one(const Measure& measure, unsigned pair, const char* side) {
    show_progress(current_ + ": " + side + ", pair " + std::to_string(pair + 1) + " of " +
                  std::to_string(options_.pairs));
    TOPICFS_TRY(check_stop());
    TOPICFS_TRY_ASSIGN(const double figure, measure());
    const Fd directory(::open(scratch_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::syncfs(directory.get()) != 0) {
        return system_error(errno, "sync", scratch_);
    }
    return figure;
}

Result<Samples> Bench::in_turns(const Measure& ours, const Measure& theirs) {
    Samples samples;
    for (unsigned pair = 0; pair < options_.pairs; ++pair) {
        TOPICFS_TRY_ASSIGN(const double our, one(ours, pair, "ours"));
        TOPICFS_TRY_ASSIGN(const double their, one(theirs, pair, "baseline"));
        samples.ours.push_back(our);
        samples.theirs.push_back(their);
    }
    return samples;
}

Result<Samples> Bench::repeated(const Measure& ours) {
    Samples samples;
    for (unsigned pair = 0; pair < options_.pairs; ++pair) {
        TOPICFS_TRY_ASSIGN(const double our, one(ours, pair, "ours"));
        samples.ours.push_back(our);
    }
    return samples;
}

Result<NullFuse> Bench::start_null(NullMode mode, std::uint64_t file_bytes) const {
    NullFuseOptions options;
    options.mode = mode;
    options.mount_point = scratch_ + "/null";
    options.backing_file = scratch_ + "/null.backing";
    options.file_bytes = file_bytes;
    if (::mkdir(options.mount_point.c_str(), 0700) != 0 && errno != EEXIST) {
        return system_error(errno, "make a folder", options.mount_point);
    }
    return NullFuse::start(options);
}

Error not_measurable(std::string reason) {
    return make_error(ErrorCode::kInvalid, "", "", std::move(reason));
}

}  // namespace topicfs::bench
