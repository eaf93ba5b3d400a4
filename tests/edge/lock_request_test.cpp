// Locks as requests: across nodes, waiting, interrupted, given up.
#include <catch2/catch.hpp>
#include <limits>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

constexpr std::uint64_t kEnd = std::numeric_limits<std::int64_t>::max();

struct Fixture {
    Fixture() {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        writer = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
        reader = kernel.open_path("orders/0", O_RDWR);
        REQUIRE(writer.node != reader.node);
    }

    Bytes request(const OpenFile& file, std::uint64_t owner, std::uint32_t type, bool flock, std::uint64_t first = 0,
                  std::uint64_t last = kEnd) const {
        fuse_lk_in in = {};
        in.fh = file.handle;
        in.owner = owner;
        in.lk = {first, last, type, static_cast<std::uint32_t>(owner)};
        in.lk_flags = flock ? FUSE_LK_FLOCK : 0;
        return body(in);
    }
    int try_lock(const OpenFile& file, std::uint64_t owner, std::uint32_t type, bool flock = false) {
        return kernel.call(FUSE_SETLK, file.node, request(file, owner, type, flock)).error;
    }
    std::uint64_t wait_lock(const OpenFile& file, std::uint64_t owner, std::uint32_t type, bool flock = false) {
        return kernel.send(FUSE_SETLKW, file.node, request(file, owner, type, flock));
    }
    void flush(const OpenFile& file, std::uint64_t owner) {
        fuse_flush_in in = {};
        in.fh = file.handle;
        in.lock_owner = owner;
        REQUIRE(kernel.call(FUSE_FLUSH, file.node, body(in)).error == 0);
    }

    PretendKernel kernel;
    OpenFile writer;
    OpenFile reader;
};

