// A partition in a directory of its own, with a clock that is moved by hand, and a model of what it must say.
#pragma once

#include "base/clock.h"
#include "log/layout.h"
#include "log/partition_log.h"
#include "support/bytes.h"
#include "support/temporary_directory.h"
#include "unit/log/power_cut_file_system.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs::test {

inline constexpr const char* kPartitionDirectory = "p";

// What was appended, byte by byte, with the time of each.
class LogModel {
public:
    explicit LogModel(std::optional<std::uint8_t> delimiter) : delimiter_(delimiter) {}

    void append(std::string_view bytes, TimestampMs now) {
        if (!newest_ || now.value / AppendTimes::kResolutionMs > newest_->value / AppendTimes::kResolutionMs) {
            newest_ = newest_ ? std::max(*newest_, now) : now;
        }
        bytes_ += bytes;
        times_.resize(bytes_.size(), *newest_);
        for (const char c : bytes) {
            count_.push_back(records() + (ends_record(c) ? 1 : 0));
        }
        for (std::size_t at = bytes_.size() - bytes.size(); at < bytes_.size(); ++at) {
            if (ends_record(bytes_[at])) {
                ends_.push_back(at + 1);
            }
        }
    }
    // As a power cut does.
    void cut(std::size_t size) {
        bytes_.resize(size);
        times_.resize(size);
        count_.resize(size);
        while (!ends_.empty() && ends_.back() > size) {
            ends_.pop_back();
        }
    }

    const std::string& bytes() const { return bytes_; }
    std::uint64_t records() const { return count_.empty() ? 0 : count_.back(); }
    // Where record `offset` begins; nothing behind the log end.
    std::optional<std::uint64_t> start_of(std::uint64_t offset) const {
        if (offset > ends_.size()) {
            return std::nullopt;
        }
        return offset == 0 ? 0 : ends_[offset - 1];
    }
    Found at_time(TimestampMs time) const {
        const auto first = std::lower_bound(times_.begin(), times_.end(), time);
        const auto position = static_cast<std::uint64_t>(first - times_.begin());
        // The record that this byte is of: behind the last that ends before it.
        const auto ended = std::upper_bound(ends_.begin(), ends_.end(), position) - ends_.begin();
        const std::uint64_t begin = ended == 0 ? 0 : ends_[static_cast<std::size_t>(ended) - 1];
        return {Position{begin}, Offset{static_cast<std::uint64_t>(ended)}};
    }
    TimestampMs time_of(std::size_t at) const { return times_[at]; }

private:
    bool ends_record(char c) const { return !delimiter_ || static_cast<std::uint8_t>(c) == *delimiter_; }

    std::optional<std::uint8_t> delimiter_;
    std::string bytes_;
    std::vector<TimestampMs> times_;
    std::vector<std::uint64_t> count_;  // records that end up to here
    std::vector<std::uint64_t> ends_;   // positions behind each record
    std::optional<TimestampMs> newest_;
};

// Its directory is made by the constructor; the log is open until kill().
class PartitionFixture {
public:
    explicit PartitionFixture(TopicSettings with = {}) : settings(std::move(with)) {
        REQUIRE(fs.make_directory(kPartitionDirectory));
        REQUIRE(PartitionLog::create_files(fs, kPartitionDirectory, clock.now(), true));
        open();
    }

    Result<std::shared_ptr<PartitionLog>> try_open(bool power_was_cut = false, bool read_only = false) {
        PartitionEnvironment environment{fs, clock, cache, work, read_only, read_ahead};
        environment.replace_head_bytes = replace_head_bytes;
        return PartitionLog::open(environment, kPartitionDirectory, std::make_shared<TopicSettings>(settings),
                                  power_was_cut);
    }
    void open(bool power_was_cut = false) {
        auto opened = try_open(power_was_cut);
        INFO((opened ? std::string() : opened.error().message()));
        REQUIRE(opened);
        log = *opened;
    }
    // The process dies: nothing is closed properly.
    void kill() { log.reset(); }
    void restart(bool power_was_cut = false) {
        kill();
        open(power_was_cut);
    }

    void append(std::string_view bytes) {
        const auto stored = log->append(std::as_bytes(std::span(bytes)));
        REQUIRE(stored);
        REQUIRE(*stored == bytes.size());
    }
    void seal() { REQUIRE(log->seal_due(builder, true)); }
    void seal_and_checkpoint() {
        seal();
        REQUIRE(log->checkpoint());
    }
    // Sealed so that each of `batches` is one batch.
    void append_batches(const std::vector<std::string>& batches) {
        for (const std::string& batch : batches) {
            append(batch);
            seal();
        }
    }

    static Result<std::string> read(PartitionLog& from, Position at, std::size_t bytes) {
        std::string text(bytes, '?');
        TOPICFS_TRY_ASSIGN(const std::size_t got, from.read(at, std::as_writable_bytes(std::span(text))));
        text.resize(got);
        return text;
    }
    std::string read(std::uint64_t from, std::size_t bytes) {
        auto text = read(*log, Position{from}, bytes);
        INFO((text ? std::string() : text.error().message()));
        REQUIRE(text);
        return *text;
    }
    static std::string text_of(const ByteView& view) {
        std::string text;
        for (const auto part : view.parts()) {
            text += to_text(part);
        }
        REQUIRE(text.size() == view.size());
        return text;
    }
    std::string view(std::uint64_t from, std::size_t bytes) {
        const auto view = log->view(Position{from}, bytes);
        INFO((view ? std::string() : view.error().message()));
        REQUIRE(view);
        return text_of(*view);
    }
    std::string all() {
        const auto end = log->end();
        REQUIRE(end);
        return read(0, end->value + 100);
    }
    ErrorCode read_error(std::uint64_t from) {
        const auto text = read(*log, Position{from}, 1);
        REQUIRE_FALSE(text);
        return text.error().code;
    }
    PartitionStatus status() {
        auto status = log->status();
        REQUIRE(status);
        return *status;
    }

    std::filesystem::path path(const std::string& name) const { return directory / kPartitionDirectory / name; }
    std::filesystem::path head_path(std::uint64_t base = 0) const { return path(head_file_name(Position{base})); }
    std::filesystem::path times_path(std::uint64_t base = 0) const { return path(times_file_name(Position{base})); }
    std::filesystem::path segment_path(std::uint64_t base, Codec codec = Codec::kLz4) const {
        return path(segment_file_name(Position{base}, codec));
    }
    std::filesystem::path index_path(std::uint64_t base) const { return path(index_file_name(Position{base})); }
    std::filesystem::path recovery_path() const { return path(kRecoveryFileName); }
    std::vector<std::string> file_names() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(directory / kPartitionDirectory)) {
            names.push_back(entry.path().filename().string());
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    PowerCutFileSystem fs{*real, directory.path()};  // nothing is really synced
    ManualClock clock{TimestampMs{1'700'000'000'000}};
    BatchCache cache{1u << 20};
    TopicSettings settings;
    BackgroundWork* work = nullptr;                // of what is opened from now on
    std::uint64_t replace_head_bytes = 64u << 20;  // likewise
    BatchBuilder builder;
    ReadAhead* read_ahead = nullptr;  // of who opens the log with one
    std::shared_ptr<PartitionLog> log;
};

// Changes bytes of a file in place.
inline void overwrite(const std::filesystem::path& path, std::size_t at, std::string_view with) {
    std::string content = read_file(path);
    content.resize(std::max(content.size(), at + with.size()));
    content.replace(at, with.size(), with);
    write_file(path, content);
}

}  // namespace topicfs::test
