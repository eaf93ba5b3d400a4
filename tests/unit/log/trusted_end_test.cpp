// How much of head is believed after a power cut.
#include "log/recovery.h"

#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

std::uint64_t trusted(const std::string& content, std::uint64_t from, std::size_t hole_bytes = 0) {
    const TemporaryDirectory directory;
    const auto fs = std::move(*open_file_system(directory.string()));
    REQUIRE(fs->make_directory("p"));
    REQUIRE(Head::create(*fs, "p", Position{0}, TimestampMs{1}));
    const auto head = Head::open(*fs, "p", Position{0}, Head::Access::kReadAppend);
    REQUIRE(head);
    REQUIRE((*head)->append(std::as_bytes(std::span(content))));
    REQUIRE((*head)->set_end(Position{content.size() + hole_bytes}));
    const auto end = trusted_end(**head, Position{from});
    REQUIRE(end);
    return end->value;
}

const std::string kNuls(5000, '\0');

}  // namespace

TEST_CASE("trusted_end: bytes that are no NULs are all kept") {
    CHECK(trusted("", 0) == 0);
    CHECK(trusted("abc", 0) == 3);
    CHECK(trusted("abc", 3) == 3);
    CHECK(trusted(std::string(600'000, 'x'), 0) == 600'000);
}

TEST_CASE("trusted_end: NULs inside a sector are bytes like any other") {
    CHECK(trusted(std::string("a\0\0b", 4), 0) == 4);
    CHECK(trusted(std::string(100, 'a') + std::string(300, '\0') + "b", 0) == 401);
    CHECK(trusted(std::string("\0\0b", 3), 0) == 3);
}

TEST_CASE("trusted_end: a run of NULs that reaches the end of a sector is not believed, nor is what follows") {
    CHECK(trusted(std::string(500, 'a') + std::string(12, '\0') + "b", 0) == 500);
    CHECK(trusted(std::string(500, 'a') + std::string(11, '\0') + "bc", 0) == 513);
    CHECK(trusted(std::string(512, 'a') + kNuls + "b", 0) == 512);
    CHECK(trusted(kNuls + "b", 0) == 0);
    const std::string far(300'000, 'a');  // in another window of the scan
    CHECK(trusted(far + kNuls + far, 0) == 300'000);
}

TEST_CASE("trusted_end: a run of NULs that reaches the end of the file is not believed") {
    CHECK(trusted(std::string("ab\0\0", 4), 0) == 2);
    CHECK(trusted("ab" + kNuls, 0) == 2);
    CHECK(trusted(std::string("ab\0", 3), 0) == 2);
}

TEST_CASE("trusted_end: what lies before the durable end is believed whatever it looks like") {
    const std::string text = "ab" + kNuls;
    CHECK(trusted(text, text.size()) == text.size());
    CHECK(trusted(text + "c", text.size()) == text.size() + 1);
    CHECK(trusted(text + kNuls, text.size()) == text.size());
    CHECK(trusted(text + kNuls, 1000) == 1000);
}

TEST_CASE("trusted_end: nothing behind a hole is believed") {
    const std::string block(4096, 'a');
    CHECK(trusted(block, 0, 10'000) == 4096);
    CHECK(trusted(block, 4096, 10'000) == 4096);
    CHECK(trusted("ab", 0, 10'000) == 2);
}
