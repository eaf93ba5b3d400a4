#include "log/head.h"

#include "log/layout.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct HeadFixture {
    HeadFixture() {
        REQUIRE(fs->make_directory("p"));
        REQUIRE(Head::create(*fs, "p", Position{100}, TimestampMs{7}));
    }
    std::shared_ptr<Head> open(Head::Access access = Head::Access::kReadAppend) {
        auto head = Head::open(*fs, "p", Position{100}, access);
        REQUIRE(head);
        return *head;
    }
    std::filesystem::path path() const { return directory / "p" / head_file_name(Position{100}); }

    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> fs = std::move(*open_file_system(directory.string()));
};

std::string read(const Head& head, std::uint64_t from, std::size_t bytes) {
    std::string text(bytes, '?');
    const auto got = head.read(Position{from}, std::as_writable_bytes(std::span(text)));
    REQUIRE(got);
    text.resize(*got);
    return text;
}

}  // namespace

TEST_CASE("Head: an empty one ends where it begins") {
    HeadFixture fixture;
    const auto head = fixture.open();
    CHECK(head->base() == Position{100});
    CHECK(head->header().created == TimestampMs{7});
    CHECK(*head->end() == Position{100});
    CHECK(read(*head, 100, 10).empty());
    CHECK(std::filesystem::file_size(fixture.path()) == kHeadDataAt);
}

TEST_CASE("Head: positions count from its base") {
    HeadFixture fixture;
    const auto head = fixture.open();
    REQUIRE(*head->append(to_bytes("hello")) == 5);
    CHECK(*head->end() == Position{105});
    CHECK(read(*head, 100, 10) == "hello");
    CHECK(read(*head, 103, 10) == "lo");
    CHECK(read(*head, 105, 10).empty());
    CHECK(read(*head, 900, 10).empty());
    CHECK(read_file(fixture.path()).substr(kHeadDataAt) == "hello");
}

TEST_CASE("Head: what others append to the file is seen at once, and appends go behind it") {
    HeadFixture fixture;
    const auto head = fixture.open();
    const auto other = fixture.open();
    REQUIRE(head->append(to_bytes("one")));
    REQUIRE(other->append(to_bytes("two")));
    REQUIRE(head->append(to_bytes("three")));
    CHECK(read(*fixture.open(Head::Access::kRead), 100, 100) == "onetwothree");
    CHECK(*other->end() == Position{111});
}

TEST_CASE("Head: a damaged header or another base is told from a missing file") {
    HeadFixture fixture;
    CHECK(is_errno(Head::open(*fixture.fs, "p", Position{5}, Head::Access::kRead).error(), ENOENT));
    std::filesystem::copy_file(fixture.path(), fixture.directory / "p" / head_file_name(Position{5}));
    CHECK(Head::open(*fixture.fs, "p", Position{5}, Head::Access::kRead).error().code == ErrorCode::kDamaged);
    const std::string content = read_file(fixture.path());
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{40}}) {
        write_file(fixture.path(), content.substr(0, size));
        CHECK(Head::open(*fixture.fs, "p", Position{100}, Head::Access::kRead).error().code == ErrorCode::kDamaged);
    }
}

TEST_CASE("Head: the end can be set, and what was punched reads as zeros") {
    HeadFixture fixture;
    const auto head = fixture.open();
    REQUIRE(head->append(to_bytes(std::string(20'000, 'x'))));
    REQUIRE(head->punch(Position{100}, Position{100 + 8192}));
    REQUIRE(head->punch(Position{9000}, Position{9000}));
    CHECK(read(*head, 100, 8192) == std::string(8192, '\0'));
    CHECK(read(*head, 100 + 8192, 10) == "xxxxxxxxxx");
    CHECK(*head->first_hole(Position{100}) == Position{100});
    CHECK(*head->first_data(Position{100}) == Position{100 + 8192});
    CHECK(*head->first_hole(Position{9000}) == *head->end());
    CHECK(*head->end() == Position{20'100});
    REQUIRE(head->set_end(Position{10'000}));
    CHECK(*head->end() == Position{10'000});
    REQUIRE(head->set_end(Position{50'000}));
    CHECK(*head->end() == Position{50'000});
    CHECK(*head->first_data(Position{40'000}) == Position{50'000});
    CHECK(*head->first_hole(Position{60'000}) == Position{50'000});
}

TEST_CASE("Head: where descriptors are few its own is closed, once it is synced, and opened again when it is used") {
    HeadFixture fixture;
    FaultFileSystem fs(*fixture.fs);
    const auto head = *Head::open(fs, "p", Position{100}, Head::Access::kReadAppend);
    REQUIRE(head->append(to_bytes("hello")));
    CHECK_FALSE(head->let_go(Head::Effort::kClose));
    {
        const auto in_use = head->file();
        CHECK_FALSE(head->let_go(Head::Effort::kSync));
    }
    CHECK(head->is_open());
    CHECK(fs.spare_files().let_go());
    CHECK_FALSE(head->is_open());
    CHECK(fs.calls("fdatasync") == 1);

    REQUIRE(head->append(to_bytes(" there")));
    CHECK(head->is_open());
    CHECK(read(*head, 100, 20) == "hello there");
    REQUIRE(head->sync());
    CHECK(fs.spare_files().let_go());
    CHECK(*head->end() == Position{111});
    CHECK(head->let_go(Head::Effort::kClose));
}

TEST_CASE("Head: a sync that fails before the descriptor is to be closed is the next sync's failure") {
    HeadFixture fixture;
    FaultFileSystem fs(*fixture.fs);
    const auto head = *Head::open(fs, "p", Position{100}, Head::Access::kReadAppend);
    REQUIRE(head->append(to_bytes("hello")));
    fs.set({"fdatasync"});
    CHECK_FALSE(fs.spare_files().let_go());
    CHECK(head->is_open());
    const auto synced = head->sync();
    REQUIRE_FALSE(synced);
    CHECK(is_errno(synced.error(), EIO));
    CHECK(fs.calls("fdatasync") == 1);
    CHECK_FALSE(fs.spare_files().let_go());
}

TEST_CASE("Head: one that is open for reading keeps its descriptor") {
    HeadFixture fixture;
    const auto head = fixture.open(Head::Access::kRead);
    CHECK_FALSE(fixture.fs->spare_files().let_go());
    CHECK(head->is_open());
}
