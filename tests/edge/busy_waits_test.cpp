// Requests for what a group's reader still has: they wait for its close, a while.
#include <sys/stat.h>
#include <topicfs/ioctl.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

using Milliseconds = std::chrono::milliseconds;
constexpr std::chrono::minutes kForEver(10);
constexpr char kStream[] = "orders/.groups/g/0";

// Partition 0 of a group has a reader.
struct Held {
    explicit Held(Milliseconds patience) : kernel(PretendKernel::Start::kInitialised, {}, patience) {
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        group = kernel.store().fake_topic("orders")->add_group("g");
        first = kernel.open_path(kStream, O_RDONLY);
        node = kernel.node_of_path(kStream);
        opens = 1;
    }
    // An open that was tried and has to wait.
    std::uint64_t waiting_open() {
        const std::uint64_t open = kernel.send_open(node, O_RDONLY);
        REQUIRE(group->await_opens(++opens));
        CHECK_FALSE(kernel.answered(open));
        return open;
    }
    // What is sent after others and answered before them: they keep no thread.
    void serve_another() { CHECK(kernel.attributes(FUSE_ROOT_ID).error == 0); }
    OpenFile opened(const Answer& answer) const {
        const auto out = answer.as<fuse_open_out>();
        return {node, out.fh, out.open_flags};
    }

    PretendKernel kernel;
    std::shared_ptr<FakeGroup> group;
    OpenFile first;
    std::uint64_t node = 0;
    int opens = 0;
};

}  // namespace

TEST_CASE("busy waits: an open waits until the reader that is there has closed") {
    Held held(kForEver);
    held.group->give("one\n");
    const std::uint64_t open = held.waiting_open();
    REQUIRE(held.kernel.release(held.first).error == 0);
    const OpenFile second = held.opened(held.kernel.receive(open));
    CHECK(held.kernel.read(second).text() == "one\n");
    CHECK(held.kernel.session().open_handle_count() == 1);
    CHECK(held.group->readers() == 1);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: an open that has waited so long gets EBUSY, by default after half a second") {
    const bool is_default = GENERATE(true, false);
    const Milliseconds patience = is_default ? SessionOptions().busy_patience : Milliseconds(50);
    CHECK(SessionOptions().busy_patience == Milliseconds(500));
    Held held(patience);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(held.kernel.open(held.node, O_RDONLY).error == EBUSY);
    CHECK(std::chrono::steady_clock::now() - begin >= patience);
    CHECK(held.kernel.session().open_handle_count() == 1);
    REQUIRE(held.kernel.release(held.first).error == 0);
    CHECK(held.kernel.open(held.node, O_RDONLY).error == 0);
    CHECK(held.group->readers() == 1);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: a close between the try and the wait is not missed") {
    Held held(kForEver);
    std::atomic<bool> is_first = true;
    const std::uint64_t all = held.kernel.node_of_path("orders/.groups/g/all");
    // Who has it closes behind the try, before anybody waits: there must be another try.
    held.kernel.store().context().before.set([&](std::string_view call) -> Result<void> {
        if (call == "open_reader" && is_first.exchange(false)) {
            return make_error(ErrorCode::kBusy, "open", "g", "it has a reader");
        }
        return {};
    });
    CHECK(held.kernel.open(all, O_RDONLY).error == 0);
    CHECK(held.group->readers() == 2);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: many wait, keep no thread, and come one after the other") {
    constexpr int kMany = 60;
    Held held(kForEver);
    std::vector<std::uint64_t> waiting;
    for (int i = 0; i < kMany; ++i) {
        waiting.push_back(held.waiting_open());
        held.serve_another();
    }
    OpenFile reader = held.first;
    for (int left = kMany; left > 0; --left) {
        REQUIRE(held.kernel.release(reader).error == 0);
        std::vector<std::uint64_t>::iterator found;
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        do {
            found = std::find_if(waiting.begin(), waiting.end(),
                                 [&](std::uint64_t open) { return held.kernel.answered(open); });
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            std::this_thread::yield();
        } while (found == waiting.end());
        const std::uint64_t open = *found;
        waiting.erase(found);
        reader = held.opened(held.kernel.receive(open));
        CHECK(held.group->readers() == 1);
        CHECK(held.kernel.session().open_handle_count() == 1);
    }
    CHECK(waiting.empty());
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: many that nobody makes room for get EBUSY, each once") {
    Held held(Milliseconds(20));
    std::vector<std::uint64_t> waiting(100);
    for (std::uint64_t& open : waiting) {
        open = held.kernel.send_open(held.node, O_RDONLY);
    }
    for (const std::uint64_t open : waiting) {
        CHECK(held.kernel.receive(open).error == EBUSY);
    }
    CHECK(held.group->readers() == 1);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: an interrupt of one that waits ends nothing, and it is answered once") {
    SECTION("the reader closes") {
        Held held(kForEver);
        const std::uint64_t open = held.waiting_open();
        held.kernel.interrupt(open);
        held.serve_another();
        CHECK_FALSE(held.kernel.answered(open));
        REQUIRE(held.kernel.release(held.first).error == 0);
        CHECK(held.kernel.receive(open).error == 0);
        CHECK(held.kernel.session().open_handle_count() == 1);
        CHECK(held.kernel.finish() == 0);
    }
    SECTION("it does not") {
        Held held(Milliseconds(50));
        const std::uint64_t open = held.kernel.send_open(held.node, O_RDONLY);
        held.kernel.interrupt(open);
        CHECK(held.kernel.receive(open).error == EBUSY);
        CHECK(held.kernel.session().open_handle_count() == 1);
        CHECK(held.kernel.finish() == 0);
    }
}

