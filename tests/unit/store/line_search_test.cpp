#include "store/line_search.h"

#include "unit/store/store_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct Searched : StoreFixture {
    Searched() {
        open();
        REQUIRE(static_cast<Store&>(*store).create_topic("T"));
    }
    LineFound find(std::string_view line, std::uint64_t from, bool only_there = false) {
        const auto partition = *(*store->topic("T"))->partition(0);
        const auto found =
            find_line(*partition, std::as_bytes(std::span(line)), std::byte{'\n'}, Position{from}, only_there);
        REQUIRE(found);
        return *found;
    }
    void append(std::string_view text) { topicfs::test::append(**store->topic("T"), 0, text); }
};

constexpr LineFound kWhole{true, 0};
constexpr LineFound kNothing{false, 0};

}  // namespace

TEST_CASE_METHOD(Searched,
                 "find_line: a line is found at the position and at the records behind it, as a whole record only") {
    append("one\ntwo\nthree\n");
    CHECK(find("two\n", 0) == kWhole);
    CHECK(find("two\n", 4) == kWhole);
    CHECK(find("two\n", 5) == kNothing);
    CHECK(find("three\n", 0) == kWhole);
    CHECK(find("hree\n", 0) == kNothing);
    CHECK(find("thre\n", 0) == kNothing);
    CHECK(find("three and more\n", 0) == kNothing);
    CHECK(find("one\n", 14) == kNothing);
    CHECK(find("one\n", 99) == kNothing);
}

TEST_CASE_METHOD(Searched,
                 "find_line: at the position it is found also where no record begins there, and only there on wish") {
    append("other's one\ntwo\none\n");
    CHECK(find("one\n", 8, true) == kWhole);
    CHECK(find("two\n", 8, true) == kNothing);
    CHECK(find("two\n", 8, false) == kWhole);
}

TEST_CASE_METHOD(Searched, "find_line: where the partition ends in the front of the line, it says how much") {
    append("one\ntw");
    CHECK(find("two\n", 0) == LineFound{false, 2});
    CHECK(find("two\n", 4, true) == LineFound{false, 2});
    CHECK(find("twelve\n", 0) == LineFound{false, 2});
    CHECK(find("t\n", 0) == kNothing);
    CHECK(find("three\n", 0) == kNothing);
    CHECK(find("two\n", 0, true) == kNothing);
}

TEST_CASE_METHOD(Searched, "find_line: lines that are longer than what is read at once") {
    const std::string line = std::string(700'000, 'x') + "\n";
    append("one\n" + line.substr(0, 300'000));
    CHECK(find(line, 0) == LineFound{false, 300'000});
    append(line.substr(300'000) + "two\n");
    CHECK(find(line, 0) == kWhole);
    CHECK(find(std::string(699'999, 'x') + "\n", 0) == kNothing);
    CHECK(find("two\n", 0) == kWhole);
}
