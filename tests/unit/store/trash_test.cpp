// The trash of a store: what is moved there, what is brought back, and what goes for good.
#include "store/verify.h"
#include "store/views.h"
#include "support/random_content.h"
#include "unit/log/outside_writer.h"
#include "unit/store/group_fixture.h"

#include <fcntl.h>

#include <filesystem>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;
constexpr std::int64_t kIntervalMs = 300'000;
using Names = std::vector<std::string>;

class Findings final : public VerifyObserver {
public:
    void found(const Finding& finding) override {
        (finding.kind == Finding::Kind::kDamage ? damage : notes) += finding.path + "\n";
    }
    void progress(std::uint64_t, std::uint64_t, const std::string&) override {}
    std::string damage;
    std::string notes;
};

class Bell final : public GrowthWaiter {
public:
    void grown() override { ++rung; }
    std::atomic<int> rung{0};
};

// Three partitions in topic "t", and group "g".
struct Trash : Groups {
    LocalStore& store() { return *fixture.store; }
    void remove(std::string_view name = "t", std::string_view trash_name = "t") {
        REQUIRE(store().delete_topic(name, trash_name));
    }
    void bring_back(std::string_view trash_name = "t", std::string_view name = "t") {
        REQUIRE(store().undelete_topic(trash_name, name));
    }
    std::shared_ptr<Topic> trashed(std::string_view name = "t") { return *store().trashed_topic(name); }
    // As the thread does that looks through it.
    void look_after(std::int64_t milliseconds) {
        clock().advance(milliseconds);
        REQUIRE(store().maintain(false));
    }
    // So that the store which was there has no head open: it would be taken for a writer that outlived it.
    void restart() {
        seal();
        for (std::uint32_t number = 0; number < topic->partition_count(); ++number) {
            const auto partition = std::dynamic_pointer_cast<StoredPartition>(*topic->partition(number));
            partition->log()->close_idle();
            partition->log()->close_idle();
        }
        fixture.open();
    }
    Findings verify() {
        Findings findings;
        const auto fs = std::move(*open_file_system(fixture.directory.string()));
        REQUIRE(verify_store(*fs, findings));
        return findings;
    }
};

}  // namespace

TEST_CASE_METHOD(Trash, "Trash: a topic that is moved there and back is the same, with settings, owner and groups") {
    append(0, "one\ntwo\n");
    append(2, "three\n");
    REQUIRE(topic->set("retention.ms-unknown", "1").error().code == ErrorCode::kNotFound);
    REQUIRE(topic->set("seal.ms", "777"));
    AttributesChange change;
    change.mode = 0710;
    REQUIRE(topic->change_attributes(change));
    Reading reading = open_reader(0);
    CHECK(reading.read() == "one\ntwo\n");
    CHECK(reading.read().empty());
    reading.close();
    const std::uint64_t id = topic->id();
    const TimestampMs removed_at = clock().now();
    remove("t", "old");
    const bool is_restarted = GENERATE(false, true);
    if (is_restarted) {
        clock().advance(1000);
        fixture.open();
    }
    CHECK(store().topic_names().empty());
    CHECK(store().trash_names() == Names{"old"});
    CHECK(store().topic("t").error().code == ErrorCode::kNotFound);
    topic = trashed("old");
    CHECK(topic->name() == "old");
    CHECK(topic->removal() == Removal{"t", removed_at});
    CHECK(topic->id() == id);
    CHECK(test::read_all(*topic, 0) == "one\ntwo\n");
    CHECK(committed(0) == 2);
    CHECK((*topic->partition(0))->is_removed());
    CHECK_THAT(verify().damage, Catch::Equals(""));
    if (is_restarted) {
        fixture.open();
    }
    bring_back("old", "again");
    CHECK(store().trash_names().empty());
    CHECK(store().topic_names() == Names{"again"});
    if (is_restarted) {
        fixture.open();
    }
    topic = *store().topic("again");
    CHECK(topic->name() == "again");
    CHECK_FALSE(topic->removal());
    CHECK(topic->id() == id);
    CHECK(topic->settings().seal_ms == 777);
    CHECK(topic->attributes().mode == 0710);
    CHECK(test::read_all(*topic, 2) == "three\n");
    CHECK(committed(0) == 2);
    append(0, "more\n");
    CHECK(open_reader(0).read() == "more\n");
    CHECK_FALSE((*topic->partition(0))->is_removed());
    CHECK_THAT(verify().damage, Catch::Equals(""));
}

