// The session itself: beginning, ending, and one answer to each request whatever happens inside.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>

#include "base/log.h"
#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

TEST_CASE("Session: INIT takes what the daemon needs and leaves what would harm it") {
    PretendKernel kernel(PretendKernel::Start::kSilent);
    CHECK_FALSE(kernel.session().ready());
    const auto out = kernel.initialise().as<fuse_init_out>();
    REQUIRE(kernel.announced());
    CHECK(kernel.session().ready());
    CHECK(out.major == FUSE_KERNEL_VERSION);
    CHECK(out.max_write == 1 << 20);
    CHECK(out.max_pages == 256);
    CHECK(out.time_gran == 1);
    for (const int flag : {FUSE_POSIX_LOCKS, FUSE_FLOCK_LOCKS, FUSE_ATOMIC_O_TRUNC, FUSE_BIG_WRITES}) {
        CAPTURE(flag);
        CHECK((out.flags & static_cast<std::uint32_t>(flag)) != 0);
    }
    for (const int flag : {FUSE_ASYNC_DIO, FUSE_WRITEBACK_CACHE, FUSE_DO_READDIRPLUS, FUSE_READDIRPLUS_AUTO,
                           FUSE_HANDLE_KILLPRIV, FUSE_SPLICE_READ, FUSE_DONT_MASK, FUSE_EXPORT_SUPPORT}) {
        CAPTURE(flag);
        CHECK((out.flags & static_cast<std::uint32_t>(flag)) == 0);
    }
}

TEST_CASE("Session: a kernel of another protocol is refused, and serve() says so") {
    PretendKernel kernel(PretendKernel::Start::kSilent);
    CHECK(kernel.initialise(6).error == EPROTO);
    CHECK(kernel.unmount().error().system_errno == EPROTO);
    CHECK(kernel.finish() == 0);
    CHECK_FALSE(kernel.session().ready());
}

TEST_CASE("Session: serve() ends well when the mount goes, and when it is told to stop") {
    PretendKernel unmounted;
    CHECK(unmounted.unmount().has_value());
    PretendKernel stopped;
    stopped.session().stop();
    CHECK(stopped.finish() == 0);
    CHECK(stopped.result().has_value());
    PretendKernel never_initialised(PretendKernel::Start::kSilent);
    CHECK(never_initialised.unmount().has_value());
}

TEST_CASE("Session: options and descriptors that cannot work are refused") {
    FakeStore store;
    SessionOptions options;
    options.threads = 0;
    CHECK_FALSE(Session::create(store, Fd(eventfd(0, EFD_CLOEXEC)), options).has_value());
    CHECK_FALSE(Session::create(store, Fd(), SessionOptions()).has_value());
}

TEST_CASE("Session: what the engine throws becomes an errno, and the next request is served") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
    const OpenFile file = kernel.open_path("orders/0", O_RDWR | O_APPEND);
    auto& before = kernel.store().context().before;
    before.set([](std::string_view call) -> Result<void> {
        if (call == "append") {
            throw std::bad_alloc();
        }
        if (call == "read") {
            throw std::runtime_error("for the test");
        }
        if (call == "sync") {
            throw 42;
        }
        return {};
    });
    CHECK(kernel.write(file, "x").error == ENOMEM);
    CHECK(kernel.read(file).error == EIO);
    fuse_fsync_in sync = {};
    sync.fh = file.handle;
    CHECK(kernel.call(FUSE_FSYNC, file.node, body(sync)).error == EIO);
    before.set({});
    CHECK(kernel.write(file, "x").error == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("Session: an error with an errno that is none becomes EIO") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
    const OpenFile file = kernel.open_path("orders/0", O_RDWR | O_APPEND);
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        Error wrong;
        wrong.code = ErrorCode::kSystem;
        wrong.system_errno = -ENOSPC;
        return call == "append" ? Result<void>(wrong) : Result<void>();
    });
    CHECK(kernel.write(file, "x").error == EIO);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("Session: a look-up that fails half way leaves no node behind") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
    const std::uint64_t topic = kernel.node_of_path("orders");
    auto& before = kernel.store().context().before;
    before.set([](std::string_view call) -> Result<void> {
        return call == "end" ? Result<void>(system_error(EIO, "end", "")) : Result<void>();
    });
    CHECK(kernel.look_up(topic, "0").error == EIO);
    before.set({});
    // The topic's node and ids were made in a row: had the partition's stayed, it would be found again.
    const std::uint64_t partition = kernel.node(topic, "0");
    CHECK(partition == topic + 2);
}

TEST_CASE("Session: a request that works slowly holds up no other") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "slow").error == 0);
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "fast").error == 0);
    const OpenFile slow = kernel.open_path("slow/0", O_WRONLY | O_APPEND);
    const OpenFile fast = kernel.open_path("fast/0", O_WRONLY | O_APPEND);
    std::promise<void> let_go;
    const std::shared_future<void> released = let_go.get_future().share();
    kernel.store().context().before.set([released](std::string_view call) -> Result<void> {
        if (call == "sync") {
            released.wait();
        }
        return {};
    });
    fuse_fsync_in in = {};
    in.fh = slow.handle;
    const std::uint64_t sync = kernel.send(FUSE_FSYNC, slow.node, body(in));
    for (int i = 0; i < 100; ++i) {
        REQUIRE(kernel.write(fast, "x").error == 0);
        REQUIRE(kernel.write(slow, "x").error == 0);
        REQUIRE(kernel.attributes_of("slow/0").size == static_cast<std::uint64_t>(i) + 1);
    }
    CHECK_FALSE(kernel.answered(sync));
    let_go.set_value();
    CHECK(kernel.receive(sync).error == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("Session: requests that make no sense are answered, and hurt nobody") {
    PretendKernel kernel;
    CHECK(kernel.call(4000, FUSE_ROOT_ID, {}).error == ENOSYS);
    CHECK(kernel.attributes(4711).error == ESTALE);
    CHECK(kernel.look_up(4711, "x").error == ESTALE);
    CHECK(kernel.look_up(FUSE_ROOT_ID, "").error == ENOENT);
    kernel.interrupt(4711);
    CHECK(kernel.attributes(FUSE_ROOT_ID).error == 0);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("Session: many requests at once have one answer each") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
    const OpenFile file = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    const std::uint64_t topic = kernel.node_of_path("orders");
    fuse_write_in in = {};
    in.fh = file.handle;
    in.size = 8;
    Bytes write = body(in);
    const Bytes line = to_bytes("0123456\n");
    write.insert(write.end(), line.begin(), line.end());
    constexpr std::uint64_t kRounds = 2000;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
        const std::uint64_t first = kernel.send(FUSE_WRITE, file.node, write);
        const std::uint64_t second = kernel.send(FUSE_LOOKUP, topic, body(std::string_view("0")), {1, 1, 99});
        const std::uint64_t third = kernel.send(FUSE_GETATTR, file.node, body(fuse_getattr_in{}));
        REQUIRE(kernel.receive(third).error == 0);
        REQUIRE(kernel.receive(first).error == 0);
        REQUIRE(kernel.receive(second).error == 0);
    }
    CHECK(kernel.attributes_of("orders/0").size == kRounds * 8);
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
