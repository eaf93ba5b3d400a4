// .trash: topics are moved there and back by RENAME, and removed for good as rm -r does it.
#include <linux/fs.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

struct Fixture {
    Fixture() {
        make_topic("orders");
        trash = kernel.node_of_path(".trash");
    }
    void make_topic(std::string_view name) { REQUIRE(kernel.make_directory(FUSE_ROOT_ID, name).error == 0); }
    int rename(std::uint64_t from, std::string_view name, std::uint64_t to, std::string_view new_name,
               std::uint32_t flags = 0) {
        return kernel.call(FUSE_RENAME2, from, body(fuse_rename2_in{to, flags, 0}, name, new_name)).error;
    }
    int remove(std::string_view name, std::string_view trash_name) {
        return rename(FUSE_ROOT_ID, name, trash, trash_name);
    }
    int bring_back(std::string_view trash_name, std::string_view name) {
        return rename(trash, trash_name, FUSE_ROOT_ID, name);
    }
    int unlink(std::string_view directory, std::string_view name) {
        return kernel.call(FUSE_UNLINK, kernel.node_of_path(directory), body(name)).error;
    }
    int rmdir(std::string_view trash_name) { return kernel.call(FUSE_RMDIR, trash, body(trash_name)).error; }
    std::vector<std::string> listed(std::uint64_t directory) {
        std::vector<std::string> names;
        for (const Listed& entry : kernel.list(kernel.open_directory(directory))) {
            names.push_back(entry.name);
        }
        return names;
    }

    PretendKernel kernel;
    std::uint64_t trash = 0;
};

using Names = std::vector<std::string>;

