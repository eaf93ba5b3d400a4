#include "store/local_store.h"

#include "unit/store/store_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Attributes kAttributes{1000, 100, 0750, 1, 2, 3};

ErrorCode open_error(StoreFixture& fixture, StoreOptions options = {}) {
    const auto opened = fixture.try_open(options);
    REQUIRE_FALSE(opened);
    return opened.error().code;
}

}  // namespace

TEST_CASE("LocalStore: an empty directory becomes a store, and only where that is asked for") {
    StoreFixture fixture;
    StoreOptions options;
    options.create = false;
    CHECK(open_error(fixture, options) == ErrorCode::kNotFound);
    CHECK(fixture.content().empty());
    options = {};
    options.read_only = true;
    CHECK(open_error(fixture, options) == ErrorCode::kNotFound);
    CHECK(fixture.content().empty());
    CHECK(fixture.open().topic_names().empty());
    CHECK(fixture.path("store").has_filename());
}

TEST_CASE("LocalStore: topics are made, listed in order, found, and there after a restart") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    for (const char* const name : {"b", "a.1", "_z", "A-b"}) {
        REQUIRE(store.create_topic(name, kAttributes));
    }
    const std::vector<std::string> names{"A-b", "_z", "a.1", "b"};
    CHECK(store.topic_names() == names);
    CHECK(store.create_topic("b", kAttributes).error().code == ErrorCode::kExists);
    CHECK(store.topic("c").error().code == ErrorCode::kNotFound);
    const std::uint64_t id = (*store.topic("b"))->id();
    CHECK(id > 0);
    CHECK(id < std::uint64_t{1} << 38);
    fixture.open();
    CHECK(fixture.store->topic_names() == names);
    CHECK((*fixture.store->topic("b"))->id() == id);
    CHECK((*fixture.store->topic("b"))->partition_count() == 1);
}

TEST_CASE("LocalStore: bad names make nothing") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    const auto before = fixture.content();
    for (const char* const name : {"", ".", "..", ".a", "a/b", "a b", "\xc3\xa4", "a@b", "a+"}) {
        CAPTURE(name);
        CHECK(store.create_topic(name, kAttributes).error().code == ErrorCode::kInvalid);
    }
    CHECK(store.create_topic(std::string(250, 'a'), kAttributes).error().code == ErrorCode::kNameTooLong);
    CHECK(fixture.content() == before);
    CHECK(store.create_topic(std::string(249, 'a'), kAttributes));
}

TEST_CASE("LocalStore: only a topic without records is removed") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    REQUIRE(store.set_default("num.partitions", "3"));
    const auto topic = *store.create_topic("t", kAttributes);
    append(*topic, 1, "x\n");
    CHECK(store.remove_topic("t").error().code == ErrorCode::kNotEmpty);
    append(*topic, 0, "appends go on\n");
    CHECK(store.remove_topic("u").error().code == ErrorCode::kNotFound);
    const auto empty = *store.create_topic("empty", kAttributes);
    const auto partition = *empty->partition(0);
    REQUIRE(store.remove_topic("empty"));
    CHECK(store.topic_names() == std::vector<std::string>{"t"});
    CHECK_FALSE(std::filesystem::exists(fixture.path("topics/empty")));
    const std::byte byte{};
    CHECK(partition->append(std::span(&byte, 1)).error().code == ErrorCode::kReadOnly);
    REQUIRE(store.create_topic("empty", kAttributes));
    fixture.open();
    CHECK(fixture.store->topic_names() == std::vector<std::string>{"empty", "t"});
}

