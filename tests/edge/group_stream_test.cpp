// T/.groups/G/N and all, as files: reads that wait, ends, and what a reader gets that has lost its partitions.
#include <topicfs/ioctl.h>

#include <catch2/catch.hpp>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

struct Fixture {
    Fixture() {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        group = kernel.store().fake_topic("orders")->add_group("g");
    }
    // A read at the end that waits.
    std::uint64_t waiting_read(const OpenFile& file, std::uint64_t offset = 0) {
        const std::uint64_t read = kernel.send_read(file, 4096, offset);
        REQUIRE(group->await_fetches(++fetches));
        return read;
    }
    Answer commit(const OpenFile& file, std::uint64_t offset) {
        return kernel.control(file, TOPICFS_IOC_COMMIT, body(topicfs_commit{offset}), 0);
    }

    PretendKernel kernel;
    std::shared_ptr<FakeGroup> group;
    int fetches = 0;
};

TEST_CASE_METHOD(Fixture, "group stream: a read gives what there is, commits where it begins, and ends at the end") {
    group->give("one\ntwo\n");
    const OpenFile file = kernel.open_path("orders/.groups/g/all", O_RDONLY);
    CHECK(file.open_flags == (FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE));
    CHECK(kernel.read(file, 4).text() == "one\n");
    CHECK(group->committed_bytes() == 0);
    CHECK(kernel.read(file, 4096, 4).text() == "two\n");
    CHECK(group->committed_bytes() == 4);
    const Answer end = kernel.read(file, 4096, 8);
    CHECK(end.error == 0);
    CHECK(end.text().empty());
    CHECK(group->committed_bytes() == 8);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "group stream: +follow waits, also where what it waited for has gone to another reader") {
    const char* const name = GENERATE("orders/.groups/g/all+follow", "orders/.groups/g/0+follow");
    const OpenFile file = kernel.open_path(name, O_RDONLY);
    std::uint64_t read = waiting_read(file);
    for (int turn = 0; turn < 3; ++turn) {
        // It is told of a partition with records, which has gone on to another when it comes for them.
        group->give_and_take();
        REQUIRE(group->await_fetches(++fetches));
    }
    group->give("late\n");  // An end-of-file would have been the answer by now.
    CHECK(kernel.receive(read).text() == "late\n");
    ++fetches;
    read = waiting_read(file, 5);
    group->give_and_take();
    REQUIRE(group->await_fetches(++fetches));
    group->end();
    const Answer end = kernel.receive(read);
    CHECK(end.error == 0);
    CHECK(end.text().empty());
    CHECK(group->committed_bytes() == 5);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture,
                 "group stream: a read of +follow that is not to wait is EAGAIN, and end-of-file once it is over") {
    const OpenFile file = kernel.open_path("orders/.groups/g/all+follow", O_RDONLY | O_NONBLOCK);
    const auto read = [&] { return kernel.receive(kernel.send_read(file, 4096, 0, O_NONBLOCK)); };
    CHECK(read().error == EAGAIN);
    group->give_and_take();
    CHECK(read().error == EAGAIN);
    group->end();
    const Answer end = read();
    CHECK(end.error == 0);
    CHECK(end.text().empty());
}

TEST_CASE_METHOD(Fixture, "group stream: who has lost its partitions gets EIO for reads, commits and descriptions") {
    group->give("one\n");
    const OpenFile file = kernel.open_path("orders/.groups/g/0+follow", O_RDONLY);
    CHECK(kernel.read(file).text() == "one\n");
    ++fetches;
    CHECK(commit(file, 5).error == EINVAL);
    CHECK(commit(file, 2).error == 0);
    CHECK(group->committed_bytes() == 2);
    const std::uint64_t waiting = waiting_read(file, 4);
    group->lose();
    CHECK(kernel.receive(waiting).error == EIO);
    CHECK(kernel.read(file, 4096, 4).error == EIO);
    CHECK(commit(file, 4).error == EIO);
    const topicfs_describe asked = {};
    CHECK(kernel.control(file, TOPICFS_IOC_DESCRIBE, body(asked), sizeof asked).error == EIO);
    CHECK(kernel.release(file).error == 0);
    CHECK(group->readers() == 0);
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