TEST_CASE("busy waits: resets, looks for a place and removals of a group wait too") {
    Held held(kForEver);
    const OpenFile offset = held.kernel.open_path("orders/.groups/g/0.offset", O_RDWR);
    const std::uint64_t directory = held.kernel.node_of_path("orders/.groups");
    fuse_write_in in = {};
    in.fh = offset.handle;
    in.size = 8;
    Bytes bytes = body(in);
    const Bytes text = to_bytes("earliest");
    bytes.insert(bytes.end(), text.begin(), text.end());
    const std::uint64_t reset = held.kernel.send(FUSE_WRITE, offset.node, bytes);
    const std::uint64_t removal = held.kernel.send(FUSE_RMDIR, directory, body(std::string_view("g")));
    fuse_ioctl_in asked = {};
    asked.fh = offset.handle;
    asked.cmd = TOPICFS_IOC_FIND;
    asked.in_size = asked.out_size = sizeof(topicfs_find);
    topicfs_find point = {};
    std::memcpy(point.point, "earliest", sizeof "earliest");
    const std::uint64_t look = held.kernel.send(FUSE_IOCTL, offset.node, body(asked, point));
    for (int i = 0; i < 10; ++i) {
        held.serve_another();
    }
    for (const std::uint64_t waiting : {reset, removal, look}) {
        CHECK_FALSE(held.kernel.answered(waiting));
    }
    REQUIRE(held.kernel.release(held.first).error == 0);
    CHECK(held.kernel.receive(reset).as<fuse_write_out>().size == 8);
    CHECK(held.kernel.receive(removal).error == 0);
    CHECK(held.kernel.receive(look).as<topicfs_find>(sizeof(fuse_ioctl_out)).offset == 7);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: whoever waits when the mount ends gets EBUSY at once, and who comes then does not wait") {
    Held held(kForEver);
    const std::uint64_t open = held.waiting_open();
    held.kernel.session().end_follows();
    CHECK(held.kernel.receive(open).error == EBUSY);
    CHECK(held.kernel.open(held.node, O_RDONLY).error == EBUSY);
    CHECK(held.kernel.finish() == 0);
}

TEST_CASE("busy waits: the session stays until whoever waits is answered") {
    Held held(kForEver);
    const std::uint64_t open = held.waiting_open();
    bool was_there = true;
    // The last try takes its time.
    held.kernel.store().context().before.set([&](std::string_view call) -> Result<void> {
        was_there = was_there && (call != "open_reader" || !held.kernel.is_hung_up(Milliseconds(100)));
        return {};
    });
    held.kernel.destroy_session();
    CHECK(was_there);
    CHECK(held.kernel.receive(open).error == EBUSY);
}

}  // namespace topicfs::test