TEST_CASE("LocalStore: who still holds a removed topic cannot change the one that has its name now") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    const auto old = *store.create_topic("t", kAttributes);
    const auto old_partition = *old->partition(0);
    REQUIRE(store.remove_topic("t"));
    const auto present = *store.create_topic("t", kAttributes);
    const auto before = fixture.content();
    AttributesChange change;
    change.mode = 0777;
    CHECK_FALSE(old->change_attributes(change));
    CHECK_FALSE(old->set("seal.ms", "7"));
    CHECK_FALSE(old->add_partition(1, kAttributes));
    CHECK_FALSE(old_partition->change_attributes(change));
    CHECK(fixture.content() == before);
    CHECK(present->partition_count() == 1);
}

TEST_CASE("LocalStore: a store has one owner") {
    StoreFixture fixture;
    fixture.open();
    CHECK(open_error(fixture) == ErrorCode::kBusy);
    fixture.end();
    CHECK(fixture.try_open());
}

TEST_CASE("LocalStore: a directory with other things in it is left as it is") {
    StoreFixture fixture;
    switch (GENERATE(0, 1, 2, 3)) {
        case 0:
            write_file(fixture.path("letter.txt"), "dear");
            break;
        case 1:
            std::filesystem::create_directories(fixture.path("topics/orders"));
            break;
        case 2:
            std::filesystem::create_directory(fixture.path("src"));
            break;
        default:
            std::filesystem::create_symlink("nowhere", fixture.path("link"));
            break;
    }
    const auto before = fixture.content();
    CHECK(open_error(fixture) == ErrorCode::kNotOurs);
    CHECK(fixture.content() == before);
}

TEST_CASE("LocalStore: files of somebody else that have the names of ours are left as they are") {
    StoreFixture fixture;
    write_file(fixture.path("state"), "my application's state");
    const auto before = fixture.content();
    CHECK(open_error(fixture) == ErrorCode::kNotOurs);
    CHECK(fixture.content() == before);
}

TEST_CASE("LocalStore: what an interrupted first start left is taken over") {
    StoreFixture fixture;
    fixture.open();
    fixture.end();
    std::filesystem::remove(fixture.path("store"));
    write_file(fixture.path("store.tmp"), "half");
    std::filesystem::create_directory(fixture.path("lost+found"));
    fixture.open();
    REQUIRE(fixture.store->create_topic("t", kAttributes));
}

TEST_CASE("LocalStore: a later format is not touched") {
    StoreFixture fixture;
    fixture.open();
    fixture.end();
    const std::string name = GENERATE("store", "state");
    write_file(fixture.path(name), encode_text_file({name, 99, {}}));
    const auto before = fixture.content();
    CHECK(open_error(fixture) == ErrorCode::kNewerFormat);
    StoreOptions options;
    options.read_only = true;
    CHECK(open_error(fixture, options) == ErrorCode::kNewerFormat);
    CHECK(fixture.content() == before);
}

TEST_CASE("LocalStore: a damaged file 'store' is said, and nothing is written") {
    StoreFixture fixture;
    fixture.open();
    fixture.end();
    write_file(fixture.path("store"), "damage");
    const auto before = fixture.content();
    CHECK(open_error(fixture) == ErrorCode::kDamaged);
    CHECK(fixture.content() == before);
}

TEST_CASE("LocalStore: the state file says whether the end was clean, and under which boot") {
    StoreFixture fixture;
    const auto state = [&] { return *decode_text_file(read_file(fixture.path("state")), "state", 1); };
    fixture.open();
    CHECK(state().values["end"] == "open");
    CHECK(state().values["boot"] == "boot-1");
    fixture.end();
    CHECK(state().values["end"] == "clean");
    fixture.boot_id = "boot-2";
    fixture.open();
    CHECK(state().values["end"] == "open");
    CHECK(state().values["boot"] == "boot-2");
    REQUIRE(fixture.store->close());
    REQUIRE(fixture.store->close());
    CHECK(state().values["end"] == "clean");
    CHECK_FALSE(fixture.store->set_default("seal.ms", "5"));
    AttributesChange change;
    change.mode = 0700;
    CHECK_FALSE(fixture.store->change_attributes(change));
    CHECK_FALSE(fixture.store->remove_topic("t"));
    CHECK(state().values["end"] == "clean");
}

