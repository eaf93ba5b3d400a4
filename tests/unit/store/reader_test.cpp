// A store that is open for reading only: beside its owner, and alone.
#include "unit/store/store_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Attributes kAttributes{1000, 100, 0750, 1, 2, 3};

std::string lines(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += std::to_string(1'000'000 + i) + "\n";
    }
    return text;
}

}  // namespace

TEST_CASE("LocalStore: a reader changes nothing, whatever it is asked for") {
    StoreFixture fixture;
    const auto topic = *fixture.open().create_topic("t", kAttributes);
    append(*topic, 0, "x\n");
    REQUIRE(fixture.store->create_topic("empty", kAttributes));
    fixture.die();
    const auto before = fixture.content();
    {
        const auto reader = fixture.open_reader();
        const auto seen = *reader->topic("t");
        AttributesChange change;
        change.mode = 0777;
        const std::byte byte{};
        CHECK_FALSE(reader->create_topic("u", kAttributes));
        CHECK_FALSE(reader->remove_topic("empty"));
        CHECK_FALSE(reader->set_default("seal.ms", "5"));
        CHECK_FALSE(reader->change_attributes(change));
        CHECK_FALSE(seen->set("seal.ms", "5"));
        CHECK_FALSE(seen->set("num.partitions", "5"));
        CHECK_FALSE(seen->change_attributes(change));
        CHECK_FALSE(seen->add_partition(1, kAttributes));
        CHECK_FALSE((*seen->partition(0))->change_attributes(change));
        CHECK_FALSE((*seen->partition(0))->append(std::span(&byte, 1)));
        CHECK((*seen->partition(0))->sync());
        CHECK(reader->status_json());
        CHECK(seen->status_json());
        CHECK(read_all(*seen, 0) == "x\n");
    }
    CHECK(fixture.content() == before);
}

TEST_CASE("LocalStore: a reader beside the owner reads right while head is sealed, punched and grows") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    REQUIRE(store.set_default("seal.bytes", "5000"));
    REQUIRE(store.set_default("segment.bytes", "9000"));
    const auto topic = *store.create_topic("t", kAttributes);
    const std::string text = lines(6000);
    append(*topic, 0, text.substr(0, 16'000));
    const auto reader = fixture.open_reader();
    const auto seen = *reader->topic("t");
    CHECK((read_all(*seen, 0) == text.substr(0, 16'000)));
    std::size_t written = 16'000;
    for (int round = 0; round < 8; ++round) {
        REQUIRE(store.maintain(round % 2 == 0));
        CHECK((read_all(*seen, 0) == text.substr(0, written)));
        append(*topic, 0, text.substr(written, 4000));
        written += 4000;
        CHECK((read_all(*seen, 0) == text.substr(0, written)));
        const auto partition = *seen->partition(0);
        CHECK(partition->end()->value == written);
        const auto found = partition->find_offset(Offset{written / 8 - 1});
        REQUIRE(found);
        CHECK(found->position.value == (written / 8 - 1) * 8);
    }
    CHECK((*seen->partition(0))->status()->damaged.empty());
    REQUIRE(store.close());
    CHECK((read_all(*seen, 0) == text.substr(0, written)));
}
