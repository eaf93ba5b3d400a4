#include "store/topic.h"

#include "unit/store/store_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Attributes kAttributes{1000, 100, 0750, 1, 2, 3};

std::shared_ptr<Topic> reopened(StoreFixture& fixture) {
    fixture.open();
    return *fixture.store->topic("t");
}

std::shared_ptr<Topic> fresh(StoreFixture& fixture) {
    return *fixture.open().create_topic("t", kAttributes);
}

}  // namespace

TEST_CASE("StoredTopic: partitions are added in turn, and kept") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    CHECK(topic->add_partition(0, kAttributes).error().code == ErrorCode::kExists);
    CHECK(topic->add_partition(2, kAttributes).error().code == ErrorCode::kInvalid);
    const auto added = topic->add_partition(1, Attributes{5, 6, 0640, 0, 0, 0});
    REQUIRE(added);
    CHECK((*added)->number() == 1);
    append(*topic, 1, "x\n");
    CHECK(topic->partition(2).error().code == ErrorCode::kNotFound);
    topic = reopened(fixture);
    CHECK(topic->partition_count() == 2);
    CHECK(read_all(*topic, 1) == "x\n");
    CHECK((*topic->partition(1))->attributes().uid == 5);
    CHECK((*topic->partition(1))->attributes().mode == 0640);
}

TEST_CASE("StoredTopic: num.partitions can be raised, not lowered") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    REQUIRE(topic->set("num.partitions", "4"));
    CHECK(topic->partition_count() == 4);
    CHECK(topic->set("num.partitions", "2").error().code == ErrorCode::kInvalid);
    CHECK(topic->settings().num_partitions == 4);
    append(*topic, 3, "x\n");
    topic = reopened(fixture);
    CHECK(topic->partition_count() == 4);
    CHECK(read_all(*topic, 3) == "x\n");
}

TEST_CASE("StoredTopic: what it would refuse can be asked, and nothing changes") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    REQUIRE(topic->set("num.partitions", "2"));
    CHECK(topic->check("num.partitions", "3"));
    CHECK(topic->check("num.partitions", "1").error().code == ErrorCode::kInvalid);
    CHECK(topic->check("seal.ms", "1h"));
    CHECK(topic->check("seal.ms", "soon").error().code == ErrorCode::kInvalid);
    CHECK(topic->check("no.such", "1").error().code == ErrorCode::kNotFound);
    CHECK(topic->check("record.delimiter", "none"));
    append(*topic, 0, "x\n");
    CHECK(topic->check("record.delimiter", "none").error().code == ErrorCode::kInvalid);
    CHECK(topic->partition_count() == 2);
    CHECK(topic->settings().seal_ms == TopicSettings{}.seal_ms);
    CHECK(topic->settings().record_delimiter == '\n');
}

TEST_CASE("StoredTopic: it can be made with settings of its own, which are kept") {
    StoreFixture fixture;
    REQUIRE(fixture.open().set_default("num.partitions", "5"));
    TopicSettings settings;
    settings.num_partitions = 3;
    settings.record_delimiter.reset();
    settings.retention_ms.reset();
    REQUIRE(fixture.store->create_topic("t", kAttributes, settings));
    const auto topic = reopened(fixture);
    CHECK(topic->partition_count() == 3);
    CHECK(topic->settings() == settings);
    CHECK(fixture.store->default_settings().num_partitions == 5);
}

TEST_CASE("StoredTopic: many partitions at once are all there") {
    StoreFixture fixture;
    REQUIRE(fixture.open().set_default("num.partitions", "40"));
    auto topic = *fixture.store->create_topic("t", kAttributes);
    CHECK(topic->partition_count() == 40);
    for (std::uint32_t i = 0; i < 40; ++i) {
        append(*topic, i, std::to_string(i) + "\n");
    }
    REQUIRE(fixture.store->maintain(true));  // with one sync for all
    fixture.die();
    topic = reopened(fixture);
    for (std::uint32_t i = 0; i < 40; ++i) {
        CHECK(read_all(*topic, i) == std::to_string(i) + "\n");
        CHECK((*topic->partition(i))->status()->durable_sealed_end == *(*topic->partition(i))->end());
    }
}

