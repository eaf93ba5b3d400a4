#include "store/group.h"
#include "unit/store/store_fixture.h"

#include <topicfs/group.h>

#include <sys/stat.h>
#include <filesystem>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr Attributes kAttributes{1000, 100, 0750, 1, 2, 3};

struct MetricsFixture : StoreFixture {
    std::string text() {
        auto text = store->metrics_text();
        REQUIRE(text);
        return *text;
    }
    // The value of that sample; nothing where there is none.
    std::optional<std::string> value(const std::string& sample) {
        const std::string all = "\n" + text();
        const std::size_t at = all.find("\n" + sample + " ");
        if (at == std::string::npos) {
            return std::nullopt;
        }
        const std::size_t from = at + sample.size() + 2;
        return all.substr(from, all.find('\n', from) - from);
    }
    // As du(1) sums up.
    std::uint64_t du() const {
        const auto blocks = [](const std::filesystem::path& path) {
            struct stat stat {};
            REQUIRE(::lstat(path.c_str(), &stat) == 0);
            return static_cast<std::uint64_t>(stat.st_blocks) * 512;
        };
        std::uint64_t sum = blocks(directory.path());
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
            sum += blocks(entry.path());
        }
        return sum;
    }
};

}  // namespace

TEST_CASE_METHOD(MetricsFixture, "Metrics: what was appended, sealed and read is there by topic") {
    open();
    const auto topic = *store->create_topic("orders", kAttributes);
    append(*topic, 0, "one\ntwo\nunfinished");
    CHECK(value("topicfs_appended_bytes_total{topic=\"orders\"}") == "18");
    CHECK(value("topicfs_appended_records_total{topic=\"orders\"}") == "2");
    CHECK(value("topicfs_seal_lag_bytes{topic=\"orders\",partition=\"0\"}") == "18");
    clock.advance(1500);
    CHECK(value("topicfs_seal_lag_seconds{topic=\"orders\",partition=\"0\"}") == "1.5");
    REQUIRE(store->maintain(true));
    CHECK(value("topicfs_sealed_bytes_total{topic=\"orders\"}") == "18");
    CHECK(value("topicfs_sealed_batches_total{topic=\"orders\"}") == "1");
    CHECK(value("topicfs_seal_lag_bytes{topic=\"orders\",partition=\"0\"}") == "0");
    CHECK(value("topicfs_log_end_offset{topic=\"orders\",partition=\"0\"}") == "2");
    CHECK(value("topicfs_log_start_offset{topic=\"orders\",partition=\"0\"}") == "0");
    CHECK(value("topicfs_log_bytes{topic=\"orders\",partition=\"0\"}") == "18");
    CHECK(value("topicfs_log_segments{topic=\"orders\",partition=\"0\"}") == "1");
    CHECK(value("topicfs_read_bytes_total{topic=\"orders\"}") == "0");
    CHECK(value("topicfs_read_cache_misses_total") == "0");
    read_all(*topic, 0);
    CHECK(value("topicfs_read_bytes_total{topic=\"orders\"}") == "18");
    CHECK(value("topicfs_read_records_total{topic=\"orders\"}") == "2");
    CHECK(value("topicfs_read_cache_misses_total") == "1");
}

TEST_CASE_METHOD(MetricsFixture, "Metrics: counts begin with the store's opening, offsets go on") {
    open();
    append(**store->create_topic("t", kAttributes), 0, "one\ntwo\n");
    open();
    CHECK(value("topicfs_appended_records_total{topic=\"t\"}") == "0");
    CHECK(value("topicfs_log_end_offset{topic=\"t\",partition=\"0\"}") == "2");
}