TEST_CASE_METHOD(Fixture, "locks hold across the nodes of a partition, and not between partitions") {
    const bool flock = GENERATE(false, true);
    CHECK(try_lock(writer, 1, F_WRLCK, flock) == 0);
    CHECK(try_lock(reader, 2, F_RDLCK, flock) == EAGAIN);
    REQUIRE(kernel.create(kernel.node_of_path("orders"), "1", O_WRONLY).error == 0);
    CHECK(try_lock(kernel.open_path("orders/1", O_RDWR), 2, F_WRLCK, flock) == 0);
    CHECK(try_lock(writer, 1, F_UNLCK, flock) == 0);
    CHECK(try_lock(reader, 2, F_RDLCK, flock) == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "F_GETLK tells who is in the way") {
    REQUIRE(kernel.call(FUSE_SETLK, writer.node, request(writer, 7, F_WRLCK, false, 10, 19)).error == 0);
    const auto conflict = kernel.call(FUSE_GETLK, reader.node, request(reader, 8, F_RDLCK, false)).as<fuse_lk_out>().lk;
    CHECK(conflict.type == F_WRLCK);
    CHECK(conflict.start == 10);
    CHECK(conflict.end == 19);
    CHECK(conflict.pid == 7);
    const auto none =
        kernel.call(FUSE_GETLK, reader.node, request(reader, 8, F_RDLCK, false, 0, 9)).as<fuse_lk_out>().lk;
    CHECK(none.type == F_UNLCK);
}

TEST_CASE_METHOD(Fixture, "a waiter gets its lock when the holder gives it up") {
    const bool flock = GENERATE(false, true);
    REQUIRE(try_lock(writer, 1, F_WRLCK, flock) == 0);
    const std::uint64_t waiting = wait_lock(reader, 2, F_WRLCK, flock);
    CHECK_FALSE(kernel.answered(waiting));
    REQUIRE(try_lock(writer, 1, F_UNLCK, flock) == 0);
    CHECK(kernel.receive(waiting).error == 0);
    CHECK(try_lock(writer, 1, F_RDLCK, flock) == EAGAIN);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "a waiter that is interrupted gets EINTR once, and never the lock") {
    REQUIRE(try_lock(writer, 1, F_WRLCK) == 0);
    const std::uint64_t waiting = wait_lock(reader, 2, F_WRLCK);
    kernel.interrupt(waiting);
    CHECK(kernel.receive(waiting).error == EINTR);
    kernel.interrupt(waiting);
    REQUIRE(try_lock(writer, 1, F_UNLCK) == 0);
    CHECK(try_lock(writer, 3, F_WRLCK) == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "an unlock and an interrupt that cross give one answer") {
    for (int round = 0; round < 300; ++round) {
        REQUIRE(try_lock(writer, 1, F_WRLCK) == 0);
        const std::uint64_t waiting = wait_lock(reader, 2, F_WRLCK);
        const std::uint64_t unlock = kernel.send(FUSE_SETLK, writer.node, request(writer, 1, F_UNLCK, false));
        kernel.interrupt(waiting);
        CHECK(kernel.receive(unlock).error == 0);
        const int error = kernel.receive(waiting).error;
        CHECK((error == 0 || error == EINTR));
        REQUIRE(try_lock(reader, 2, F_UNLCK) == 0);
    }
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "an interrupt that comes before its request is not lost") {
    REQUIRE(try_lock(writer, 1, F_WRLCK) == 0);
    for (int round = 0; round < 100; ++round) {
        // The unique number of the request that is sent next but one.
        const std::uint64_t probe = kernel.send(FUSE_GETATTR, FUSE_ROOT_ID, body(fuse_getattr_in{}));
        kernel.interrupt(probe + 4);
        const std::uint64_t waiting = wait_lock(reader, 2, F_WRLCK);
        REQUIRE(waiting == probe + 4);
        REQUIRE(kernel.receive(probe).error == 0);
        // libfuse keeps an early interrupt only for the next request; where that was another one, the kernel sends it
        // again, as it does when it is answered EAGAIN.
        kernel.interrupt(waiting);
        CHECK(kernel.receive(waiting).error == EINTR);
    }
    REQUIRE(try_lock(writer, 1, F_UNLCK) == 0);
    CHECK(try_lock(writer, 3, F_WRLCK) == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "two who wait for each other: the second gets EDEADLK") {
    const auto lock = [&](std::uint32_t opcode, std::uint64_t owner, std::uint64_t at) {
        return kernel.send(opcode, writer.node, request(writer, owner, F_WRLCK, false, at, at));
    };
    REQUIRE(kernel.receive(lock(FUSE_SETLK, 1, 10)).error == 0);
    REQUIRE(kernel.receive(lock(FUSE_SETLK, 2, 20)).error == 0);
    const std::uint64_t first = lock(FUSE_SETLKW, 1, 20);
    const std::uint64_t second = lock(FUSE_SETLKW, 2, 10);
    // Whichever came second is refused; then the other gets its lock when the refused one's owner ends.
    while (!kernel.answered(first) && !kernel.answered(second)) {
    }
    const bool first_refused = kernel.answered(first);
    CHECK(kernel.receive(first_refused ? first : second).error == EDEADLK);
    flush(writer, first_refused ? 1 : 2);
    CHECK(kernel.receive(first_refused ? second : first).error == 0);
}

TEST_CASE_METHOD(Fixture, "a close gives up the fcntl locks of its process, and nobody else's") {
    REQUIRE(try_lock(writer, 1, F_RDLCK) == 0);
    REQUIRE(try_lock(reader, 2, F_RDLCK) == 0);
    flush(reader, 1);
    CHECK(try_lock(reader, 3, F_WRLCK) == EAGAIN);
    CHECK(try_lock(reader, 2, F_WRLCK) == 0);
    flush(writer, 2);
    CHECK(try_lock(reader, 3, F_WRLCK) == 0);
}

TEST_CASE_METHOD(Fixture, "the last close gives up flocks and what the open itself had locked") {
    REQUIRE(try_lock(writer, 50, F_WRLCK, true) == 0);
    // F_OFD_SETLK: the owner is the open file, and no FLUSH ever names it.
    REQUIRE(try_lock(writer, 51, F_WRLCK, false) == 0);
    const std::uint64_t flock = wait_lock(reader, 60, F_WRLCK, true);
    const std::uint64_t range = wait_lock(reader, 61, F_WRLCK, false);
    flush(writer, 1);
    CHECK_FALSE(kernel.answered(flock));
    CHECK_FALSE(kernel.answered(range));
    REQUIRE(kernel.release(writer, 50).error == 0);
    CHECK(kernel.receive(flock).error == 0);
    CHECK(kernel.receive(range).error == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "those who wait when the session ends are answered") {
    REQUIRE(try_lock(writer, 1, F_WRLCK) == 0);
    for (std::uint64_t owner = 2; owner < 10; ++owner) {
        wait_lock(reader, owner, F_WRLCK);
    }
    CHECK(kernel.finish() == 0);
    // The destructor answers them; address sanitizer sees that nothing of them is left.
}

TEST_CASE_METHOD(Fixture, "a range that makes no sense is refused") {
    CHECK(kernel.call(FUSE_SETLK, writer.node, request(writer, 1, F_WRLCK, false, 10, 5)).error == EINVAL);
    CHECK(kernel.call(FUSE_SETLK, writer.node, request(writer, 1, F_WRLCK, false, UINT64_MAX, UINT64_MAX)).error ==
          EINVAL);
    CHECK(kernel.call(FUSE_SETLK, writer.node, request({1, 4711, 0}, 1, F_WRLCK, false)).error == EBADF);
    CHECK(kernel.call(FUSE_GETLK, writer.node, request({1, 4711, 0}, 1, F_WRLCK, false)).error == EBADF);
}

}  // namespace
}  // namespace topicfs::test