TEST_CASE("LocalStore: the death of the process loses nothing, a power cut only what was not synced") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    const auto topic = *store.create_topic("t", kAttributes);
    append(*topic, 0, "synced\n");
    REQUIRE((*topic->partition(0))->sync());
    append(*topic, 0, std::string(700, '\0'));
    fixture.die();
    SECTION("the machine went on") {
        fixture.open();
        CHECK(read_all(**fixture.store->topic("t"), 0).size() == 707);
    }
    SECTION("another boot") {
        fixture.boot_id = "boot-2";
        {
            const auto reader = fixture.open_reader();
            CHECK(read_all(**reader->topic("t"), 0) == "synced\n");
        }
        fixture.open();
        CHECK(read_all(**fixture.store->topic("t"), 0) == "synced\n");
    }
    SECTION("another boot, after a clean end") {
        fixture.open();
        fixture.end();
        fixture.boot_id = "boot-2";
        fixture.open();
        CHECK(read_all(**fixture.store->topic("t"), 0).size() == 707);
    }
    SECTION("a damaged state file is taken for a power cut") {
        write_file(fixture.path("state"), "damage");
        fixture.open();
        CHECK(read_all(**fixture.store->topic("t"), 0) == "synced\n");
    }
}

TEST_CASE("LocalStore: closing leaves nothing unsealed, and later appends fail") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    const auto topic = *store.create_topic("t", kAttributes);
    append(*topic, 0, "one\ntwo\n");
    REQUIRE(store.close());
    const auto status = (*topic->partition(0))->status();
    REQUIRE(status);
    CHECK(status->sealed_end == status->end);
    CHECK(status->durable_sealed_end == status->end);
    const std::byte byte{};
    CHECK((*topic->partition(0))->append(std::span(&byte, 1)).error().code == ErrorCode::kReadOnly);
    fixture.open();
    CHECK(read_all(**fixture.store->topic("t"), 0) == "one\ntwo\n");
    CHECK((*(*fixture.store->topic("t"))->partition(0))->find_offset(Offset{1})->position.value == 4);
}

TEST_CASE("LocalStore: leftovers of unfinished topics and partitions go at the next start") {
    StoreFixture fixture;
    REQUIRE(fixture.open().create_topic("t", kAttributes));
    fixture.end();
    std::filesystem::create_directories(fixture.path("topics/.unfinished-17/0"));
    write_file(fixture.path("topics/.unfinished-17/0/recovery"), "x");
    std::filesystem::create_directories(fixture.path("topics/t/.unfinished-1"));
    std::filesystem::create_directories(fixture.path("topics/no topic"));
    {
        const auto reader = fixture.open_reader();
        CHECK(reader->topic_names() == std::vector<std::string>{"t"});
        CHECK(std::filesystem::exists(fixture.path("topics/.unfinished-17/0/recovery")));
    }
    fixture.open();
    CHECK(fixture.store->topic_names() == std::vector<std::string>{"t"});
    CHECK_FALSE(std::filesystem::exists(fixture.path("topics/.unfinished-17")));
    CHECK_FALSE(std::filesystem::exists(fixture.path("topics/t/.unfinished-1")));
    CHECK(std::filesystem::exists(fixture.path("topics/no topic")));
    REQUIRE((*fixture.store->topic("t"))->add_partition(1, kAttributes));
}

