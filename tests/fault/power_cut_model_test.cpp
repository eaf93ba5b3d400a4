// Power cuts, in a model of a journaling file system (support/power_cut_file_system.h).
//
// TOPICFS_POWER_CUT_ROUNDS is the number of random runs; each has two cuts.
#include "fault/store_run.h"
#include "support/power_cut_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>

namespace topicfs::test {
namespace {

std::uint64_t rounds(const char* variable, std::uint64_t otherwise) {
    const char* const given = std::getenv(variable);
    return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

std::filesystem::path new_directory(const TemporaryDirectory& root, const std::string& name) {
    std::filesystem::create_directory(root / name);
    return root / name;
}

using FileSystemPointer = std::shared_ptr<PowerCutFileSystem>;

FileSystemPointer file_system_in(const std::filesystem::path& directory) {
    return std::make_shared<PowerCutFileSystem>(directory);
}

// The store that is left in `directory`: opens, holds what it must, shows the same when opened once more.
void check_what_is_left(StoreRun& run, const FileSystemPointer& left, const std::string& boot_id) {
    run.move_to(left, boot_id);
    const auto opened = run.open();
    INFO((opened ? std::string() : opened.error().message()));
    REQUIRE(opened.has_value());
    run.check(Survives::kSynced);
    run.verify();
}

void check_again(StoreRun& run) {
    REQUIRE(run.close().has_value());
    REQUIRE(run.open().has_value());
    run.check(Survives::kAcknowledged);
    run.verify();
}

}  // namespace

TEST_CASE("Power cut: at every step of a fixed scenario what was synced is kept, and of the rest a prefix") {
    Random random;
    INFO("seed " << random.seed());
    std::uint64_t step = 1;
    for (bool clean = false; !clean; ++step) {
        INFO("cut before change " << step);
        const TemporaryDirectory root;
        ManualClock clock(TimestampMs{1'000'000});
        const auto fs = file_system_in(new_directory(root, "first"));
        fs->freeze_before(step);
        StoreRun run(fs, clock, "boot 1");
        clean = run_scenario(run, clock);
        REQUIRE(clean == !fs->is_frozen());
        fs->freeze();
        run.die();
        const auto directory = new_directory(root, "second");
        fs->materialize(directory, random);
        const auto left = file_system_in(directory);
        check_what_is_left(run, left, "boot 2");
        // Opening changes things too. A second cut, right behind it.
        left->freeze();
        run.die();
        const auto last_directory = new_directory(root, "third");
        left->materialize(last_directory, random);
        const auto last = file_system_in(last_directory);
        check_what_is_left(run, last, "boot 3");
        check_again(run);
    }
    REQUIRE(step > 200);
}

TEST_CASE("Power cut: recovery that is cut at each of its steps starts anew") {
    Random random;
    INFO("seed " << random.seed());
    for (std::uint64_t cut = 60; cut < 400; cut += 37) {
        const TemporaryDirectory root;
        ManualClock clock(TimestampMs{1'000'000});
        const auto fs = file_system_in(new_directory(root, "first"));
        fs->freeze_before(cut);
        StoreRun run(fs, clock, "boot 1");
        run_scenario(run, clock);
        fs->freeze();
        run.die();
        for (std::uint64_t step = 1, recovered = 0; recovered == 0; ++step) {
            INFO("cut before change " << cut << ", then before change " << step << " of the recovery");
            const std::string name = std::to_string(step);
            const auto directory = new_directory(root, name);
            fs->materialize(directory, random);
            const auto left = file_system_in(directory);
            left->freeze_before(step);
            run.move_to(left, "boot 2");
            recovered = run.open().has_value() ? 1 : 0;
            left->freeze();
            run.die();
            const auto last_directory = new_directory(root, name + "-left");
            left->materialize(last_directory, random);
            StoreRun copy = run;
            const auto last = file_system_in(last_directory);
            check_what_is_left(copy, last, "boot 3");
            copy.die();
        }
    }
}

TEST_CASE("Power cut: a checkpoint of so many partitions that they are synced together, cut at its steps") {
    constexpr std::uint32_t kPartitions = 18;
    Random random;
    INFO("seed " << random.seed());
    std::uint64_t step = 1;
    for (bool clean = false; !clean; step += 5) {
        INFO("cut before change " << step << " of the checkpoint");
        const TemporaryDirectory root;
        ManualClock clock(TimestampMs{1'000'000});
        const auto fs = file_system_in(new_directory(root, "first"));
        StoreRun run(fs, clock, "boot 1");
        REQUIRE(run.open().has_value());
        REQUIRE(run.create_topic("lines").has_value());
        REQUIRE(run.set("lines", "seal.bytes", "4096").has_value());
        while (run.partition_count("lines") < kPartitions) {
            REQUIRE(run.add_partition("lines").has_value());
        }
        for (int round = 0; round < 2; ++round) {
            for (std::uint32_t number = 0; number < kPartitions; ++number) {
                REQUIRE(run.append("lines", number, to_text(random.log_lines(9000))).has_value());
                REQUIRE(run.sync("lines", number).has_value());
                REQUIRE(run.append("lines", number, to_text(random.log_lines(3000))).has_value());
            }
            if (round == 1) {
                fs->freeze_before(fs->changes() + step);
            }
            (void)run.maintain(true).has_value();
        }
        clean = !fs->is_frozen();
        fs->freeze();
        run.die();
        const auto directory = new_directory(root, "second");
        fs->materialize(directory, random);
        check_what_is_left(run, file_system_in(directory), "boot 2");
        check_again(run);
    }
    REQUIRE(step > 100);
}

TEST_CASE("Power cut: random work with cuts at random moments keeps what was synced, and of the rest a prefix") {
    Random random;
    INFO("seed " << random.seed());
    const std::uint64_t count = rounds("TOPICFS_POWER_CUT_ROUNDS", 120);
    for (std::uint64_t round = 0; round < count; ++round) {
        const TemporaryDirectory root;
        ManualClock clock(TimestampMs{1'000'000});
        auto fs = file_system_in(new_directory(root, "0"));
        StoreRun run(fs, clock, "boot 0");
        REQUIRE(run.open().has_value());
        REQUIRE(make_topics(run).has_value());
        for (int cut = 1; cut <= 3; ++cut) {
            INFO("round " << round << ", cut " << cut);
            // Either between two things, or within one.
            const std::uint64_t things = random.between(1, 60);
            if (random.one_in(2)) {
                fs->freeze_before(fs->changes() + random.between(1, 150));
            }
            for (std::uint64_t i = 0; i < things && !fs->is_frozen(); ++i) {
                const auto done = do_something(run, clock, random);
                INFO((done ? std::string() : done.error().message()));
                REQUIRE((done.has_value() || fs->is_frozen()));
            }
            fs->freeze();
            run.die();
            const std::string name = std::to_string(cut);
            const auto directory = new_directory(root, name);
            fs->materialize(directory, random);
            const auto left = file_system_in(directory);
            clock.advance(1000);
            check_what_is_left(run, left, "boot " + name);
            if (random.one_in(3)) {
                check_again(run);
            }
            fs = left;
        }
        fs->freeze();
        run.die();
    }
}

}  // namespace topicfs::test
