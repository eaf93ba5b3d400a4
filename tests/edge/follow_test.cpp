// +follow: reads that wait for the log to grow, and polls.
#include <poll.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <future>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

struct Fixture {
    Fixture() {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        partition = kernel.store().fake_topic("orders")->fake_partition(0);
    }
    OpenFile follow(int flags = O_RDONLY) { return kernel.open_path("orders/0+follow", flags); }
    void append(std::string_view text) { REQUIRE(partition->append(std::as_bytes(std::span(text)))); }
    // Sends a read that is to wait, and sees that it does.
    std::uint64_t waiting_read(const OpenFile& file, std::uint64_t offset = 0, std::uint32_t size = 4096) {
        const std::uint64_t unique = kernel.send_read(file, size, offset);
        REQUIRE(partition->await_waiters(true));
        CHECK_FALSE(kernel.answered(unique));
        return unique;
    }
    // What POLL says is there at once; `number` is what a notice will bring.
    std::uint32_t poll(const OpenFile& file, std::uint64_t number) {
        fuse_poll_in in = {};
        in.fh = file.handle;
        in.kh = number;
        in.flags = FUSE_POLL_SCHEDULE_NOTIFY;
        in.events = POLLIN;
        return kernel.call(FUSE_POLL, file.node, body(in)).as<fuse_poll_out>().revents;
    }

    PretendKernel kernel;
    std::shared_ptr<FakePartition> partition;
};

TEST_CASE_METHOD(Fixture, "+follow: it is a file that cannot seek, for reading only, on a node of its own") {
    append("hello");
    const fuse_attr plain = kernel.attributes_of("orders/0");
    const fuse_attr followed = kernel.attributes_of("orders/0+follow");
    CHECK(followed.ino == plain.ino);
    CHECK(followed.size == 5);
    CHECK(S_ISREG(followed.mode));
    const std::uint64_t node = kernel.node_of_path("orders/0+follow");
    CHECK(node != kernel.node_of_path("orders/0"));
    for (const int flags : {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND, O_RDWR | O_APPEND}) {
        CHECK(kernel.open(node, flags).error == EPERM);
    }
    const OpenFile file = follow();
    CHECK(file.open_flags == (FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE));
    CHECK(kernel.read(file, 3).text() == "hel");
    CHECK(kernel.read(file, 100, 3).text() == "lo");
    CHECK(kernel.session().open_handle_count() == 1);
}

TEST_CASE_METHOD(Fixture, "+follow: a read at the end waits for the next append") {
    const OpenFile file = follow();
    std::uint64_t at = 0;
    for (const std::string text : {"one", "two", "three"}) {
        const std::uint64_t read = waiting_read(file, at);
        append(text);
        CHECK(kernel.receive(read).text() == text);
        at += text.size();
        CHECK(partition->await_waiters(false));  // Nobody waits any more.
    }
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: a read behind the end waits until the log has come to it") {
    const OpenFile file = follow();
    const std::uint64_t read = waiting_read(file, 6);
    append("hello ");
    CHECK_FALSE(kernel.answered(read));
    append("world");
    CHECK(kernel.receive(read).text() == "world");
}

TEST_CASE_METHOD(Fixture, "+follow: many wait for one partition, and each is answered once") {
    std::vector<std::uint64_t> reads;
    for (int i = 0; i < 200; ++i) {
        reads.push_back(waiting_read(follow()));
    }
    append("hello");
    for (const std::uint64_t read : reads) {
        CHECK(kernel.receive(read).text() == "hello");
    }
    CHECK(partition->await_waiters(false));
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: what is appended after the look at the end and before the wait is not missed") {
    const OpenFile file = follow();
    std::atomic<bool> first = true;
    kernel.store().context().before.set([&](std::string_view call) -> Result<void> {
        if (call == "start_waiting" && first.exchange(false)) {
            append("hello");
        }
        return {};
    });
    CHECK(kernel.read(file).text() == "hello");
    CHECK(kernel.read(file, 100, 2).text() == "llo");
}

