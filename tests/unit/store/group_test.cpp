#include "unit/store/group_fixture.h"

#include <algorithm>

namespace topicfs::test {

TEST_CASE("Group: a read commits the records that end at or before where it begins, and nothing else") {
    Groups groups;
    groups.append(0, "one\ntwo\nthree\nfou");
    Reading reading = groups.open_reader(0);
    CHECK(groups.committed(0) == 0);
    CHECK(reading.read() == "one\ntwo\nthree\n");
    CHECK(groups.committed(0) == 0);

    SECTION("in the middle of a record only those before it") {
        CHECK(Merged::text(*reading.reader->fetch(6, 100)) == "o\nthree\n");
        CHECK(groups.committed(0) == 1);
        CHECK(Merged::text(*reading.reader->fetch(8, 100)) == "three\n");
        CHECK(groups.committed(0) == 2);
        CHECK_FALSE(reading.reader->fetch(7, 100));
        CHECK_FALSE(reading.reader->fetch(15, 100));
        CHECK(groups.committed(0) == 2);
    }
    SECTION("at the end all of them") {
        CHECK(reading.read().empty());
        CHECK(groups.committed(0) == 3);
        groups.append(0, "r\n");
        CHECK(reading.read() == "four\n");
        CHECK(groups.committed(0) == 3);
    }
    SECTION("closing commits nothing, and the next reader gets them again") {
        reading.close();
        CHECK(groups.committed(0) == 0);
        CHECK(groups.open_reader(0).read() == "one\ntwo\nthree\n");
    }
    SECTION("in the middle of a record the next reader begins with that record") {
        REQUIRE(reading.reader->fetch(6, 100));
        reading.close();
        CHECK(groups.open_reader(0).read() == "two\nthree\n");
    }
    SECTION("with enable.auto.commit false only commit() does") {
        REQUIRE(groups.group()->set("enable.auto.commit", "false"));
        CHECK(reading.read().empty());
        CHECK(groups.committed(0) == 0);
        REQUIRE(reading.reader->commit(9));
        CHECK(groups.committed(0) == 2);
        REQUIRE(reading.reader->commit(4));
        CHECK(groups.committed(0) == 2);
        CHECK_FALSE(reading.reader->commit(99));
    }
}

TEST_CASE("Group: a read ends behind a record, or gives the next piece of a long one") {
    Groups groups;
    groups.append(0, "aa\nbbb\n" + std::string(20, 'c') + "\ndd\nee");
    const bool sealed = GENERATE(false, true);
    if (sealed) {
        groups.seal();
    }
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(8) == "aa\nbbb\n");
    CHECK(reading.read(8) == std::string(8, 'c'));
    CHECK(groups.committed(0) == 2);
    CHECK(reading.read(8) == std::string(8, 'c'));
    CHECK(groups.committed(0) == 2);
    CHECK(reading.read(8) == "cccc\ndd\n");
    CHECK(groups.committed(0) == 2);
    CHECK(reading.read(1).empty());
    CHECK(groups.committed(0) == 4);
    groups.append(0, "e\n");
    for (const char c : std::string("eee\n")) {
        CHECK(reading.read(1) == std::string(1, c));
        CHECK(groups.committed(0) == 4);
    }
    CHECK(reading.read(1).empty());
    CHECK(groups.committed(0) == 5);
}

