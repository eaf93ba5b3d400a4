// `.config` and `.status`.
#include <sys/stat.h>
#include <topicfs/ioctl.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

template <std::size_t N>
void put(char (&into)[N], std::string_view text) {
    REQUIRE(text.size() <= N);
    std::copy(text.begin(), text.end(), into);
}

struct Fixture {
    Fixture() { REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders", 0750, {500, 600, 77}).error == 0); }

    topicfs_refusal check(std::string_view path, std::string_view value) {
        topicfs_check asked = {};
        put(asked.value, value);
        const OpenFile file = kernel.open_path(path, O_WRONLY);
        const Answer answer = kernel.control(file, TOPICFS_IOC_CHECK, body(asked));
        kernel.release(file);
        return answer.as<topicfs_check>(sizeof(fuse_ioctl_out)).refused;
    }

    topicfs_refusal prepare(const OpenFile& root, std::string_view name, std::string_view settings,
                            const Caller& caller = {}) {
        topicfs_new_topic asked = {};
        put(asked.name, name);
        put(asked.settings, settings);
        const Answer answer = kernel.control(root, TOPICFS_IOC_NEW_TOPIC, body(asked), {}, FUSE_IOCTL_DIR, caller);
        return answer.as<topicfs_new_topic>(sizeof(fuse_ioctl_out)).refused;
    }

    void release_directory(const OpenFile& directory) {
        fuse_release_in in = {};
        in.fh = directory.handle;
        REQUIRE(kernel.call(FUSE_RELEASEDIR, directory.node, body(in)).error == 0);
    }

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

TEST_CASE_METHOD(Fixture, "whether a value would be refused is asked by ioctl, with the reason, and changes nothing") {
    CHECK(check("orders/.config/seal.ms", "7s").error == 0);
    CHECK(kernel.read_path("orders/.config/seal.ms") == "15000\n");
    const topicfs_refusal no_time = check("orders/.config/seal.ms", "soon");
    CHECK(no_time.error == EINVAL);
    CHECK(std::string_view(no_time.reason).starts_with("seal.ms: 'soon' is no time; it takes 1 to "));
    CHECK(std::string_view(check("orders/.config/num.partitions", "3").reason) == "num.partitions: for the test");
    CHECK(check(".config/num.partitions", "3").error == 0);
    CHECK(check(".config/num.partitions", "0").error == EINVAL);
    CHECK(check(".config/disk.pressure", "delete").error == 0);
    CHECK(check(".config/disk.pressure", "wait").error == EINVAL);
    CHECK(kernel.read_path(".config/disk.pressure") == "refuse\n");
    CHECK(check("orders/.config/seal.ms", std::string(TOPICFS_SETTINGS_BYTES, '1')).error == EINVAL);
}

TEST_CASE_METHOD(Fixture, "those ioctls are for their files alone") {
    const topicfs_check check = {};
    const topicfs_new_topic topic = {};
    CHECK(kernel.control(kernel.open_path("orders/.status", O_RDONLY), TOPICFS_IOC_CHECK, body(check)).error == ENOTTY);
    const OpenFile key = kernel.open_path("orders/.config/seal.ms", O_RDONLY);
    CHECK(kernel.control(key, TOPICFS_IOC_NEW_TOPIC, body(topic)).error == ENOTTY);
    CHECK(kernel.control(key, TOPICFS_IOC_CHECK, body(check.refused)).error == EINVAL);
    const OpenFile orders = kernel.open_directory(kernel.node_of_path("orders"));
    CHECK(kernel.control(orders, TOPICFS_IOC_NEW_TOPIC, body(topic), {}, FUSE_IOCTL_DIR).error == ENOTTY);
    CHECK(
        kernel.control(kernel.open_directory(FUSE_ROOT_ID), TOPICFS_IOC_CHECK, body(check), {}, FUSE_IOCTL_DIR).error ==
        ENOTTY);
}

TEST_CASE_METHOD(Fixture, "a topic is made with the settings that were given ahead, once") {
    const OpenFile root = kernel.open_directory(FUSE_ROOT_ID);
    CHECK(prepare(root, "new", "num.partitions=3\nrecord.delimiter==\nseal.ms=7s\n").error == 0);
    CHECK(kernel.look_up(FUSE_ROOT_ID, "new").error == ENOENT);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "new").error == 0);
    const TopicSettings settings = kernel.store().fake_topic("new")->settings();
    CHECK(kernel.store().fake_topic("new")->partition_count() == 3);
    CHECK(settings.record_delimiter == '=');
    CHECK(settings.seal_ms == 7000);
    REQUIRE(kernel.call(FUSE_RMDIR, FUSE_ROOT_ID, body(std::string_view("new"))).error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "new").error == 0);
    CHECK(kernel.store().fake_topic("new")->settings() == TopicSettings{});
}

TEST_CASE_METHOD(Fixture, "what is given ahead is for that name, that thread and that user, until the close") {
    const OpenFile root = kernel.open_directory(FUSE_ROOT_ID);
    CHECK(prepare(root, "a", "num.partitions=3\n").error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "b").error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a", 0755, {1000, 1000, 78}).error == 0);
    CHECK(kernel.store().fake_topic("a")->partition_count() == 1);
    CHECK(kernel.store().fake_topic("b")->partition_count() == 1);
    CHECK(prepare(root, "c", "num.partitions=3\n", {1001, 1000, 0}).error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "c", 0755, {1000, 1000, 0}).error == 0);
    CHECK(kernel.store().fake_topic("c")->partition_count() == 1);
    CHECK(prepare(root, "d", "num.partitions=3\n").error == 0);
    release_directory(root);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "d").error == 0);
    CHECK(kernel.store().fake_topic("d")->partition_count() == 1);
}

TEST_CASE_METHOD(Fixture, "what cannot be a topic is refused ahead, with the reason") {
    const OpenFile root = kernel.open_directory(FUSE_ROOT_ID);
    CHECK(prepare(root, "no name", "").error == EINVAL);
    CHECK(prepare(root, std::string(250, 'a'), "").error == ENAMETOOLONG);
    CHECK(prepare(root, std::string(252, 'a'), "").error == EINVAL);
    CHECK(std::string_view(prepare(root, "a", "seal.ms").reason) == "seal.ms: no value is given");
    CHECK(prepare(root, "a", "no.such=1\n").error == ENOENT);
    CHECK(std::string_view(prepare(root, "a", "num.partitions=2\nseal.ms=soon\n").reason)
              .starts_with("seal.ms: 'soon' is no time"));
    CHECK(prepare(root, "a", std::string(TOPICFS_SETTINGS_BYTES, 'a')).error == EINVAL);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "a").error == 0);
    CHECK(kernel.store().fake_topic("a")->settings() == TopicSettings{});
}

}  // namespace
}  // namespace topicfs::test
