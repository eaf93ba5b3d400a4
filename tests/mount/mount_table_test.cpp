#include "mount/mount_table.h"

#include <catch2/catch.hpp>

namespace topicfs {

TEST_CASE("Mount table: a line gives the mount point, type, source and device") {
    const auto table = parse_mount_table(
        "36 35 0:52 / /mnt/topics rw,nosuid,nodev shared:7 master:2 - fuse.topicfs /var/lib/topicfs "
        "rw,user_id=0,group_id=0,default_permissions,allow_other\n");
    REQUIRE(table.size() == 1);
    CHECK(table[0].id == 36);
    CHECK(table[0].parent_id == 35);
    CHECK(table[0].device_major == 0);
    CHECK(table[0].device_minor == 52);
    CHECK(table[0].root == "/");
    CHECK(table[0].mount_point == "/mnt/topics");
    CHECK(table[0].peer_group == 7);
    CHECK(table[0].master_group == 2);
    CHECK(table[0].type == kFileSystemType);
    CHECK(table[0].source == "/var/lib/topicfs");
    CHECK(mount_option(table[0].super_options, "user_id") == "0");
    CHECK(mount_option(table[0].super_options, "user") == std::nullopt);
}

TEST_CASE("Mount table: spaces, tabs, newlines and backslashes in names are escaped") {
    const auto table = parse_mount_table("36 35 0:52 / /a\\040b\\011c\\012d\\134e rw - fuse.topicfs /d\\0405 rw\n");
    REQUIRE(table.size() == 1);
    CHECK(table[0].mount_point == "/a b\tc\nd\\e");
    CHECK(table[0].source == "/d 5");
}

TEST_CASE("Mount table: lines that do not parse are left out") {
    CHECK(parse_mount_table("").empty());
    CHECK(parse_mount_table("\n\n").empty());
    CHECK(parse_mount_table("36 35 0:52 / /mnt rw - fuse.topicfs\n").empty());
    CHECK(parse_mount_table("36 35 52 / /mnt rw - t s rw\n").empty());
    CHECK(parse_mount_table("x 35 0:52 / /mnt rw - t s rw\n").empty());
    CHECK(parse_mount_table("36 35 0:52 / /mnt rw t s rw a b c\n").empty());
    CHECK(parse_mount_table("36 35 0:52 / /m\\04 rw - t s\\ rw\n").at(0).mount_point == "/m\\04");
}

TEST_CASE("Mount table: of several mounts at one place the one on top is found, whatever their order and numbers") {
    const auto table = parse_mount_table(
        "90 20 0:3 / /mnt rw - fuse.topicfs top rw\n"
        "10 1 0:1 / /mnt rw - ext4 bottom rw\n"
        "20 10 0:2 / /mnt rw - tmpfs middle rw\n"
        "91 90 0:4 / /mnt/below rw - tmpfs below rw\n");
    REQUIRE(find_mount(table, "/mnt").has_value());
    CHECK(find_mount(table, "/mnt")->source == "top");
    CHECK(find_mount(table, "/mnt/below")->source == "below");
    CHECK_FALSE(find_mount(table, "/mn").has_value());
}

TEST_CASE("Mount table: the other mounts of a file system are found, but not those that go together with it") {
    const auto table = parse_mount_table(
        "1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw\n"
        "2 1 0:9 / /peer rw shared:1 - ext4 /dev/sda rw\n"
        "3 1 8:1 /srv /srv/slave rw shared:3 master:1 - ext4 /dev/sda rw\n"
        "4 1 8:1 /srv /srv/second rw master:3 - ext4 /dev/sda rw\n"
        "5 1 8:1 / /private rw - ext4 /dev/sda rw\n"
        "10 1 0:52 / /srv/mnt rw shared:5 - fuse.topicfs /data rw\n"
        "11 2 0:52 / /peer/srv/mnt rw shared:5 - fuse.topicfs /data rw\n"
        "12 3 0:52 / /srv/slave/mnt rw master:5 - fuse.topicfs /data rw\n"
        "13 4 0:52 / /srv/second/mnt rw master:5 - fuse.topicfs /data rw\n"
        "14 5 0:52 / /private/srv/mnt rw shared:5 - fuse.topicfs /data rw\n"
        "15 1 0:52 /orders /bound rw shared:5 - fuse.topicfs /data rw\n"
        "16 2 0:52 / /peer/other rw shared:5 - fuse.topicfs /data rw\n"
        "17 1 0:53 / /another rw shared:6 - fuse.topicfs /data2 rw\n");
    std::vector<std::uint64_t> ids;
    for (const MountEntry& other : find_other_mounts(table, *find_mount(table, "/srv/mnt"))) {
        ids.push_back(other.id);
    }
    CHECK(ids == std::vector<std::uint64_t>{14, 15, 16});
}

TEST_CASE("Mount table: a path is inside a directory by whole names") {
    CHECK(is_inside("/a/b", "/a"));
    CHECK(is_inside("/a", "/a"));
    CHECK(is_inside("/a", "/"));
    CHECK_FALSE(is_inside("/ab", "/a"));
    CHECK_FALSE(is_inside("/a", "/a/b"));
}

TEST_CASE("Mount table: the kernel's own table is read") {
    const auto table = read_mount_table();
    REQUIRE(table.has_value());
    CHECK(find_mount(*table, "/").has_value());
}

}  // namespace topicfs
