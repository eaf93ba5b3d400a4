#include "io/file_system.h"

#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace topicfs {
namespace {

class Fixture {
public:
    Fixture() : real_(std::move(open_file_system(directory_.string()).value())), fs_(*real_) {}
    test::FaultFileSystem& fs() { return fs_; }
    std::filesystem::path path(const char* name) const { return directory_ / name; }
    File open(const char* name, int flags = O_RDWR | O_CREAT) { return fs_.open(name, flags).value(); }

private:
    test::TemporaryDirectory directory_;
    std::unique_ptr<FileSystem> real_;
    test::FaultFileSystem fs_;
};

TEST_CASE_METHOD(Fixture, "read_at: finishes short reads and goes on after EINTR") {
    test::write_file(path("file"), "hello world");
    const File file = open("file");
    std::vector<std::byte> into(8);
    fs().set({.call = "pread", .short_bytes = 3});
    CHECK(read_at(fs(), file, into, 1).value() == 8);
    CHECK(test::to_text(into) == "ello wor");
    fs().set({.call = "pread", .system_errno = EINTR});
    CHECK(read_at(fs(), file, into, 1).value() == 8);
    CHECK(fs().has_failed());
}

TEST_CASE_METHOD(Fixture, "read_at: gives less only at the end of the file") {
    test::write_file(path("file"), "hello");
    const File file = open("file");
    std::vector<std::byte> into(8);
    CHECK(read_at(fs(), file, into, 2).value() == 3);
    CHECK(read_at(fs(), file, into, 5).value() == 0);
}

TEST_CASE_METHOD(Fixture, "read_at: repeats nothing after another error than EINTR") {
    test::write_file(path("file"), "hello");
    const File file = open("file");
    std::vector<std::byte> into(3);
    fs().set({.call = "pread", .system_errno = EAGAIN});
    const Result<std::size_t> got = read_at(fs(), file, into, 0);
    REQUIRE_FALSE(got.has_value());
    CHECK(is_errno(got.error(), EAGAIN));
    CHECK(fs().matching_calls() == 1);
}

TEST_CASE_METHOD(Fixture, "write_at: finishes short writes and goes on after EINTR") {
    const File file = open("file");
    fs().set({.call = "pwrite", .short_bytes = 3});
    REQUIRE(write_at(fs(), file, test::to_bytes("hello world"), 2).has_value());
    fs().set({.call = "pwrite", .system_errno = EINTR});
    REQUIRE(write_at(fs(), file, test::to_bytes("Hello"), 2).has_value());
    CHECK(test::read_file(path("file")) == std::string("\0\0Hello world", 13));
}

TEST_CASE_METHOD(Fixture, "write_at: a write that moves nothing is an error and no endless loop") {
    const File file = open("file");
    fs().set({.call = "pwrite", .short_bytes = 0});
    const Result<void> written = write_at(fs(), file, test::to_bytes("hello"), 0);
    REQUIRE_FALSE(written.has_value());
    CHECK(is_errno(written.error(), EIO));
}

TEST_CASE_METHOD(Fixture, "append: a full disk shows as a short count first, then as ENOSPC") {
    const File file = open("file", O_WRONLY | O_CREAT | O_APPEND);
    fs().set({.call = "write", .for_good = true, .system_errno = ENOSPC, .short_bytes = 4});
    CHECK(append(fs(), file, test::to_bytes("hello world")).value() == 4);
    const Result<std::size_t> again = append(fs(), file, test::to_bytes("o world"));
    REQUIRE_FALSE(again.has_value());
    CHECK(is_errno(again.error(), ENOSPC));
    CHECK(test::read_file(path("file")) == "hell");
}

TEST_CASE_METHOD(Fixture, "append: finishes short writes and goes on after EINTR") {
    const File file = open("file", O_WRONLY | O_CREAT | O_APPEND);
    fs().set({.call = "write", .short_bytes = 4});
    CHECK(append(fs(), file, test::to_bytes("hello ")).value() == 6);
    fs().set({.call = "write", .system_errno = EINTR});
    CHECK(append(fs(), file, test::to_bytes("world")).value() == 5);
    CHECK(test::read_file(path("file")) == "hello world");
}

TEST_CASE_METHOD(Fixture, "append: of nothing makes no call") {
    const File file = open("file", O_WRONLY | O_CREAT | O_APPEND);
    fs().set({.call = "write"});
    CHECK(append(fs(), file, {}).value() == 0);
    CHECK(fs().matching_calls() == 0);
}

TEST_CASE_METHOD(Fixture, "sync_directory: a failed fsync is reported and never repeated, not even after EINTR") {
    for (const int system_errno : {EIO, EINTR}) {
        fs().set({.call = "fsync", .system_errno = system_errno});
        const Result<void> synced = sync_directory(fs(), "");
        REQUIRE_FALSE(synced.has_value());
        CHECK(is_errno(synced.error(), system_errno));
        CHECK(fs().matching_calls() == 1);
    }
}

TEST_CASE_METHOD(Fixture, "read_small_file: gives the whole file, up to the bound and not beyond") {
    for (const std::size_t size : {0u, 1u, 4095u, 4096u, 10000u}) {
        const std::string content(size, 'x');
        test::write_file(path("file"), content);
        CHECK(read_small_file(fs(), "file", 10000).value() == content);
        CHECK(read_small_file(fs(), "file", size).value() == content);
        if (size > 0) {
            const Result<std::string> refused = read_small_file(fs(), "file", size - 1);
            REQUIRE_FALSE(refused.has_value());
            CHECK(refused.error().code == ErrorCode::kTooLarge);
        }
    }
}

TEST_CASE_METHOD(Fixture, "read_small_file: reads on where the file has grown since its size was taken") {
    test::write_file(path("file"), "hello");
    bool has_grown = false;
    fs().observe([&](std::string_view name, const std::string&) {
        if (name == "pread" && !std::exchange(has_grown, true)) {
            test::write_file(path("file"), "hello and much more");
        }
    });
    CHECK(read_small_file(fs(), "file", 100).value() == "hello and much more");
}

TEST_CASE_METHOD(Fixture, "read_small_file: what is no regular file is refused, and a FIFO does not stop us") {
    REQUIRE(fs().make_directory("folder").has_value());
    REQUIRE(::mkfifo(path("fifo").c_str(), 0600) == 0);
    for (const char* const name : {"folder", "fifo"}) {
        const Result<std::string> content = read_small_file(fs(), name, 100);
        REQUIRE_FALSE(content.has_value());
        CHECK(content.error().code == ErrorCode::kInvalid);
    }
}

TEST_CASE_METHOD(Fixture, "replace_file: syncs the content, renames, then syncs the folder, in that order") {
    REQUIRE(fs().make_directory("folder").has_value());
    test::write_file(path("folder/file"), "old");
    std::vector<std::string> calls;
    fs().observe(
        [&](std::string_view name, const std::string& where) { calls.push_back(std::string(name) + " " + where); });
    REQUIRE(replace_file(fs(), "folder/file", "new").has_value());
    CHECK(calls == std::vector<std::string>{"open folder/file.tmp", "pwrite folder/file.tmp", "fsync folder/file.tmp",
                                            "close folder/file.tmp", "rename folder/file.tmp", "open folder",
                                            "fsync folder", "close folder"});
    CHECK(test::read_file(path("folder/file")) == "new");
}

TEST_CASE_METHOD(Fixture, "replace_file: whichever call fails, the file is whole, and no temporary file is left") {
    for (const int system_errno : {EIO, ENOSPC}) {
        for (std::uint64_t number = 1;; ++number) {
            test::write_file(path("file"), "old");
            fs().set({.number = number, .system_errno = system_errno});
            const Result<void> replaced = replace_file(fs(), "file", "new");
            const bool has_failed = fs().has_failed();
            fs().clear();
            CAPTURE(number);
            CHECK(replaced.has_value() != has_failed);
            // The fifth call is the rename; behind it the new content stands, durable or not.
            CHECK(test::read_file(path("file")) == (number > 5 ? "new" : "old"));
            CHECK_FALSE(std::filesystem::exists(path("file.tmp")));
            if (!has_failed) {
                CHECK(number == 9);
                break;
            }
        }
    }
}

TEST_CASE_METHOD(Fixture, "replace_file: EINTR at the opens and the write is gone on from") {
    for (const char* const call : {"open", "pwrite"}) {
        fs().set({.call = call, .system_errno = EINTR});
        CHECK(replace_file(fs(), "file", call).has_value());
        CHECK(fs().has_failed());
        CHECK(test::read_file(path("file")) == call);
    }
}

TEST_CASE_METHOD(Fixture,
                 "replace_file: a temporary file that a crash left is overwritten, a link under its name is not") {
    test::write_file(path("file.tmp"), "what a crash left, longer than the new content");
    REQUIRE(replace_file(fs(), "file", "new").has_value());
    CHECK(test::read_file(path("file")) == "new");

    test::write_file(path("victim"), "untouched");
    std::filesystem::create_symlink("victim", path("file.tmp"));
    static_cast<void>(replace_file(fs(), "file", "newer"));
    CHECK(test::read_file(path("victim")) == "untouched");
}

TEST_CASE_METHOD(Fixture, "FaultFileSystem: fails the calls that match, once or for good, and counts them") {
    test::write_file(path("a"), "");
    test::write_file(path("b"), "");
    fs().set({.call = "info", .path_part = "a", .number = 2});
    CHECK(fs().info("a").has_value());
    CHECK(fs().info("b").has_value());
    CHECK_FALSE(fs().info("a").has_value());
    CHECK(fs().info("a").has_value());
    CHECK(fs().matching_calls() == 3);
    CHECK(fs().calls("info") == 4);
    fs().set({.call = "info", .number = 2, .for_good = true, .system_errno = ENOSPC});
    CHECK(fs().info("a").has_value());
    CHECK_FALSE(fs().has_failed());
    CHECK(is_errno(fs().info("b").error(), ENOSPC));
    CHECK(is_errno(fs().info("a").error(), ENOSPC));
    fs().clear();
    CHECK(fs().info("a").has_value());
    CHECK(fs().all_calls() == 8);
}

}  // namespace
}  // namespace topicfs