TEST_CASE("Group: an unfinished record is not given, however long it has become") {
    Groups groups;
    Reading reading = groups.open_reader(0);
    groups.append(0, std::string(300'000, 'x'));
    CHECK(reading.read().empty());
    groups.append(0, std::string(300'000, 'y'));
    CHECK(reading.read().empty());
    CHECK_FALSE(reading.reader->readiness()->is_ready);
    groups.append(0, "z\n");
    CHECK(reading.reader->readiness()->is_ready);
    CHECK(reading.read().size() == 600'002);
    CHECK(reading.read().empty());
    CHECK(groups.committed(0) == 1);
}

TEST_CASE("Group: what was given and not come back for is given again, the same") {
    Groups groups;
    groups.append(0, "one\ntwo\n");
    Reading reading = groups.open_reader();
    CHECK(reading.read() == "one\ntwo\n");
    groups.append(0, "three\n");
    groups.append(1, "other\n");
    CHECK(Merged::text(*reading.reader->fetch(0, 100)) == "one\ntwo\n");
    CHECK(Merged::text(*reading.reader->fetch(0, 5)) == "one\n");
    CHECK(Merged::text(*reading.reader->fetch(2, 100)) == "e\ntwo\n");
    CHECK(groups.committed(0) == 0);
    CHECK(reading.read() == "other\n");
    CHECK(Merged::text(*reading.reader->fetch(8, 100)) == "other\n");
    CHECK(groups.committed(0) == 2);
    CHECK(groups.committed(1) == 0);
    CHECK(reading.read() == "three\n");
    CHECK(groups.committed(1) == 1);
}

TEST_CASE("Group: a byte log is given byte by byte") {
    Groups groups(false);
    REQUIRE(groups.topic->set("record.delimiter", "none"));
    REQUIRE(groups.topic->create_group("g", Attributes{}));
    groups.append(0, "abc");
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(2) == "ab");
    CHECK(reading.read(2) == "c");
    CHECK(groups.committed(0) == 2);
    CHECK(reading.read(2).empty());
    CHECK(groups.committed(0) == 3);
}

TEST_CASE("Group: commits outlive the death of the process, at once") {
    Groups groups;
    groups.append(0, "one\ntwo\nthree\n");
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(8) == "one\ntwo\n");
    CHECK(reading.read(6) == "three\n");
    CHECK(groups.committed(0) == 2);
    groups.die();
    CHECK(groups.committed(0) == 2);
    CHECK(groups.open_reader(0).read() == "three\n");
    groups.die();
    CHECK(groups.committed(0) == 2);
    CHECK(groups.committed(1) == 0);
}

TEST_CASE("Group: a partition has one reader") {
    Groups groups;
    groups.append(0, "one\n");
    Reading first = groups.open_reader(0);
    CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
    CHECK(code_of(groups.group()->open_reader(3)) == ErrorCode::kNotFound);
    CHECK(groups.group()->is_in_use());
    Reading other = groups.open_reader(1);
    REQUIRE(groups.topic->create_group("h", Attributes{}));
    REQUIRE(groups.group("h")->open_reader(0));
    first.close();
    CHECK_FALSE(first.try_read());
    REQUIRE(first.reader->close());
    CHECK(groups.open_reader(0).read() == "one\n");
    other.reader.reset();  // as close()
    groups.open_reader(1);
    CHECK_FALSE(groups.group()->is_in_use());
}

TEST_CASE("Group: readers of all share the partitions that nobody reads by number") {
    Groups groups;
    groups.append(0, "a\n");
    groups.append(1, "b\n");
    groups.append(2, "c\n");
    Reading first = groups.open_reader();
    CHECK(first.read() == "b\n");  // in turn, behind the one that was served last
    CHECK(first.read() == "c\n");
    Reading second = groups.open_reader();

    SECTION("one comes: what is in hand does not move before it was come back for") {
        CHECK(second.read().empty());
        CHECK(groups.committed(1) == 1);
        groups.append(0, "A\n");
        groups.append(1, "B\n");
        groups.append(2, "C\n");
        CHECK(first.read() == "a\nA\n");
        CHECK(second.read() == "B\n");
        CHECK(first.read() == "C\n");
        CHECK(first.read().empty());
        CHECK(second.read().empty());
        CHECK(groups.committed(0) == 2);
        CHECK(groups.committed(2) == 2);
    }
    SECTION("one dies: what he had not come back for goes to others") {
        first.close();
        std::string all;
        for (int i = 0; i < 4; ++i) {
            all += second.read();
        }
        std::sort(all.begin(), all.end());
        CHECK(all == "\n\nac");
        CHECK(groups.committed(1) == 1);
    }
    SECTION("who comes for one by its number gets it from them") {
        CHECK(code_of(groups.group()->open_reader(2)) == ErrorCode::kBusy);  // in hand
        CHECK(first.read() == "a\n");
        Reading third = groups.open_reader(2);
        groups.append(2, "C\n");
        CHECK(first.read().empty());
        CHECK(second.read().empty());
        CHECK(third.read() == "C\n");
        third.close();
        CHECK(first.read() + second.read() == "C\n");
    }
}

TEST_CASE("Group: a partition that was asked for by its number is kept for a second once it was given up") {
    Groups groups;
    groups.append(0, "a\n");
    Reading all = groups.open_reader();
    CHECK(all.read() == "a\n");
    CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
    groups.append(0, "b\n");
    CHECK(all.read().empty());  // given up, and not taken back

    SECTION("and is got") {
        CHECK(groups.open_reader(0).read() == "b\n");
    }
    SECTION("or goes back") {
        groups.clock().advance(1001);
        groups.seal();
        CHECK(all.read() == "b\n");
    }
}

TEST_CASE("Group: one reader's partitions are looked at in turn") {
    Groups groups;
    for (int i = 0; i < 3; ++i) {
        for (std::uint32_t partition = 0; partition < 3; ++partition) {
            groups.append(partition, std::to_string(partition) + "\n");
        }
    }
    Reading reading = groups.open_reader();
    std::string order;
    for (int i = 0; i < 9; ++i) {
        order += reading.read(2);
    }
    CHECK(order == "1\n2\n0\n1\n2\n0\n1\n2\n0\n");
}

TEST_CASE("Group: a reader stays with a partition until a record is whole") {
    Groups groups;
    groups.append(1, "long\n");
    groups.append(2, "x\n");
    Reading reading = groups.open_reader();
    CHECK(reading.read(2) == "lo");
    CHECK(reading.read(2) == "ng");
    Reading other = groups.open_reader();
    CHECK(reading.read(2) == "\n");
    std::string rest = other.read(2) + reading.read(2);
    CHECK(rest == "x\n");
}

TEST_CASE("Group: a group begins by auto.offset.reset, with its first reader") {
    Groups groups;
    groups.append(0, "old\n");
    groups.append(1, "old\n");
    REQUIRE(groups.group()->set("auto.offset.reset", "latest"));
    CHECK(groups.committed(0) == 1);
    Reading reading = groups.open_reader(0);
    groups.append(0, "new\n");
    groups.append(1, "new\n");
    CHECK(reading.read() == "new\n");
    reading.close();
    groups.die();
    CHECK(groups.open_reader(1).read() == "new\n");
    // What is added later begins at its start.
    groups.add_partition();
    groups.append(3, "first\n");
    CHECK(groups.committed(1) == 1);
    CHECK(groups.open_reader(3).read() == "first\n");
}

TEST_CASE("Group: readers of all get partitions that are added") {
    struct Waiter : GrowthWaiter {
        void grown() override { ++told; }
        int told = 0;
    };
    Groups groups;
    Reading reading = groups.open_reader();
    const auto waiter = std::make_shared<Waiter>();
    reading.reader->start_waiting(waiter);
    groups.add_partition();
    CHECK(waiter->told > 0);
    groups.append(3, "x\n");
    CHECK(reading.reader->readiness()->is_ready);
    CHECK(reading.read() == "x\n");
    reading.reader->stop_waiting(waiter);
    const int told = waiter->told;
    groups.add_partition();
    CHECK(waiter->told == told);
}

TEST_CASE("Group: who waits is told when he gets another partition") {
    struct Waiter : GrowthWaiter {
        void grown() override { ++told; }
        int told = 0;
    };
    Groups groups;
    Reading first = groups.open_reader();
    Reading second = groups.open_reader();
    Reading third = groups.open_reader();
    groups.append(0, "a\n");
    groups.append(1, "b\n");
    groups.append(2, "c\n");
    const auto waiter = std::make_shared<Waiter>();
    CHECK(third.read().size() == 2);
    CHECK(third.read().empty());
    third.reader->start_waiting(waiter);
    second.close();
    first.close();
    CHECK(waiter->told > 0);
    CHECK(third.read().size() + third.read().size() == 4);
    // And of growth in what he has got.
    waiter->told = 0;
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
        const auto opened = groups.topic->partition(partition);
        dynamic_cast<StoredPartition&>(**opened).log()->tell_waiters();
    }
    CHECK(waiter->told == 3);
    third.reader->stop_waiting(waiter);
}

TEST_CASE("Group: a reset sets the commit, durably") {
    Groups groups;
    const TimestampMs begin = groups.clock().now();
    groups.append_seconds({{0, "zero\n"}, {0, "one\n"}, {0, "two\n"}, {0, "three\nunfinished"}});
    const auto reset = [&](const GroupPoint& point) { return groups.group()->reset(0, point); };

    CHECK(groups.group()->find(0, Offset{2})->value == 2);
    CHECK(groups.committed(0) == 0);
    REQUIRE(reset(Offset{2}));
    CHECK(groups.committed(0) == 2);
    groups.die();
    CHECK(groups.committed(0) == 2);
    CHECK(groups.open_reader(0).read() == "two\nthree\n");
    REQUIRE(reset(GroupShift{1}));
    CHECK(groups.committed(0) == 3);
    REQUIRE(reset(GroupShift{-3}));
    CHECK(groups.committed(0) == 0);
    REQUIRE(reset(GroupLatest{}));
    CHECK(groups.committed(0) == 4);
    REQUIRE(reset(GroupEarliest{}));
    CHECK(groups.committed(0) == 0);
    REQUIRE(reset(begin + 500));
    CHECK(groups.committed(0) == 1);
    REQUIRE(reset(Offset{4}));
    CHECK(groups.committed(0) == 4);

    CHECK(code_of(reset(Offset{5})) == ErrorCode::kInvalid);
    CHECK(code_of(reset(GroupShift{1})) == ErrorCode::kInvalid);
    CHECK(code_of(reset(GroupShift{-5})) == ErrorCode::kInvalid);
    CHECK(code_of(reset(GroupShift{INT64_MIN})) == ErrorCode::kInvalid);
    CHECK(code_of(reset(GroupShift{INT64_MAX})) == ErrorCode::kInvalid);
    CHECK(code_of(groups.group()->reset(3, Offset{0})) == ErrorCode::kNotFound);
    CHECK(groups.committed(0) == 4);
    REQUIRE(reset(Offset{1}));
    Reading reading = groups.open_reader(0);
    CHECK(code_of(reset(Offset{1})) == ErrorCode::kBusy);
    CHECK(groups.group()->find(0, Offset{1}).error().code == ErrorCode::kBusy);
    reading.close();
    Reading all = groups.open_reader();
    CHECK(code_of(reset(Offset{1})) == ErrorCode::kBusy);
    CHECK(all.read() == "one\ntwo\nthree\n");
    all.close();
    REQUIRE(reset(Offset{3}));
    CHECK(groups.open_reader(0).read() == "three\n");
}

TEST_CASE("Group: without auto commit an offset that is set is a commit of the reader") {
    Groups groups;
    groups.append(0, "zero\none\ntwo\nthree\n");
    REQUIRE(groups.group()->set("enable.auto.commit", "false"));
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(13) == "zero\none\ntwo\n");
    const auto set = [&](std::uint64_t offset) { return groups.group()->reset(0, Offset{offset}); };
    REQUIRE(set(2));
    CHECK(groups.committed(0) == 2);
    CHECK(code_of(set(1)) == ErrorCode::kInvalid);
    CHECK(code_of(set(4)) == ErrorCode::kInvalid);
    CHECK(code_of(groups.group()->reset(0, GroupEarliest{})) == ErrorCode::kBusy);
    CHECK(reading.read() == "three\n");
    CHECK(groups.committed(0) == 2);
    REQUIRE(set(4));
    reading.close();
    CHECK(groups.open_reader(0).read().empty());
}

TEST_CASE("Group: one that has fallen behind the log start goes on by auto.offset.reset, and knows what it missed") {
    Groups groups;
    groups.append(0, "zero\none\ntwo\nthree\n");
    groups.seal();
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(5) == "zero\n");
    CHECK(reading.read(4) == "one\n");
    reading.close();
    const bool latest = GENERATE(false, true);
    if (latest) {
        REQUIRE(groups.group()->set("auto.offset.reset", "latest"));
    }
    groups.move_log_start(0, Position{13}, Offset{3});
    const std::uint64_t goes_on = latest ? 4 : 3;
    for (int look = 0; look < 2; ++look) {
        const auto status = groups.group()->status();
        REQUIRE(status);
        CHECK((*status)[0].committed.value == goes_on);
        CHECK((*status)[0].missed == goes_on - 1);
        CHECK((*status)[0].lag == 4 - goes_on);
    }
    CHECK(groups.open_reader(0).read() == (latest ? "" : "three\n"));
    groups.die();
    CHECK((*groups.group()->status())[0].missed == goes_on - 1);
    CHECK(groups.committed(0) == goes_on);
    CHECK(code_of(groups.group()->reset(0, Offset{1})) == ErrorCode::kInvalid);
}

