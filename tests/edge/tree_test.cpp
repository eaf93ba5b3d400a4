// Names and attributes, as the kernel asks for them.
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

constexpr Caller kOther{2000, 3000, 78};

void make_topic(PretendKernel& kernel, std::string_view name = "orders") {
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, name).error == 0);
}

TEST_CASE("look-up: what is there has its kind, what is not is ENOENT") {
    PretendKernel kernel;
    make_topic(kernel);
    const std::uint64_t topic = kernel.node_of_path("orders");
    CHECK(S_ISDIR(kernel.attributes_of("orders").mode));
    CHECK(S_ISREG(kernel.attributes_of("orders/0").mode));
    CHECK(S_ISDIR(kernel.attributes_of("orders/.config").mode));
    CHECK(S_ISREG(kernel.attributes_of("orders/.config/segment.bytes").mode));
    CHECK(S_ISREG(kernel.attributes_of("orders/.status").mode));
    CHECK(S_ISDIR(kernel.attributes_of("orders/.groups").mode));
    CHECK(S_ISREG(kernel.attributes_of(".status").mode));
    CHECK(S_ISREG(kernel.attributes_of(".metrics").mode));
    CHECK(kernel.look_up(topic, ".metrics").error == ENOENT);
    CHECK(S_ISDIR(kernel.attributes_of(".trash").mode));
    CHECK(S_ISREG(kernel.attributes_of(".config/num.partitions").mode));
    for (const char* name :
         {"1", "00", "all", "0@-15m", "0@0", "1+follow", "0+", "0+follow+follow", "+follow", "all@1", "x", "-1"}) {
        CAPTURE(name);
        CHECK(kernel.look_up(topic, name).error == ENOENT);
    }
    for (const char* name : {"nothing", "a b", "\xff"}) {
        CAPTURE(name);
        CHECK(kernel.look_up(FUSE_ROOT_ID, name).error == ENOENT);
    }
    CHECK(kernel.look_up(kernel.node_of_path("orders/.config"), "no.such.key").error == ENOENT);
    CHECK(kernel.look_up(kernel.node_of_path("orders/0"), "x").error == ENOTDIR);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("look-up: names over 249 bytes are ENAMETOOLONG in every directory") {
    PretendKernel kernel;
    make_topic(kernel);
    const std::string longest(249, 'a');
    const std::string longer(250, 'a');
    CHECK(kernel.look_up(FUSE_ROOT_ID, longest).error == ENOENT);
    for (const char* directory : {"", "orders", "orders/.config"}) {
        CAPTURE(directory);
        const std::uint64_t node = kernel.node_of_path(directory);
        CHECK(kernel.look_up(node, longer).error == ENAMETOOLONG);
        CHECK(kernel.make_directory(node, longer).error == ENAMETOOLONG);
    }
    CHECK(kernel.create(kernel.node_of_path("orders"), longer, O_WRONLY).error == ENAMETOOLONG);
    CHECK(kernel.make_directory(FUSE_ROOT_ID, longest).error == 0);
}

TEST_CASE("look-up: partitions may not be cached, directories may") {
    PretendKernel kernel;
    make_topic(kernel);
    const auto topic = kernel.look_up(FUSE_ROOT_ID, "orders").as<fuse_entry_out>();
    CHECK(topic.entry_valid == 1);
    CHECK(topic.attr_valid == 1);
    CHECK(topic.generation == 0);
    const auto partition = kernel.look_up(topic.nodeid, "0").as<fuse_entry_out>();
    CHECK(partition.entry_valid + partition.entry_valid_nsec == 0);
    CHECK(partition.attr_valid + partition.attr_valid_nsec == 0);
    // A key's mode follows the topic's, so it may not be remembered.
    const auto key = kernel.look_up(kernel.node_of_path("orders/.config"), "segment.bytes").as<fuse_entry_out>();
    CHECK(key.attr_valid + key.attr_valid_nsec == 0);
}

TEST_CASE("forget: a node is known for as long as one look-up is left") {
    PretendKernel kernel;
    make_topic(kernel);
    const std::uint64_t topic = kernel.node_of_path("orders");
    const std::uint64_t partition = kernel.node(topic, "0");
    REQUIRE(kernel.node(topic, "0") == partition);
    fuse_forget_in forget = {};
    forget.nlookup = 1;
    kernel.send(FUSE_FORGET, partition, body(forget));
    CHECK(kernel.attributes(partition).error == 0);
    fuse_batch_forget_in batch = {};
    batch.count = 2;
    // FORGET has no answer, and the next request can be served beside it: ask until it has been.
    kernel.send(FUSE_BATCH_FORGET, 0, body(batch, fuse_forget_one{partition, 1}, fuse_forget_one{4711, 1}));
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    int error = 0;
    while (error == 0 && std::chrono::steady_clock::now() < deadline) {
        error = kernel.attributes(partition).error;
    }
    CHECK(error == ESTALE);
    CHECK(kernel.node(topic, "0") != partition);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("mkdir: a topic belongs to its maker, with the mode less the umask") {
    PretendKernel kernel;
    const auto entry = kernel.make_directory(FUSE_ROOT_ID, "orders", 0777, kOther, 027).as<fuse_entry_out>();
    CHECK(entry.attr.uid == 2000);
    CHECK(entry.attr.gid == 3000);
    CHECK(entry.attr.mode == (S_IFDIR | 0750));
    CHECK(kernel.make_directory(FUSE_ROOT_ID, "orders").error == EEXIST);
}

TEST_CASE("mkdir: below a set-group-id directory the group and the bit go on") {
    PretendKernel kernel;
    fuse_setattr_in change = {};
    change.valid = FATTR_MODE | FATTR_GID;
    change.mode = S_IFDIR | 02775;
    change.gid = 55;
    REQUIRE(kernel.set_attributes(FUSE_ROOT_ID, change).error == 0);
    const auto topic = kernel.make_directory(FUSE_ROOT_ID, "orders", 0755, kOther).as<fuse_entry_out>();
    CHECK(topic.attr.gid == 55);
    CHECK(topic.attr.mode == (S_IFDIR | 02755));
    const auto partition = kernel.create(topic.nodeid, "1", O_WRONLY, 0666, kOther, 022).as<fuse_entry_out>();
    CHECK(partition.attr.uid == 2000);
    CHECK(partition.attr.gid == 55);
    CHECK(partition.attr.mode == (S_IFREG | 0644));
}

TEST_CASE("mkdir: names that are not allowed are EINVAL, below a topic it is EPERM") {
    PretendKernel kernel;
    make_topic(kernel);
    for (const char* name : {".trash", "a b", "a@b", "\xc3\xa4"}) {
        CAPTURE(name);
        CHECK(kernel.make_directory(FUSE_ROOT_ID, name).error == EINVAL);
    }
    CHECK(kernel.make_directory(kernel.node_of_path("orders"), "sub").error == EPERM);
    CHECK(kernel.make_directory(kernel.node_of_path("orders/.config"), "sub").error == EPERM);
}

TEST_CASE("rmdir: a topic with records is ENOTEMPTY, one without goes") {
    PretendKernel kernel;
    make_topic(kernel);
    const OpenFile file = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    REQUIRE(kernel.write(file, "x").error == 0);
    make_topic(kernel, "empty");
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view("orders"))).error == ENOTEMPTY);
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view("empty"))).error == 0);
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view("empty"))).error == ENOENT);
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view(".config"))).error == EPERM);
    CHECK(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view(".status"))).error == ENOTDIR);
    // A topic of the same name is another topic, with other inode numbers.
    const std::uint64_t before = kernel.attributes_of("orders").ino;
    make_topic(kernel, "empty");
    CHECK(kernel.attributes_of("empty").ino != before);
}

