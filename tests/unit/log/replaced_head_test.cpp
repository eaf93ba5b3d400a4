// A head that has become long is replaced by a new one when it is idle, and nothing is lost whatever happens meanwhile.
#include "support/random_content.h"
#include "unit/log/outside_writer.h"
#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

class LongHead : public PartitionFixture {
public:
    LongHead() {
        replace_head_bytes = 5000;
        restart();
    }
    // Appends lines of all in all `bytes`, a second later than what is there; they are in segments, durable.
    void fill(std::size_t bytes) {
        clock.advance(1000);
        std::string text;
        while (text.size() < bytes) {
            text += "line " + std::to_string(lines_++) + " of a log\n";
        }
        append(text);
        wanted += text;
        seal_and_checkpoint();
    }
    void idle() {
        log->close_idle();  // It was used since the last call.
        log->close_idle();
    }
    std::vector<std::string> heads() const { return with_suffix(".head"); }
    std::vector<std::string> times() const { return with_suffix(".times"); }
    void check() {
        CHECK(all() == wanted);
        CHECK(status().end_offset.value == lines_);
        for (const std::uint64_t offset : {std::uint64_t{0}, lines_ / 2, lines_ - 1, lines_}) {
            const auto found = log->find_offset(Offset{offset});
            REQUIRE(found);
            CHECK(static_cast<std::uint64_t>(std::count(
                      wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(found->position.value), '\n')) ==
                  offset);
        }
    }

    std::string wanted;

private:
    std::vector<std::string> with_suffix(std::string_view suffix) const {
        std::vector<std::string> names;
        for (const std::string& name : file_names()) {
            if (name.ends_with(suffix)) {
                names.push_back(name);
            }
        }
        return names;
    }

    std::uint64_t lines_ = 0;
};

}  // namespace

TEST_CASE_METHOD(LongHead, "PartitionLog: a head that was longer than the limit is replaced once it is idle") {
    fill(4000);
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
    fill(4000);
    CHECK(times() == std::vector<std::string>{times_file_name(Position{0})});
    idle();
    const Position base{wanted.size()};
    CHECK(heads() == std::vector<std::string>{head_file_name(base)});
    CHECK(times().empty());
    check();
    for (int round = 0; round < 3; ++round) {
        fill(1500);
        check();
        restart();
        check();
    }
    CHECK(heads() == std::vector<std::string>{head_file_name(base)});
    fill(1500);
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{wanted.size()})});
    check();
}

TEST_CASE_METHOD(LongHead, "PartitionLog: times go on over a replaced head") {
    const TimestampMs begin = clock.now();
    fill(6000);
    const Position second{wanted.size()};
    idle();
    REQUIRE(heads() == std::vector<std::string>{head_file_name(second)});
    CHECK(log->last_append() == begin + 1000);
    fill(100);
    for (int round = 0; round < 2; ++round) {
        CHECK(log->find_time(begin + 1000)->position == Position{0});
        CHECK(log->find_time(begin + 1001)->position == second);
        CHECK(log->find_time(begin + 2001)->position == Position{wanted.size()});
        CHECK(log->last_append() == begin + 2000);
        restart();
    }
    // A clock that is set back over the replacement gives the largest time so far.
    fill(6000);
    idle();
    clock.step_to(begin);
    append("in the past\n");
    CHECK(log->last_append() == begin + 3000);
}

TEST_CASE_METHOD(LongHead, "PartitionLog: a head that holds something that no durable segment has is not replaced") {
    fill(6000);
    append("not sealed yet\n");
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
    seal();
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
    REQUIRE(log->checkpoint());
    idle();
    CHECK(heads() != std::vector<std::string>{head_file_name(Position{0})});
    CHECK(read(wanted.size(), 100) == "not sealed yet\n");
}

TEST_CASE_METHOD(LongHead, "PartitionLog: a head that is lent, or that others may still write to, is not replaced") {
    auto lent = log->append_file();
    REQUIRE(lent);
    OutsideWriter writer(head_path());
    fill(6000);
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
    lent->reset();
    idle();
    CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
    SECTION("until they have closed it") {
        writer.close();
        idle();
        CHECK(heads() == std::vector<std::string>{head_file_name(Position{wanted.size()})});
    }
    SECTION("also by another process than that which lent it") {
        restart();
        idle();
        CHECK(heads() == std::vector<std::string>{head_file_name(Position{0})});
        writer.append("outlived\n");
        CHECK(read(wanted.size(), 100) == "outlived\n");
        writer.close();
        REQUIRE(log->observe());
        seal_and_checkpoint();
        idle();
        CHECK(heads() == std::vector<std::string>{head_file_name(Position{wanted.size() + 9})});
        CHECK(read(wanted.size(), 100) == "outlived\n");
    }
}

