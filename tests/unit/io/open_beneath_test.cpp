#include "io/open_beneath.h"

#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

namespace topicfs {
namespace {

// A root with a file, a folder with a file, links of all kinds, and something beside it that must not be reached.
class Tree {
public:
    Tree() {
        std::filesystem::create_directories(directory_ / "root/folder");
        test::write_file(directory_ / "root/file", "inside");
        test::write_file(directory_ / "root/folder/file", "deeper");
        test::write_file(directory_ / "outside", "outside");
        std::filesystem::create_symlink("file", directory_ / "root/link");
        std::filesystem::create_symlink("folder", directory_ / "root/folder-link");
        std::filesystem::create_symlink("../outside", directory_ / "root/escape");
        root_ = Fd(::open((directory_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        REQUIRE(root_);
    }
    int root() const { return root_.get(); }

private:
    test::TemporaryDirectory directory_;
    Fd root_;
};

using Open = Result<Fd> (*)(int, const std::string&, int, unsigned);

int errno_of(Open open, int root, const std::string& path, int flags = O_RDONLY) {
    const Result<Fd> opened = open(root, path, flags, 0600);
    if (opened.has_value()) {
        return 0;
    }
    CHECK(opened.error().path == path);
    return opened.error().system_errno;
}

void check_opening(Open open) {
    const Tree tree;
    // What is there, however it is spelled.
    for (const char* const path : {"file", "folder/file", "./file", "folder//file", "folder/./file"}) {
        CAPTURE(path);
        CHECK(errno_of(open, tree.root(), path) == 0);
    }
    for (const char* const path : {"", ".", "folder", "folder/"}) {
        CAPTURE(path);
        CHECK(errno_of(open, tree.root(), path, O_RDONLY | O_DIRECTORY) == 0);
    }
    CHECK(errno_of(open, tree.root(), "absent") == ENOENT);
    CHECK(errno_of(open, tree.root(), "absent/file") == ENOENT);
    CHECK(errno_of(open, tree.root(), "file/file") == ENOTDIR);
    // What leaves the root.
    CHECK(errno_of(open, tree.root(), "/etc/passwd") == EXDEV);
    CHECK(errno_of(open, tree.root(), "../outside") == EXDEV);
    CHECK(errno_of(open, tree.root(), "folder/../../outside") == EXDEV);
    // Links, at the end and on the way.
    CHECK(errno_of(open, tree.root(), "link") == ELOOP);
    CHECK(errno_of(open, tree.root(), "escape") == ELOOP);
    const int on_the_way = errno_of(open, tree.root(), "folder-link/file");
    CHECK((on_the_way == ELOOP || on_the_way == ENOTDIR));
    // What is made.
    const Result<Fd> made = open(tree.root(), "folder/new", O_RDWR | O_CREAT | O_EXCL, 0640);
    REQUIRE(made.has_value());
    struct stat stat {};
    REQUIRE(::fstat(made->get(), &stat) == 0);
    CHECK((stat.st_mode & 0777 & ~0640u) == 0);
    CHECK((::fcntl(made->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(errno_of(open, tree.root(), "folder/new", O_RDWR | O_CREAT | O_EXCL) == EEXIST);
    CHECK(errno_of(open, tree.root(), "link", O_RDWR | O_CREAT) == ELOOP);
}

TEST_CASE("open_beneath: opens what is below the root, and neither what is outside nor any link") {
    check_opening(open_beneath);
}

TEST_CASE("open_beneath_by_parts: does the same on a kernel without openat2") {
    check_opening(open_beneath_by_parts);
}

}  // namespace
}  // namespace topicfs