TEST_CASE_METHOD(MetricsFixture, "Metrics: each partition and group has its own samples, families stand together") {
    open();
    REQUIRE(store->set_default("num.partitions", "3"));
    for (const char* const name : {"a", "b"}) {
        const auto topic = *store->create_topic(name, kAttributes);
        append(*topic, 2, "one\ntwo\nthree\n");
        REQUIRE((*topic->create_group("g", kAttributes))->reset(2, Offset{1}));
    }
    CHECK(value("topicfs_group_lag_records{topic=\"b\",group=\"g\",partition=\"2\"}") == "2");
    CHECK(value("topicfs_group_committed_offset{topic=\"b\",group=\"g\",partition=\"2\"}") == "1");
    CHECK(value("topicfs_group_lag_records{topic=\"a\",group=\"g\",partition=\"0\"}") == "0");
    CHECK(value("topicfs_group_has_reader{topic=\"a\",group=\"g\",partition=\"2\"}") == "0");
    CHECK(value("topicfs_topics") == "2");
    const auto group = *(*store->topic("a"))->group("g");
    const auto reader = *group->open_reader(2);
    CHECK(value("topicfs_group_has_reader{topic=\"a\",group=\"g\",partition=\"2\"}") == "1");
    // As soon as the commit is durable its offset is known.
    const auto bytes = reader->fetch(0, 100);
    REQUIRE(bytes);
    REQUIRE(reader->fetch(bytes->size(), 100));
    REQUIRE(reader->sync());
    CHECK(value("topicfs_group_lag_records{topic=\"a\",group=\"g\",partition=\"2\"}") == "0");
    CHECK(group->status()->at(2).lag == 0);
    std::string family;
    std::vector<std::string> families;
    const std::string all = text();
    for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1) {
        if (all.compare(at, 7, "# HELP ") == 0) {
            family = all.substr(at + 7, all.find(' ', at + 7) - at - 7);
            CHECK(std::find(families.begin(), families.end(), family) == families.end());
            families.push_back(family);
        } else if (all[at] != '#') {
            CHECK(all.compare(at, family.size(), family) == 0);
        }
    }
    CHECK(families.size() > 25);
}

TEST_CASE_METHOD(MetricsFixture, "Metrics: a group without a commit lags by its auto.offset.reset") {
    open();
    const auto topic = *store->create_topic("t", kAttributes);
    append(*topic, 0, "one\ntwo\n");
    const auto group = *topic->create_group("g", kAttributes);
    CHECK(value("topicfs_group_lag_records{topic=\"t\",group=\"g\",partition=\"0\"}") == "2");
    REQUIRE(group->set("auto.offset.reset", "latest"));
    CHECK(value("topicfs_group_lag_records{topic=\"t\",group=\"g\",partition=\"0\"}") == "0");
    CHECK(group->status()->at(0).lag == 0);
}

TEST_CASE_METHOD(MetricsFixture, "Metrics: a damaged commit, or a head that is gone, hides nothing else") {
    open();
    const auto topic = *store->create_topic("t", kAttributes);
    append(*topic, 0, "one\n");
    append(**store->create_topic("u", kAttributes), 0, "one\n");
    std::filesystem::resize_file(path("topics/t/0/00000000000000000000.head"), 10);
    CHECK(value("topicfs_log_end_offset{topic=\"u\",partition=\"0\"}") == "1");
    CHECK(store->status_json());
    CHECK(topic->status_json());
}

TEST_CASE_METHOD(MetricsFixture, "Metrics: the disk figures are what du says, with codecs, groups and settings") {
    open();
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
    std::string text;
    for (int i = 0; i < 20'000; ++i) {
        text += "line " + std::to_string(i * 7919) + '\n';
    }
    for (const char* const codec : {"none", "lz4", "zstd"}) {
        const auto topic = *store->create_topic(codec, kAttributes);
        REQUIRE(topic->set("compression.type", codec));
        REQUIRE(topic->set("num.partitions", "5"));
        for (int i = 0; i < 3; ++i) {
            const auto group = *topic->create_group("group" + std::to_string(i), kAttributes);
            const auto reader = *group->open_reader(std::nullopt);
        }
        append(*topic, 1, text);
        append(*topic, 4, text);
        CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
        REQUIRE(store->maintain(true));
        append(*topic, 4, text);
    }
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
    REQUIRE(store->maintain(true));
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
    open();
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
    CHECK(store->status_json()->find("\"disk_bytes\": " + std::to_string(du())) != std::string::npos);
    REQUIRE(store->delete_topic("zstd", "zstd"));
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
    CHECK(store->status_json()->find("\"disk_bytes\": " + std::to_string(du())) != std::string::npos);
    // What nobody knows of counts too.
    write_file(path("topics/lz4/groups/group1/notes"), std::string(100'000, 'x'));
    CHECK(value("topicfs_store_disk_bytes") == std::to_string(du()));
}