TEST_CASE_METHOD(Trash, "Trash: a new topic of the old name is another one, and so are their files") {
    append(0, "old\n");
    const auto old_topic = topic;
    remove();
    REQUIRE(store().create_topic("t", Attributes{}));
    use();
    CHECK(topic->id() != old_topic->id());
    append(0, "new\n");
    // What had it open goes on in the old one, also where files are opened anew.
    test::append(*old_topic, 0, "more\n");
    seal();
    seal();
    CHECK(test::read_all(*old_topic, 0) == "old\nmore\n");
    CHECK(test::read_all(*topic, 0) == "new\n");
    remove("t", "t.2");
    REQUIRE(store().create_topic("t", Attributes{}));
    bring_back("t", "first");
    test::append(*old_topic, 0, "and more\n");
    open();
    CHECK(test::read_all(*topic, 0).empty());
    CHECK(test::read_all(*trashed("t.2"), 0) == "new\n");
    CHECK(test::read_all(**store().topic("first"), 0) == "old\nmore\nand more\n");
    CHECK_THAT(verify().damage, Catch::Equals(""));
}

TEST_CASE_METHOD(Trash, "Trash: no topic takes the place of another, there or back") {
    append(0, "first\n");
    REQUIRE(store().create_topic("u", Attributes{}));
    test::append(**store().topic("u"), 0, "second\n");
    remove();
    CHECK(code_of(store().delete_topic("u", "t")) == ErrorCode::kExists);
    CHECK(code_of(store().undelete_topic("t", "u")) == ErrorCode::kExists);
    CHECK(code_of(store().delete_topic("nothing", "x")) == ErrorCode::kNotFound);
    CHECK(code_of(store().undelete_topic("nothing", "x")) == ErrorCode::kNotFound);
    CHECK(code_of(store().purge_topic("nothing")) == ErrorCode::kNotFound);
    CHECK(code_of(store().delete_topic("u", ".x")) == ErrorCode::kInvalid);
    CHECK(code_of(store().undelete_topic("t", "a b")) == ErrorCode::kInvalid);
    CHECK(code_of(store().delete_topic("u", std::string(250, 'x'))) == ErrorCode::kNameTooLong);
    CHECK(test::read_all(**store().topic("u"), 0) == "second\n");
    CHECK(test::read_all(*trashed(), 0) == "first\n");
    test::append(**store().topic("u"), 0, "and it still takes appends\n");
    REQUIRE((*store().topic("u"))->set("seal.ms", "5"));
}

TEST_CASE_METHOD(Trash, "Trash: what is there can be read, and takes no changes") {
    append(0, "x\n");
    remove();
    if (GENERATE(false, true)) {
        fixture.open();
        topic = trashed();
    }
    const auto partition = *topic->partition(0);
    CHECK(code_of(topic->set("seal.ms", "1")) == ErrorCode::kReadOnly);
    CHECK(code_of(topic->change_attributes({})) == ErrorCode::kReadOnly);
    CHECK(code_of(topic->add_partition(3, Attributes{})) == ErrorCode::kReadOnly);
    CHECK(code_of(topic->open_writer()) == ErrorCode::kReadOnly);
    CHECK(code_of(partition->open_for_append()) == ErrorCode::kReadOnly);
    CHECK(code_of(partition->append_file()) == ErrorCode::kReadOnly);
    CHECK(code_of(partition->change_attributes({})) == ErrorCode::kReadOnly);
    CHECK(code_of(topic->create_group("h", Attributes{})) == ErrorCode::kReadOnly);
    CHECK(code_of(topic->remove_group("g")) == ErrorCode::kReadOnly);
    CHECK(code_of(group()->open_reader(0)) == ErrorCode::kReadOnly);
    CHECK(code_of(group()->set("fetch.min.bytes", "5")) == ErrorCode::kReadOnly);
    CHECK(code_of(group()->change_attributes({})) == ErrorCode::kReadOnly);
    CHECK(code_of(group()->reset(0, GroupPoint{GroupLatest{}})) == ErrorCode::kReadOnly);
    CHECK(code_of(store().delete_topic("t", "x")) == ErrorCode::kNotFound);
    settle();
    CHECK(show("start") == "x\n|");
    bring_back();
    REQUIRE(topic->set("seal.ms", "1"));
    REQUIRE(partition->open_for_append());
    REQUIRE(partition->append_file());
    REQUIRE(open_reader(0).read() == "x\n");
}

