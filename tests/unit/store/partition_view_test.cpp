#include "store/partition_view.h"

#include "unit/log/outside_writer.h"
#include "unit/store/view_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;

}  // namespace

TEST_CASE_METHOD(Views, "PartitionView: by offset, from the log start, the log end and the last records") {
    append("0\n1\n2\n3\n4\n");
    CHECK(show("start") == "0\n1\n2\n3\n4\n");
    CHECK(show("0") == "0\n1\n2\n3\n4\n");
    CHECK(show("3") == "3\n4\n");
    CHECK(show("5") == "");
    CHECK(show("end") == "");
    CHECK(show("-2") == "3\n4\n");
    CHECK(show("-5") == "0\n1\n2\n3\n4\n");
    CHECK(show("-99999999999") == "0\n1\n2\n3\n4\n");
    CHECK(show("-0") == "");
    CHECK(show("1..3") == "1\n2\n|");
    CHECK(show("1..end") == "1\n2\n3\n4\n|");
    CHECK(show("start..start") == "|");
    CHECK(show("-3..-1") == "2\n3\n|");
    CHECK(show("3..99") == "3\n4\n");
}

TEST_CASE_METHOD(Views, "PartitionView: a TO before FROM is an empty view, not an error") {
    append_seconds(0, 5);
    for (const char* const name :
         {"3..1", "end..start", "-1..-3", "4..start", "-1s..-3s", "end..0", "2..2", "99..3", "2099-01-01..3"}) {
        CAPTURE(name);
        CHECK(show(name) == "|");
    }
    CHECK(show(at(begin + 3000) + ".." + at(begin)) == "|");
    const auto later = view("99..3");
    append_seconds(5, 6);
    CHECK(show(*later) == "|");
}

TEST_CASE_METHOD(Views, "PartitionView: without TO it grows, with a TO that has passed it does not") {
    append_seconds(0, 3);
    const auto growing = view("1");
    const auto since = view("-2s");
    const auto finite = view("1..end");
    const auto last = view("-1");
    append_seconds(3, 5);
    CHECK(show(*growing) == "1\n2\n3\n4\n");
    CHECK(show(*since) == "1\n2\n3\n4\n");
    CHECK(show(*finite) == "1\n2\n|");
    CHECK(show(*last) == "2\n3\n4\n");
}

TEST_CASE_METHOD(Views, "PartitionView: an unfinished last line is behind the end, and shown where there is no TO") {
    append("0\n1\nunf");
    const auto ended = view("start..end");
    const auto from_end = view("end");
    const auto last = view("-1");
    const auto to_offset = view("0..3");
    CHECK(show(*ended) == "0\n1\n|");
    CHECK(show(*from_end) == "unf");
    CHECK(show(*last) == "1\nunf");
    CHECK(show(*to_offset) == "0\n1\nunf");
    append("inished\n3\n");
    CHECK(show(*ended) == "0\n1\n|");
    CHECK(show(*from_end) == "unfinished\n3\n");
    CHECK(show(*last) == "1\nunfinished\n3\n");
    CHECK(show(*to_offset) == "0\n1\nunfinished\n|");
}

TEST_CASE_METHOD(Views, "PartitionView: an offset behind the log end begins to fill when the log gets there") {
    append("0\n1\n");
    const auto from_four = view("4");
    const auto two = view("4..6");
    CHECK(show(*from_four) == "");
    CHECK_FALSE(range(*from_four).has_begun);
    append("2\n3");
    CHECK(show(*from_four) == "");
    CHECK_FALSE(range(*from_four).has_begun);
    append("\n");
    CHECK(range(*from_four).has_begun);
    CHECK(show(*from_four) == "");
    append("4");
    CHECK(show(*from_four) == "4");
    CHECK(show(*two) == "4");
    append("\n5\n6\n");
    CHECK(show(*from_four) == "4\n5\n6\n");
    CHECK(show(*two) == "4\n5\n|");
}

