// store.bytes.max, disk.free.min and disk.pressure: what is refused, what goes, and what stays.
#include "base/text.h"
#include "store/disk_use.h"
#include "support/fault_file_system.h"
#include "support/random_content.h"
#include "unit/store/store_fixture.h"

#include <cerrno>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// A disk of so many bytes, on which there is nothing but the store.
class SmallDisk final : public FaultFileSystem {
public:
    SmallDisk(std::unique_ptr<FileSystem> inner, const std::uint64_t& bytes)
        : FaultFileSystem(*inner), inner_(std::move(inner)), bytes_(bytes) {}
    Result<FileSystemSpace> space() override {
        const std::uint64_t used = std::min(disk_use(*inner_, ""), bytes_);
        FileSystemSpace space;
        space.block_bytes = 1;
        space.blocks = bytes_;
        space.blocks_free = space.blocks_available = bytes_ - used;
        return space;
    }

private:
    const std::unique_ptr<FileSystem> inner_;
    const std::uint64_t& bytes_;
};

constexpr std::uint64_t kMiB = 1 << 20;
// A partition's files that grow take whole blocks.
constexpr std::uint64_t kRounding = 4 * 4096;

struct Disk {
    Disk() {
        fixture.wrap = [this](std::unique_ptr<FileSystem> fs) {
            return std::make_unique<SmallDisk>(std::move(fs), bytes);
        };
        fixture.open();
        set_default("compression.type", "none");
        set_default("seal.bytes", "16384");
        set("disk.free.min", "0");
    }
    LocalStore& store() { return *fixture.store; }
    void set(std::string_view key, std::string_view value) { REQUIRE(store().set_store_setting(key, value)); }
    void set_default(std::string_view key, std::string_view value) { REQUIRE(store().set_default(key, value)); }
    std::shared_ptr<Topic> make(std::string_view name) {
        auto made = store().create_topic(name);
        INFO((made ? std::string() : made.error().message()));
        REQUIRE(made);
        return *made;
    }
    static int try_append(Topic& topic, std::string_view text) {
        const auto appended = (*topic.partition(0))->append(std::as_bytes(std::span(text)));
        return appended ? 0 : to_errno(appended.error());
    }
    static std::string left_in(Partition& partition) {
        const Position start = partition.start();
        std::string left(partition.end()->value - start.value, '?');
        REQUIRE(*partition.read(start, std::as_writable_bytes(std::span(left))) == left.size());
        return left;
    }
    // As the threads do as time goes by.
    void maintain() {
        fixture.clock.advance(2000);
        const auto maintained = store().maintain(true);
        INFO((maintained ? std::string() : maintained.error().message()));
        REQUIRE(maintained);
    }
    std::uint64_t used() const { return disk_use(*real, ""); }

    std::uint64_t bytes = 1000 * kMiB;
    StoreFixture fixture;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(fixture.directory.string()));
    Random random;
};

}  // namespace

