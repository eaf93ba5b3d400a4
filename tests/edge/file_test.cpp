// Partitions: opening, reading, writing.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

constexpr Caller kNobody{1000, 1000, 0};  // a thread outside our pid namespace

struct Fixture {
    Fixture() {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        topic = kernel.node_of_path("orders");
    }
    OpenFile open(int flags) { return kernel.open_path("orders/0", flags); }

    PretendKernel kernel;
    std::uint64_t topic = 0;
};

TEST_CASE_METHOD(Fixture, "open: a writer is sent from the reader node to the writer node by ESTALE") {
    const std::uint64_t reader = kernel.node(topic, "0");
    REQUIRE(kernel.open(reader, O_WRONLY | O_APPEND).error == ESTALE);
    // The kernel looks up twice.
    const std::uint64_t writer = kernel.node(topic, "0");
    CHECK(writer != reader);
    CHECK(kernel.node(topic, "0") == writer);
    // Another thread meanwhile gets the reader node.
    CHECK(kernel.node(topic, "0", {1000, 1000, 78}) == reader);
    const auto opened = kernel.open(writer, O_WRONLY | O_APPEND).as<fuse_open_out>();
    CHECK(opened.open_flags == FOPEN_DIRECT_IO);
    CHECK(kernel.node(topic, "0") == reader);
}

TEST_CASE_METHOD(Fixture, "open: all writers share one writer node, so that large writes stay whole") {
    const OpenFile first = open(O_WRONLY | O_APPEND);
    const OpenFile second = open(O_WRONLY);
    CHECK(first.node == second.node);
    CHECK(first.handle != second.handle);
    CHECK(kernel.attributes(first.node).as<fuse_attr_out>().attr.ino == kernel.attributes_of("orders/0").ino);
}

TEST_CASE_METHOD(Fixture, "open: a file that is bound by itself is served at the second try, each time") {
    const std::uint64_t reader = kernel.node(topic, "0");
    for (int round = 0; round < 2; ++round) {
        CHECK(kernel.open(reader, O_WRONLY | O_APPEND).error == ESTALE);
        CHECK(kernel.open(reader, O_WRONLY | O_APPEND).error == 0);
    }
}

TEST_CASE_METHOD(Fixture, "open: a caller that the kernel cannot name is served at once") {
    const std::uint64_t reader = kernel.node(topic, "0");
    CHECK(kernel.open(reader, O_WRONLY | O_APPEND, kNobody).error == 0);
    // Also where others have that node open, as it could be led to no other.
    CHECK(kernel.open(reader, O_RDONLY, kNobody).error == 0);
    CHECK(kernel.open(reader, O_WRONLY, kNobody).error == 0);
}

TEST_CASE_METHOD(Fixture, "open: readers and O_RDWR stay on the reader node") {
    const int flags = GENERATE(O_RDONLY, O_RDWR, O_RDWR | O_APPEND);
    const std::uint64_t reader = kernel.node(topic, "0");
    CHECK(kernel.open(reader, flags).as<fuse_open_out>().open_flags == FOPEN_DIRECT_IO);
}

TEST_CASE_METHOD(Fixture, "open: each reader has a node of its own, so that nobody else's look-up raises its size") {
    const OpenFile first = open(O_RDONLY);
    // The kernel still has the first one's node in its directory cache, or has just looked it up for both.
    CHECK(kernel.open(first.node, O_RDONLY, {1000, 1000, 78}).error == ESTALE);
    const std::uint64_t node = kernel.node(topic, "0", {1000, 1000, 78});
    CHECK(node != first.node);
    CHECK(kernel.node(topic, "0", {1000, 1000, 78}) == node);
    CHECK(kernel.open(node, O_RDONLY, {1000, 1000, 78}).error == 0);
    CHECK(kernel.attributes(node).as<fuse_attr_out>().attr.ino ==
          kernel.attributes(first.node).as<fuse_attr_out>().attr.ino);
    // Once closed it is given out again.
    CHECK(kernel.release(first).error == 0);
    CHECK(kernel.node(topic, "0") == first.node);
}