TEST_CASE("StoredTopic: settings are checked, kept and in force at once") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    const TopicSettings before = topic->settings();
    for (const auto& [key, value] :
         {std::pair("seal.bytes", "0"), std::pair("seal.bytes", "99999999999"), std::pair("segment.bytes", "x"),
          std::pair("compression.type", "gzip"), std::pair("record.delimiter", "ab"),
          std::pair("compression.zstd.level", "0"), std::pair("flush.ms", "0"), std::pair("segment.ms", "-1")}) {
        CAPTURE(key, value);
        const auto set = topic->set(key, value);
        REQUIRE_FALSE(set);
        CHECK(set.error().code == ErrorCode::kInvalid);
        CHECK(set.error().message().find(key) != std::string::npos);
    }
    CHECK(topic->set("no.such.key", "1").error().code == ErrorCode::kNotFound);
    CHECK(topic->settings() == before);
    for (const auto& [key, value] : {std::pair("seal.bytes", "10"), std::pair("compression.type", "zstd"),
                                     std::pair("compression.zstd.level", "-3"), std::pair("flush.messages", "5"),
                                     std::pair("flush.ms", "off"), std::pair("record.delimiter", "\\x20")}) {
        CAPTURE(key, value);
        REQUIRE(topic->set(key, value));
    }
    append(*topic, 0, "a b c d e f g h i ");
    REQUIRE(fixture.store->maintain(false));
    const auto status = (*topic->partition(0))->status();
    REQUIRE(status);
    CHECK(status->sealed_end.value == 10);
    CHECK(status->end_offset.value == 9);
    REQUIRE(status->segments.size() == 1);
    CHECK(std::filesystem::exists(fixture.path("topics/t/0/00000000000000000000.log.zst")));
    const TopicSettings set = topic->settings();
    topic = reopened(fixture);
    CHECK(topic->settings() == set);
    CHECK(topic->set("record.delimiter", "\\n").error().code == ErrorCode::kInvalid);
    CHECK(topic->set("record.delimiter", "\\x20"));
}

TEST_CASE(
    "StoredTopic: attributes are kept, and a partition's time is that of its last append unless it was set later") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    CHECK(topic->attributes().mode == 0750);
    auto partition = *topic->partition(0);
    CHECK(partition->attributes().mode == 0640);
    CHECK(partition->attributes().mtime_ns == 2);
    fixture.clock.advance(5000);
    const std::int64_t appended = fixture.clock.now().value * 1'000'000;
    append(*topic, 0, "x\n");
    CHECK(partition->attributes().mtime_ns == appended);
    topic = reopened(fixture);
    partition = *topic->partition(0);
    CHECK(partition->attributes().mtime_ns == appended);
    AttributesChange change;
    change.mtime_ns = 77;
    change.mode = 04600;
    fixture.clock.advance(1000);
    REQUIRE(partition->change_attributes(change));
    CHECK(partition->attributes().mtime_ns == 77);
    CHECK(partition->attributes().mode == 04600);
    topic = reopened(fixture);
    partition = *topic->partition(0);
    CHECK(partition->attributes().mtime_ns == 77);
    fixture.clock.advance(1000);
    append(*topic, 0, "y\n");
    CHECK(partition->attributes().mtime_ns == fixture.clock.now().value * 1'000'000);
}

TEST_CASE("StoredTopic: a damaged topic file costs owner and settings, not the records") {
    StoreFixture fixture;
    auto topic = fresh(fixture);
    append(*topic, 0, "x\n");
    fixture.end();
    if (GENERATE(false, true)) {
        write_file(fixture.path("topics/t/topic"), "damage");
    } else {
        std::filesystem::remove(fixture.path("topics/t/topic"));
    }
    topic = reopened(fixture);
    CHECK(read_all(*topic, 0) == "x\n");
    CHECK((topic->attributes().mode & 077) == 0);
    CHECK(((*topic->partition(0))->attributes().mode & 077) == 0);
    CHECK(topic->id() > 0);
    REQUIRE(topic->set("seal.ms", "5"));
    CHECK(reopened(fixture)->settings().seal_ms == 5);
}

TEST_CASE("StoredTopic: a topic file of a later version is refused") {
    StoreFixture fixture;
    fresh(fixture);
    fixture.end();
    write_file(fixture.path("topics/t/topic"), encode_text_file({"topic", 99, {}}));
    CHECK(fixture.try_open().error().code == ErrorCode::kNewerFormat);
}

TEST_CASE("StoredTopic: with a missing partition a topic is not served, and the others are") {
    StoreFixture fixture;
    const auto topic = fresh(fixture);
    REQUIRE(topic->add_partition(1, kAttributes));
    REQUIRE(topic->add_partition(2, kAttributes));
    fixture.end();
    std::filesystem::remove_all(fixture.path("topics/t/1"));
    const auto served = fixture.try_open();
    REQUIRE(served);
    CHECK((*served)->topic("t").error().code == ErrorCode::kNotFound);
    CHECK((*served)->create_topic("other", kAttributes));
    CHECK(std::filesystem::exists(fixture.path("topics/t/2")));
}

TEST_CASE("Attributes: encoding keeps every field, decoding refuses what is no such text") {
    const Attributes attributes{0xffffffff, 0, 07777, -1, 1'700'000'000'123'456'789, 0};
    Attributes decoded;
    REQUIRE(decode_attributes(encode_attributes(attributes), decoded));
    CHECK(encode_attributes(decoded) == encode_attributes(attributes));
    for (const char* const text : {"", "1 2 3", "a 2 644 0 0 0", "1 2 99999 0 0 0", "1 2 9 0 0 0", "1 2 644 x 0 0"}) {
        CAPTURE(text);
        CHECK_FALSE(decode_attributes(text, decoded));
    }
}
