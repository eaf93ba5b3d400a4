// Every system call of the engine fails: the N-th one, once and for good, N raised until a run meets no failure.
//
// Whatever failed: an error at the call, or none where it could be absorbed; afterwards, with the fault gone, the store
// opens, and every byte of an append that returned is there. A failed sync is never tried again, and makes the
// partition read-only.
#include "fault/store_run.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace topicfs::test {
namespace {

// A real directory with a fault in front of it.
class FaultyDirectory final {
public:
    explicit FaultyDirectory(const std::filesystem::path& directory) {
        auto opened = open_file_system(directory.string());
        REQUIRE(opened.has_value());
        struct Both {
            std::unique_ptr<FileSystem> inner;
            FaultFileSystem faults;
            explicit Both(std::unique_ptr<FileSystem> fs) : inner(std::move(fs)), faults(*inner) {}
        };
        auto both = std::make_shared<Both>(std::move(opened).value());
        faults_ = std::shared_ptr<FaultFileSystem>(both, &both->faults);
    }
    const std::shared_ptr<FaultFileSystem>& operator->() const { return faults_; }
    const std::shared_ptr<FaultFileSystem>& pointer() const { return faults_; }

private:
    std::shared_ptr<FaultFileSystem> faults_;
};

std::string describe(const Fault& fault) {
    return (fault.short_bytes ? "short write" : std::strerror(fault.system_errno)) +
           std::string(fault.for_good ? ", for good" : ", once") + ", number " + std::to_string(fault.number) + " of " +
           (fault.call.empty() ? "all calls" : fault.call);
}

// The process dies: its last calls fail.
void die(StoreRun& run, FaultFileSystem& fs) {
    Fault all;
    all.for_good = true;
    fs.set(all);
    run.die();
    fs.clear();
}

void check_after(StoreRun& run, FaultFileSystem& fs) {
    die(run, fs);
    const auto opened = run.open();
    INFO((opened ? std::string() : opened.error().message()));
    REQUIRE(opened.has_value());
    run.check(Survives::kAcknowledged);
    run.verify();
    REQUIRE(run.close().has_value());
    REQUIRE(run.open().has_value());
    run.check(Survives::kAcknowledged);
    run.verify();
    REQUIRE(run.close().has_value());
}

// Whether the fault was met.
bool try_scenario(const Fault& fault) {
    const TemporaryDirectory root;
    const FaultyDirectory fs(root.path());
    ManualClock clock(TimestampMs{1'000'000});
    INFO(describe(fault));
    StoreRun run(fs.pointer(), clock, "boot 1");
    fs->set(fault);
    run_scenario(run, clock);
    const bool met = fs->has_failed();
    check_after(run, *fs.pointer());
    return met;
}

// Whether the fault was met while a store was opened that a process left, or a power cut.
bool try_recovery(const Fault& fault, bool power_was_cut) {
    const TemporaryDirectory root;
    const FaultyDirectory fs(root.path());
    ManualClock clock(TimestampMs{1'000'000});
    INFO(describe(fault) << (power_was_cut ? ", after a power cut" : ", after a process's death"));
    StoreRun run(fs.pointer(), clock, "boot 1");
    REQUIRE(run_scenario(run, clock));
    die(run, *fs.pointer());
    run.move_to(fs.pointer(), power_was_cut ? "boot 2" : "boot 1");
    fs->set(fault);
    const auto opened = run.open();
    const bool met = fs->has_failed();
    if (!opened) {
        REQUIRE(to_errno(opened.error()) == fault.system_errno);
    }
    check_after(run, *fs.pointer());
    return met;
}

struct Failure {
    std::string call;
    int system_errno;
    std::optional<std::size_t> short_bytes;
};

// A step of some calls keeps a run of all of them short; over the failures below each is met by many.
template <typename Try>
void raise_until_clean(const Failure& failure, std::uint64_t step, const Try& attempt) {
    for (const bool for_good : {false, true}) {
        Fault fault;
        fault.call = failure.call;
        fault.system_errno = failure.system_errno;
        fault.short_bytes = failure.short_bytes;
        fault.for_good = for_good;
        fault.number = 1;
        while (attempt(fault)) {
            fault.number += step;
        }
        REQUIRE(fault.number > 1);
    }
}

}  // namespace