TEST_CASE("names: unlink, rename, link, symlink and mknod are refused") {
    PretendKernel kernel;
    make_topic(kernel);
    const std::uint64_t topic = kernel.node_of_path("orders");
    const std::string_view zero = "0";
    const std::string_view one = "1";
    CHECK(kernel.call(FUSE_UNLINK, topic, body(zero)).error == EPERM);
    CHECK(kernel.call(FUSE_UNLINK, topic, body(one)).error == ENOENT);
    CHECK(kernel.call(FUSE_UNLINK, FUSE_ROOT_ID, body(std::string_view("orders"))).error == EISDIR);
    CHECK(kernel.call(FUSE_RENAME, topic, body(fuse_rename_in{topic}, zero, one)).error == EPERM);
    CHECK(kernel.call(FUSE_RENAME2, topic, body(fuse_rename2_in{topic, 0, 0}, zero, one)).error == EPERM);
    CHECK(kernel.call(FUSE_LINK, topic, body(fuse_link_in{kernel.node(topic, zero)}, one)).error == EPERM);
    CHECK(kernel.call(FUSE_SYMLINK, topic, body(one, zero)).error == EPERM);
    fuse_mknod_in node = {};
    node.mode = S_IFREG | 0644;
    CHECK(kernel.call(FUSE_MKNOD, topic, body(node, one)).error == EPERM);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("attributes: the size is what lies between the node's log start and the log end") {
    PretendKernel kernel;
    make_topic(kernel);
    const OpenFile file = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    REQUIRE(kernel.write(file, "0123456789").error == 0);
    const std::uint64_t old_reader = kernel.node_of_path("orders/0");
    const fuse_attr before = kernel.attributes_of("orders/0");
    CHECK(before.size == 10);
    CHECK(before.blocks == 2);
    CHECK(before.nlink == 1);
    kernel.store().fake_topic("orders")->fake_partition(0)->move_start(Position{4});
    const fuse_attr after = kernel.attributes_of("orders/0");
    CHECK(after.size == 6);
    CHECK(after.ino == before.ino);
    CHECK(kernel.node_of_path("orders/0") != old_reader);
    CHECK(kernel.attributes(old_reader).as<fuse_attr_out>().attr.size == 10);
    CHECK(kernel.attributes(file.node).as<fuse_attr_out>().attr.size == 10);
}

TEST_CASE("attributes: owner, mode and times of root, topics and partitions are kept") {
    PretendKernel kernel;
    make_topic(kernel);
    for (const char* path : {"", "orders", "orders/0"}) {
        CAPTURE(path);
        fuse_setattr_in change = {};
        change.valid = FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_ATIME | FATTR_MTIME;
        change.mode = 01712;
        change.uid = 5;
        change.gid = 6;
        change.atime = 100;
        change.atimensec = 1;
        change.mtime = static_cast<std::uint64_t>(-1);  // 1969
        change.mtimensec = 999'999'999;
        const auto attr = kernel.set_attributes(kernel.node_of_path(path), change).as<fuse_attr_out>().attr;
        CHECK((attr.mode & 07777) == 01712);
        CHECK(attr.uid == 5);
        CHECK(attr.gid == 6);
        CHECK(attr.atime == 100);
        CHECK(attr.atimensec == 1);
        CHECK(attr.mtime == static_cast<std::uint64_t>(-1));
        CHECK(attr.mtimensec == 999'999'999);
    }
    fuse_setattr_in now = {};
    now.valid = FATTR_MTIME | FATTR_MTIME_NOW;
    const auto attr = kernel.set_attributes(kernel.node_of_path("orders/0"), now).as<fuse_attr_out>().attr;
    CHECK(attr.mtime > 1'700'000'000);
    CHECK(attr.mtime < 1ull << 40);
    CHECK(attr.atime == 100);
}

TEST_CASE("attributes: a partition is truncated only from nothing to nothing") {
    PretendKernel kernel;
    make_topic(kernel);
    const std::uint64_t node = kernel.node_of_path("orders/0");
    fuse_setattr_in size = {};
    size.valid = FATTR_SIZE;
    CHECK(kernel.set_attributes(node, size).error == 0);
    size.size = 5;
    CHECK(kernel.set_attributes(node, size).error == EPERM);
    const OpenFile file = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    REQUIRE(kernel.write(file, "hello").error == 0);
    CHECK(kernel.set_attributes(node, size).error == EPERM);
    // Nothing else of a refused change is done.
    size.size = 0;
    size.valid = FATTR_SIZE | FATTR_MODE;
    size.mode = 0600;
    CHECK(kernel.set_attributes(node, size).error == EPERM);
    CHECK((kernel.attributes_of("orders/0").mode & 07777) == 0644);
}

TEST_CASE("statfs: the space is that of the data's file system, a name has at most 249 bytes") {
    PretendKernel kernel(PretendKernel::Start::kInitialised, "/");
    const auto space = kernel.call(FUSE_STATFS, FUSE_ROOT_ID, {}).as<fuse_statfs_out>().st;
    struct statvfs expected = {};
    REQUIRE(statvfs("/", &expected) == 0);
    CHECK(space.blocks == expected.f_blocks);
    CHECK(space.frsize == expected.f_frsize);
    CHECK(space.namelen == 249);
}

TEST_CASE("statfs: a session needs no data directory, but one that is named must be there") {
    PretendKernel kernel;
    CHECK(kernel.call(FUSE_STATFS, FUSE_ROOT_ID, {}).as<fuse_statfs_out>().st.namelen == 249);
    CHECK_THROWS(PretendKernel(PretendKernel::Start::kSilent, "/no/such/directory"));
}

}  // namespace
}  // namespace topicfs::test