TEST_CASE_METHOD(Trash, "Trash: what was open for appending goes on, and all of it is there afterwards") {
    append(0, "before\n");
    const auto partition = *topic->partition(0);
    const auto appends = partition->open_for_append();
    auto writer = topic->open_writer();
    REQUIRE(writer);
    const auto write = [&](std::string_view bytes) { REQUIRE((*writer)->append(std::as_bytes(std::span(bytes)))); };
    write("a line\nand the front of");
    const auto lent = partition->append_file();
    REQUIRE(lent);
    OutsideWriter outside(head_path(0));
    remove();
    append(0, "by the daemon\n");
    write(" one that goes on\nand an unfin");
    outside.append("past the daemon\n");
    REQUIRE((*writer)->sync());
    look_after(20'000);
    outside.append("late\n");
    std::string wanted = "by the daemon\n";
    const bool dies = GENERATE(false, true);
    if (dies) {
        fixture.die();
        fixture.open();
        topic = trashed();
    } else {
        write("ished line");
        REQUIRE((*writer)->close());
    }
    if (GENERATE(false, true)) {
        bring_back();
    }
    std::string all;
    for (std::uint32_t number = 0; number < 3; ++number) {
        all += test::read_all(*topic, number);
    }
    CHECK(test::read_all(*topic, 0).find("before\n") == 0);
    for (const std::string line :
         {"by the daemon\n", "past the daemon\n", "late\n", "a line\n", "and the front of one that goes on\n"}) {
        INFO(line << all);
        CHECK(all.find(line) != std::string::npos);
    }
    CHECK(all.find(dies ? "and an unfin\n" : "and an unfinished line\n") != std::string::npos);
}

TEST_CASE_METHOD(Trash, "Trash: who follows reads to its end, and waits no more until it is back") {
    append(0, "a\n");
    append(1, "b\n");
    const auto all = view("start");
    const auto one = *open_view(topic, *parse_view_name("0@start"), clock().now());
    settle();
    CHECK_FALSE(all->extent()->is_complete);
    CHECK_FALSE(one->extent()->is_complete);
    append(0, "last\n");  // and the merge does not know yet whether it is
    remove();
    CHECK(one->extent()->is_complete);
    CHECK(one->extent()->bytes == 7);
    CHECK_FALSE(all->extent()->is_complete);
    CHECK(all->extent()->ask_again_at);
    clock().advance(30);
    CHECK(all->extent()->is_complete);
    CHECK(show(*all) == "a\nb\nlast\n|");
    bring_back();
    append(1, "more\n");
    clock().advance(30);
    CHECK_FALSE(one->extent()->is_complete);
    CHECK_FALSE(all->extent()->is_complete);
    clock().advance(30);
    CHECK(show(*all) == "a\nb\nlast\nmore\n");
}

TEST_CASE_METHOD(Trash, "Trash: a group's reader reads to its end, commits, and goes on when it is back") {
    append(0, "one\ntwo\n");
    append(1, "three\n");
    Reading reading = open_reader();
    Reading idle_reading = open_reader();
    const auto bell = std::make_shared<Bell>();
    idle_reading.reader->start_waiting(bell);
    std::string rest = reading.read(6);
    CHECK_FALSE(reading.reader->readiness()->is_over);
    remove();
    CHECK(bell->rung > 0);
    idle_reading.reader->stop_waiting(bell);
    CHECK(reading.reader->readiness()->is_over);
    CHECK(idle_reading.reader->readiness()->is_over);
    for (std::string got = reading.read(); !got.empty(); got = reading.read()) {
        rest += got;
    }
    CHECK(rest.size() == std::string_view("one\ntwo\nthree\n").size());
    CHECK(committed(0) == 2);
    bring_back();
    CHECK_FALSE(reading.reader->readiness()->is_over);
    append(0, "four\n");
    CHECK(reading.read() == "four\n");
    CHECK(reading.read().empty());
    CHECK(committed(0) == 3);
    open();
    CHECK(committed(0) == 3);
}

TEST_CASE_METHOD(Trash, "Trash: groups are not dropped for what nobody could use") {
    REQUIRE(store().set_store_setting("trash.retention.ms", std::to_string(100 * kDayMs)));
    REQUIRE(open_reader(0).reader->close());
    remove();
    clock().advance(50 * kDayMs);
    REQUIRE(store().maintain(true));
    bring_back();
    REQUIRE(store().maintain(true));
    CHECK(topic->group_names() == Names{"g"});
}

TEST_CASE_METHOD(Trash, "Trash: a topic goes for good once trash.retention.ms are over, not before") {
    append(0, "x\n");
    look_after(0);
    look_after(kIntervalMs);
    remove();
    look_after(kDayMs - 1);
    CHECK(store().trash_names() == Names{"t"});
    SECTION("a minute later") {
        look_after(1);
        CHECK(store().trash_names().empty());
        CHECK_FALSE(std::filesystem::exists(fixture.path("trash/t")));
        CHECK(std::filesystem::is_empty(fixture.path("trash")));
        CHECK(code_of(store().undelete_topic("t", "t")) == ErrorCode::kNotFound);
        CHECK_FALSE((*topic->partition(0))->append(std::as_bytes(std::span("x"))));
        fixture.open();
        CHECK(store().trash_names().empty());
    }
    SECTION("another time in the trash begins anew") {
        bring_back();
        look_after(10 * kDayMs);
        remove();
        look_after(kDayMs - 1);
        CHECK(store().trash_names() == Names{"t"});
        look_after(1);
        CHECK(store().trash_names().empty());
    }
    SECTION("after a restart once the clock has stayed for an interval") {
        restart();
        clock().advance(kDayMs);
        look_after(0);
        look_after(kIntervalMs - 1);
        CHECK(store().trash_names() == Names{"t"});
        look_after(1);
        CHECK(store().trash_names().empty());
    }
    SECTION("the setting counts at once") {
        REQUIRE(store().set_store_setting("trash.retention.ms", std::to_string(2 * kDayMs)));
        look_after(5);
        CHECK(store().trash_names() == Names{"t"});
        REQUIRE(store().set_store_setting("trash.retention.ms", "0"));
        look_after(0);
        CHECK(store().trash_names().empty());
    }
}

TEST_CASE_METHOD(Trash, "Trash: a clock that is set forward and back costs nothing") {
    look_after(0);
    look_after(kIntervalMs);
    remove();
    const TimestampMs right = clock().now();
    clock().step_to(right + 30 * kDayMs);
    look_after(0);
    look_after(kIntervalMs - 1);
    CHECK(store().trash_names() == Names{"t"});
    clock().step_to(right + kIntervalMs);
    look_after(1);
    look_after(kIntervalMs);
    CHECK(store().trash_names() == Names{"t"});
    // At the start it is the only clock there is.
    clock().step_to(right + 30 * kDayMs);
    fixture.open();
    look_after(0);
    clock().step_to(right + 3 * kIntervalMs);
    look_after(kIntervalMs);
    look_after(kIntervalMs);
    CHECK(store().trash_names() == Names{"t"});
    // One that stays is believed.
    clock().step_to(right + 30 * kDayMs);
    look_after(0);
    look_after(kIntervalMs);
    CHECK(store().trash_names().empty());
}

TEST_CASE_METHOD(Trash, "Trash: what somebody has open for appending does not go for good") {
    append(0, "x\n");
    look_after(0);
    look_after(kIntervalMs);
    auto partition = *topic->partition(1);
    SECTION("by the daemon") {
        auto appends = *partition->open_for_append();
        remove();
        look_after(2 * kDayMs);
        CHECK(code_of(store().purge_topic("t")) == ErrorCode::kBusy);
        test::append(*topic, 1, "late\n");
        appends.reset();
    }
    SECTION("as a whole") {
        auto writer = topic->open_writer();
        remove();
        look_after(2 * kDayMs);
        CHECK(code_of(store().purge_topic("t")) == ErrorCode::kBusy);
        REQUIRE((*writer)->close());
    }
    SECTION("past the daemon") {
        auto lent = *partition->append_file();
        auto outside = std::make_unique<OutsideWriter>(head_path(1));
        lent->close_fd();
        remove();
        lent.reset();
        look_after(2 * kDayMs);
        CHECK(code_of(store().purge_topic("t")) == ErrorCode::kBusy);
        outside->append("late\n");
        outside.reset();
    }
    SECTION("past a daemon that has died") {
        auto outside = std::make_unique<OutsideWriter>(head_path(1));
        remove();
        restart();
        look_after(0);
        look_after(2 * kDayMs);
        look_after(kIntervalMs);
        CHECK(code_of(store().purge_topic("t")) == ErrorCode::kBusy);
        outside->append("late\n");
        outside.reset();
    }
    CHECK(store().trash_names() == Names{"t"});
    const auto purged = store().purge_topic("t");
    INFO((purged ? std::string() : purged.error().message()));
    REQUIRE(purged);
    CHECK(std::filesystem::is_empty(fixture.path("trash")));
}

TEST_CASE_METHOD(Trash, "Trash: a start finishes a purge that was begun, and forgets a removal that was not") {
    append(0, "x\n");
    SECTION("a purge") {
        remove();
        fixture.end();
        std::filesystem::rename(fixture.path("trash/t"), fixture.path("trash/.unfinished-5"));
        CHECK(verify().notes == "trash/.unfinished-5\n");
        fixture.open();
        CHECK(store().trash_names().empty());
        CHECK(std::filesystem::is_empty(fixture.path("trash")));
    }
    SECTION("a removal that had not moved it yet") {
        remove();
        fixture.end();
        std::filesystem::rename(fixture.path("trash/t"), fixture.path("topics/t"));
        open();
        CHECK_FALSE(topic->removal());
        append(0, "y\n");
        REQUIRE(topic->set("seal.ms", "5"));
        clock().advance(2 * kDayMs);
        remove();
        CHECK(trashed()->removal()->time == clock().now());
    }
    SECTION("by hand, without a time: it counts from the start on") {
        fixture.end();
        std::filesystem::rename(fixture.path("topics/t"), fixture.path("trash/t"));
        fixture.open();
        const TimestampMs start = clock().now();
        CHECK(trashed()->removal() == Removal{"t", start});
        clock().advance(1000);
        fixture.open();
        CHECK(trashed()->removal() == Removal{"t", start});
    }
}

TEST_CASE_METHOD(Trash, "Trash: stores of earlier versions have none, and get one") {
    append(0, "x\n");
    fixture.end();
    std::filesystem::remove(fixture.path("trash"));
    CHECK_THAT(verify().damage, Catch::Equals(""));
    CHECK(fixture.open_reader()->trash_names().empty());
    open();
    remove();
    CHECK(std::filesystem::exists(fixture.path("trash/t/topic")));
}

TEST_CASE_METHOD(Trash, "Trash: verify, status and a reader beside the daemon know of it") {
    append(0, "x\ny\n");
    REQUIRE(store().maintain(true));
    remove("t", "old");
    CHECK(test::read_all(**fixture.open_reader()->trashed_topic("old"), 0) == "x\ny\n");
    const auto status = store().status_json();
    REQUIRE(status);
    INFO(*status);
    CHECK(status->find("\"removed_name\": \"t\"") != std::string::npos);
    CHECK(status->find("\"records\": 2") != std::string::npos);
    CHECK(trashed("old")->status_json()->find("\"removed_ms\": " + std::to_string(clock().now().value)) !=
          std::string::npos);
    fixture.end();
    const auto file = fixture.path("trash/old/topic");
    write_file(file, read_file(file) + "x");
    CHECK(verify().damage == "trash/old/topic\n");
}