TEST_CASE("Group: a reader that does not come back for max.poll.interval.ms has lost its partitions") {
    Groups groups;
    groups.append(0, "a\nb\n");
    REQUIRE(groups.group()->set("max.poll.interval.ms", "1000"));
    Reading first = groups.open_reader(0);
    CHECK(first.read(2) == "a\n");
    groups.clock().advance(1000);
    CHECK(first.read(2) == "b\n");
    CHECK(groups.committed(0) == 1);
    groups.clock().advance(1001);

    SECTION("to who opens it") {
        Reading second = groups.open_reader(0);
        CHECK(second.read() == "b\n");
        const auto late = first.try_read();
        REQUIRE_FALSE(late);
        CHECK(late.error().system_errno == EIO);
        CHECK_FALSE(first.reader->commit(first.at));
        CHECK(first.reader->readiness()->is_ready);
        CHECK(groups.committed(0) == 1);
        REQUIRE(first.reader->close());
        CHECK(code_of(groups.group()->open_reader(0)) == ErrorCode::kBusy);
        CHECK(second.read().empty());
        CHECK(groups.committed(0) == 2);
    }
    SECTION("also where nobody wants them") {
        CHECK_FALSE(first.try_read());
        CHECK(groups.committed(0) == 1);
        CHECK_FALSE(groups.group()->is_in_use());
    }
    SECTION("to who waits") {
        struct Waiter : GrowthWaiter {
            void grown() override { ++told; }
            int told = 0;
        };
        const auto waiter = std::make_shared<Waiter>();
        Reading second = groups.open_reader();
        CHECK(second.read() == "b\n");
        CHECK(second.read().empty());
        second.reader->start_waiting(waiter);
        Reading third = groups.open_reader(0);
        groups.append(0, "c\n");
        CHECK(third.read() == "c\n");
        waiter->told = 0;
        groups.clock().advance(1001);
        groups.seal();  // what the store does behind the readers
        CHECK(waiter->told > 0);
        CHECK(second.read() == "c\n");  // It waited, and so was there.
        second.reader->stop_waiting(waiter);
    }
}

