// A partition of a store in a directory of its own, and views of it by their names.
#pragma once

#include "log/layout.h"
#include "store/partition_view.h"
#include "unit/store/store_fixture.h"

#include <memory>
#include <string>
#include <string_view>

namespace topicfs::test {

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
    // As retention does, with what is sealed.
    void move_log_start(Position position, Offset offset) {
        fixture.end();
        const auto path = fixture.path("topics/t/0") / kRecoveryFileName;
        std::string content = read_file(path);
        RecoveryPoint point = choose_recovery_point(std::as_bytes(std::span(content))).value().point;
        point.log_start = position;
        point.log_start_offset = offset;
        const auto slot = encode_recovery_slot(point);
        for (const std::size_t at : {std::size_t{0}, kRecoverySlotStrideBytes}) {
            content.replace(at, slot.size(), to_text(slot));
        }
        write_file(path, content);
        open();
    }
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

}  // namespace topicfs::test
