#include "store/merged_view.h"

#include "support/random_content.h"
#include "unit/store/merged_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;

class Bell final : public GrowthWaiter {
public:
    void grown() override { ++rung; }
    std::atomic<int> rung{0};
};

}  // namespace

TEST_CASE_METHOD(Merged, "MergedView: by time, of one time by partition, of one partition as it is") {
    append(2, "c0\n");
    append(0, "a0\na1\n");
    append(1, "b0\n");
    append(2, "c1\n");
    clock().advance(100);
    append(1, "b1\n");
    clock().advance(100);
    append(0, "a2\n");
    append(1, "b2\n");
    clock().advance(100);
    CHECK(show("start") == "a0\na1\nb0\nc0\nc1\nb1\na2\nb2\n");
    seal();
    CHECK(show("start") == "a0\na1\nb0\nc0\nc1\nb1\na2\nb2\n");
    open();
    CHECK(show("start") == "a0\na1\nb0\nc0\nc1\nb1\na2\nb2\n");
}

TEST_CASE_METHOD(Merged, "MergedView: a record shows once nothing can come before it any more, soon") {
    const auto all = view("start");
    append(1, "b\n");
    CHECK(show(*all) == "");
    CHECK(extent(*all).ask_again_at == begin + 10);
    clock().advance(3);
    append(0, "a\n");
    clock().advance(6);
    CHECK(show(*all) == "");
    clock().advance(1);
    CHECK(show(*all) == "b\na\n");
    CHECK_FALSE(extent(*all).ask_again_at);
    // The partitions have just noted a time that is not earlier than that which c gets.
    append(0, "c\n");
    CHECK(show(*all) == "b\na\n");
    CHECK(extent(*all).ask_again_at == begin + 20);
    clock().advance(10);
    CHECK(show(*all) == "b\na\nc\n");
    CHECK_FALSE(extent(*all).ask_again_at);
}

TEST_CASE_METHOD(Merged, "MergedView: who opens it finds what was there a millisecond ago") {
    append(1, "b\n");
    clock().advance(1);
    CHECK(show("start") == "b\n");
    append(0, "a\n");
    append(2, "c\n");
    CHECK(show("start") == "b\n");
    clock().advance(1);
    CHECK(show("-2") == "a\nc\n");
}

TEST_CASE_METHOD(Merged, "MergedView: an unfinished line is not shown, and keeps nobody waiting") {
    append(0, "unf");
    clock().advance(50);
    append(1, "b0\n");
    clock().advance(50);
    append(2, "c0\n");
    clock().advance(50);
    const auto all = view("start");
    CHECK(show(*all) == "b0\nc0\n");
    CHECK_FALSE(extent(*all).ask_again_at);
    append(0, "inished\n");
    clock().advance(20);
    CHECK(show(*all) == "b0\nc0\nunfinished\n");
    CHECK(show("start") == "b0\nc0\nunfinished\n");
}

TEST_CASE_METHOD(Merged, "MergedView: offsets, the log start, the end and the last records count in merged order") {
    append_seconds({{0, "0\n"}, {1, "1\n"}, {2, "2\n"}, {1, "3\n"}, {0, "4\n"}});
    CHECK(show("start") == "0\n1\n2\n3\n4\n");
    CHECK(show("0") == "0\n1\n2\n3\n4\n");
    CHECK(show("3") == "3\n4\n");
    CHECK(show("5") == "");
    CHECK(show("end") == "");
    CHECK(show("-2") == "3\n4\n");
    CHECK(show("-99999999999") == "0\n1\n2\n3\n4\n");
    CHECK(show("1..3") == "1\n2\n|");
    CHECK(show("1..end") == "1\n2\n3\n4\n|");
    CHECK(show("-3..-1") == "2\n3\n|");
    CHECK(show("3..1") == "|");
    CHECK(show("99..3") == "|");
    const auto later = view("6");
    const auto finite = view("4..6");
    CHECK(show(*finite) == "4\n");
    append_seconds({{2, "5\n"}, {0, "6\n"}, {0, "7\n"}});
    CHECK(show(*later) == "6\n7\n");
    CHECK(show(*finite) == "4\n5\n|");
}

