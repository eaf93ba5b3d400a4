// A segment with batches in a directory of its own.
#pragma once

#include "log/batch_builder.h"
#include "log/layout.h"
#include "log/segment.h"
#include "support/bytes.h"
#include "support/temporary_directory.h"
#include "unit/log/power_cut_file_system.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace topicfs::test {

class SegmentFixture {
public:
    explicit SegmentFixture(Codec codec = Codec::kNone) : codec_(codec) {
        REQUIRE(fs.make_directory("p"));
        auto created = Segment::create(fs, "p", Position{kBase}, codec);
        REQUIRE(created);
        segment = *created;
    }

    Result<void> try_append(const std::string& raw) {
        std::copy_n(std::as_bytes(std::span(raw)).begin(), raw.size(), builder_.raw(raw.size()).begin());
        BatchHeader header;
        header.base_position = end_;
        header.base_offset = end_offset_;
        const std::int64_t now = 1000 * static_cast<std::int64_t>(headers.size() + 1);
        header.times = {{0, {now}}, {static_cast<std::uint32_t>(raw.size() - 1), {now + 500}}};
        TOPICFS_TRY_ASSIGN(const auto batch, builder_.build(header, codec_, 1, '\n'));
        TOPICFS_TRY(segment->append_batch(batch.header, batch.bytes));
        places.push_back(places.empty() ? 0 : places.back() + headers.back().batch_bytes());
        headers.push_back(batch.header);
        end_ = batch.header.end_position();
        end_offset_ = batch.header.end_offset();
        return {};
    }
    // `records` lines of ten bytes.
    void append(std::size_t records, char fill) {
        std::string raw;
        for (std::size_t i = 0; i < records; ++i) {
            raw += std::string(9, fill) + "\n";
        }
        text += raw;
        REQUIRE(try_append(raw));
    }
    // As another process finds it.
    void reopen(Segment::Access access = Segment::Access::kReadWrite) {
        const std::uint64_t bytes = segment->bytes();
        segment.reset();
        segment = std::make_shared<Segment>(fs, "p", Position{kBase}, codec_, bytes, 0, access);
    }
    std::filesystem::path path() const { return directory / "p" / segment_file_name(Position{kBase}, codec_); }
    std::filesystem::path index_path() const { return directory / "p" / index_file_name(Position{kBase}); }
    std::uint64_t end_of(std::size_t batch) const { return places[batch] + headers[batch].batch_bytes(); }

    // Every position and offset is found where it is.
    void check_look_ups() {
        for (const BatchHeader& header : headers) {
            for (const std::uint64_t at : {header.base_position.value, header.end_position().value - 1}) {
                const auto found = segment->find(Position{at});
                REQUIRE(found);
                REQUIRE(found->entry);
                REQUIRE(found->entry->base_position == header.base_position);
                REQUIRE(found->entry->base_offset == header.base_offset);
                REQUIRE(found->entry->record_count == header.record_count);
            }
            const auto below = segment->find_offset(header.base_offset + 1);
            REQUIRE(below);
            REQUIRE(*below);
            REQUIRE((*below)->base_position == header.base_position);
            const auto timed = segment->find_time(header.times.back().time);
            REQUIRE(timed);
            REQUIRE((*timed)->base_position == header.base_position);
        }
    }

    static constexpr std::uint64_t kBase = 70;
    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    PowerCutFileSystem fs{*real, directory.path()};  // nothing is really synced
    std::shared_ptr<Segment> segment;
    std::vector<BatchHeader> headers;
    std::vector<std::uint64_t> places;  // in the file
    std::string text;

private:
    const Codec codec_;
    BatchBuilder builder_;
    Position end_{kBase};
    Offset end_offset_{7};
};

}  // namespace topicfs::test
