#include "io/spare_files.h"

#include "io/file_system.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <cerrno>
#include <deque>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct Kept final : SpareFile {
    bool let_go(Effort effort) override {
        closed = !in_use && (!dirty || effort == Effort::kSync);
        return closed;
    }
    bool in_use = false;
    bool dirty = false;
    bool closed = false;
};

}  // namespace

TEST_CASE("SpareFiles: what was opened first is closed first, and what needs no sync before what does") {
    SpareFiles spare;
    std::deque<Kept> kept(SpareFiles::kLetGoAtOnce + 10);
    kept[0].dirty = true;
    kept[1].in_use = true;
    for (Kept& file : kept) {
        spare.add(file);
    }
    CHECK(spare.let_go());
    CHECK_FALSE(kept[0].closed);
    CHECK_FALSE(kept[1].closed);
    CHECK(kept[2].closed);
    CHECK(kept[SpareFiles::kLetGoAtOnce + 1].closed);
    CHECK_FALSE(kept[SpareFiles::kLetGoAtOnce + 2].closed);
    CHECK(spare.size() == 10);

    CHECK(spare.let_go());
    CHECK(kept[0].closed);
    CHECK(spare.size() == 1);
    CHECK_FALSE(spare.let_go());
    spare.remove(kept[1]);
    CHECK(spare.size() == 0);
    spare.remove(kept[1]);  // does nothing
}

TEST_CASE("SpareFiles: a file that was closed can be kept again, behind the others") {
    SpareFiles spare;
    Kept first;
    Kept second;
    second.in_use = true;
    spare.add(first);
    spare.add(second);
    CHECK(spare.let_go());
    first.in_use = true;
    spare.add(first);
    CHECK(spare.size() == 2);
    second.in_use = false;
    CHECK(spare.let_go());
    CHECK(second.closed);
    spare.remove(first);
}

TEST_CASE("open_file: where no descriptor is to be had, it is tried again if a spare file was closed") {
    const TemporaryDirectory directory;
    const auto inner = std::move(*open_file_system(directory.string()));
    for (const int shortage : {EMFILE, ENFILE}) {
        FaultFileSystem fs(*inner);
        fs.set({"open", "", 1, false, shortage});
        const auto refused = open_file(fs, "a", O_RDWR | O_CREAT);
        REQUIRE_FALSE(refused);
        CHECK(lacks_descriptors(refused.error()));
        CHECK(fs.calls("open") == 1);

        Kept kept;
        fs.spare_files().add(kept);
        fs.set({"open", "", 1, false, shortage});
        CHECK(open_file(fs, "a", O_RDWR | O_CREAT));
        CHECK(kept.closed);
        CHECK(fs.calls("open") == 3);
    }
}
