// What is open while the log start moves keeps its positions, whichever way it was opened; and the ioctl that moves it.
#include <sys/stat.h>
#include <topicfs/ioctl.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

topicfs_trim to_point(std::string_view point) {
    topicfs_trim asked = {};
    std::copy(point.begin(), point.end(), asked.point);
    return asked;
}

struct Fixture {
    Fixture() {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        partition = kernel.store().fake_topic("orders")->fake_partition(0);
        append("0123456789");
        kernel.store().context().bytes_are_records = true;
    }
    void append(std::string_view text) { REQUIRE(partition->append(std::as_bytes(std::span(text)))); }
    topicfs_trim trim(const OpenFile& file, std::string_view point) {
        return kernel.control(file, TOPICFS_IOC_TRIM, body(to_point(point))).as<topicfs_trim>(sizeof(fuse_ioctl_out));
    }
    std::uint64_t size_of(const OpenFile& file) { return kernel.attributes(file.node).as<fuse_attr_out>().attr.size; }

    PretendKernel kernel;
    std::shared_ptr<FakePartition> partition;
};

TEST_CASE_METHOD(Fixture, "log start: readers, followers and writers keep size and positions when it moves") {
    const OpenFile reader = kernel.open_path("orders/0", O_RDONLY);
    const OpenFile both = kernel.open_path("orders/0", O_RDWR | O_APPEND);
    const OpenFile follower = kernel.open_path("orders/0+follow", O_RDONLY);
    const OpenFile writer = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    const std::uint64_t inode = kernel.attributes_of("orders/0").ino;
    CHECK(kernel.read(follower).text() == "0123456789");
    const std::uint64_t waiting = kernel.send_read(follower, 4096, 10);
    REQUIRE(partition->await_waiters(true));
    for (const std::uint64_t start : {4U, 7U, 10U}) {
        CAPTURE(start);
        partition->move_start(Position{start});
        CHECK(kernel.attributes_of("orders/0").size == 10 - start);
        CHECK(kernel.attributes_of("orders/0").ino == inode);
        for (const OpenFile& file : {reader, both, follower, writer}) {
            CHECK(size_of(file) == 10);
        }
        for (const OpenFile& file : {reader, both}) {
            CHECK(kernel.read(file, 4096, start).text() == std::string("0123456789").substr(start));
            CHECK(kernel.read(file, 4096, start - 1).error == EIO);
        }
    }
    CHECK_FALSE(kernel.answered(waiting));
    REQUIRE(kernel.write(writer, "ab", 10, O_WRONLY | O_APPEND).error == 0);
    CHECK(kernel.receive(waiting).text() == "ab");
    CHECK(kernel.read(reader, 4096, 10).text() == "ab");
    REQUIRE(kernel.write(both, "c", 12, O_RDWR | O_APPEND).error == 0);
    CHECK(kernel.read(reader, 4096, 10).text() == "abc");
    CHECK(size_of(reader) == 13);
    CHECK(kernel.read_path("orders/0") == "abc");
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "trim: by an ioctl of who may append, which says where the log starts then") {
    const OpenFile writer =
        kernel.open_path("orders/0", GENERATE(O_WRONLY, O_WRONLY | O_APPEND, O_RDWR, O_RDWR | O_APPEND, O_ACCMODE));
    partition->move_start(Position{2});
    const topicfs_trim stays = trim(writer, "start");
    CHECK(stays.refused.error == 0);
    CHECK(stays.offset == 2);
    CHECK(stays.position == 2);
    const topicfs_trim all = trim(writer, "end");
    CHECK(all.refused.error == 0);
    CHECK(all.offset == 10);
    CHECK(all.position == 10);
    CHECK(partition->start() == Position{10});
    CHECK(kernel.read_path("orders/0").empty());
    CHECK(size_of(writer) == 10);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "trim: what is refused has a reason, and moves nothing") {
    const OpenFile writer = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    for (const std::string point : {"never", "", "-1", "4294967296", "end ?"}) {
        CAPTURE(point);
        const topicfs_trim asked = trim(writer, point);
        CHECK(asked.refused.error != 0);
        CHECK_FALSE(std::string_view(asked.refused.reason).empty());
    }
    CHECK(trim(writer, std::string(TOPICFS_POINT_BYTES, '1')).refused.error == EINVAL);
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        return call == "trim" ? Result<void>(system_error(ENOSPC, "trim", "orders/0")) : Result<void>();
    });
    CHECK(trim(writer, "end").refused.error == ENOSPC);
    kernel.store().context().before.set({});
    CHECK(partition->start() == Position{0});
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "trim: only on partitions, and only for who has them open for writing") {
    const Bytes asked = body(to_point("end"));
    CHECK(kernel.control(kernel.open_path("orders/0", O_RDONLY), TOPICFS_IOC_TRIM, asked).error == EBADF);
    CHECK(kernel.control(kernel.open_path("orders/0+follow", O_RDONLY), TOPICFS_IOC_TRIM, asked).error != 0);
    CHECK(kernel.control(kernel.open_path("orders/.status", O_RDONLY), TOPICFS_IOC_TRIM, asked).error == ENOTTY);
    CHECK(kernel.control(kernel.open_path("orders/.config/seal.ms", O_WRONLY), TOPICFS_IOC_TRIM, asked).error ==
          ENOTTY);
    const OpenFile writer = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    CHECK(kernel.control(writer, TOPICFS_IOC_TRIM, body(topicfs_commit{})).error == EINVAL);
    CHECK(kernel.write(kernel.open_path("orders/0", O_ACCMODE), "x", 10, O_ACCMODE).error == EBADF);
    CHECK(partition->start() == Position{0});
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