TEST_CASE("Group: a wait is over with fetch.min.bytes, or after fetch.max.wait.ms") {
    Groups groups;
    REQUIRE(groups.group()->set("fetch.min.bytes", "5"));
    Reading reading = groups.open_reader();
    CHECK_FALSE(reading.reader->readiness()->is_ready);
    CHECK_FALSE(reading.reader->readiness()->ask_again_at);
    groups.append(0, "a\n");
    const auto some = reading.reader->readiness();
    CHECK_FALSE(some->is_ready);
    CHECK(some->ask_again_at == groups.clock().now() + 500);
    groups.clock().advance(400);
    CHECK(reading.reader->readiness()->ask_again_at == groups.clock().now() + 100);
    SECTION("enough") {
        groups.append(1, "b\n\n");
        CHECK(reading.reader->readiness()->is_ready);
    }
    SECTION("long enough") {
        groups.clock().advance(100);
        CHECK(reading.reader->readiness()->is_ready);
    }
    CHECK(reading.read().size() + reading.read().size() >= 2);
    CHECK_FALSE(reading.reader->readiness()->is_ready);
}

TEST_CASE("Group: a fetch of enough gives nothing before, and commits all the same") {
    Groups groups;
    groups.append(0, "a\nb\n");
    REQUIRE(groups.group()->set("fetch.min.bytes", "5"));
    Reading reading = groups.open_reader(0);
    const auto size_of = [](const Result<ByteView>& view) {
        REQUIRE(view);
        return view->size();
    };
    CHECK(size_of(reading.reader->fetch_enough(0, 100)) == 0);
    groups.clock().advance(499);
    CHECK(size_of(reading.reader->fetch_enough(0, 100)) == 0);
    SECTION("who does not wait gets it") {
        CHECK(reading.read() == "a\nb\n");
    }
    SECTION("after fetch.max.wait.ms") {
        groups.clock().advance(1);
        CHECK(size_of(reading.reader->fetch_enough(0, 3)) == 2);
        // What was given is given again at once.
        CHECK(size_of(reading.reader->fetch_enough(0, 3)) == 2);
        CHECK(size_of(reading.reader->fetch_enough(2, 100)) == 0);
        CHECK(groups.committed(0) == 1);
        groups.clock().advance(500);
        CHECK(size_of(reading.reader->fetch_enough(2, 100)) == 2);
    }
    SECTION("with fetch.min.bytes") {
        groups.append(0, "c\n");
        CHECK(size_of(reading.reader->fetch_enough(0, 100)) == 6);
        groups.append(0, "d\n");
        CHECK(size_of(reading.reader->fetch_enough(6, 100)) == 0);
        CHECK(groups.committed(0) == 3);
    }
}