TEST_CASE("Failing calls: each writing or syncing call of the write path, with EIO") {
    for (const std::string call :
         {"write", "pwrite", "fdatasync", "fsync", "rename", "punch_hole", "make_directory", "close"}) {
        raise_until_clean({call, EIO, std::nullopt}, 1, try_scenario);
    }
}

TEST_CASE("Failing calls: any call of the write path, with EIO, ENOSPC, EMFILE and EINTR") {
    raise_until_clean({"", EIO, std::nullopt}, 3, try_scenario);
    raise_until_clean({"write", ENOSPC, std::nullopt}, 1, try_scenario);
    raise_until_clean({"pwrite", ENOSPC, std::nullopt}, 1, try_scenario);
    raise_until_clean({"open", EMFILE, std::nullopt}, 1, try_scenario);
    raise_until_clean({"open", ENOSPC, std::nullopt}, 3, try_scenario);
}

TEST_CASE("Failing calls: short writes, and a disk that gets full after one") {
    raise_until_clean({"write", ENOSPC, 3}, 1, try_scenario);
    raise_until_clean({"pwrite", ENOSPC, 7}, 1, try_scenario);
    raise_until_clean({"pread", EIO, 5}, 7, try_scenario);
}

TEST_CASE("Failing calls: EINTR is absorbed where a call may be repeated") {
    for (const std::string call : {"write", "pwrite", "pread"}) {
        for (std::uint64_t number = 1;; ++number) {
            const TemporaryDirectory root;
            const FaultyDirectory fs(root.path());
            ManualClock clock(TimestampMs{1'000'000});
            StoreRun run(fs.pointer(), clock, "boot 1");
            fs->set({call, "", number, false, EINTR});
            INFO("EINTR from " << call << " " << number);
            REQUIRE(run_scenario(run, clock));
            const bool met = fs->has_failed();
            check_after(run, *fs.pointer());
            if (!met) {
                break;
            }
            number += 10;
        }
    }
}

TEST_CASE("Failing calls: recovery after a process's death, each call") {
    const auto attempt = [](const Fault& fault) { return try_recovery(fault, false); };
    raise_until_clean({"", EIO, std::nullopt}, 1, attempt);
    raise_until_clean({"open", EMFILE, std::nullopt}, 1, attempt);
    raise_until_clean({"pwrite", ENOSPC, std::nullopt}, 1, attempt);
    raise_until_clean({"unlink", EIO, std::nullopt}, 1, attempt);
    raise_until_clean({"truncate", EIO, std::nullopt}, 1, attempt);
}

TEST_CASE("Failing calls: recovery after a power cut, each call") {
    const auto attempt = [](const Fault& fault) { return try_recovery(fault, true); };
    raise_until_clean({"", EIO, std::nullopt}, 2, attempt);
    raise_until_clean({"pwrite", ENOSPC, std::nullopt}, 1, attempt);
    raise_until_clean({"pwrite", ENOSPC, 100}, 1, attempt);
}