TEST_CASE_METHOD(Merged, "MergedView: moments and durations") {
    append_seconds({{0, "0\n"}, {1, "1\n"}, {2, "2\n"}, {1, "3\n"}, {0, "4\n"}, {1, "5\n"}});
    CHECK(show("-3s") == "3\n4\n5\n");
    CHECK(show(at(begin + 1000) + ".." + at(begin + 3000)) == "1\n2\n|");
    CHECK(show(at(begin + 1001) + "..+2s") == "2\n3\n|");
    CHECK(show("2..+2s") == "2\n3\n|");
    CHECK(show("start..+1500ms") == "0\n1\n|");
    CHECK(show("yesterday..today") == "|");
    const auto future = view(at(begin + 8000));
    const auto finite = view("4.." + at(begin + 7500));
    const auto pending = view("6..+2s");
    append_seconds({{0, "6\n"}, {1, "7\n"}});
    CHECK(show(*future) == "");
    CHECK(show(*finite) == "4\n5\n6\n7\n|");
    CHECK(show(*pending) == "6\n7\n|");
    append_seconds({{2, "8\n"}});
    CHECK(show(*future) == "8\n");
}

TEST_CASE_METHOD(Merged, "MergedView: a TO that is a moment is decided by the clock, though nobody appends") {
    append_seconds({{0, "0\n"}, {1, "1\n"}});
    const auto finite = view("start.." + at(begin + 5000));
    CHECK(show(*finite) == "0\n1\n");
    CHECK(extent(*finite).ask_again_at == begin + 5000);
    clock().step_to(begin + 4999);
    CHECK(show(*finite) == "0\n1\n");
    clock().step_to(begin + 5000);
    CHECK(show(*finite) == "0\n1\n|");
    clock().step_to(begin);
    append(2, "late\n");
    clock().advance(30);
    CHECK(show(*finite) == "0\n1\n|");
    CHECK(show("start.." + at(begin + 5000)) == "0\n1\n|");
}

TEST_CASE_METHOD(Merged, "MergedView: the clock is set back, and readers go on at once") {
    append_seconds({{0, "0\n"}, {1, "1\n"}});
    const auto all = view("start");
    CHECK(show(*all) == "0\n1\n");
    clock().step_to(begin + -kHourMs);
    for (int i = 2; i < 8; ++i) {
        append(static_cast<std::uint32_t>(i * 7 % 3), std::to_string(i) + "\n");
        clock().advance(10);
        REQUIRE(all->extent());
        clock().advance(10);
        REQUIRE(all->extent());
    }
    CHECK(show(*all) == "0\n1\n2\n3\n4\n5\n6\n7\n");
    CHECK(show("start") == "0\n1\n2\n3\n4\n5\n6\n7\n");
    CHECK_FALSE(extent(*all).ask_again_at);
    fixture.die();
    clock().step_to(begin + -2 * kHourMs);
    open();
    append(1, "8\n");
    settle();
    CHECK(show("start") == "0\n1\n2\n3\n4\n5\n6\n7\n8\n");
}

TEST_CASE_METHOD(Merged, "MergedView: a partition that is added undercuts nothing, though the clock was set back") {
    append_seconds({{0, "0\n"}, {1, "1\n"}});
    const auto all = view("start");
    const auto bell = std::make_shared<Bell>();
    all->start_waiting(bell);
    CHECK(show(*all) == "0\n1\n");
    clock().step_to(begin + -kHourMs);
    add_partition();
    append(3, "2\n");
    settle();
    CHECK(show(*all) == "0\n1\n2\n");
    CHECK(show("start") == "0\n1\n2\n");
    CHECK(show("2") == "2\n");
    fixture.die();
    open();
    append(3, "3\n");
    settle();
    CHECK(show("start") == "0\n1\n2\n3\n");
}