TEST_CASE("Group: a reader can be told where its bytes come from") {
    Groups groups;
    const TimestampMs begin = groups.clock().now();
    groups.append_seconds({{1, "a\n"}, {1, "b\n"}, {2, "longer\n"}});
    Reading reading = groups.open_reader();
    CHECK(reading.read() == "a\nb\n");
    CHECK(reading.read(3) == "lon");
    const auto chunks = reading.reader->describe(4, 10);
    REQUIRE(chunks);
    REQUIRE(chunks->size() == 1);
    CHECK((*chunks)[0].partition == 2);
    CHECK((*chunks)[0].bytes == 3);
    CHECK_FALSE((*chunks)[0].time);
    Reading again = groups.open_reader(0);
    reading.close();
    reading = groups.open_reader();
    CHECK(reading.read() == "longer\n");
    const auto whole = reading.reader->describe(0, 10);
    REQUIRE(whole);
    REQUIRE(whole->size() == 1);
    CHECK((*whole)[0].partition == 2);
    CHECK((*whole)[0].position == Position{0});
    CHECK((*whole)[0].bytes == 7);
    CHECK((*whole)[0].time == begin + 2000);
}

TEST_CASE("Group: making, finding and removing them") {
    Groups groups(false);
    Topic& topic = *groups.topic;
    CHECK(topic.group_names().empty());
    CHECK(topic.group("g").error().code == ErrorCode::kNotFound);
    Attributes attributes;
    attributes.uid = 7;
    attributes.mode = 0750;
    REQUIRE(topic.create_group("g", attributes));
    REQUIRE(topic.create_group("another-1.x", {}));
    CHECK(topic.create_group("g", {}).error().code == ErrorCode::kExists);
    CHECK(topic.create_group(".g", {}).error().code == ErrorCode::kInvalid);
    CHECK(topic.create_group("a/b", {}).error().code == ErrorCode::kInvalid);
    CHECK(topic.create_group("", {}).error().code == ErrorCode::kInvalid);
    CHECK(topic.create_group(std::string(250, 'x'), {}).error().code == ErrorCode::kNameTooLong);
    REQUIRE(topic.create_group(std::string(249, 'x'), {}));
    REQUIRE(topic.remove_group(std::string(249, 'x')));
    CHECK(topic.group_names() == std::vector<std::string>{"another-1.x", "g"});
    const std::uint32_t id = groups.group()->id();
    CHECK(id != groups.group("another-1.x")->id());
    REQUIRE(groups.group()->set("fetch.min.bytes", "77"));
    CHECK(code_of(groups.group()->set("fetch.min.bytes", "0")) == ErrorCode::kInvalid);
    CHECK(code_of(groups.group()->set("fetch.most.bytes", "1")) == ErrorCode::kNotFound);
    AttributesChange change;
    change.gid = 8;
    REQUIRE(groups.group()->change_attributes(change));
    groups.die();
    CHECK(groups.topic->group_names() == std::vector<std::string>{"another-1.x", "g"});
    CHECK(groups.group()->id() == id);
    CHECK(groups.group()->settings().fetch_min_bytes == 77);
    CHECK(groups.group()->attributes().uid == 7);
    CHECK(groups.group()->attributes().gid == 8);
    CHECK(groups.group()->attributes().mode == 0750);

    Reading reading = groups.open_reader(0);
    CHECK(code_of(groups.topic->remove_group("g")) == ErrorCode::kBusy);
    CHECK(code_of(groups.fixture.store->remove_topic("t")) == ErrorCode::kBusy);
    reading.close();
    const auto held = groups.group();
    REQUIRE(groups.topic->remove_group("g"));
    CHECK(code_of(groups.topic->remove_group("g")) == ErrorCode::kNotFound);
    CHECK(code_of(held->open_reader(0)) == ErrorCode::kNotFound);
    CHECK_FALSE(held->reset(0, GroupEarliest{}));
    CHECK_FALSE(held->set("fetch.min.bytes", "1"));
    REQUIRE(groups.topic->create_group("g", {}));
    CHECK(groups.committed(0) == 0);
    REQUIRE(groups.fixture.store->remove_topic("t"));
}

