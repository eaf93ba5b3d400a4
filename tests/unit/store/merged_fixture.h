// A topic of some partitions in a directory of its own, and views of all of it by their names.
#pragma once

#include "log/layout.h"
#include "store/merged_view.h"
#include "unit/log/outside_writer.h"
#include "unit/store/store_fixture.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs::test {

class Merged {
public:
    Merged() {
        fixture.open();
        REQUIRE(fixture.store->create_topic("t", Attributes{}));
        use();
        add_partition();
        add_partition();
    }
    void use() { topic = *fixture.store->topic("t"); }
    void open() {
        fixture.open();
        use();
    }
    void add_partition() { REQUIRE(topic->add_partition(topic->partition_count(), Attributes{})); }
    void append(std::uint32_t partition, std::string_view bytes) { test::append(*topic, partition, bytes); }
    // Each line a second after the one before.
    void append_seconds(std::initializer_list<std::pair<std::uint32_t, std::string_view>> lines) {
        for (const auto& [partition, line] : lines) {
            append(partition, line);
            clock().advance(1000);
        }
    }
    void seal() { REQUIRE(fixture.store->maintain(true)); }
    std::filesystem::path head_path(std::uint32_t partition) const {
        return fixture.path("topics/t/" + std::to_string(partition)) / head_file_name(Position{0});
    }
    // As retention does, with what is sealed.
    void move_log_start(std::uint32_t partition, Position position, Offset offset) {
        fixture.end();
        const auto path = fixture.path("topics/t/" + std::to_string(partition)) / kRecoveryFileName;
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
    // Until what is there is settled.
    void settle() {
        for (int i = 0; i < 3; ++i) {
            clock().advance(10);
            REQUIRE(view("start")->extent());
        }
    }

    static Result<std::shared_ptr<MergedView>> try_view_of(const std::shared_ptr<Topic>& topic, std::string_view name,
                                                           TimestampMs now) {
        const auto parsed = parse_view_name("all@" + std::string(name));
        INFO(name);
        REQUIRE(parsed);
        return MergedView::open(topic, parsed->from, parsed->to, now);
    }
    Result<std::shared_ptr<MergedView>> try_view(std::string_view name) {
        return try_view_of(topic, name, clock().now());
    }
    std::shared_ptr<MergedView> view(std::string_view name) {
        auto opened = try_view(name);
        INFO(name << (opened ? std::string() : ": " + opened.error().message()));
        REQUIRE(opened);
        return *opened;
    }
    static LogView::Extent extent(LogView& view) {
        const auto extent = view.extent();
        INFO((extent ? std::string() : extent.error().message()));
        REQUIRE(extent);
        return *extent;
    }
    static std::string text(const ByteView& bytes) {
        std::string all;
        for (const auto part : bytes.parts()) {
            all.append(reinterpret_cast<const char*>(part.data()), part.size());
        }
        return all;
    }
    static std::string read(LogView& view, std::uint64_t offset, std::size_t bytes) {
        const auto got = view.view(offset, bytes);
        INFO((got ? std::string() : got.error().message()));
        REQUIRE(got);
        REQUIRE(got->parts().size() <= MergedView::kPartsMax);
        return text(*got);
    }
    static std::string read_all(LogView& view, std::size_t step = 4096) {
        std::string all;
        for (;;) {
            const std::string more = read(view, all.size(), step);
            if (more.empty()) {
                return all;
            }
            all += more;
        }
    }
    // What it shows, with a mark where it is complete.
    static std::string show(LogView& view) {
        const LogView::Extent shown = extent(view);
        const std::string all = read_all(view);
        REQUIRE(all.size() == shown.bytes);
        return all + (shown.is_complete ? "|" : "");
    }
    // "PARTITION:POSITION+BYTES@MILLISECONDS " of each piece, the time as since the beginning.
    std::string described(LogView& view, std::uint64_t offset, std::size_t count_max) const {
        const auto chunks = view.describe(offset, count_max);
        INFO((chunks ? std::string() : chunks.error().message()));
        REQUIRE(chunks);
        std::string text;
        for (const auto& chunk : *chunks) {
            text += std::to_string(chunk.partition) + ":" + std::to_string(chunk.position.value) + "+" +
                    std::to_string(chunk.bytes) + "@" + (chunk.time ? std::to_string(*chunk.time - begin) : "-") + " ";
        }
        return text;
    }
    std::string show(std::string_view name) { return show(*view(name)); }
    std::string at(TimestampMs time) { return "ms" + std::to_string(time.value); }

    StoreFixture fixture;
    std::shared_ptr<Topic> topic;
    const TimestampMs begin = fixture.clock.now();
};

}  // namespace topicfs::test
