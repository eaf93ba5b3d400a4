// Power cuts on a real ext4: an image on a loop device, shut down by its own ioctl without a flush of the journal,
// mounted again.
//
// Needs root and a loop device; is skipped aloud where they are not to be had. TOPICFS_EXT4_ROUNDS is the number of
// random rounds.
#include "fault/loop_mount.h"
#include "fault/store_run.h"
#include "support/fault_file_system.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <iostream>

namespace topicfs::test {
namespace {

std::shared_ptr<FileSystem> file_system_in(const std::filesystem::path& directory) {
    auto opened = open_file_system(directory.string());
    REQUIRE(opened.has_value());
    return std::move(opened).value();
}

std::filesystem::path store_directory(const LoopMount& mount) {
    const std::filesystem::path directory = mount.path() / "store";
    std::filesystem::create_directory(directory);
    return directory;
}

// Cuts the power, lets the process die, and looks at what is left.
void cut_and_check(LoopMount& mount, StoreRun& run, const std::string& boot_id) {
    mount.shut_down();
    run.die();
    run.move_to(nullptr, boot_id);
    mount.mount_again();
    run.move_to(file_system_in(store_directory(mount)), boot_id);
    const auto opened = run.open();
    INFO((opened ? std::string() : opened.error().message()));
    REQUIRE(opened.has_value());
    run.check(Survives::kSynced);
    run.verify();
}

std::uint64_t random_rounds() {
    const char* const given = std::getenv("TOPICFS_EXT4_ROUNDS");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 12;
}

}  // namespace

TEST_CASE(
    "Power cut on ext4: random work with cuts at random moments keeps what was synced, and of the rest a prefix") {
    Random random;
    INFO("seed " << random.seed());
    for (const unsigned block_bytes : {4096u, 1024u}) {
        INFO("blocks of " << block_bytes << " bytes");
        std::string why;
        auto mount = LoopMount::make(64u << 20, block_bytes, why);
        if (!mount) {
            WARN("skipped, as no ext4 image can be mounted here: " << why);
            std::cerr << "SKIPPED: no ext4 image can be mounted here: " << why << "\n";
            return;
        }
        ManualClock clock(TimestampMs{1'000'000});
        StoreRun run(file_system_in(store_directory(*mount)), clock, "boot 0");
        REQUIRE(run.open().has_value());
        REQUIRE(make_topics(run).has_value());
        for (std::uint64_t round = 1; round <= random_rounds(); ++round) {
            INFO("round " << round);
            const std::uint64_t things = random.between(1, 60);
            for (std::uint64_t i = 0; i < things; ++i) {
                const auto done = do_something(run, clock, random);
                INFO((done ? std::string() : done.error().message()));
                REQUIRE(done.has_value());
            }
            cut_and_check(*mount, run, "boot " + std::to_string(round));
        }
        run.move_to(nullptr, "");
    }
}

TEST_CASE("Power cut on ext4: behind each call that changes something, in a fixed scenario") {
    std::string why;
    auto mount = LoopMount::make(64u << 20, 4096, why);
    if (!mount) {
        WARN("skipped, as no ext4 image can be mounted here: " << why);
        return;
    }
    const std::uint64_t calls_between = random_rounds() > 100 ? 7 : 23;
    for (std::uint64_t number = 5, met = 1; met != 0; number += calls_between) {
        INFO("cut before call " << number);
        std::filesystem::remove_all(mount->path() / "store");
        ManualClock clock(TimestampMs{1'000'000});
        std::shared_ptr<FileSystem> inner = file_system_in(store_directory(*mount));
        auto faults = std::make_shared<FaultFileSystem>(*inner);
        std::uint64_t seen = 0;
        faults->observe([&](std::string_view, const std::string&) {
            if (++seen == number) {
                mount->shut_down();
            }
        });
        StoreRun run(faults, clock, "boot 1");
        run_scenario(run, clock);
        met = seen >= number ? 1 : 0;
        mount->shut_down();
        run.move_to(nullptr, "");
        faults.reset();
        inner.reset();  // else it cannot be unmounted
        cut_and_check(*mount, run, "boot 2");
        run.move_to(nullptr, "");
    }
}

}  // namespace topicfs::test