TEST_CASE("Group: one that nobody has used for offsets.retention.minutes is dropped") {
    Groups groups;
    REQUIRE(groups.fixture.store->set_store_setting("offsets.retention.minutes", "10"));
    REQUIRE(groups.topic->create_group("read", Attributes{}));
    REQUIRE(groups.topic->create_group("set", Attributes{}));
    const auto minutes = [&](int count) {
        groups.clock().advance(count * 60'000);
        groups.seal();
    };
    auto reader = groups.group("read")->open_reader(0);
    REQUIRE(reader);
    minutes(9);
    REQUIRE(groups.group("set")->reset(0, GroupEarliest{}));
    minutes(2);
    CHECK(groups.topic->group_names() == std::vector<std::string>{"read", "set"});
    groups.die();
    minutes(8);
    CHECK(groups.topic->group_names() == std::vector<std::string>{"read", "set"});
    minutes(2);
    CHECK(groups.topic->group_names() == std::vector<std::string>{"read"});
    minutes(2);
    CHECK(groups.topic->group_names().empty());
    groups.open();
    CHECK(groups.topic->group_names().empty());
}

TEST_CASE("Group: damaged files cost no more than they held") {
    Groups groups;
    groups.append(0, "one\ntwo\n");
    REQUIRE(groups.group()->set("auto.offset.reset", "latest"));
    REQUIRE(groups.group()->reset(0, Offset{0}));
    REQUIRE(groups.group()->reset(0, Offset{1}));
    groups.fixture.end();
    const auto commits = groups.fixture.path("topics/t/groups/g/commits");
    const auto text = groups.fixture.path("topics/t/groups/g/group");
    const auto damage = [&](std::size_t at) {
        std::string content = read_file(commits);
        content[at] = static_cast<char>(content[at] ^ 1);
        write_file(commits, content);
    };
    SECTION("a slot: the older one counts") {
        const auto bytes = read_file(commits);
        const auto choice = choose_commit(std::as_bytes(std::span(bytes)), 0);
        REQUIRE(choice);
        REQUIRE(choice->slot->known_offset == Offset{1});
        damage(commit_slot_at(0, choice->index) + 40);
        groups.open();
        CHECK(groups.committed(0) == 0);
        CHECK(groups.open_reader(0).read() == "one\ntwo\n");
    }
    SECTION("all slots: it begins anew") {
        std::string content = read_file(commits);
        for (unsigned slot = 0; slot < kCommitSlots; ++slot) {
            content[commit_slot_at(0, slot)] = 'x';
        }
        write_file(commits, content);
        groups.open();
        CHECK(groups.committed(0) == 2);
    }
    SECTION("the file is gone, or short") {
        if (GENERATE(false, true)) {
            std::filesystem::remove(commits);
        } else {
            std::filesystem::resize_file(commits, 100);
        }
        groups.open();
        CHECK(groups.committed(0) == 2);
        REQUIRE(groups.group()->reset(0, Offset{1}));
        groups.die();
        CHECK(groups.committed(0) == 1);
    }
    SECTION("the text file") {
        write_file(text, "nonsense");
        groups.open();
        CHECK(groups.committed(0) == 1);
        CHECK(groups.group()->attributes().mode == 0700);
        CHECK(groups.group()->settings() == GroupSettings{});
    }
}

TEST_CASE("Group: damage in the log is an error once, then the records behind it come") {
    Groups groups;
    REQUIRE(groups.topic->set("compression.type", "none"));
    groups.append(0, "one\n");
    groups.seal();
    groups.append(0, "two\n");
    groups.seal();
    groups.append(0, "three\n");
    groups.seal();
    groups.fixture.end();
    for (const auto& entry : std::filesystem::directory_iterator(groups.fixture.path("topics/t/0"))) {
        if (entry.path().string().find(".log.") != std::string::npos) {
            std::string content = read_file(entry.path());
            content[content.find("two")] = 'T';
            write_file(entry.path(), content);
        }
    }
    groups.open();
    Reading reading = groups.open_reader(0);
    CHECK(reading.read() == "one\n");
    const auto lost = reading.try_read();
    INFO((lost ? *lost : std::string()));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code == ErrorCode::kDamaged);
    CHECK(reading.read() == "three\n");
    CHECK(groups.committed(0) == 2);
    CHECK(reading.read().empty());
    CHECK(groups.committed(0) == 3);
}