TEST_CASE_METHOD(Fixture, ".trash: a topic that is moved there is the same node and inode, and is listed there only") {
    const fuse_entry_out before = kernel.look_up(FUSE_ROOT_ID, "orders").as<fuse_entry_out>();
    const std::uint64_t partition_inode = kernel.attributes_of("orders/0").ino;
    CHECK(listed(FUSE_ROOT_ID) == Names{".", "..", "orders"});
    CHECK(listed(trash) == Names{".", ".."});
    REQUIRE(remove("orders", "orders") == 0);
    CHECK(kernel.look_up(FUSE_ROOT_ID, "orders").error == ENOENT);
    const fuse_entry_out after = kernel.look_up(trash, "orders").as<fuse_entry_out>();
    CHECK(after.nodeid == before.nodeid);
    CHECK(after.attr.ino == before.attr.ino);
    CHECK(kernel.attributes_of(".trash/orders/0").ino == partition_inode);
    CHECK(listed(FUSE_ROOT_ID) == Names{".", ".."});
    CHECK(listed(trash) == Names{".", "..", "orders"});
    const std::vector<Listed> inside = kernel.list(kernel.open_directory(after.nodeid));
    CHECK(inside.at(1).inode == kernel.attributes(trash).as<fuse_attr_out>().attr.ino);
    // One of the same name is another.
    make_topic("orders");
    CHECK(kernel.attributes_of("orders").ino != before.attr.ino);
    CHECK(kernel.attributes_of("orders/0").ino != partition_inode);
    REQUIRE(bring_back("orders", "again") == 0);
    CHECK(kernel.look_up(FUSE_ROOT_ID, "again").as<fuse_entry_out>().nodeid == before.nodeid);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, ".trash: nothing is replaced, and nothing else is moved") {
    make_topic("web");
    REQUIRE(remove("orders", "old") == 0);
    CHECK(remove("web", "old") == EEXIST);
    CHECK(rename(FUSE_ROOT_ID, "web", trash, "old", RENAME_NOREPLACE) == EEXIST);
    CHECK(bring_back("old", "web") == EEXIST);
    CHECK(rename(FUSE_ROOT_ID, "web", trash, "old", RENAME_EXCHANGE) == EINVAL);
    CHECK(rename(FUSE_ROOT_ID, "web", trash, "w", RENAME_WHITEOUT) == EINVAL);
    CHECK(remove("web", "a b") == EINVAL);
    CHECK(remove("web", std::string(250, 'x')) == ENAMETOOLONG);
    CHECK(remove("nothing", "x") == ENOENT);
    CHECK(bring_back("nothing", "x") == ENOENT);
    CHECK(remove(".config", "x") == EPERM);
    CHECK(remove(".trash", "x") == EPERM);
    CHECK(rename(FUSE_ROOT_ID, "web", FUSE_ROOT_ID, "other") == EPERM);
    CHECK(rename(trash, "old", trash, "other") == EPERM);
    CHECK(rename(kernel.node_of_path("web"), "0", trash, "0") == EPERM);
    CHECK(rename(FUSE_ROOT_ID, "web", kernel.node_of_path(".trash/old"), "x") == EPERM);
    CHECK(kernel.make_directory(trash, "new").error == EPERM);
    CHECK(kernel.create(trash, "new", O_WRONLY).error == EPERM);
    CHECK(kernel.look_up(trash, ".config").error == ENOENT);
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view(".trash"))).error == EPERM);
    CHECK(listed(FUSE_ROOT_ID) == Names{".", "..", "web"});
    CHECK(listed(trash) == Names{".", "..", "old"});
    CHECK(rename(FUSE_ROOT_ID, "web", trash, "w", RENAME_NOREPLACE) == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, ".trash: what is open goes on, new opens are for reading") {
    const OpenFile writer = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    const OpenFile reader = kernel.open_path("orders/0", O_RDONLY);
    const OpenFile follower = kernel.open_path("orders/0+follow", O_RDONLY);
    REQUIRE(kernel.write(writer, "before\n").error == 0);
    const std::uint64_t waits = kernel.send_read(follower, 4096, 7);
    REQUIRE(kernel.store().fake_topic("orders")->fake_partition(0)->await_waiters(true));
    REQUIRE(remove("orders", "orders") == 0);
    CHECK(kernel.receive(waits).text().empty());
    REQUIRE(kernel.write(writer, "after\n").error == 0);
    CHECK(kernel.read(reader).text() == "before\nafter\n");
    CHECK(kernel.read(follower, 4096, 7).text() == "after\n");
    CHECK(kernel.read(follower, 4096, 13).text().empty());
    CHECK(kernel.read_path(".trash/orders/0") == "before\nafter\n");
    const std::uint64_t partition = kernel.node_of_path(".trash/orders/0");
    for (const int flags : {O_WRONLY | O_APPEND, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_WRONLY | O_APPEND | O_DSYNC}) {
        CHECK(kernel.open(partition, flags).error == EROFS);
    }
    REQUIRE(bring_back("orders", "orders") == 0);
    const OpenFile again = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    REQUIRE(kernel.write(again, "back\n").error == 0);
    CHECK(kernel.read_path("orders/0") == "before\nafter\nback\n");
    for (const OpenFile& file : {writer, reader, follower, again}) {
        kernel.release(file);
    }
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, ".trash: rm -r unlinks the partitions and then removes the topic; before, it is whole") {
    REQUIRE(kernel.create(kernel.node_of_path("orders"), "1", O_RDONLY).error == 0);
    const OpenFile file = kernel.open_path("orders/1", O_WRONLY | O_APPEND);
    REQUIRE(kernel.write(file, "x\n").error == 0);
    REQUIRE(kernel.release(file).error == 0);
    CHECK(unlink("orders", "0") == EPERM);
    REQUIRE(remove("orders", "orders") == 0);
    CHECK(rmdir("orders") == ENOTEMPTY);
    CHECK(unlink(".trash/orders", ".status") == EPERM);
    CHECK(unlink(".trash/orders", "0+follow") == EPERM);
    CHECK(unlink(".trash/orders", "2") == ENOENT);
    CHECK(unlink(".trash", "orders") == EISDIR);
    REQUIRE(unlink(".trash/orders", "0") == 0);
    CHECK(unlink(".trash/orders", "0") == ENOENT);
    CHECK(listed(kernel.node_of_path(".trash/orders")) == Names{".", "..", "1"});
    CHECK(rmdir("orders") == ENOTEMPTY);
    // Whoever changes his mind has it all.
    REQUIRE(bring_back("orders", "orders") == 0);
    CHECK(listed(kernel.node_of_path("orders")) == Names{".", "..", "0", "1"});
    REQUIRE(remove("orders", "orders") == 0);
    REQUIRE(unlink(".trash/orders", "1") == 0);
    CHECK(rmdir("orders") == ENOTEMPTY);
    REQUIRE(unlink(".trash/orders", "0") == 0);
    CHECK(rmdir("orders") == 0);
    CHECK(kernel.look_up(trash, "orders").error == ENOENT);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, ".trash: a topic that is open for appending is not removed for good before it is closed") {
    const OpenFile file = kernel.open_path("orders/0", O_RDWR);
    REQUIRE(remove("orders", "orders") == 0);
    CHECK(rmdir("orders") == EBUSY);
    const std::uint64_t unique = kernel.send(FUSE_RMDIR, trash, body(std::string_view("orders")));
    CHECK(kernel.release(file).error == 0);
    CHECK(kernel.receive(unique).error == 0);
    CHECK(listed(trash) == Names{".", ".."});
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
