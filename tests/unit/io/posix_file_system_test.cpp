#include "io/file_system.h"

#include "support/bytes.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

namespace topicfs {
namespace {

class Fixture {
public:
    Fixture() : fs_(std::move(open_file_system(directory_.string()).value())) {}
    FileSystem& fs() { return *fs_; }
    std::filesystem::path path(const char* name) const { return directory_ / name; }
    File open(const char* name, int flags = O_RDWR | O_CREAT) { return fs_->open(name, flags).value(); }

private:
    test::TemporaryDirectory directory_;
    std::unique_ptr<FileSystem> fs_;
};

template <typename T>
int errno_of(const Result<T>& result) {
    return result.has_value() ? 0 : result.error().system_errno;
}

TEST_CASE("open_file_system: a directory that is not there, or is none, is an error that names it") {
    const test::TemporaryDirectory directory;
    const auto absent = open_file_system(directory / "absent");
    REQUIRE_FALSE(absent.has_value());
    CHECK(absent.error().system_errno == ENOENT);
    CHECK(absent.error().path == (directory / "absent").string());
    test::write_file(directory / "file", "");
    CHECK(errno_of(open_file_system(directory / "file")) == ENOTDIR);
}

TEST_CASE("open_file_system: the path to the root may be a link") {
    const test::TemporaryDirectory directory;
    std::filesystem::create_directory(directory / "real");
    std::filesystem::create_directory_symlink("real", directory / "link");
    const auto fs = open_file_system(directory / "link");
    REQUIRE(fs.has_value());
    REQUIRE((*fs)->make_directory("made").has_value());
    CHECK(std::filesystem::is_directory(directory / "real/made"));
}

TEST_CASE_METHOD(Fixture, "FileSystem: what was written at a place is read there") {
    const File file = open("file");
    CHECK(fs().pwrite(file, test::to_bytes("world"), 6).value() == 5);
    CHECK(fs().pwrite(file, test::to_bytes("hello "), 0).value() == 6);
    std::vector<std::byte> into(20);
    CHECK(fs().pread(file, into, 3).value() == 8);
    CHECK(test::to_text(std::span(into).first(8)) == "lo world");
    CHECK(fs().pread(file, into, 11).value() == 0);
}

TEST_CASE_METHOD(Fixture, "FileSystem: write appends to a file that was opened for it") {
    const File file = open("file", O_WRONLY | O_CREAT | O_APPEND);
    CHECK(fs().write(file, test::to_bytes("one\n")).value() == 4);
    CHECK(fs().write(file, test::to_bytes("two\n")).value() == 4);
    CHECK(test::read_file(path("file")) == "one\ntwo\n");
}

TEST_CASE_METHOD(Fixture, "FileSystem: a place beyond what off_t can say is EINVAL, not a wrong place") {
    const File file = open("file");
    std::vector<std::byte> bytes(1);
    CHECK(errno_of(fs().pread(file, bytes, std::uint64_t{1} << 63)) == EINVAL);
    CHECK(errno_of(fs().pwrite(file, bytes, ~std::uint64_t{0})) == EINVAL);
    CHECK(errno_of(fs().truncate(file, std::uint64_t{1} << 63)) == EINVAL);
}

TEST_CASE_METHOD(Fixture, "FileSystem: errors name the operation and the path") {
    const File file = open("file", O_WRONLY | O_CREAT);
    std::vector<std::byte> bytes(1);
    const Result<std::size_t> got = fs().pread(file, bytes, 0);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().message() == "file: cannot read: Bad file descriptor");
    const Result<File> absent = fs().open("absent/file", O_RDONLY);
    REQUIRE_FALSE(absent.has_value());
    CHECK(absent.error().message() == "absent/file: cannot open: No such file or directory");
}

TEST_CASE_METHOD(Fixture, "FileSystem: truncate cuts and extends") {
    const File file = open("file");
    REQUIRE(fs().pwrite(file, test::to_bytes("hello"), 0).has_value());
    REQUIRE(fs().truncate(file, 2).has_value());
    CHECK(test::read_file(path("file")) == "he");
    REQUIRE(fs().truncate(file, 4).has_value());
    CHECK(test::read_file(path("file")) == std::string("he\0\0", 4));
}

TEST_CASE_METHOD(Fixture,
                 "FileSystem: a punched hole reads as zeros, keeps the size, gives blocks back, and is found") {
    constexpr std::uint64_t kBlock = 64 * 1024;  // as large as any file system's
    const File file = open("file");
    const std::vector<std::byte> content(3 * kBlock, std::byte{'x'});
    REQUIRE(write_at(fs(), file, content, 0).has_value());
    REQUIRE(fs().fsync(file).has_value());
    const FileInfo before = fs().info(file).value();
    REQUIRE(fs().punch_hole(file, kBlock, kBlock).has_value());
    const FileInfo after = fs().info(file).value();
    CHECK(after.size == before.size);
    CHECK(after.disk_bytes < before.disk_bytes);
    std::vector<std::byte> into(1);
    CHECK(fs().pread(file, into, kBlock).value() == 1);
    CHECK(into[0] == std::byte{0});
    CHECK(fs().seek_hole(file, 0).value() == kBlock);
    CHECK(fs().seek_data(file, kBlock).value() == 2 * kBlock);
    CHECK(fs().seek_hole(file, 2 * kBlock).value() == 3 * kBlock);
}

TEST_CASE_METHOD(Fixture, "FileSystem: at the end of a file there is a hole and no data") {
    const File file = open("file");
    CHECK(fs().seek_hole(file, 0).value() == 0);
    CHECK_FALSE(fs().seek_data(file, 0).value().has_value());
    REQUIRE(fs().pwrite(file, test::to_bytes("hello"), 0).has_value());
    CHECK(fs().seek_hole(file, 5).value() == 5);
    CHECK(fs().seek_hole(file, 9).value() == 9);
    CHECK_FALSE(fs().seek_data(file, 5).value().has_value());
}

TEST_CASE_METHOD(Fixture, "FileSystem: every kind of sync succeeds on a file") {
    const File file = open("file");
    CHECK(fs().fdatasync(file).has_value());
    CHECK(fs().fsync(file).has_value());
    CHECK(fs().syncfs(file).has_value());
}

TEST_CASE_METHOD(Fixture, "FileSystem: info says what a file, a directory and a link are, and follows no link") {
    test::write_file(path("file"), "hello");
    std::filesystem::create_symlink("file", path("link"));
    const FileInfo file = fs().info("file").value();
    CHECK(file.is_regular);
    CHECK(file.size == 5);
    struct stat stat {};
    REQUIRE(::stat(path("file").c_str(), &stat) == 0);
    CHECK(file.inode == stat.st_ino);
    CHECK(file.mtime_ns / 1'000'000'000 == stat.st_mtim.tv_sec);
    CHECK(fs().info("").value().is_directory);
    CHECK(fs().info(".").value().is_directory);
    const FileInfo link = fs().info("link").value();
    CHECK_FALSE(link.is_regular);
    CHECK_FALSE(link.is_directory);
    CHECK(errno_of(fs().info("absent")) == ENOENT);
}

TEST_CASE_METHOD(Fixture, "FileSystem: only one open file has the lock") {
    File first = open("lock");
    const File second = open("lock");
    CHECK(fs().try_lock(first).value());
    CHECK_FALSE(fs().try_lock(second).value());
    const Result<void> closed = fs().close(std::move(first));
    REQUIRE(closed.has_value());
    CHECK(fs().try_lock(second).value());
}

TEST_CASE_METHOD(Fixture, "FileSystem: files and directories are made, renamed and removed, in folders too") {
    REQUIRE(fs().make_directory("a").has_value());
    REQUIRE(fs().make_directory("a/b").has_value());
    test::write_file(path("a/b/file"), "hello");
    REQUIRE(fs().rename("a/b/file", "moved").has_value());
    CHECK(test::read_file(path("moved")) == "hello");
    REQUIRE(fs().unlink("moved").has_value());
    CHECK(errno_of(fs().unlink("moved")) == ENOENT);
    CHECK(errno_of(fs().remove_directory("a")) == ENOTEMPTY);
    REQUIRE(fs().remove_directory("a/b").has_value());
    REQUIRE(fs().remove_directory("a").has_value());
    CHECK(std::filesystem::is_empty(path("")));
}

TEST_CASE_METHOD(Fixture, "FileSystem: names that are changed are not reached through links or outside of the root") {
    REQUIRE(fs().make_directory("folder").has_value());
    std::filesystem::create_directory_symlink("folder", path("link"));
    test::write_file(path("folder/file"), "");
    CHECK_FALSE(fs().unlink("link/file").has_value());
    CHECK_FALSE(fs().rename("link/file", "file").has_value());
    CHECK_FALSE(fs().rename("folder/file", "link/other").has_value());
    CHECK_FALSE(fs().make_directory("link/made").has_value());
    CHECK_FALSE(fs().info("link/file").has_value());
    CHECK(errno_of(fs().unlink("../file")) == EXDEV);
    CHECK(errno_of(fs().unlink("/file")) == EXDEV);
    CHECK(errno_of(fs().list("link")) != 0);
    // A link itself is a name like any other.
    CHECK(fs().unlink("link").has_value());
}

TEST_CASE_METHOD(Fixture, "FileSystem: a path without a last part names nothing that can be changed") {
    for (const char* const name : {"", ".", "..", "folder/", "folder/.."}) {
        CAPTURE(name);
        CHECK(errno_of(fs().unlink(name)) == EINVAL);
        CHECK(errno_of(fs().make_directory(name)) == EINVAL);
    }
}

TEST_CASE_METHOD(Fixture, "FileSystem: list names everything once, with its kind") {
    REQUIRE(fs().make_directory("folder").has_value());
    test::write_file(path("file"), "");
    test::write_file(path(".hidden"), "");
    std::filesystem::create_symlink("file", path("link"));
    std::map<std::string, std::pair<bool, bool>> found;
    const std::vector<DirectoryEntry> entries = fs().list("").value();
    for (const DirectoryEntry& entry : entries) {
        CHECK(found.emplace(entry.name, std::pair(entry.is_directory, entry.is_regular)).second);
    }
    const std::map<std::string, std::pair<bool, bool>> expected = {
        {"folder", {true, false}}, {"file", {false, true}}, {".hidden", {false, true}}, {"link", {false, false}}};
    CHECK(found == expected);
    CHECK(fs().list("folder").value().empty());
    CHECK(errno_of(fs().list("file")) == ENOTDIR);
    CHECK(errno_of(fs().list("absent")) == ENOENT);
}

TEST_CASE_METHOD(Fixture, "FileSystem: list gives all of a directory that needs many calls") {
    constexpr int kFiles = 3000;
    for (int i = 0; i < kFiles; ++i) {
        test::write_file(path(("file-with-a-rather-long-name-" + std::to_string(i)).c_str()), "");
    }
    CHECK(fs().list("").value().size() == kFiles);
}

TEST_CASE_METHOD(Fixture, "FileSystem: space is that of the file system below") {
    const FileSystemSpace space = fs().space().value();
    const std::filesystem::space_info expected = std::filesystem::space(path(""));
    CHECK(space.block_bytes * space.blocks == expected.capacity);
    CHECK(space.blocks_available <= space.blocks_free);
    CHECK(space.blocks_free <= space.blocks);
}

}  // namespace
}  // namespace topicfs
