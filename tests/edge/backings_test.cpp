// Which opens for append share a backing file, and when it goes.
#include "mount/backings.h"

#include <sys/ioctl.h>

#include <array>
#include <catch2/catch.hpp>

#include "edge/fake_backing.h"
#include "edge/fake_store.h"
#include "support/temporary_directory.h"

namespace topicfs::test {
namespace {

constexpr std::uint64_t kInode = 0x1010000;
constexpr auto kAuto = WritePath::kAuto;
constexpr auto kDaemon = WritePath::kDaemon;

struct Fixture {
    Fixture() {
        backing_files.reset();
        write_file(directory / "probe", "x");
        // What says that the kernel offers it: INIT with both flags, and zeros else.
        std::array<std::uint32_t, 26> init = {};
        init[1] = 26;
        init[2] = 2;
        init[13] = 1u << 30;
        init[14] = 1u << 5;
        passthrough.on_request(std::as_bytes(std::span(init)));
        passthrough.try_out(-1, directory / "probe");
        REQUIRE(passthrough.available());
        context->lends = true;
    }
    std::shared_ptr<Backing> get(WritePath path = kAuto) { return backings.get(kInode, partition, path); }

    FakeBackingFiles& backing_files = FakeBackingFiles::instance();
    TemporaryDirectory directory;
    Passthrough passthrough;
    std::shared_ptr<FakeContext> context = std::make_shared<FakeContext>();
    FakePartition partition{context, 0, Attributes{}};
    Backings backings{passthrough};
};

TEST_CASE_METHOD(Fixture, "Backings: all writers of a partition share one, each partition has its own") {
    const auto first = get();
    REQUIRE(first);
    CHECK(get() == first);
    CHECK(get(WritePath::kPassthrough) == first);
    const auto other = backings.get(kInode + 1, partition, kAuto);
    REQUIRE(other);
    CHECK(other->id() != first->id());
    CHECK(backing_files.named() == std::set{first->id(), other->id()});
    CHECK(backings.size() == 2);
}

TEST_CASE_METHOD(Fixture, "Backings: one is let go at once where that is asked for, unless somebody has it open") {
    backings.let_go(kInode);
    auto backing = get();
    REQUIRE(backing);
    backing.reset();
    backings.let_go(kInode);
    CHECK(backing_files.named().empty());
    CHECK(backings.empty());
    backing = get();
    backings.opened(kInode, true);
    backing.reset();
    backings.let_go(kInode);
    CHECK(backing_files.named().size() == 1);
    backings.closed(kInode, true);
    backings.let_go(kInode);
    CHECK(backing_files.named().empty());
    CHECK(backings.empty());
}

TEST_CASE_METHOD(Fixture, "Backings: none where writes are to come to the daemon, where it cannot be named, or lent") {
    CHECK_FALSE(get(kDaemon));
    context->lends = false;
    CHECK_FALSE(get());
    context->lends = true;
    backing_files.refuse(EMFILE);
    CHECK_FALSE(get());
    CHECK(backings.empty());
    CHECK(context->lent == 0);
    backing_files.refuse(std::nullopt);
    CHECK(get());
}

TEST_CASE_METHOD(Fixture, "Backings: none where passthrough is not to be had") {
    const Passthrough none;
    Backings without{none};
    CHECK_FALSE(without.get(kInode, partition, kAuto));
    without.opened(kInode, false);
    without.closed(kInode, false);
    CHECK(without.empty());
}

TEST_CASE_METHOD(Fixture, "Backings: while one is open on one way, others take that way") {
    REQUIRE(get());
    backings.opened(kInode, true);
    backings.opened(kInode, true);
    CHECK(get(kDaemon));
    backings.closed(kInode, true);
    CHECK(get(kDaemon));
    backings.closed(kInode, true);
    CHECK_FALSE(get(kDaemon));
    backings.opened(kInode, false);
    CHECK_FALSE(get(kAuto));
    backings.closed(kInode, false);
    CHECK(get(kAuto));
}

TEST_CASE_METHOD(Fixture,
                 "Backings: a partition that takes no more appends gives out none, also to those beside others") {
    REQUIRE(get());
    backings.opened(kInode, true);
    context->lent_is_usable = false;
    CHECK_FALSE(get());
}

TEST_CASE_METHOD(Fixture, "Backings: one that nobody has used for a round of the sweep goes, one in use stays") {
    REQUIRE(get());
    backings.sweep();
    CHECK(backing_files.named().size() == 1);  // it was used since the last sweep
    backings.opened(kInode, true);
    for (int round = 0; round < 3; ++round) {
        backings.sweep();
    }
    CHECK(backing_files.named().size() == 1);
    backings.closed(kInode, true);
    backings.sweep();
    CHECK(backing_files.named().size() == 1);
    CHECK_FALSE(backings.empty());
    backings.sweep();
    CHECK(backings.empty());
    CHECK(backing_files.named().empty());
    CHECK(context->lent == 0);
}

TEST_CASE_METHOD(Fixture, "Backings: who holds one keeps it beyond its sweep") {
    const auto held = get();
    backings.sweep();
    backings.sweep();
    CHECK(backings.empty());
    CHECK(backing_files.named() == std::set{held->id()});
    CHECK(context->lent == 1);
}

TEST_CASE_METHOD(Fixture, "Backings: an open through the daemon is remembered across sweeps, and lets the backing go") {
    REQUIRE(get());
    backings.opened(kInode, false);
    for (int round = 0; round < 3; ++round) {
        backings.sweep();
    }
    CHECK(backing_files.named().empty());
    CHECK_FALSE(get());
    backings.closed(kInode, false);
    CHECK(backings.empty());
}

}  // namespace
}  // namespace topicfs::test