TEST_CASE_METHOD(Fixture, "+follow: what is appended while a read comes in is not missed") {
    for (std::uint64_t turn = 0; turn < 300; ++turn) {
        const OpenFile file = follow();
        auto appended =
            std::async(std::launch::async, [&] { return partition->append(std::as_bytes(std::span("x", 1))); });
        CHECK(kernel.read(file, 100, turn).text() == "x");
        REQUIRE(appended.get());
        REQUIRE(kernel.release(file).error == 0);
    }
    CHECK(partition->await_waiters(false));
}

TEST_CASE_METHOD(Fixture, "+follow: an interrupt ends a waiting read with EINTR, and no other") {
    const OpenFile file = follow();
    const std::uint64_t interrupted = waiting_read(file);
    const std::uint64_t other = waiting_read(follow());
    kernel.interrupt(interrupted);
    CHECK(kernel.receive(interrupted).error == EINTR);
    CHECK_FALSE(kernel.answered(other));
    append("hello");
    CHECK(kernel.receive(other).text() == "hello");
    CHECK(kernel.read(file).text() == "hello");
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: an interrupt that comes before the read waits ends it too") {
    const OpenFile file = follow();
    for (int turn = 0; turn < 20; ++turn) {
        // The read is held up where it looks for the end, until the interrupt is on its way.
        std::promise<void> came;
        std::promise<void> go_on;
        std::shared_future<void> may_go_on = go_on.get_future().share();
        std::atomic<bool> first = true;
        kernel.store().context().before.set([&](std::string_view call) -> Result<void> {
            if (call == "end" && first.exchange(false)) {
                came.set_value();
                may_go_on.wait();
            }
            return {};
        });
        const std::uint64_t read = kernel.send_read(file);
        REQUIRE(came.get_future().wait_for(kPatience) == std::future_status::ready);
        kernel.interrupt(read);
        kernel.attributes(FUSE_ROOT_ID);  // The requests before it were taken from the device.
        go_on.set_value();
        CHECK(kernel.receive(read).error == EINTR);
        kernel.store().context().before.set({});
    }
    CHECK(partition->await_waiters(false));
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: interrupts and appends at the same time give one answer each") {
    const OpenFile file = follow();
    std::uint64_t size = 0;
    for (int turn = 0; turn < 300; ++turn) {
        const std::uint64_t read = kernel.send_read(file, 100, size);
        auto appended =
            std::async(std::launch::async, [&] { return partition->append(std::as_bytes(std::span("x", 1))); });
        kernel.interrupt(read);
        const Answer answer = kernel.receive(read);
        CHECK((answer.error == EINTR || answer.text() == "x"));
        REQUIRE(appended.get());
        ++size;
    }
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: with O_NONBLOCK, by the flags of the moment, a read at the end is EAGAIN") {
    const OpenFile file = follow();
    CHECK(kernel.receive(kernel.send_read(file, 100, 0, O_NONBLOCK)).error == EAGAIN);
    append("hello");
    CHECK(kernel.receive(kernel.send_read(file, 100, 0, O_NONBLOCK)).text() == "hello");
    CHECK(kernel.receive(kernel.send_read(file, 100, 5, O_NONBLOCK)).error == EAGAIN);
    CHECK(partition->await_waiters(false));
}

TEST_CASE_METHOD(Fixture,
                 "+follow: an answer is never as large as the largest request, after which the kernel would ask on") {
    if (!kernel.has_room_for_large_requests()) {
        WARN("skipped: this system's sockets do not take packets of a megabyte (net.core.wmem_max)");
        return;
    }
    append(std::string(3 << 20, 'x'));
    const OpenFile file = follow();
    CHECK(kernel.read(file, 1 << 20).body.size() == (1 << 20) - 4096);
    CHECK(kernel.read(kernel.open_path("orders/0", O_RDONLY), 1 << 20).body.size() == 1 << 20);
}

