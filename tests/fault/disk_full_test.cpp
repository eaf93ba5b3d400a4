// A disk that is really full: an ext4 image on a loop device, filled by a ballast file.
//
// Needs root and a loop device; is skipped aloud where they are not to be had.
#include "fault/loop_mount.h"
#include "fault/store_run.h"
#include "support/bytes.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

namespace topicfs::test {
namespace {

std::shared_ptr<FileSystem> file_system_in(const std::filesystem::path& directory) {
    auto opened = open_file_system(directory.string());
    REQUIRE(opened.has_value());
    return std::move(opened).value();
}

// Takes all the room there is.
void fill(const std::filesystem::path& path) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    REQUIRE(fd);
    const std::string block(1u << 16, 'b');
    std::size_t size = block.size();
    while (size > 0) {
        if (::write(fd.get(), block.data(), size) <= 0) {
            size /= 2;
        }
    }
    REQUIRE(errno == ENOSPC);
    ::fsync(fd.get());
}

// Appends until nothing more is taken; the errno that it ended with.
int append_until_full(StoreRun& run, Random& random) {
    for (int i = 0; i < 1000; ++i) {
        const auto appended = run.append("lines", 0, to_text(random.log_lines(random.between(1000, 60'000))));
        if (!appended) {
            return to_errno(appended.error());
        }
    }
    return 0;
}

}  // namespace

TEST_CASE("Full disk: ENOSPC at the append, nothing acknowledged is lost, and it goes on once there is room") {
    std::string why;
    const auto mount = LoopMount::make(16u << 20, 4096, why);
    if (!mount) {
        WARN("skipped, as no ext4 image can be mounted here: " << why);
        std::cerr << "SKIPPED: no ext4 image can be mounted here: " << why << "\n";
        return;
    }
    Random random;
    INFO("seed " << random.seed());
    std::filesystem::create_directory(mount->path() / "store");
    ManualClock clock(TimestampMs{1'000'000});
    StoreRun run(file_system_in(mount->path() / "store"), clock, "boot 1");
    REQUIRE(run.open().has_value());
    REQUIRE(run.create_topic("lines").has_value());
    REQUIRE(run.set("lines", "seal.bytes", "50000").has_value());
    REQUIRE(run.append("lines", 0, to_text(random.log_lines(400'000))).has_value());
    REQUIRE(run.maintain(true).has_value());
    REQUIRE(run.append("lines", 0, to_text(random.log_lines(100'000))).has_value());
    fill(mount->path() / "ballast");

    REQUIRE(append_until_full(run, random) == ENOSPC);
    REQUIRE(append_until_full(run, random) == ENOSPC);  // It is no failure for good.
    run.check(Survives::kAcknowledged);
    (void)run.maintain(true).has_value();  // Sealing may find no room; nothing is lost by that.
    run.check(Survives::kAcknowledged);
    (void)run.sync("lines", 0).has_value();

    SECTION("appends go on without opening it again") {
        std::filesystem::remove(mount->path() / "ballast");
        REQUIRE(run.append("lines", 0, to_text(random.log_lines(200'000))).has_value());
        REQUIRE(run.maintain(true).has_value());
        const auto status = (*run.partition("lines", 0))->status();
        REQUIRE(status.has_value());
        REQUIRE(status->sealed_end == status->end);
        run.check(Survives::kAcknowledged);
        REQUIRE(run.close().has_value());
    }
    SECTION("it can be closed and opened while the disk is full") {
        (void)run.close().has_value();
        for (const std::string boot_id : {"boot 1", "boot 2", "without an index"}) {
            if (boot_id == "without an index") {
                run.move_to(nullptr, "");
                std::filesystem::remove(mount->path() / "store/topics/lines/0/00000000000000000000.index");
                fill(mount->path() / "ballast");
            }
            run.move_to(file_system_in(mount->path() / "store"), boot_id);
            const auto opened = run.open();
            INFO((opened ? std::string() : opened.error().message()));
            REQUIRE(opened.has_value());
            run.check(Survives::kAcknowledged);
        }
        std::filesystem::remove(mount->path() / "ballast");
        clock.advance(10);  // The disk is not looked at more often.
        REQUIRE(run.append("lines", 0, to_text(random.log_lines(200'000))).has_value());
        REQUIRE(run.maintain(true).has_value());
        run.check(Survives::kAcknowledged);
        run.verify();
    }
    run.move_to(nullptr, "");
}

}  // namespace topicfs::test
