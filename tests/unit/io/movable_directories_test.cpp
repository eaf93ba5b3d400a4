#include "io/movable_directories.h"

#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <atomic>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct Fixture {
    Fixture() {
        for (const char* name : {"topics", "trash", "topics/a"}) {
            REQUIRE(inner->make_directory(name));
        }
        write_file(root / "topics/a/file", "old");
    }
    std::string read(const std::string& path) {
        auto content = read_small_file(fs, path, 1000);
        return content ? *content : "error: " + content.error().path;
    }

    TemporaryDirectory root;
    std::unique_ptr<FileSystem> inner = std::move(*open_file_system(root.string()));
    FaultFileSystem faults{*inner};
    MovableDirectories fs{faults};
};

}  // namespace

TEST_CASE_METHOD(Fixture, "MovableDirectories: paths go on to lead to a directory that was moved") {
    const auto name = fs.name("topics/a");
    CHECK(*name == "topics/a");
    REQUIRE(fs.move(*name, "trash/b"));
    CHECK(fs.place("topics/a/file") == "trash/b/file");
    CHECK(fs.place("topics/a") == "trash/b");
    CHECK(fs.place("topics/ab/file") == "topics/ab/file");
    CHECK(fs.place("topics") == "topics");
    CHECK(read("topics/a/file") == "old");
    CHECK(read_file(root / "trash/b/file") == "old");
    REQUIRE(replace_file(fs, "topics/a/file", "new"));
    REQUIRE(fs.make_directory("topics/a/0"));
    REQUIRE(fs.rename("topics/a/0", "topics/a/1"));
    CHECK(fs.info("topics/a/1")->is_directory);
    CHECK(fs.list("topics/a")->size() == 2);
    REQUIRE(fs.remove_directory("topics/a/1"));
    CHECK(read_file(root / "trash/b/file") == "new");
    REQUIRE(fs.unlink("topics/a/file"));
    CHECK_FALSE(inner->info("topics/a"));
    REQUIRE(fs.move(*name, "topics/c"));
    CHECK(fs.list("topics/a")->empty());
}

TEST_CASE_METHOD(Fixture, "MovableDirectories: what takes the old place has another name, and neither is mixed up") {
    const auto old_name = fs.name("topics/a");
    REQUIRE(fs.move(*old_name, "trash/a"));
    REQUIRE(inner->make_directory("topics/a"));
    write_file(root / "topics/a/file", "young");
    auto young = fs.name("topics/a");
    CHECK(*young == "topics/a~2");
    CHECK(read("topics/a/file") == "old");
    CHECK(read(*young + "/file") == "young");
    // The third, while both are in use.
    REQUIRE(fs.move(*young, "trash/b"));
    REQUIRE(inner->make_directory("topics/a"));
    CHECK(*fs.name("topics/a") == "topics/a~3");
    CHECK(read(*young + "/file") == "young");
}

TEST_CASE_METHOD(Fixture, "MovableDirectories: a name that nobody uses any more is free") {
    auto name = fs.name("topics/a");
    REQUIRE(fs.move(*name, "trash/a"));
    name.reset();
    CHECK(fs.place("topics/a") == "topics/a");
    REQUIRE(inner->rename("trash/a", "topics/a"));
    CHECK(*fs.name("topics/a") == "topics/a");
}

TEST_CASE_METHOD(Fixture, "MovableDirectories: what is open knows its name, errors tell the place") {
    const auto name = fs.name("topics/a");
    auto file = fs.open("topics/a/file", O_RDONLY);
    REQUIRE(file);
    REQUIRE(fs.move(*name, "trash/a"));
    CHECK(file->path == "topics/a/file");
    CHECK(fs.open(file->path, O_RDONLY)->path == "topics/a/file");
    CHECK(fs.open("topics/a/none", O_RDONLY).error().path == "trash/a/none");
    Fault fault;
    fault.call = "pread";
    faults.set(fault);
    std::array<std::byte, 4> into{};
    const auto got = fs.pread(*file, into, 0);
    REQUIRE_FALSE(got);
    CHECK(got.error().path == "trash/a/file");
    CHECK(&fs.spare_files() == &faults.spare_files());
}

TEST_CASE_METHOD(Fixture, "MovableDirectories: a move that fails changes nothing") {
    const auto name = fs.name("topics/a");
    Fault fault;
    fault.call = "rename";
    faults.set(fault);
    CHECK(fs.move(*name, "trash/a").error().system_errno == EIO);
    CHECK(read("topics/a/file") == "old");
    CHECK(fs.place("topics/a") == "topics/a");
}

TEST_CASE_METHOD(Fixture, "MovableDirectories: calls find their directory while it moves to and fro") {
    const auto name = fs.name("topics/a");
    std::atomic<bool> done{false};
    std::thread mover([&] {
        for (int i = 0; i < 300; ++i) {
            REQUIRE(fs.move(*name, i % 2 == 0 ? "trash/a" : "topics/b"));
        }
        done = true;
    });
    std::uint64_t misses = 0;
    while (!done) {
        misses += static_cast<std::uint64_t>(read("topics/a/file") != "old");
    }
    mover.join();
    CHECK(misses == 0);
}
