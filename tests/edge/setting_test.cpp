// `.config` and `.status`.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

struct Fixture {
    Fixture() { REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders", 0750, {500, 600, 77}).error == 0); }

    PretendKernel kernel;
};

TEST_CASE_METHOD(Fixture, "a setting reads as its value and a newline, and its size says how long that is") {
    const std::string text = kernel.read_path("orders/.config/segment.bytes");
    CHECK(text == "1073741824\n");
    CHECK(kernel.attributes_of("orders/.config/segment.bytes").size == text.size());
    CHECK(kernel.read_path(".config/num.partitions") == "1\n");
    const OpenFile file = kernel.open_path("orders/.config/segment.bytes", O_RDONLY);
    CHECK(kernel.read(file, 4, 2).text() == "7374");
    CHECK(kernel.read(file, 100, 11).text().empty());
    CHECK(kernel.read(file, 100, 1 << 20).text().empty());
}

TEST_CASE_METHOD(Fixture, "a setting belongs to the topic's owner, who may write it if he may write the topic") {
    const fuse_attr key = kernel.attributes_of("orders/.config/segment.bytes");
    CHECK(key.mode == (S_IFREG | 0640));
    CHECK(key.uid == 500);
    CHECK(key.gid == 600);
    CHECK(kernel.attributes_of("orders/.config").mode == (S_IFDIR | 0750));
    CHECK(kernel.attributes_of("orders/.status").mode == (S_IFREG | 0440));
    fuse_setattr_in change = {};
    change.valid = FATTR_MODE;
    change.mode = 0777;
    CHECK(kernel.set_attributes(kernel.node_of_path("orders/.config/segment.bytes"), change).error == EPERM);
    CHECK(kernel.set_attributes(kernel.node_of_path("orders/.config"), change).error == EPERM);
    CHECK(kernel.set_attributes(kernel.node_of_path("orders/.status"), change).error == EPERM);
}

TEST_CASE_METHOD(Fixture, "one write is one value, wherever the kernel thinks that it goes") {
    const OpenFile file = kernel.open_path("orders/.config/segment.bytes", O_RDWR | O_TRUNC);
    CHECK(kernel.write(file, "2097152\n").as<fuse_write_out>().size == 8);
    CHECK(kernel.read(file).text() == "2097152\n");
    CHECK(kernel.write(file, "3145728", 8).error == 0);
    CHECK(kernel.read_path("orders/.config/segment.bytes") == "3145728\n");
    CHECK(kernel.store().fake_topic("orders")->settings().segment_bytes == 3145728);
    CHECK(kernel.store().default_settings().segment_bytes == 1073741824);
}

TEST_CASE_METHOD(Fixture, "a bad value is EINVAL at the write and changes nothing") {
    const OpenFile file = kernel.open_path("orders/.config/segment.bytes", O_WRONLY | O_TRUNC);
    CHECK(kernel.write(file, "many\n").error == EINVAL);
    CHECK(kernel.write(file, std::string(5000, '1')).error == EINVAL);
    CHECK(kernel.read_path("orders/.config/segment.bytes") == "1073741824\n");
    fuse_flush_in flush = {};
    flush.fh = file.handle;
    CHECK(kernel.call(FUSE_FLUSH, file.node, body(flush)).error == 0);
    fuse_fsync_in sync = {};
    sync.fh = file.handle;
    CHECK(kernel.call(FUSE_FSYNC, file.node, body(sync)).error == 0);
}

TEST_CASE_METHOD(Fixture, "the root's settings are what new topics start with") {
    const OpenFile file = kernel.open_path(".config/num.partitions", O_WRONLY);
    CHECK(kernel.write(file, "3\n").error == 0);
    CHECK(kernel.store().default_settings().num_partitions == 3);
    CHECK(kernel.read_path(".config/num.partitions") == "3\n");
}

TEST_CASE_METHOD(Fixture, "a setting can be truncated to nothing, which does nothing") {
    fuse_setattr_in size = {};
    size.valid = FATTR_SIZE;
    const std::uint64_t node = kernel.node_of_path("orders/.config/segment.bytes");
    CHECK(kernel.set_attributes(node, size).error == 0);
    CHECK(kernel.read_path("orders/.config/segment.bytes") == "1073741824\n");
    size.size = 3;
    CHECK(kernel.set_attributes(node, size).error == EPERM);
}

TEST_CASE_METHOD(Fixture, "the status is JSON as it was at the open, of size 0 and never cached") {
    CHECK(kernel.read_path("orders/.status") == "{\"topic\":\"orders\"}");
    CHECK(kernel.read_path(".status") == "{\"store\":true}");
    CHECK(kernel.attributes_of("orders/.status").size == 0);
    const OpenFile file = kernel.open_path("orders/.status", O_RDONLY);
    CHECK(file.open_flags == FOPEN_DIRECT_IO);
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        return call == "status_json" ? Result<void>(system_error(EIO, "status", "")) : Result<void>();
    });
    CHECK(kernel.read(file).text() == "{\"topic\":\"orders\"}");
    CHECK(kernel.open(file.node, O_RDONLY).error == EIO);
    CHECK(kernel.open(file.node, O_WRONLY).error == EPERM);
}

}  // namespace
}  // namespace topicfs::test