TEST_CASE_METHOD(Fixture, "open: the kernel's own, for an ioctl on an open file, is served at once") {
    const OpenFile file = kernel.open_path("orders/0", O_RDONLY);
    const Answer own = kernel.open_for_ioctl(file.node);
    REQUIRE(own.error == 0);
    kernel.release({file.node, own.as<fuse_open_out>().fh, 0});
    CHECK(kernel.open(file.node, O_RDONLY, {1000, 1000, 78}).error == ESTALE);
}

TEST_CASE_METHOD(Fixture, "open: O_TRUNC of what has bytes is EPERM, also before the writer is sent on") {
    REQUIRE(kernel.write(open(O_WRONLY | O_TRUNC), "hello").error == 0);
    const std::uint64_t reader = kernel.node(topic, "0");
    CHECK(kernel.open(reader, O_WRONLY | O_TRUNC).error == EPERM);
    CHECK(kernel.open(reader, O_RDWR | O_TRUNC).error == EPERM);
    CHECK(kernel.open(reader, O_RDONLY | O_TRUNC).error == EPERM);
    CHECK(kernel.read_path("orders/0") == "hello");
}

TEST_CASE_METHOD(Fixture, "open: directories and unknown nodes are refused") {
    CHECK(kernel.open(topic, O_RDONLY).error == EISDIR);
    CHECK(kernel.open(4711, O_RDONLY).error == ESTALE);
}

TEST_CASE_METHOD(Fixture, "open: a handle counts until its RELEASE") {
    CHECK(kernel.session().open_handle_count() == 0);
    const OpenFile file = open(O_RDONLY);
    CHECK(kernel.session().open_handle_count() == 1);
    CHECK(kernel.release(file).error == 0);
    CHECK(kernel.session().open_handle_count() == 0);
    CHECK(kernel.release(file).error == EBADF);
    CHECK(kernel.read(file).error == EBADF);
    CHECK(kernel.write(file, "x").error == EBADF);
}

TEST_CASE_METHOD(Fixture, "create: the next number adds a partition, at the node that the open wants") {
    const Answer answer = kernel.create(topic, "1", O_WRONLY | O_APPEND, 0666, {}, 022);
    const auto entry = answer.as<fuse_entry_out>();
    const auto opened = answer.as<fuse_open_out>(sizeof(fuse_entry_out));
    CHECK(entry.attr.mode == (S_IFREG | 0644));
    CHECK(entry.attr.uid == 1000);
    CHECK(opened.open_flags == FOPEN_DIRECT_IO);
    CHECK(kernel.write({entry.nodeid, opened.fh, 0}, "x").error == 0);
    CHECK(kernel.node(topic, "1") != entry.nodeid);
    const Answer read_write = kernel.create(topic, "2", O_RDWR);
    const auto reader = read_write.as<fuse_entry_out>();
    CHECK(kernel.release({reader.nodeid, read_write.as<fuse_open_out>(sizeof(fuse_entry_out)).fh, 0}).error == 0);
    CHECK(kernel.node(topic, "2") == reader.nodeid);
}

TEST_CASE_METHOD(Fixture, "create: of what is there by now it opens, with O_EXCL it is EEXIST") {
    CHECK(kernel.create(topic, "0", O_WRONLY | O_APPEND).error == 0);
    CHECK(kernel.create(topic, "0", O_WRONLY | O_EXCL).error == EEXIST);
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND), "x").error == 0);
    CHECK(kernel.create(topic, "0", O_WRONLY | O_TRUNC).error == EPERM);
}

TEST_CASE_METHOD(Fixture, "create: gaps and other names are EINVAL, reserved names and other places EPERM") {
    for (const char* name : {"2", "99999", "100000", "01", "x", "access.log"}) {
        CAPTURE(name);
        CHECK(kernel.create(topic, name, O_WRONLY).error == EINVAL);
    }
    for (const char* name : {"all", "1@0", "0@x", "0+follow", ".days", ".0.swp"}) {
        CAPTURE(name);
        CHECK(kernel.create(topic, name, O_WRONLY).error == EPERM);
    }
    CHECK(kernel.create(FUSE_ROOT_ID, "file", O_WRONLY).error == EPERM);
    CHECK(kernel.create(kernel.node_of_path("orders/.config"), "key", O_WRONLY).error == EPERM);
    CHECK(kernel.session().open_handle_count() == 0);
}