TEST_CASE("Group: a place to set it to, as people write it") {
    const TimestampMs now{1'700'000'000'000};
    const auto parse = [&](std::string_view text) { return parse_group_point(text, now); };
    CHECK(std::holds_alternative<GroupEarliest>(*parse("earliest")));
    CHECK(std::holds_alternative<GroupEarliest>(*parse("start\n")));
    CHECK(std::holds_alternative<GroupLatest>(*parse(" latest ")));
    CHECK(std::holds_alternative<GroupLatest>(*parse("end")));
    CHECK(std::get<Offset>(*parse("1200")) == Offset{1200});
    CHECK(std::get<GroupShift>(*parse("+3")).records == 3);
    CHECK(std::get<GroupShift>(*parse("-3")).records == -3);
    CHECK(std::get<TimestampMs>(*parse("-15m")) == now + -900'000);
    CHECK(std::get<TimestampMs>(*parse("ms1763683200000")) == TimestampMs{1763683200000});
    CHECK(std::get<TimestampMs>(*parse("2026-11-21T14:00Z")) == TimestampMs{1795269600000});
    for (const std::string_view text : {"", "+", "-", "x", "+x", "1.5", "+10m", "+99999999999999999999", "1 2"}) {
        INFO(text);
        const auto refused = parse(text);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::kInvalid);
    }
}

}  // namespace topicfs::test