TEST_CASE_METHOD(Views, "PartitionView: durations, moments and days, from the look-up on") {
    append_seconds(0, 10);
    CHECK(show("-3s") == "7\n8\n9\n");
    CHECK(show("-3000ms..-1s") == "7\n8\n|");
    CHECK(show("-2h") == "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    CHECK(show(at(begin + 2000) + ".." + at(begin + 4000)) == "2\n3\n|");
    CHECK(show(at(begin + 2001) + ".." + at(begin + 4001)) == "3\n4\n|");
    CHECK(show("1970-01-02..2001-01-01") == "|");
    CHECK(show("yesterday..today") == "|");
    CHECK(show("today") == "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    const auto view = this->view("-3s..-1s");
    clock().advance(kHourMs);
    CHECK(show(*view) == "7\n8\n|");
}

TEST_CASE_METHOD(Views, "PartitionView: a FROM in the future shows nothing until its time has come") {
    append_seconds(0, 2);
    const auto future = view(at(begin + 5000));
    CHECK(show(*future) == "");
    append_seconds(2, 5);
    CHECK(show(*future) == "");
    append_seconds(5, 7);
    CHECK(show(*future) == "5\n6\n");
}

TEST_CASE_METHOD(Views, "PartitionView: a TO in the future is complete once it has passed, and only then") {
    append_seconds(0, 2);
    const auto finite = view("0.." + at(begin + 4000));
    CHECK(show(*finite) == "0\n1\n");
    append_seconds(2, 3);
    CHECK(show(*finite) == "0\n1\n2\n");
    CHECK(range(*finite).to_time == begin + 4000);
    SECTION("by the log") {
        append_seconds(3, 5);
        CHECK(show(*finite) == "0\n1\n2\n3\n|");
    }
    SECTION("by the clock") {
        clock().advance(999);
        CHECK(show(*finite) == "0\n1\n2\n");
        clock().advance(1);
        CHECK(show(*finite) == "0\n1\n2\n|");
    }
    const std::string complete = show(*finite);
    CHECK_FALSE(range(*finite).to_time);
    append_seconds(6, 8);
    clock().step_to(begin);
    append_seconds(8, 9);
    CHECK(show(*finite) == complete);
    CHECK(show("0.." + at(begin + 4000)) == complete);
}

TEST_CASE_METHOD(Views, "PartitionView: a record that is not whole when TO passes does not belong to the view") {
    append("0\nlong");
    const auto finite = view("start.." + at(begin + 1000));
    CHECK(show(*finite) == "0\n");
    clock().advance(2000);
    CHECK(show(*finite) == "0\n|");
    append(" line");
    CHECK(show(at(begin + 1000)) == "long line");
    append("!\nnext\n");
    CHECK(show(*finite) == "0\n|");
    CHECK(show(at(begin + 1000)) == "long line!\nnext\n");
    CHECK(show(at(begin + 2001)) == "");
}

TEST_CASE_METHOD(Views, "PartitionView: the clock is set back while lines are appended") {
    append_seconds(0, 3);
    clock().step_to(begin + -kHourMs);
    append_seconds(3, 5);
    // The records after the step have the largest time before it.
    CHECK(show(at(begin + 2000)) == "2\n3\n4\n");
    CHECK(show(at(begin) + ".." + at(begin + 2000)) == "0\n1\n|");
    const auto finite = view(at(begin) + ".." + at(begin + 4000));
    CHECK(show(*finite) == "0\n1\n2\n3\n4\n");
    // By the clock an hour must pass until the log is at TO.
    append_seconds(5, 6);
    CHECK(show(*finite) == "0\n1\n2\n3\n4\n5\n");
    clock().step_to(begin + 3999);
    CHECK(show(*finite) == "0\n1\n2\n3\n4\n5\n");
    clock().advance(1);
    CHECK(show(*finite) == "0\n1\n2\n3\n4\n5\n|");
    clock().step_to(begin);
    append_seconds(6, 7);
    CHECK(show(*finite) == "0\n1\n2\n3\n4\n5\n|");
    // "The last second" by a clock that was set back is all since then, too.
    CHECK(show("-1s") == "0\n1\n2\n3\n4\n5\n6\n");
}

TEST_CASE_METHOD(Views, "PartitionView: a duration from FROM") {
    append_seconds(0, 10);
    SECTION("that is a moment") {
        CHECK(show("-8s..+3s") == "2\n3\n4\n|");
        CHECK(show(at(begin + 2500) + "..+1s") == "3\n|");
        CHECK(show(at(begin + 2500) + "..+0s") == "|");
    }
    SECTION("that is an offset: from its record's time") {
        CHECK(show("4..+2s") == "4\n5\n|");
        CHECK(show("-6..+2s") == "4\n5\n|");
        CHECK(show("start..+1500ms") == "0\n1\n|");
        CHECK(show("4..+0s") == "|");
        CHECK(show("8..+5s") == "8\n9\n");
        CHECK(range(*view("8..+5s")).to_time == begin + 13'000);
    }
    SECTION("that is not there yet") {
        const auto pending = view("11..+2s");
        const auto from_end = view("end..+1s");
        CHECK(show(*pending) == "");
        CHECK(range(*from_end).has_begun);
        CHECK(show(*from_end) == "");
        append_seconds(10, 12);
        CHECK(show(*from_end) == "10\n|");  // counted from the look-up
        CHECK(show(*view("end..+1s")) == "");
        CHECK(show(*pending) == "11\n");
        append_seconds(12, 15);
        CHECK(show(*pending) == "11\n12\n|");
    }
}

TEST_CASE_METHOD(
    Views, "PartitionView: what is complete and what a name means outlives segments, head, codecs and the process") {
    set("segment.bytes", "4096");
    std::string all;
    for (int i = 0; i < 60; ++i) {
        const std::string line = std::to_string(i) + std::string(100, 'x') + "\n";
        append(line);
        all += line;
        clock().advance(1000);
        if (i % 7 == 3) {
            seal();
        }
        if (i == 20 || i == 40) {
            set("compression.type", i == 20 ? "zstd" : "none");
        }
    }
    const auto part = [&](std::size_t from, std::size_t to) {
        std::size_t at = 0;
        std::size_t first = 0;
        for (std::size_t line = 0; line < to; ++line) {
            first = line == from ? at : first;
            at = all.find('\n', at) + 1;
        }
        return all.substr(first, at - first);
    };
    const auto check = [&] {
        for (const auto& [from, to] :
             {std::pair<std::size_t, std::size_t>(0, 60), {3, 4}, {10, 30}, {19, 45}, {55, 59}}) {
            CAPTURE(from, to);
            CHECK((show(std::to_string(from) + ".." + std::to_string(to)) == part(from, to) + "|"));
            const std::string from_time = at(begin + static_cast<std::int64_t>(from) * 1000);
            const std::string to_time = at(begin + static_cast<std::int64_t>(to) * 1000);
            CHECK((show(from_time + ".." + to_time) == part(from, to) + "|"));
            CHECK((show(std::to_string(from) + "..+" + std::to_string((to - from) * 1000) + "ms") ==
                   part(from, to) + "|"));
            CHECK((show(from_time) == part(from, 60)));
        }
    };
    check();
    open();
    check();
    fixture.die();
    open();
    check();
    seal();
    check();
}

TEST_CASE_METHOD(
    Views, "PartitionView: a view that was complete is the same after the daemon's death, with the clock set back") {
    append_seconds(0, 3);
    clock().advance(2500);
    const std::string name = "0.." + at(begin + 5000);
    CHECK(show(name) == "0\n1\n2\n|");
    fixture.die();
    clock().step_to(begin + 3500);
    open();
    append_seconds(3, 5);
    CHECK(show(name) == "0\n1\n2\n|");
    CHECK(show(at(begin + 5000)) == "3\n4\n");
}

TEST_CASE_METHOD(Views, "PartitionView: what others append is shown where its time puts it, for good") {
    append_seconds(0, 2);
    const auto lent = partition->append_file();
    REQUIRE(lent);
    OutsideWriter writer(fixture.path("topics/t/0") / head_file_name(Position{0}));
    const auto finite = view("0.." + at(begin + 3000));
    writer.append("2\n");
    CHECK(show(*finite) == "0\n1\n2\n");
    clock().advance(1000);
    // Came before its time had passed, but is looked at only now.
    writer.append("3\n");
    CHECK(show(*finite) == "0\n1\n2\n|");
    CHECK(show(at(begin + 3000)) == "3\n");
}

TEST_CASE_METHOD(Views, "PartitionView: a byte log is cut at any byte") {
    use("bytes");
    set("record.delimiter", "none");
    append("012345");
    clock().advance(1000);
    append("67\n89");
    CHECK(show("2..4") == "23|");
    CHECK(show("-3..-1") == "\n8|");
    CHECK(show("start..end") == "01234567\n89|");
    CHECK(show(at(begin + 1)) == "67\n89");
    CHECK(show(at(begin) + ".." + at(begin + 1000)) == "012345|");
    CHECK(show("3..+1s") == "345|");
    seal();
    CHECK(show("3..+1s") == "345|");
    CHECK(show("20") == "");
}

TEST_CASE_METHOD(Views, "PartitionView: an empty partition") {
    CHECK(show("start") == "");
    CHECK(show("end") == "");
    CHECK(show("0") == "");
    CHECK(show("-10") == "");
    CHECK(show("start..end") == "|");
    CHECK(show("-1h..-1m") == "|");
    CHECK(show("5..10") == "");
    const auto first = view("start..+1s");
    CHECK(show(*first) == "");
    append_seconds(0, 3);
    CHECK(show(*first) == "0\n|");
}

TEST_CASE_METHOD(
    Views, "PartitionView: where the log start has moved, times begin there and offsets before it are not found") {
    append_seconds(0, 9);
    seal();
    move_log_start(Position{8}, Offset{4});
    CHECK(show("start") == "4\n5\n6\n7\n8\n");
    CHECK(show("4") == "4\n5\n6\n7\n8\n");
    CHECK(show("-99..end") == "4\n5\n6\n7\n8\n|");
    CHECK(show("-2") == "7\n8\n");
    CHECK(show("1970-01-02..6") == "4\n5\n|");
    CHECK(show(at(begin) + ".." + at(begin + 6000)) == "4\n5\n|");
    CHECK(show(at(begin) + ".." + at(begin + 2000)) == "|");
    CHECK(show("start..+2s") == "4\n5\n|");
    CHECK(show("end..4") == "|");
    for (const char* const name : {"3", "0", "3..6", "3..+1s", "0..end", "start..3", "end..0"}) {
        CAPTURE(name);
        const auto refused = try_view(name);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::kNotFound);
    }
}

TEST_CASE_METHOD(Views, "PartitionView: a store that is read only shows the same") {
    append_seconds(0, 10);
    seal();
    append_seconds(10, 12);
    const auto reader = fixture.open_reader();
    partition = *(*reader->topic("t"))->partition(0);
    CHECK(show("8") == "8\n9\n10\n11\n");
    CHECK(show("8..11") == "8\n9\n10\n|");
    CHECK(show("-3s..-1s") == "9\n10\n|");
    CHECK(show(at(begin + 9000) + "..-1s") == "9\n10\n|");
    CHECK(show("-3s..-0s") == "9\n10\n11\n");  // Complete only once the log has gone on.
    CHECK(show("-2..end") == "10\n11\n|");
    partition.reset();  // The store must be the last to go.
}

TEST_CASE_METHOD(Views, "PartitionView: what its bytes are: position and time of each piece") {
    append_seconds(8, 11);
    append("11\nunf");
    const auto described = [&](std::string_view name, std::uint64_t offset, std::size_t count_max) {
        const auto chunks = view(name)->describe(offset, count_max);
        REQUIRE(chunks);
        std::string text;
        for (const auto& chunk : *chunks) {
            CHECK(chunk.partition == 0);
            text += std::to_string(chunk.position.value) + "+" + std::to_string(chunk.bytes) + "@" +
                    (chunk.time ? std::to_string(*chunk.time - begin) : "-") + " ";
        }
        return text;
    };
    const auto check = [&] {
        CHECK(described("start", 0, 9) == "0+2@0 2+2@1000 4+3@2000 7+3@3000 10+3@- ");
        CHECK(described("1", 0, 2) == "2+2@1000 4+3@2000 ");
        CHECK(described("1", 3, 2) == "5+2@2000 7+3@3000 ");
        CHECK(described("1..end", 2, 9) == "4+3@2000 7+3@3000 ");
        CHECK(described("end", 0, 9) == "10+3@- ");
        CHECK(described("end", 3, 9) == "");
    };
    check();
    seal();
    check();
}