TEST_CASE_METHOD(Fixture, "write: with O_APPEND the kernel's offset does not matter") {
    const OpenFile file = open(O_WRONLY | O_APPEND);
    CHECK(kernel.write(file, "one\n", 0, O_WRONLY | O_APPEND).as<fuse_write_out>().size == 4);
    CHECK(kernel.write(file, "two\n", 0, O_WRONLY | O_APPEND).error == 0);
    CHECK(kernel.write(file, "three\n", 1 << 20, O_WRONLY | O_APPEND).error == 0);
    // RWF_NOAPPEND, or fcntl took the flag away: it was opened to append.
    CHECK(kernel.write(file, "four\n", 0, O_WRONLY).error == 0);
    CHECK(kernel.read_path("orders/0") == "one\ntwo\nthree\nfour\n");
}

TEST_CASE_METHOD(Fixture, "write: without O_APPEND only at the log end, else EPERM and nothing is stored") {
    const OpenFile file = open(O_WRONLY);
    CHECK(kernel.write(file, "one\n", 0).error == 0);
    CHECK(kernel.write(file, "BAD\n", 0).error == EPERM);
    CHECK(kernel.write(file, "BAD\n", 5).error == EPERM);
    CHECK(kernel.write(file, "BAD\n", INT64_MAX).error == EPERM);
    CHECK(kernel.write(file, "BAD\n", UINT64_MAX).error == EFBIG);
    CHECK(kernel.write(file, "two\n", 4).error == 0);
    // fcntl(2) set the flag later.
    CHECK(kernel.write(file, "three\n", 0, O_WRONLY | O_APPEND).error == 0);
    CHECK(kernel.read_path("orders/0") == "one\ntwo\nthree\n");
}

TEST_CASE_METHOD(Fixture, "write: offsets count from the log start that the node was looked up with") {
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND), "0123456789").error == 0);
    const auto partition = kernel.store().fake_topic("orders")->fake_partition(0);
    const OpenFile before = open(O_RDWR);
    partition->move_start(Position{4});
    const OpenFile after = open(O_RDWR);
    CHECK(kernel.read(after).text() == "456789");
    CHECK(kernel.read(before, 4096, 4).text() == "456789");
    // What it could see once is gone.
    CHECK(kernel.read(before, 4096, 0).error == EIO);
    CHECK(kernel.write(after, "BAD", 10).error == EPERM);
    CHECK(kernel.write(after, "a", 6, O_RDWR).error == 0);
    CHECK(kernel.write(before, "b", 11, O_RDWR).error == 0);
    CHECK(kernel.read(before, 4096, 4).text() == "456789ab");
}

TEST_CASE_METHOD(Fixture, "write: what was opened for reading only is EBADF") {
    CHECK(kernel.write(open(O_RDONLY), "x").error == EBADF);
    CHECK(kernel.write(kernel.open_directory(topic), "x").error == EBADF);
}

TEST_CASE_METHOD(Fixture, "write: O_DSYNC, of the open or of the write, syncs before the answer") {
    const OpenFile plain = open(O_WRONLY | O_APPEND);
    const auto& syncs = kernel.store().context().syncs;
    REQUIRE(kernel.write(plain, "x").error == 0);
    CHECK(syncs == 0);
    REQUIRE(kernel.write(plain, "x", 0, O_WRONLY | O_DSYNC).error == 0);
    CHECK(syncs == 1);
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND | O_DSYNC), "x").error == 0);
    CHECK(syncs == 2);
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND | O_SYNC), "x").error == 0);
    CHECK(syncs == 3);
    REQUIRE(kernel.write(plain, "x", 0, O_WRONLY | O_SYNC).error == 0);
    CHECK(syncs == 4);
}

TEST_CASE_METHOD(Fixture, "fsync: syncs the partition, and says so when that fails") {
    const OpenFile file = open(O_WRONLY | O_APPEND);
    fuse_fsync_in in = {};
    in.fh = file.handle;
    CHECK(kernel.call(FUSE_FSYNC, file.node, body(in)).error == 0);
    CHECK(kernel.store().context().syncs == 1);
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        return call == "sync" ? Result<void>(system_error(ENOSPC, "sync", "")) : Result<void>();
    });
    CHECK(kernel.call(FUSE_FSYNC, file.node, body(in)).error == ENOSPC);
    CHECK(kernel.write(file, "x", 0, O_WRONLY | O_DSYNC).error == ENOSPC);
}