TEST_CASE_METHOD(Disk, "Bounds: at store.bytes.max appends and opens for writing are ENOSPC, all else goes on") {
    set("store.bytes.max", "2MiB");
    const auto topic = make("t");
    const auto writer = *topic->open_writer();
    const std::string line(4095, 'l');
    std::string all;
    int failed = 0;
    while ((failed = try_append(*topic, line + "\n")) == 0) {
        REQUIRE(all.size() < 4 * kMiB);
        all += line + "\n";
        if (all.size() % (64 << 10) == 0) {
            maintain();
        }
    }
    CHECK(failed == ENOSPC);
    CHECK(all.size() > kMiB);
    while ((failed = try_append(*topic, "\n")) == 0) {
        all += "\n";
    }
    CHECK(failed == ENOSPC);
    CHECK(used() <= 2 * kMiB);
    CHECK(to_errno((*topic->partition(0))->open_for_append().error()) == ENOSPC);
    CHECK(to_errno(topic->open_writer().error()) == ENOSPC);
    CHECK(to_errno(topic->add_partition(1, {}).error()) == ENOSPC);
    CHECK(to_errno(topic->set("num.partitions", "2").error()) == ENOSPC);
    CHECK(to_errno(store().create_topic("u").error()) == ENOSPC);
    CHECK(to_errno(writer->append(std::as_bytes(std::span(line))).error()) == ENOSPC);
    // What is open, and the books.
    CHECK(read_all(*topic, 0) == all);
    CHECK(topic->set("retention.ms", "1h"));
    CHECK(topic->create_group("g", {}));
    CHECK(store().status_json()->find("\"full\": true") != std::string::npos);
    const auto wanted = (*topic->partition(0))->find_offset(Offset{300});
    REQUIRE(wanted);
    REQUIRE((*topic->partition(0))->trim(*wanted));
    const bool is_raised = GENERATE(true, false);
    if (is_raised) {
        set("store.bytes.max", "4MiB");
    } else {
        fixture.clock.advance(60'000);  // file.delete.delay.ms
        maintain();
    }
    fixture.clock.advance(10);
    CHECK(try_append(*topic, line + "\n") == 0);
    CHECK((*topic->partition(0))->open_for_append());
    CHECK(writer->append(std::as_bytes(std::span(line))));
    CHECK(writer->close());
    CHECK(store().create_topic("u"));
    maintain();
    CHECK(store().status_json()->find("\"full\": false") != std::string::npos);
}

TEST_CASE_METHOD(Disk, "Bounds: disk.free.min keeps room for others, as it is by default too") {
    const auto topic = make("t");
    bytes = 20 * kMiB;
    const std::string line(32767, 'l');
    const bool is_set = GENERATE(true, false);
    set("disk.free.min", is_set ? "3MiB" : "auto");
    maintain();
    std::uint64_t appended = 0;
    while (try_append(*topic, line + "\n") == 0) {
        REQUIRE((appended += line.size()) < bytes);
    }
    CHECK(used() <= bytes - (is_set ? 3 * kMiB : kMiB));
    // A margin and a batch stay free for what is sealed, and one append is what was refused.
    const std::uint64_t margin = bytes / 256;
    CHECK(used() > bytes - (is_set ? 3 * kMiB : kMiB) - margin - 32 * 1024 - 32 * 1024 - kRounding);
    bytes += kMiB;
    fixture.clock.advance(10);
    CHECK(try_append(*topic, line + "\n") == 0);
}

TEST_CASE_METHOD(Disk, "Bounds: with disk.pressure=delete the oldest of all topics goes, and no append is refused") {
    const bool by_store = GENERATE(true, false);
    if (by_store) {
        set("store.bytes.max", "4MiB");
    } else {
        bytes = 6 * kMiB;
        set("disk.free.min", "2MiB");
    }
    set("disk.pressure", "delete");
    std::vector<std::shared_ptr<Topic>> topics = {make("a"), make("b"), make("c")};
    std::vector<std::uint64_t> numbers(topics.size());
    std::vector<std::string> all(topics.size());
    std::vector<std::map<std::uint64_t, TimestampMs>> times(topics.size());  // by where the append ended
    std::uint64_t appended = 0;
    std::uint64_t most = 0;
    while (appended < 24 * kMiB) {
        fixture.clock.advance(1000);
        const std::size_t at = random.between(0, topics.size() - 1);
        std::string text;
        for (std::uint64_t i = random.between(1, 200); i > 0; --i) {
            text += std::to_string(numbers[at]++) + " " + std::string(random.between(1, 200), 'x') + "\n";
        }
        REQUIRE(try_append(*topics[at], text) == 0);
        all[at] += text;
        times[at][all[at].size()] = fixture.clock.now();
        appended += text.size();
        if (random.between(0, 3) == 0) {
            maintain();
        }
        most = std::max(most, used());
    }
    CHECK(most <= 4 * kMiB + topics.size() * kRounding);
    maintain();
    CHECK(used() > 4 * kMiB - 512 * 1024);
    // What is left is each one's newest, and of about the same age: no batch stays that is older than one that went.
    std::vector<TimestampMs> gone;  // the newest of what went
    std::vector<TimestampMs> kept;  // the first batch that stays ends no later
    for (std::size_t at = 0; at < topics.size(); ++at) {
        const auto partition = *topics[at]->partition(0);
        const Position start = partition->start();
        REQUIRE(start.value > 0);
        REQUIRE(all[at][start.value - 1] == '\n');
        REQUIRE(left_in(*partition) == all[at].substr(start.value));
        gone.push_back(times[at].lower_bound(start.value)->second);
        kept.push_back(times[at].upper_bound(start.value + 16384)->second);
    }
    CHECK(*std::max_element(gone.begin(), gone.end()) <= *std::min_element(kept.begin(), kept.end()));
    fixture.open();
    for (std::size_t at = 0; at < topics.size(); ++at) {
        const auto partition = *(*store().topic(topics[at]->name()))->partition(0);
        CHECK(left_in(*partition) == all[at].substr(partition->start().value));
    }
}

TEST_CASE_METHOD(Disk, "Bounds: where nothing is sealed yet, what is unsealed goes before an append is refused") {
    set("disk.pressure", "delete");
    set("store.bytes.max", "2MiB");
    set_default("seal.bytes", "262144");
    set_default("seal.ms", "3600000");
    const auto topic = make("t");
    const auto other = make("u");
    maintain();  // What they take themselves is seen.
    std::string all;
    for (int i = 0; all.size() < 8 * kMiB; ++i) {
        std::string text;
        for (int line = 0; line < 100; ++line) {
            text += std::to_string(i) + std::string(random.between(1, 99), 'x') + "\n";
        }
        REQUIRE(try_append(i % 2 == 0 ? *topic : *other, text) == 0);
        all += i % 2 == 0 ? text : "";
        REQUIRE(used() <= 2 * kMiB + 2 * kRounding);
        fixture.clock.advance(10);
    }
    const std::string left = left_in(**topic->partition(0));
    CHECK(left.size() > 256 * 1024);
    CHECK(left.size() < 2 * kMiB);
    CHECK(all.ends_with(left));
}

TEST_CASE_METHOD(Disk,
                 "Bounds: the trash goes first, what was removed first before the rest, and no more than has to") {
    const bool takes_records = GENERATE(true, false);
    set("disk.pressure", takes_records ? "delete" : "refuse");
    const std::string text(kMiB, '\n');
    const auto kept = make("kept");
    append(*kept, 0, text);
    for (const std::string name : {"second", "first", "third"}) {
        append(*make(name), 0, text);
    }
    maintain();
    for (const std::string name : {"first", "second", "third"}) {
        fixture.clock.advance(1000);
        REQUIRE(store().delete_topic(name, name));
    }
    maintain();
    REQUIRE(store().trash_names().size() == 3);
    set("store.bytes.max", std::to_string(used() - kMiB / 2));
    maintain();
    CHECK(store().trash_names() == std::vector<std::string>{"second", "third"});
    set("store.bytes.max", std::to_string(used() - kMiB / 2));
    maintain();
    CHECK(store().trash_names() == std::vector<std::string>{"third"});
    CHECK((*kept->partition(0))->start() == Position{0});
    CHECK(try_append(*kept, "more\n") == 0);
    set("store.bytes.max", std::to_string(used() - 3 * kMiB / 2));
    maintain();
    CHECK(store().trash_names().empty());
    CHECK(((*kept->partition(0))->start().value > 0) == takes_records);
    CHECK(try_append(*kept, "more\n") == (takes_records ? 0 : ENOSPC));
}

TEST_CASE_METHOD(
    Disk, "Bounds: where nothing more can go, delete refuses too; a damaged batch and one long record stop nothing") {
    set("disk.pressure", "delete");
    const auto record = make("one-record");
    append(*record, 0, std::string(kMiB, 'r'));
    const auto lines = make("lines");
    append(*lines, 0, std::string(kMiB, '\n'));
    maintain();
    set("store.bytes.max", std::to_string(used() - kMiB / 4));
    maintain();
    CHECK((*record->partition(0))->start() == Position{0});
    CHECK((*lines->partition(0))->start().value > 0);
    CHECK(used() <= *parse_unsigned(*store().store_setting("store.bytes.max")));
    set("store.bytes.max", std::to_string(kMiB));
    maintain();
    CHECK((*lines->partition(0))->start() == *(*lines->partition(0))->end());
    CHECK(try_append(*lines, "more\n") == ENOSPC);
    CHECK(read_all(*record, 0) == std::string(kMiB, 'r'));
}

TEST_CASE_METHOD(Disk,
                 "Bounds: what delete removes is gone at once; retention's delay is waited for where nothing presses") {
    set_default("retention.bytes", "100000");
    const auto topic = make("t");
    append(*topic, 0, std::string(2 * kMiB, '\n'));
    maintain();
    const auto partition = *topic->partition(0);
    REQUIRE(partition->start().value > 0);
    std::byte one{};
    REQUIRE(partition->read(Position{0}, std::span(&one, 1)));
    maintain();
    REQUIRE(used() > 2 * kMiB);
    set("store.bytes.max", "1MiB");
    const bool takes_records = GENERATE(true, false);
    set("disk.pressure", takes_records ? "delete" : "refuse");
    maintain();
    CHECK((used() < kMiB) == takes_records);
    CHECK(partition->read(Position{0}, std::span(&one, 1)).has_value() != takes_records);
    CHECK(try_append(*topic, "more\n") == (takes_records ? 0 : ENOSPC));
}