TEST_CASE_METHOD(Fixture, "+follow: the mount's end is the end of the file, for who waits and who comes later") {
    const OpenFile file = follow();
    const std::uint64_t read = waiting_read(file);
    const OpenFile polled = follow();
    CHECK(poll(polled, 5) == 0);
    kernel.session().end_follows();
    const Answer answer = kernel.receive(read);
    CHECK(answer.error == 0);
    CHECK(answer.text().empty());
    CHECK(kernel.receive_poll_notice() == 5);
    CHECK(kernel.read(file).text().empty());
    CHECK(kernel.receive(kernel.send_read(file, 100, 0, O_NONBLOCK)).text().empty());
    CHECK((poll(polled, 6) & POLLIN) != 0);
    CHECK(partition->await_waiters(false));
    append("hello");
    CHECK(kernel.read(file).text() == "hello");
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "+follow: the topic's removal is the end of the file, for who waits and who comes later") {
    const OpenFile file = follow();
    const std::uint64_t read = waiting_read(file);
    const OpenFile polled = follow();
    CHECK(poll(polled, 5) == 0);
    partition->remove();
    const Answer answer = kernel.receive(read);
    CHECK(answer.error == 0);
    CHECK(answer.text().empty());
    CHECK(kernel.receive_poll_notice() == 5);
    CHECK(kernel.read(file).text().empty());
    CHECK(kernel.receive(kernel.send_read(file, 100, 0, O_NONBLOCK)).text().empty());
    CHECK((poll(polled, 6) & POLLIN) != 0);
}

TEST_CASE_METHOD(Fixture, "+follow: a session that ends with reads that wait leaves nothing behind") {
    waiting_read(follow());
    waiting_read(follow());
    CHECK(poll(follow(), 5) == 0);
    CHECK(kernel.unmount().has_value());
}

TEST_CASE_METHOD(Fixture, "poll: a partition is always ready, as POSIX says of files") {
    const std::uint32_t ready = poll(kernel.open_path("orders/0", O_RDWR), 5);
    CHECK(ready == (POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM));
    append("hello");
    CHECK(kernel.poll_notices() == 0);
}

TEST_CASE_METHOD(Fixture, "poll: a +follow file is ready where the next read would not wait, else it is told once") {
    append("hello");
    const OpenFile file = follow();
    CHECK(poll(file, 5) == (POLLIN | POLLRDNORM));
    CHECK(kernel.read(file, 3).text() == "hel");
    CHECK(poll(file, 5) == (POLLIN | POLLRDNORM));
    CHECK(kernel.read(file, 100, 3).text() == "lo");
    CHECK(poll(file, 6) == 0);
    CHECK(poll(file, 7) == 0);  // The latest number counts.
    append("more");
    CHECK(kernel.receive_poll_notice() == 7);
    append("and more");
    CHECK(kernel.poll_notices() == 0);
    CHECK(partition->await_waiters(false));
    CHECK(poll(file, 8) == (POLLIN | POLLRDNORM));
    CHECK(kernel.finish() == 0);
}

TEST_CASE_METHOD(Fixture, "poll: a file that is closed is not told any more") {
    const OpenFile closed = follow();
    const OpenFile open = follow();
    CHECK(poll(closed, 5) == 0);
    CHECK(poll(open, 6) == 0);
    CHECK(kernel.release(closed).error == 0);
    append("hello");
    CHECK(kernel.receive_poll_notice() == 6);
    CHECK(kernel.poll_notices() == 0);
    const OpenFile last = follow();
    CHECK(kernel.read(last).text() == "hello");
    CHECK(poll(last, 7) == 0);
    CHECK(partition->await_waiters(true));
    CHECK(kernel.release(last).error == 0);
    CHECK(partition->await_waiters(false));
}

}  // namespace
}  // namespace topicfs::test
