// offsets.retention.minutes: what counts as use of a group, how long that is remembered, and over what.
#include "unit/store/group_fixture.h"

#include <algorithm>

namespace topicfs::test {
namespace {

// Groups are kept for 10 minutes.
class Kept : public Groups {
public:
    Kept() { REQUIRE(fixture.store->set_store_setting("offsets.retention.minutes", "10")); }
    void advance(int minutes) { clock().advance(minutes * 60'000); }
    // What the store does behind its users. Whether the group is there then.
    bool is_there() {
        seal();
        return !topic->group_names().empty();
    }
    void restart() {
        fixture.end();
        open();
    }
};

}  // namespace

TEST_CASE("Group unused: one is dropped when nobody has used it for longer than offsets.retention.minutes") {
    Kept kept;
    SECTION("since it was made") {
        kept.advance(10);
        CHECK(kept.is_there());
        kept.clock().advance(1);
        CHECK_FALSE(kept.is_there());
        CHECK(code_of(kept.topic->group("g")) == ErrorCode::kNotFound);
    }
    SECTION("since its last reader has gone") {
        Reading reading = kept.open_reader(0);
        kept.advance(9);
        reading.close();
        kept.advance(9);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("since somebody set it") {
        kept.advance(9);
        REQUIRE(kept.group()->reset(0, GroupEarliest{}));
        kept.advance(9);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("not while it has a reader, however idle") {
        Reading reading = kept.open_reader();
        kept.advance(1000);
        CHECK(kept.is_there());
        CHECK(reading.read().empty());
    }
    SECTION("not sooner than the setting says by then") {
        REQUIRE(kept.fixture.store->set_store_setting("offsets.retention.minutes", "100"));
        kept.advance(99);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("looking at it is no use of it") {
        for (int minute = 0; minute < 10; ++minute) {
            kept.advance(1);
            CHECK(kept.committed(0) == 0);
            REQUIRE(kept.group()->status());
        }
        CHECK(kept.is_there());
        kept.advance(1);
        CHECK_FALSE(kept.is_there());
    }
    kept.restart();
    CHECK(kept.topic->group_names().empty() == !kept.is_there());
}

TEST_CASE("Group unused: the time of the last use outlives the end of the process") {
    Kept kept;
    kept.append(0, "one\ntwo\n");
    SECTION("of a reader that had gone before") {
        Reading reading = kept.open_reader(0);
        kept.advance(5);
        reading.close();
        kept.advance(4);
        kept.restart();
        kept.advance(5);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("of a reader that was there at the end") {
        const Reading reading = kept.open_reader(0);
        kept.advance(50);
        kept.restart();
        kept.advance(9);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("a start is no use of it") {
        for (int minute = 0; minute < 10; ++minute) {
            kept.advance(1);
            kept.restart();
        }
        CHECK(kept.is_there());
        kept.advance(1);
        CHECK_FALSE(kept.is_there());
    }
}

TEST_CASE("Group unused: the time of the last use outlives the death of the process") {
    Kept kept;
    kept.append(0, "one\ntwo\n");
    SECTION("to the commit") {
        Reading reading = kept.open_reader(0);
        CHECK(reading.read(4) == "one\n");
        kept.advance(9);
        CHECK(reading.read(4) == "two\n");  // commits the first
        kept.die();
        kept.advance(9);
        CHECK(kept.is_there());
        CHECK(kept.committed(0) == 1);
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
    SECTION("to a tenth of the setting, for a reader that commits nothing") {
        const Reading reading = kept.open_reader(0);
        for (int minute = 0; minute < 50; ++minute) {
            kept.advance(1);
            CHECK(kept.is_there());
        }
        kept.die();
        kept.advance(9);
        CHECK(kept.is_there());
        kept.advance(2);
        CHECK_FALSE(kept.is_there());
    }
}

}  // namespace topicfs::test