TEST_CASE_METHOD(Merged, "MergedView: each byte is there from any place on, in pieces of any size") {
    std::string expected;
    REQUIRE(topic->set("segment.bytes", "4096"));
    for (int i = 0; i < 200; ++i) {
        const std::string line = std::to_string(i) + std::string(static_cast<std::size_t>(i) % 70, 'x') + "\n";
        append(static_cast<std::uint32_t>(i * i % 3), line);
        expected += line;
        clock().advance(10);
        if (i % 40 == 20) {
            seal();
        }
    }
    settle();
    for (const std::size_t step : {1u, 7u, 100u, 4096u, 100'000u}) {
        CAPTURE(step);
        const auto all = view("start");
        CHECK((read_all(*all, step) == expected));
    }
    const auto all = view("start");
    for (std::size_t from = 0; from <= expected.size(); from += 97) {
        const auto fresh = view("start");
        CAPTURE(from);
        CHECK((read(*fresh, from, 50) == expected.substr(from, 50)));
        CHECK((read(*all, expected.size() - from, 50) == expected.substr(expected.size() - from, 50)));
    }
    CHECK(read(*all, expected.size() + 1, 50).empty());
}

TEST_CASE_METHOD(Merged, "MergedView: a record longer than a batch has the time of its last byte") {
    REQUIRE(topic->set("seal.bytes", "4096"));
    const std::string part(5000, 'x');
    append(0, part);
    clock().advance(20);
    append(1, "before\n");
    seal();
    clock().advance(20);
    append(0, part);
    seal();
    clock().advance(20);
    append(0, part + "\nlast\n");
    clock().advance(20);
    append(1, "after\n");
    settle();
    const std::string expected = "before\n" + part + part + part + "\nlast\nafter\n";
    CHECK((show("start") == expected));
    seal();
    CHECK((show("start") == expected));
    CHECK((read(*view("start"), 9000, 100'000) == expected.substr(9000)));
    CHECK((show("2") == "last\nafter\n"));
}

TEST_CASE_METHOD(Merged, "MergedView: in a byte log each byte is a record") {
    REQUIRE(topic->set("record.delimiter", "none"));
    append_seconds({{0, "aa"}, {1, "bbb"}, {0, "c"}});
    CHECK(show("start") == "aabbbc");
    CHECK(show("1..4") == "abb|");
    CHECK(show("-2") == "bc");
    seal();
    CHECK(show("start") == "aabbbc");
    CHECK(show("1..4") == "abb|");
}

TEST_CASE_METHOD(Merged, "MergedView: where the log start has moved numbers stay what they are") {
    append_seconds({{0, "0\n"}, {1, "1\n"}, {0, "2\n"}, {1, "3\n"}, {2, "4\n"}});
    seal();
    move_log_start(0, Position{2}, Offset{1});
    CHECK(show("start") == "1\n2\n3\n4\n");
    CHECK(show("1") == "1\n2\n3\n4\n");
    CHECK(show("3") == "3\n4\n");
    const auto before = try_view("0");
    REQUIRE_FALSE(before);
    CHECK(before.error().code == ErrorCode::kNotFound);
    CHECK(show("-99") == "1\n2\n3\n4\n");
    CHECK(show(at(begin)) == "1\n2\n3\n4\n");
}

TEST_CASE_METHOD(Merged, "MergedView: a store that is read only shows all whole records there are") {
    append_seconds({{0, "0\n"}, {1, "1\n"}});
    append(2, "2\nunfinished");
    clock().advance(5);
    append(0, "3\n");
    const auto reader = fixture.open_reader();
    const auto all = *try_view_of(*reader->topic("t"), "start", clock().now());
    CHECK(show(*all) == "0\n1\n2\n3\n|");
    const auto last = *try_view_of(*reader->topic("t"), "-2", clock().now());
    CHECK(show(*last) == "2\n3\n|");
    append(1, "later\n");
    CHECK(show(*all) == "0\n1\n2\n3\n|");
}

TEST_CASE_METHOD(Merged, "MergedView: what waits is told of each partition, and of one that is added") {
    const auto all = view("start");
    const auto bell = std::make_shared<Bell>();
    all->start_waiting(bell);
    add_partition();
    REQUIRE(all->extent());
    const auto tell = [&](std::uint32_t partition) {
        std::static_pointer_cast<StoredPartition>(*topic->partition(partition))->log()->tell_waiters();
    };
    for (std::uint32_t partition = 0; partition < 4; ++partition) {
        tell(partition);
        CHECK(bell->rung == static_cast<int>(partition) + 1);
    }
    all->stop_waiting(bell);
    tell(0);
    tell(3);
    CHECK(bell->rung == 4);
}

TEST_CASE_METHOD(Merged, "MergedView: what is damaged cannot be read, what is before and behind it can") {
    REQUIRE(topic->set("seal.bytes", "4096"));
    REQUIRE(topic->set("compression.type", "none"));
    const std::string big = std::string(3000, 'x') + "\n";
    for (int i = 0; i < 3; ++i) {
        append(0, big);
        clock().advance(1000);
        append(1, "b" + std::to_string(i) + "\n");
        clock().advance(1000);
        seal();
    }
    settle();
    const std::string whole = show("start");
    open();
    std::filesystem::path segment;
    for (const auto& entry : std::filesystem::directory_iterator(fixture.path("topics/t/0"))) {
        const std::string name = entry.path().filename().string();
        segment =
            name.find(".log") != std::string::npos && name.find("head") == std::string::npos ? entry.path() : segment;
    }
    CAPTURE(segment);
    std::string content = read_file(segment);
    content[content.size() / 2] = '!';
    write_file(segment, content);
    open();
    const auto all = view("start");
    // When the lost record was appended nobody knows: it follows on what was before it in its partition.
    const std::size_t lost = big.size();
    CHECK(read(*all, 0, whole.size()) == big);
    const auto damaged = all->view(lost, 10);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == ErrorCode::kDamaged);
    const std::string behind = "b0\nb1\n" + big + "b2\n";
    CHECK(read(*all, lost + big.size(), whole.size()) == behind);
    CHECK(read(*view("start"), lost + big.size() + 1, 10) == behind.substr(1, 10));
}

TEST_CASE_METHOD(Merged, "MergedView: what its bytes are: partition, position and time of each piece") {
    const auto all = view("start");
    append(2, "c0\n");
    append(0, "a0\na1\n");
    clock().advance(100);
    append(0, "a2\n");
    clock().advance(100);
    append(1, "b0\nunfinished");
    settle();
    const auto check = [&] {
        CHECK(described(*all, 0, 9) == "0:0+6@0 2:0+3@0 0:6+3@100 1:0+3@200 ");
        CHECK(described(*all, 0, 2) == "0:0+6@0 2:0+3@0 ");
        CHECK(described(*all, 9, 1) == "0:6+3@100 ");
        CHECK(described(*all, 3, 2) == "0:3+3@0 2:0+3@0 ");
        CHECK(described(*all, 4, 2) == "0:4+2@0 2:0+3@0 ");
        CHECK(described(*all, 15, 1) == "");
    };
    check();
    seal();
    check();
    CHECK(show(*all) == "a0\na1\nc0\na2\nb0\n");
}

TEST_CASE_METHOD(Merged, "MergedView: read backwards, forwards and here and there it is the same") {
    Random random;
    CAPTURE(random.seed());
    REQUIRE(topic->set("seal.bytes", "100000"));
    for (int i = 0; i < 3000; ++i) {
        append(static_cast<std::uint32_t>(random.between(0, 2)),
               std::to_string(i) + std::string(random.between(1, 700), 'x') + "\n");
        clock().advance(static_cast<std::int64_t>(random.between(0, 3)));
        if (i % 500 == 250) {
            seal();
        }
    }
    settle();
    const auto forwards = view("start");
    const std::string whole = read_all(*forwards, 100'000);
    REQUIRE(whole.size() > 700'000);
    const auto view_of_it = view("start");
    const auto check = [&](std::uint64_t offset, std::size_t bytes) {
        CAPTURE(offset, bytes);
        REQUIRE((read(*view_of_it, offset, bytes) == whole.substr(offset, bytes)));
    };
    for (std::uint64_t offset = whole.size(); offset > 0;) {
        const std::uint64_t bytes = std::min<std::uint64_t>(offset, 8192);
        offset -= bytes;
        check(offset, bytes);
    }
    for (int i = 0; i < 300; ++i) {
        check(random.between(0, whole.size() - 1), random.between(1, 20'000));
    }
}