TEST_CASE_METHOD(Fixture, "write: the engine's refusals reach the caller") {
    const OpenFile file = open(O_WRONLY | O_APPEND);
    for (const auto& [code, expected] :
         {std::pair{ErrorCode::kReadOnly, EROFS}, {ErrorCode::kDamaged, EIO}, {ErrorCode::kNotPermitted, EPERM}}) {
        kernel.store().context().before.set([code = code](std::string_view call) -> Result<void> {
            return call == "append" ? Result<void>(make_error(code, "append", "", "for the test")) : Result<void>();
        });
        CHECK(kernel.write(file, "x").error == expected);
    }
    kernel.store().context().before.set({});
    CHECK(kernel.write(file, "x").error == 0);
}

TEST_CASE_METHOD(Fixture, "read: as much as is asked for and there, nothing behind the end, damage is EIO") {
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND), "0123456789").error == 0);
    const OpenFile file = open(O_RDONLY);
    CHECK(kernel.read(file, 4, 0).text() == "0123");
    CHECK(kernel.read(file, 100, 8).text() == "89");
    CHECK(kernel.read(file, 100, 10).text().empty());
    CHECK(kernel.read(file, 100, INT64_MAX).text().empty());
    CHECK(kernel.read(file, 100, UINT64_MAX).error == EINVAL);
    CHECK(kernel.read(file, 0, 0).text().empty());
    CHECK(kernel.read(file, UINT32_MAX, 0).text() == "0123456789");
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        return call == "read" ? Result<void>(make_error(ErrorCode::kDamaged, "read", "", "for the test"))
                              : Result<void>();
    });
    CHECK(kernel.read(file).error == EIO);
    CHECK(kernel.read(file).error == EIO);
}

TEST_CASE_METHOD(Fixture, "read and write: requests of a megabyte are served whole") {
    if (!kernel.has_room_for_large_requests()) {
        WARN("skipped: this system's sockets do not take packets of a megabyte (net.core.wmem_max)");
        return;
    }
    std::string megabyte(1 << 20, 'x');
    megabyte.back() = '\n';
    const OpenFile file = open(O_WRONLY | O_APPEND);
    CHECK(kernel.write(file, megabyte).as<fuse_write_out>().size == megabyte.size());
    CHECK(kernel.read(open(O_RDONLY), 1 << 20).text() == megabyte);
}

TEST_CASE_METHOD(Fixture, "lseek: there is never a hole") {
    REQUIRE(kernel.write(open(O_WRONLY | O_APPEND), "0123456789").error == 0);
    const OpenFile file = open(O_RDONLY);
    const auto seek = [&](std::uint64_t offset, int whence) {
        fuse_lseek_in in = {};
        in.fh = file.handle;
        in.offset = offset;
        in.whence = static_cast<std::uint32_t>(whence);
        return kernel.call(FUSE_LSEEK, file.node, body(in));
    };
    CHECK(seek(3, SEEK_DATA).as<fuse_lseek_out>().offset == 3);
    CHECK(seek(3, SEEK_HOLE).as<fuse_lseek_out>().offset == 10);
    CHECK(seek(10, SEEK_DATA).error == ENXIO);
    CHECK(seek(10, SEEK_HOLE).error == ENXIO);
    CHECK(seek(3, SEEK_SET).error == EINVAL);
}

TEST_CASE_METHOD(Fixture, "fallocate is EOPNOTSUPP; extended attributes and copies are ENOSYS") {
    const OpenFile file = open(O_WRONLY | O_APPEND);
    fuse_fallocate_in allocate = {};
    allocate.fh = file.handle;
    allocate.length = 4096;
    CHECK(kernel.call(FUSE_FALLOCATE, file.node, body(allocate)).error == EOPNOTSUPP);
    const std::string_view name = "user.x";
    CHECK(kernel.call(FUSE_GETXATTR, file.node, body(fuse_getxattr_in{}, name)).error == ENOSYS);
    CHECK(kernel.call(FUSE_LISTXATTR, file.node, body(fuse_getxattr_in{})).error == ENOSYS);
    CHECK(kernel.call(FUSE_REMOVEXATTR, file.node, body(name)).error == ENOSYS);
    CHECK(kernel.call(FUSE_COPY_FILE_RANGE, file.node, body(fuse_copy_file_range_in{})).error == ENOSYS);
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