TEST_CASE("LocalStore: symbolic links in the data directory are not followed") {
    StoreFixture fixture;
    const TemporaryDirectory outside;
    std::filesystem::create_directories(outside / "topic");
    write_file(outside / "file", "outside");
    const auto topic = *fixture.open().create_topic("t", kAttributes);
    append(*topic, 0, "x\n");
    fixture.end();
    SECTION("in place of a topic") {
        std::filesystem::create_directory_symlink(outside / "topic", fixture.path("topics/u"));
        fixture.open();
        CHECK(fixture.store->topic_names() == std::vector<std::string>{"t"});
        CHECK_FALSE(fixture.store->create_topic("u", kAttributes));
    }
    SECTION("in place of an unfinished topic") {
        std::filesystem::create_directory_symlink(outside / "topic", fixture.path("topics/.unfinished-1"));
        fixture.open();
    }
    SECTION("in place of a partition") {
        std::filesystem::create_directory_symlink(outside / "topic", fixture.path("topics/t/1"));
        fixture.open();
        CHECK((*fixture.store->topic("t"))->partition_count() == 1);
        CHECK_FALSE((*fixture.store->topic("t"))->add_partition(1, kAttributes));
    }
    SECTION("in place of files") {
        const std::string name = GENERATE("lock", "topics/t/0/recovery", "topics/t/0/00000000000000000000.head");
        std::filesystem::remove(fixture.path(name));
        std::filesystem::create_symlink(outside / "file", fixture.path(name));
        (void)fixture.try_open().has_value();
    }
    SECTION("in place of the file 'store'") {
        std::filesystem::remove(fixture.path("store"));
        std::filesystem::create_symlink(outside / "file", fixture.path("store"));
        CHECK_FALSE(fixture.try_open());
    }
    CHECK(read_file(outside / "file") == "outside");
    CHECK(std::filesystem::is_empty(outside / "topic"));
}

TEST_CASE("LocalStore: defaults and the root's attributes are kept") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    CHECK(store.attributes().mode == 0755);
    REQUIRE(store.set_default("seal.ms", " 1234\n"));
    CHECK(store.set_default("seal.ms", "no").error().code == ErrorCode::kInvalid);
    CHECK(store.set_default("no.such", "1").error().code == ErrorCode::kNotFound);
    AttributesChange change;
    change.uid = 7;
    change.mode = 01777;
    change.mtime_ns = -5;
    fixture.clock.advance(1000);
    REQUIRE(store.change_attributes(change));
    fixture.open();
    CHECK(fixture.store->default_settings().seal_ms == 1234);
    const Attributes kept = fixture.store->attributes();
    CHECK(kept.uid == 7);
    CHECK(kept.mode == 01777);
    CHECK(kept.mtime_ns == -5);
    CHECK(kept.ctime_ns == fixture.clock.now().value * 1'000'000);
    CHECK((*fixture.store->create_topic("t", kAttributes))->settings().seal_ms == 1234);
}

TEST_CASE("LocalStore: its own settings are checked, kept, and not those of topics") {
    StoreFixture fixture;
    LocalStore& store = fixture.open();
    CHECK(*store.store_setting("read.cache.bytes") == "33554432");
    CHECK(store.store_setting("seal.bytes").error().code == ErrorCode::kNotFound);
    CHECK(store.set_store_setting("seal.bytes", "1").error().code == ErrorCode::kNotFound);
    CHECK(store.set_default("read.cache.bytes", "1").error().code == ErrorCode::kNotFound);
    for (const char* const bad : {"", "-1", "lots", "1099511627777", "1 MiB"}) {
        CHECK(store.set_store_setting("read.cache.bytes", bad).error().code == ErrorCode::kInvalid);
    }
    CHECK(store.set_store_setting("read.cache.bytes", " 0\n"));
    CHECK(*store.store_setting("read.cache.bytes") == "0");
    CHECK(store.set_store_setting("read.cache.bytes", "1048576"));
    LocalStore& again = fixture.open();
    CHECK(*again.store_setting("read.cache.bytes") == "1048576");
    CHECK(*fixture.open_reader()->store_setting("read.cache.bytes") == "1048576");
    CHECK(fixture.open_reader()->set_store_setting("read.cache.bytes", "1").error().code == ErrorCode::kReadOnly);
    REQUIRE(store_setting_infos().size() == 7);
    CHECK(store_setting_infos()[0].key == std::string("read.cache.bytes"));
}