TEST_CASE("Failing calls: after a failed fdatasync a partition refuses appends and syncs until it is opened again") {
    for (const int system_errno : {EIO, ENOSPC, EINTR}) {
        const TemporaryDirectory root;
        const FaultyDirectory fs(root.path());
        ManualClock clock(TimestampMs{1'000'000});
        StoreRun run(fs.pointer(), clock, "boot 1");
        REQUIRE(run.open().has_value());
        REQUIRE(run.create_topic("lines").has_value());
        REQUIRE(run.append("lines", 0, "one\n").has_value());
        fs->set({"fdatasync", ".head", 1, false, system_errno});
        const auto synced = run.sync("lines", 0);
        REQUIRE_FALSE(synced.has_value());
        REQUIRE(to_errno(synced.error()) == system_errno);
        REQUIRE(fs->matching_calls() == 1);
        const auto appended = run.append("lines", 0, "two\n");
        REQUIRE_FALSE(appended.has_value());
        REQUIRE(appended.error().code == ErrorCode::kReadOnly);
        REQUIRE_FALSE(run.sync("lines", 0).has_value());
        (void)run.maintain(true).has_value();
        (void)run.close().has_value();
        REQUIRE(fs->matching_calls() == 1);  // It was never tried again.
        fs->clear();
        REQUIRE(run.open().has_value());
        run.check(Survives::kAcknowledged);
        REQUIRE(run.append("lines", 0, "three\n").has_value());
        REQUIRE(run.sync("lines", 0).has_value());
    }
}

TEST_CASE("Failing calls: after a failed fdatasync of a segment nothing of head is given back") {
    const TemporaryDirectory root;
    const FaultyDirectory fs(root.path());
    ManualClock clock(TimestampMs{1'000'000});
    StoreRun run(fs.pointer(), clock, "boot 1");
    REQUIRE(run.open().has_value());
    REQUIRE(run.create_topic("lines").has_value());
    REQUIRE(run.append("lines", 0, std::string(50'000, 'x') + "\n").has_value());
    fs->set({"fdatasync", ".log.lz4", 1, false, EIO});
    (void)run.maintain(true).has_value();
    REQUIRE(fs->has_failed());
    REQUIRE(fs->calls("punch_hole") == 0);
    REQUIRE_FALSE(run.append("lines", 0, "refused\n").has_value());
    (void)run.close().has_value();
    REQUIRE(fs->matching_calls() == 1);
    REQUIRE(fs->calls("punch_hole") == 0);
    fs->clear();
    REQUIRE(run.open().has_value());
    run.check(Survives::kAcknowledged);
}

TEST_CASE("Failing calls: a topic whose removal failed goes on as before") {
    for (const std::string call : {"rename", "fsync"}) {
        const TemporaryDirectory root;
        const FaultyDirectory fs(root.path());
        ManualClock clock(TimestampMs{1'000'000});
        StoreRun run(fs.pointer(), clock, "boot 1");
        REQUIRE(run.open().has_value());
        REQUIRE(run.create_topic("lines").has_value());
        fs->set({call, "", 1, false, EIO});
        REQUIRE_FALSE(run.store().remove_topic("lines").has_value());
        fs->clear();
        if (run.store().topic("lines")) {
            REQUIRE(run.append("lines", 0, "one\n").has_value());
            check_after(run, *fs.pointer());
        } else {
            REQUIRE(call == "fsync");
        }
    }
}

TEST_CASE("Failing calls: what a full disk kept from being made can be made once there is room") {
    for (std::uint64_t number = 1;; ++number) {
        INFO("write " << number);
        const TemporaryDirectory root;
        const FaultyDirectory fs(root.path());
        ManualClock clock(TimestampMs{1'000'000});
        StoreRun run(fs.pointer(), clock, "boot 1");
        REQUIRE(run.open().has_value());
        REQUIRE(run.create_topic("lines").has_value());
        fs->set({"pwrite", "", number, true, ENOSPC});
        const bool made = run.add_partition("lines").has_value() && run.create_topic("bytes").has_value();
        REQUIRE(made == !fs->has_failed());
        fs->clear();
        if (run.partition_count("lines") == 1) {
            const auto again = run.add_partition("lines");
            INFO((again ? std::string() : again.error().message()));
            REQUIRE(again.has_value());
        }
        if (!run.has_topic("bytes")) {
            REQUIRE(run.create_topic("bytes").has_value());
        }
        REQUIRE(run.append("lines", 1, "one\n").has_value());
        check_after(run, *fs.pointer());
        if (made) {
            break;
        }
    }
}

}  // namespace topicfs::test
