#include "store/partition_view.h"

#include "support/random_content.h"
#include "unit/log/outside_writer.h"
#include "unit/store/store_fixture.h"

#include "log/layout.h"

#include <atomic>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::int64_t kHourMs = 3'600'000;

class Views {
public:
    Views() {
        fixture.open();
        use("t");
    }
    // A topic that is made where it is not there.
    void use(const std::string& name) {
        auto found = fixture.store->topic(name);
        found = found ? found : fixture.store->create_topic(name, Attributes{});
        REQUIRE(found);
        topic = *found;
        partition = *topic->partition(0);
    }
    void open() {
        fixture.open();
        use(topic->name());
    }
    void set(std::string_view key, std::string_view value) { REQUIRE(topic->set(key, value)); }
    void append(std::string_view bytes) { test::append(*topic, 0, bytes); }
    // Appends lines with a second between them, from the present one on; "0\n" to "9\n" are so many seconds old.
    void append_seconds(int from, int to) {
        for (int i = from; i < to; ++i) {
            append(std::to_string(i) + "\n");
            clock().advance(1000);
        }
    }
    void seal() { REQUIRE(fixture.store->maintain(true)); }
    ManualClock& clock() { return fixture.clock; }

    Result<std::shared_ptr<PartitionView>> try_view(std::string_view name) {
        const auto parsed = parse_view_name("0@" + std::string(name));
        INFO(name);
        REQUIRE(parsed);
        return PartitionView::open(partition, parsed->from, parsed->to, clock().now());
    }
    std::shared_ptr<PartitionView> view(std::string_view name) {
        auto opened = try_view(name);
        INFO(name << (opened ? std::string() : ": " + opened.error().message()));
        REQUIRE(opened);
        return *opened;
    }
    static PartitionView::Range range(PartitionView& view) {
        const auto range = view.range();
        INFO((range ? std::string() : range.error().message()));
        REQUIRE(range);
        REQUIRE(range->to >= range->from);
        return *range;
    }
    std::string text(PartitionView& view) {
        const PartitionView::Range shown = range(view);
        std::string bytes(shown.bytes(), '?');
        const auto got = partition->read(shown.from, std::as_writable_bytes(std::span(bytes)));
        REQUIRE(got);
        REQUIRE(*got == bytes.size());
        return bytes;
    }
    // What it shows, with a mark where it is complete.
    std::string show(PartitionView& view) { return text(view) + (range(view).is_complete ? "|" : ""); }
    std::string show(std::string_view name) { return show(*view(name)); }

    std::string at(TimestampMs time) { return "ms" + std::to_string(time.value); }

    StoreFixture fixture;
    std::shared_ptr<Topic> topic;
    std::shared_ptr<Partition> partition;
    const TimestampMs begin = fixture.clock.now();
};

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

TEST_CASE_METHOD(Views, "PartitionView: a record that was begun before TO belongs to the view, however late it ends") {
    append("0\nlong");
    clock().advance(2000);
    const auto finite = view("start.." + at(begin + 1000));
    CHECK(show(*finite) == "0\nlong");
    append(" line");
    CHECK(show(*finite) == "0\nlong line");
    clock().advance(2000);
    append("!\nnext\n");
    CHECK(show(*finite) == "0\nlong line!\n|");
    CHECK(show(at(begin + 1000)) == "next\n");
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
        clock().advance(kHourMs);
        append_seconds(10, 12);
        CHECK(show(*pending) == "11\n");
        CHECK(show(*from_end) == "10\n|");
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

TEST_CASE_METHOD(Views, "PartitionView: random appends, seals, deaths and clock steps take nothing back") {
    Random random;
    for (int round = 0; round < 10; ++round) {
        CAPTURE(random.seed(), round);
        struct Kept {
            std::string name;
            std::shared_ptr<PartitionView> view;
            std::string shown;
            bool complete;
        };
        const TimestampMs now = clock().now();
        std::vector<Kept> kept;
        const auto offset = [&] {
            return std::to_string(partition->records_end()->offset.value + random.between(0, 30));
        };
        const auto time = [&] { return at(now + (static_cast<std::int64_t>(random.between(0, 1500)) - 300)); };
        const auto point = [&] {
            const std::uint64_t kind = random.between(0, 4);
            return kind == 0 ? offset() : kind == 1 ? "-" + std::to_string(random.between(0, 20)) : time();
        };
        for (int step = 0; step < 120; ++step) {
            CAPTURE(step);
            switch (random.between(0, 7)) {
                case 0:
                case 1:
                case 2:
                    append(random.one_in(3) ? "part" : "of\nlines\n");
                    break;
                case 3:
                    clock().advance(static_cast<std::int64_t>(random.between(0, 100)));
                    break;
                case 4:
                    clock().step_to(clock().now() + (static_cast<std::int64_t>(random.between(0, 200)) - 100));
                    break;
                case 5:
                    seal();
                    break;
                case 6:
                    if (kept.size() < 30) {
                        std::string name = point();
                        const std::uint64_t kind = random.between(0, 3);
                        name += kind == 0   ? ""
                                : kind == 1 ? "..+" + std::to_string(random.between(0, 500)) + "ms"
                                            : ".." + point();
                        kept.push_back({name, view(name), "", false});
                    }
                    break;
                default:
                    if (random.one_in(10)) {
                        random.one_in(2) ? fixture.die() : fixture.end();
                        open();
                        // Those that go by names that mean the same now.
                        std::erase_if(kept,
                                      [](const Kept& k) { return !k.complete || k.name.find("-") != k.name.npos; });
                        for (Kept& k : kept) {
                            k.view = view(k.name);
                        }
                    }
                    break;
            }
            for (Kept& k : kept) {
                const std::string shown = text(*k.view);
                const bool complete = range(*k.view).is_complete;
                CAPTURE(k.name, k.complete);
                REQUIRE((shown.substr(0, k.shown.size()) == k.shown));
                REQUIRE((!k.complete || (complete && shown == k.shown)));
                // Another look-up of a name that means the same now shows the same.
                if (complete && k.name.find("-") == std::string::npos) {
                    REQUIRE((text(*view(k.name)) == shown));
                }
                k.shown = shown;
                k.complete = complete;
            }
        }
    }
}

TEST_CASE_METHOD(Views, "PartitionView: many threads ask while lines are appended") {
    append("0\n");
    const auto growing = view("start");
    const auto finite = view("start.." + at(begin + 50));
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&] {
            Position seen_growing;
            Position seen_finite;
            bool complete = false;
            while (!stop) {
                const auto all = growing->range();
                const auto some = finite->range();
                const bool good = all && some && all->to >= seen_growing && some->to >= seen_finite &&
                                  (!complete || (some->is_complete && some->to == seen_finite));
                if (!good) {
                    ++wrong;
                    break;
                }
                seen_growing = all->to;
                seen_finite = some->to;
                complete = some->is_complete;
            }
        });
    }
    for (int i = 0; i < 300; ++i) {
        const auto stored = partition->append(std::as_bytes(std::span("line\n", 5)));
        wrong += stored ? 0 : 1;
        clock().advance(1);
        if (i % 50 == 0) {
            wrong += fixture.store->maintain(true) ? 0 : 1;
        }
    }
    stop = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
    CHECK(range(*finite).is_complete);
}
