// Listing directories.
#include <dirent.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

std::vector<std::string> names_of(const std::vector<Listed>& entries) {
    std::vector<std::string> names;
    for (const Listed& entry : entries) {
        names.push_back(entry.name);
    }
    return names;
}

TEST_CASE("readdir: the root lists topics, a topic its partitions in number order; dot names are not listed") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "b").error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a").error == 0);
    const std::uint64_t topic = kernel.node_of_path("a");
    for (int i = 1; i <= 11; ++i) {
        REQUIRE(kernel.create(topic, std::to_string(i), O_WRONLY).error == 0);
    }
    CHECK(names_of(kernel.list(kernel.open_directory(FUSE_ROOT_ID))) == std::vector<std::string>{".", "..", "a", "b"});
    const std::vector<Listed> partitions = kernel.list(kernel.open_directory(topic));
    CHECK(names_of(partitions) ==
          std::vector<std::string>{".", "..", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"});
    CHECK(partitions.at(2).inode == kernel.attributes_of("a/0").ino);
    CHECK(partitions.at(2).type == DT_REG);
    CHECK(partitions.at(0).inode == kernel.attributes_of("a").ino);
    CHECK(partitions.at(0).type == DT_DIR);
    CHECK(partitions.at(1).inode == kernel.attributes(FUSE_ROOT_ID).as<fuse_attr_out>().attr.ino);
}

TEST_CASE("readdir: .config lists its keys") {
    PretendKernel kernel;
    const std::vector<Listed> keys = kernel.list(kernel.open_directory(kernel.node_of_path(".config")));
    CHECK(keys.size() == topic_setting_infos().size() + store_setting_infos().size() + 2);
    CHECK(keys.at(2).name == topic_setting_infos().front().key);
    CHECK(keys.at(2).inode == kernel.attributes_of(".config/" + keys.at(2).name).ino);
}

TEST_CASE("readdir: in small pieces each entry comes once, whatever comes and goes meanwhile") {
    PretendKernel kernel;
    for (const char* name : {"b", "d", "f", "h"}) {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, name).error == 0);
    }
    const OpenFile directory = kernel.open_directory(FUSE_ROOT_ID);
    constexpr std::uint32_t kOneEntry = 40;
    std::vector<std::string> seen;
    std::uint64_t cookie = 0;
    for (;;) {
        const std::vector<Listed> entries = kernel.list(directory, cookie, kOneEntry);
        if (entries.empty()) {
            break;
        }
        REQUIRE(entries.size() == 1);
        seen.push_back(entries.front().name);
        cookie = entries.front().next;
        if (seen.back() == "b") {
            REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a").error == 0);
            REQUIRE(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view("d"))).error == 0);
        }
    }
    CHECK(seen == std::vector<std::string>{".", "..", "b", "f", "h"});
    // From the begin again (rewinddir), it is as it is now.
    CHECK(names_of(kernel.list(directory)) == std::vector<std::string>{".", "..", "a", "b", "f", "h"});
}

TEST_CASE("readdir: a partition that is added meanwhile is listed") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a").error == 0);
    const std::uint64_t topic = kernel.node_of_path("a");
    const OpenFile directory = kernel.open_directory(topic);
    const std::uint64_t end = kernel.list(directory).back().next;
    CHECK(kernel.list(directory, end).empty());
    REQUIRE(kernel.create(topic, "1", O_WRONLY).error == 0);
    CHECK(names_of(kernel.list(directory, end)) == std::vector<std::string>{"1"});
}

TEST_CASE("readdir: odd places and handles are refused") {
    PretendKernel kernel;
    const OpenFile directory = kernel.open_directory(FUSE_ROOT_ID);
    CHECK(kernel.list(directory, 1'000'000).empty());
    CHECK(kernel.list(directory, 0, 0).empty());
    fuse_read_in in = {};
    in.fh = directory.handle;
    in.offset = UINT64_MAX;
    in.size = 4096;
    CHECK(kernel.call(FUSE_READDIR, FUSE_ROOT_ID, body(in)).error == EINVAL);
    in = {};
    in.fh = 4711;
    CHECK(kernel.call(FUSE_READDIR, FUSE_ROOT_ID, body(in)).error == EBADF);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a").error == 0);
    CHECK(kernel.call(FUSE_OPENDIR, kernel.node_of_path("a/0"), body(fuse_open_in{})).error == ENOTDIR);
    CHECK(kernel.call(FUSE_FSYNCDIR, FUSE_ROOT_ID, body(fuse_fsync_in{})).error == 0);
    fuse_release_in release = {};
    release.fh = directory.handle;
    CHECK(kernel.session().open_handle_count() == 1);
    CHECK(kernel.call(FUSE_RELEASEDIR, FUSE_ROOT_ID, body(release)).error == 0);
    CHECK(kernel.session().open_handle_count() == 0);
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
