#include "store/status.h"
#include "store/group.h"

#include "support/stock_tool.h"
#include "unit/store/store_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Attributes kAttributes{1000, 100, 0750, 1, 2, 3};

void check_parses(const std::string& json) {
    CHECK(json.ends_with("\n"));
    if (has_tool("python3", "the parsing of JSON")) {
        const TemporaryDirectory directory;
        write_file(directory / "json", json);
        CHECK(output_of("python3 -m json.tool", directory / "json").has_value());
    }
}

}  // namespace

TEST_CASE("Status: a store's and a topic's figures are JSON that others parse") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    check_parses(*store.status_json());
    const auto topic = *store.create_topic("t", kAttributes);
    check_parses(*topic->status_json());
    append(*topic, 0, "one\ntwo\nunfinished");
    REQUIRE(store.maintain(true));
    check_parses(*store.status_json());
    const std::string json = *topic->status_json();
    check_parses(json);
    CHECK(json.find("\"end_offset\": 2") != std::string::npos);
    CHECK(json.find("\"end_position\": 18") != std::string::npos);
    CHECK(json.find("\"sealed_position\": 18") != std::string::npos);
    CHECK(json.find("\"last_append_ms\": 1700000000000") != std::string::npos);
}

TEST_CASE("Status: a topic's groups are in the figures") {
    StoreFixture fixture;
    const auto topic = *fixture.open().create_topic("t", kAttributes);
    append(*topic, 0, "one\ntwo\nunfinished");
    const auto group = *topic->create_group("g", kAttributes);
    REQUIRE(group->reset(0, Offset{1}));
    const auto reader = *group->open_reader(0);
    const std::string json = *topic->status_json();
    check_parses(json);
    for (const char* const part : {"\"group\": \"g\"", "\"committed_offset\": 1", "\"end_offset\": 2", "\"lag\": 1",
                                   "\"missed\": 0", "\"has_reader\": true"}) {
        INFO(part);
        CHECK(json.find(part) != std::string::npos);
    }
}

TEST_CASE("Status: damage is in the figures") {
    StoreFixture fixture;
    append(**fixture.open().create_topic("t", kAttributes), 0, std::string(10'000, 'x'));
    fixture.end();
    const auto segment = fixture.path("topics/t/0/00000000000000000000.log.lz4");
    std::string content = read_file(segment);
    content[content.size() / 2 + 30] = '?';
    content.back() = '?';
    write_file(segment, content);
    fixture.open();
    std::byte byte{};
    const auto topic = *fixture.store->topic("t");
    CHECK((*topic->partition(0))->read(Position{3}, std::span(&byte, 1)).error().code == ErrorCode::kDamaged);
    const std::string json = *topic->status_json();
    check_parses(json);
    CHECK(json.find("\"to_position\": 10000") != std::string::npos);
}