TEST_CASE("PartitionLog: a crash at each step of replacing head loses nothing, and leaves no old head for ever") {
    for (std::uint64_t number = 1;; ++number) {
        LongHead fixture;
        fixture.fill(6000);
        fixture.log->close_idle();
        fixture.fs.set({.number = number, .for_good = true});
        fixture.log->close_idle();
        const bool failed = fixture.fs.has_failed();
        fixture.kill();
        fixture.fs.clear();
        CAPTURE(number);
        fixture.open();
        fixture.check();
        fixture.fill(300);
        fixture.check();
        fixture.restart();
        fixture.check();
        fixture.fill(6000);
        fixture.idle();
        fixture.check();
        CHECK(fixture.heads() == std::vector<std::string>{head_file_name(Position{fixture.wanted.size()})});
        CHECK(fixture.times().empty());
        if (!failed) {
            CHECK(number > 8);  // It was not over before it began.
            break;
        }
    }
}

TEST_CASE("PartitionLog: what is appended after replacing head has failed outlives the process") {
    const bool for_good = GENERATE(false, true);
    for (std::uint64_t number = 1;; ++number) {
        LongHead fixture;
        fixture.fill(6000);
        fixture.log->close_idle();
        fixture.fs.set({.number = number, .for_good = for_good});
        fixture.log->close_idle();
        const bool failed = fixture.fs.has_failed();
        fixture.fs.clear();
        CAPTURE(number, for_good);
        fixture.check();
        // Where what was begun could not be undone it is refused, else it is kept.
        std::string text = "into head only\n";
        const auto stored = fixture.log->append(std::as_bytes(std::span(text)));
        CHECK((stored || for_good));
        fixture.restart();
        CHECK(fixture.all() == fixture.wanted + (stored ? text : ""));
        if (!failed) {
            break;
        }
    }
}

TEST_CASE("PartitionLog: what was synced into a new head outlives a power cut") {
    Random random(11);
    for (int turn = 0; turn < 20; ++turn) {
        LongHead fixture;
        fixture.fill(6000);
        fixture.fs.record();
        fixture.idle();
        REQUIRE(fixture.heads() == std::vector<std::string>{head_file_name(Position{fixture.wanted.size()})});
        fixture.append("into the new head\n");
        REQUIRE(fixture.log->sync());
        fixture.kill();
        fixture.fs.cut(random);
        CAPTURE(turn, fixture.file_names());
        fixture.open(true);
        CHECK(fixture.all() == fixture.wanted + "into the new head\n");
    }
}

TEST_CASE("PartitionLog: a call that fails while head is replaced loses nothing, and the process goes on") {
    for (std::uint64_t number = 1;; ++number) {
        LongHead fixture;
        fixture.fill(6000);
        fixture.log->close_idle();
        fixture.fs.set({.number = number});
        fixture.log->close_idle();
        const bool failed = fixture.fs.has_failed();
        fixture.fs.clear();
        CAPTURE(number);
        fixture.check();
        fixture.fill(300);
        fixture.check();
        fixture.idle();
        fixture.idle();
        fixture.check();
        fixture.fill(300);
        fixture.restart();
        fixture.check();
        fixture.fill(6000);
        fixture.idle();
        fixture.check();
        CHECK(fixture.heads() == std::vector<std::string>{head_file_name(Position{fixture.wanted.size()})});
        if (!failed) {
            break;
        }
    }
}

TEST_CASE("PartitionLog: a power cut at each step of replacing head loses nothing") {
    const std::uint64_t seed = 7;
    Random random(seed);
    for (std::uint64_t number = 1;; ++number) {
        bool failed = false;
        for (int turn = 0; turn < 5; ++turn) {  // What a cut leaves is left to chance.
            LongHead fixture;
            fixture.fill(6000);
            fixture.log->close_idle();
            fixture.fs.record();
            fixture.fs.set({.number = number, .for_good = true});
            fixture.log->close_idle();
            failed = fixture.fs.has_failed();
            fixture.kill();
            fixture.fs.clear();
            fixture.fs.cut(random);
            CAPTURE(number, turn, seed, fixture.file_names());
            fixture.open(true);
            fixture.check();
            fixture.fill(300);
            fixture.restart();
            fixture.check();
            CHECK(fixture.heads().size() == 1);
        }
        if (!failed) {
            break;
        }
    }
}
