// Moving the log start on, and giving back what lies before it.
#include "support/random_content.h"
#include "support/stock_tool.h"
#include "unit/log/partition_fixture.h"

#include <sys/stat.h>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::uint64_t kDelayMs = 1000;

TopicSettings settings_of(Codec codec, std::uint32_t segment_bytes) {
    TopicSettings settings;
    settings.compression_type = codec;
    settings.segment_bytes = segment_bytes;
    settings.file_delete_delay_ms = kDelayMs;
    return settings;
}

// Each batch is a line of its own and, with `segment_bytes` of 1, a segment of its own.
struct Retained : PartitionFixture {
    explicit Retained(Codec codec = Codec::kLz4, std::uint32_t segment_bytes = 1)
        : PartitionFixture(settings_of(codec, segment_bytes)) {}

    void add_lines(int count, std::size_t bytes = 100) {
        for (int i = 0; i < count; ++i) {
            std::string line(bytes - 1, static_cast<char>('a' + lines.size() % 26));
            line += '\n';
            append(line);
            lines.push_back(std::move(line));
            seal();
            clock.advance(100);
        }
        REQUIRE(log->checkpoint());
    }
    void give_back() {
        clock.advance(kDelayMs);
        REQUIRE(log->give_back_due());
    }
    std::uint64_t blocks(const std::filesystem::path& file) const {
        struct stat info = {};
        REQUIRE(::stat(file.c_str(), &info) == 0);
        return static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
    std::string from_line(std::size_t number) const {
        std::string text;
        for (; number < lines.size(); ++number) {
            text += lines[number];
        }
        return text;
    }
    std::string from_start() { return read(log->start().value, 1u << 20); }

    std::vector<std::string> lines;
};

PartitionLog::Retention by_bytes(std::uint64_t bytes) {
    PartitionLog::Retention retention;
    retention.stored_bytes = bytes;
    return retention;
}
PartitionLog::Retention by_time(TimestampMs oldest) {
    PartitionLog::Retention retention;
    retention.oldest = oldest;
    return retention;
}

}  // namespace

TEST_CASE("Retention: by bytes all goes that is not needed to have as many") {
    Retained p;
    p.add_lines(10);
    const std::uint64_t batch = p.status().segments.front().stored_bytes;
    std::size_t kept = 10;
    for (const std::uint64_t batches : {20u, 10u, 7u, 3u, 1u}) {
        REQUIRE(p.log->retain(by_bytes(batches * batch)));
        kept = std::min<std::size_t>(kept, batches);
        CHECK(p.log->start_offset().value == 10 - kept);
        CHECK(p.from_start() == p.from_line(10 - kept));
    }
    REQUIRE(p.log->retain(by_bytes(batch - 1)));
    CHECK(p.log->start_offset().value == 9);
    p.restart();
    CHECK(p.log->start_offset().value == 9);
    CHECK(p.from_start() == p.from_line(9));
}

TEST_CASE("Retention: one byte more than some batches have keeps the next one") {
    Retained p;
    p.add_lines(10);
    const std::uint64_t batch = p.status().segments.front().stored_bytes;
    REQUIRE(p.log->retain(by_bytes(3 * batch + 1)));
    CHECK(p.log->start_offset().value == 6);
}

TEST_CASE("Retention: by bytes what is unsealed does not count, and is sealed where it is more than that") {
    Retained p;
    p.add_lines(10);
    p.append(std::string(2000, 'x') + "\n");
    const std::uint64_t batch = p.status().segments.front().stored_bytes;
    REQUIRE(p.log->retain(by_bytes(2001)));
    CHECK(p.log->sealed_end().value == 1000);
    CHECK(p.log->start_offset().value == 0);  // The unsealed may take next to nothing once it is compressed.
    REQUIRE(p.log->retain(by_bytes(3 * batch)));
    CHECK(p.log->sealed_end() == p.log->end().value());
    const std::uint64_t last = p.status().segments.back().stored_bytes;
    REQUIRE(last < 3 * batch);
    CHECK(p.log->start_offset().value == 10 - (3 * batch - last + batch - 1) / batch);
}

TEST_CASE("Retention: a check seals a few batches at most, and the next ones go on") {
    const bool is_by_time = GENERATE(false, true);
    CAPTURE(is_by_time);
    TopicSettings settings = settings_of(Codec::kLz4, 1u << 20);
    settings.seal_bytes = 10;
    PartitionFixture p(settings);
    p.append(std::string(1000, '\n'));
    p.clock.advance(100);
    const PartitionLog::Retention retention = is_by_time ? by_time(p.clock.now()) : by_bytes(1);
    REQUIRE(p.log->retain(retention));
    CHECK(p.log->sealed_end().value > 0);
    CHECK(p.log->sealed_end().value < 500);
    CHECK(p.log->start().value > 0);
    for (int checks = 1; p.log->sealed_end().value < 1000; ++checks) {
        REQUIRE(checks < 10);
        REQUIRE(p.log->retain(retention));
    }
    CHECK(p.log->start().value == (is_by_time ? 1000 : 990));
}

TEST_CASE("Retention: by time a batch goes when all of it is too old, and head does") {
    Retained p;
    const TimestampMs begin = p.clock.now();
    p.add_lines(10);
    REQUIRE(p.log->retain(by_time(begin)));
    CHECK(p.log->start_offset().value == 0);
    REQUIRE(p.log->retain(by_time(begin + 1)));
    CHECK(p.log->start_offset().value == 1);
    REQUIRE(p.log->retain(by_time(begin + 100)));
    CHECK(p.log->start_offset().value == 1);
    REQUIRE(p.log->retain(by_time(begin + 850)));
    CHECK(p.log->start_offset().value == 9);
    p.append("in head\n");
    p.clock.advance(100);
    p.append("too\n");
    const TimestampMs last = p.clock.now();
    REQUIRE(p.log->retain(by_time(last)));
    CHECK(p.log->start_offset().value == 11);
    CHECK(p.log->sealed_end().value == 1008);
    CHECK(p.from_start() == "too\n");
    REQUIRE(p.log->retain(by_time(last + 1)));
    CHECK(p.log->start() == p.log->end().value());
    CHECK(p.log->start_offset().value == 12);
    p.append("next\n");
    CHECK(p.from_start() == "next\n");
    p.give_back();
    p.restart();
    CHECK(p.from_start() == "next\n");
    CHECK(p.status().end_offset.value == 13);
}

TEST_CASE("Retention: a record that a kept batch ends in stays whole by time, and goes by bytes") {
    Retained p;
    const TimestampMs begin = p.clock.now();
    for (const char* batch : {"one\nfirst", " half\ntwo\n", "three\n"}) {
        p.append(batch);
        p.seal();
        p.clock.advance(100);
    }
    p.append("four\n");
    SECTION("by time") {
        REQUIRE(p.log->retain(by_time(begin + 1)));
        CHECK(p.from_start() == "first half\ntwo\nthree\nfour\n");
        CHECK(p.log->start_offset().value == 1);
        p.give_back();
        CHECK(p.from_start() == "first half\ntwo\nthree\nfour\n");
    }
    SECTION("by bytes") {
        std::uint64_t stored = 0;
        for (const auto& segment : p.status().segments) {
            stored += segment.base.value > 0 ? segment.stored_bytes : 0;
        }
        REQUIRE(p.log->retain(by_bytes(stored)));
        CHECK(p.from_start() == "two\nthree\nfour\n");
        CHECK(p.log->start_offset().value == 2);
        p.give_back();
        CHECK(p.from_start() == "two\nthree\nfour\n");
    }
    p.restart(true);
    CHECK(p.log->find_offset(Offset{4}).value().offset.value == 4);
    CHECK(p.read(p.log->find_offset(Offset{3})->position.value, 5) == "three");
}

TEST_CASE("Retention: a record longer than batches goes as a whole or stays") {
    Retained p;
    p.append("short\n");
    p.seal();
    for (int i = 0; i < 5; ++i) {
        p.append(std::string(100, 'l'));
        p.seal();
    }
    REQUIRE(p.log->retain(by_bytes(1)));
    CHECK(p.log->start().value == 6);  // Nobody knows yet where it ends.
    p.append("\nnext\n");
    REQUIRE(p.log->retain(by_bytes(1)));
    CHECK(p.from_start() == "next\n");
    CHECK(p.log->start_offset().value == 2);
}

TEST_CASE("Retention: what was removed is read on until it is given back, and then it is not found") {
    Retained p;
    p.add_lines(10);
    REQUIRE(p.log->advance_start(p.log->find_offset(Offset{4}).value()));
    CHECK(p.read(0, 5000) == p.from_line(0));
    p.clock.advance(kDelayMs - 1);
    REQUIRE(p.log->give_back_due());
    CHECK(p.read(0, 5000) == p.from_line(0));
    CHECK(std::filesystem::exists(p.segment_path(0)));
    CHECK(p.log->time_steps(Position{0}, Position{1000}));  // So does who reads partitions by time.
    p.clock.advance(1);
    REQUIRE(p.log->give_back_due());
    CHECK(p.read_error(399) == ErrorCode::kNotFound);
    const auto gone = p.log->time_steps(Position{0}, Position{1000});
    REQUIRE_FALSE(gone);
    CHECK(gone.error().code == ErrorCode::kNotFound);
    CHECK(p.log->time_steps(Position{400}, Position{1000}));
    CHECK(p.view(400, 5000) == p.from_line(4));
    CHECK_FALSE(std::filesystem::exists(p.segment_path(300)));
    CHECK_FALSE(std::filesystem::exists(p.index_path(300)));
    CHECK(std::filesystem::exists(p.segment_path(400)));
    CHECK(p.status().damaged.empty());
    CHECK_FALSE(p.log->find_offset(Offset{3}));
    CHECK(p.log->find_time(TimestampMs{0}).value() == p.log->log_start());
}

TEST_CASE("Retention: the start does not go back, and what dies before it gives back does it at the next start") {
    Retained p;
    p.add_lines(10);
    const Found four = p.log->find_offset(Offset{4}).value();
    REQUIRE(p.log->advance_start(p.log->find_offset(Offset{7}).value()));
    REQUIRE(p.log->advance_start(four));
    CHECK(p.log->start_offset().value == 7);
    p.restart();
    CHECK(p.log->start_offset().value == 7);
    REQUIRE(p.log->give_back_due());
    CHECK_FALSE(std::filesystem::exists(p.segment_path(600)));
    CHECK(p.from_start() == p.from_line(7));
}

TEST_CASE("Retention: the front of a segment is given back, and is one frame that stock tools skip") {
    const Codec codec = GENERATE(Codec::kNone, Codec::kLz4, Codec::kZstd);
    Retained p(codec, 1u << 30);
    Random random;
    CAPTURE(random.seed());
    for (int i = 0; i < 40; ++i) {
        const Bytes noise = random.bytes(9999);
        std::string line = to_text(noise);
        std::replace(line.begin(), line.end(), '\n', ' ');
        line += '\n';
        p.lines.push_back(line);
        p.append(line);
        p.seal();
    }
    REQUIRE(p.log->checkpoint());
    const auto segment = p.segment_path(0, codec);
    const std::uint64_t before = p.blocks(segment);
    REQUIRE(p.log->advance_start(p.log->find_offset(Offset{30}).value()));
    p.give_back();
    const std::uint64_t after = p.blocks(segment);
    CHECK(after < before / 3);
    CHECK(p.status().segments.front().disk_bytes < before / 3 + 4096);  // with its index
    CHECK(p.status().stored_bytes() < before / 3);
    const auto check = [&] {
        CHECK(p.log->start_offset().value == 30);
        CHECK(p.read(300000, 1u << 20) == p.from_line(30));
        CHECK(p.log->find_offset(Offset{35})->position.value == 350000);
        CHECK(p.read_error(299999) == ErrorCode::kNotFound);
        CHECK(p.status().damaged.empty());
    };
    check();
    const std::string tool = codec == Codec::kZstd ? "zstdcat" : "lz4";
    if (has_tool(tool, "decoding what is left of a segment")) {
        CHECK((output_of(codec == Codec::kZstd ? "zstdcat" : "lz4 -dcm", segment) == p.from_line(30)));
    }
    SECTION("restarted") {
        p.restart();
    }
    SECTION("without its index") {
        p.kill();
        std::filesystem::remove(p.index_path(0));
        p.open();
    }
    SECTION("without the recovery file") {
        p.kill();
        std::filesystem::remove(p.recovery_path());
        p.open(true);
    }
    SECTION("after a power cut") {
        p.restart(true);
    }
    SECTION("given back once more") {
        REQUIRE(p.log->give_back_due());
        p.restart();
        REQUIRE(p.log->give_back_due());
        CHECK(p.blocks(segment) == after);
    }
    SECTION("all of it") {
        REQUIRE(p.log->advance_start(p.log->records_end().value()));
        p.give_back();
        CHECK(p.blocks(segment) <= 8192);
        p.append("more\n");
        p.seal_and_checkpoint();
        CHECK(p.from_start() == "more\n");
        p.restart(true);
        CHECK(p.from_start() == "more\n");
        CHECK(p.log->start_offset().value == 40);
        return;
    }
    check();
}

TEST_CASE("Retention: what somebody still views is not given back") {
    Retained p(Codec::kNone, 1u << 30);
    for (int i = 0; i < 20; ++i) {
        p.append(std::string(9999, static_cast<char>('a' + i)) + "\n");
        p.seal();
    }
    REQUIRE(p.log->checkpoint());
    auto view = p.log->view(Position{0}, 200000);
    REQUIRE(view);
    const std::string before = PartitionFixture::text_of(*view);
    REQUIRE(p.log->advance_start(p.log->find_offset(Offset{15}).value()));
    p.clock.advance(kDelayMs);
    REQUIRE(p.log->give_back_due());
    CHECK(PartitionFixture::text_of(*view) == before);
    CHECK(p.read_error(0) == ErrorCode::kNotFound);  // Nobody begins to read it any more.
    const std::uint64_t held = p.blocks(p.segment_path(0, Codec::kNone));
    view = ByteView();
    REQUIRE(p.log->give_back_due());
    CHECK(p.blocks(p.segment_path(0, Codec::kNone)) < held / 2);
    CHECK(p.read(150000, 1) == "p");
}

TEST_CASE("Retention: who dies between unlinking a segment and its index leaves nothing for good") {
    Retained p;
    p.add_lines(10);
    REQUIRE(p.log->advance_start(p.log->find_offset(Offset{4}).value()));
    p.kill();
    std::filesystem::remove(p.segment_path(0));
    p.open();
    CHECK_FALSE(std::filesystem::exists(p.index_path(0)));
    CHECK(std::filesystem::exists(p.index_path(100)));
    REQUIRE(p.log->give_back_due());
    CHECK(p.from_start() == p.from_line(4));
}

TEST_CASE("Retention: the log start is not moved behind what could not be made durable") {
    struct FailingWork : BackgroundWork {
        void seal_at(PartitionLog&, std::int64_t) override {}
        void flush_at(PartitionLog&, std::int64_t) override {}
        void checkpoint_soon() override {}
        Result<void> checkpoint_now(PartitionLog& partition) override {
            partition.fail(system_error(EIO, "fdatasync", "a segment"));  // as another thread's checkpoint does
            return BackgroundWork::checkpoint_now(partition);
        }
    } work;
    Retained p;
    p.add_lines(3);
    p.work = &work;
    p.restart();
    p.append("in head\n");
    p.append("too\n");
    const auto moved = p.log->advance_start(p.log->find_offset(Offset{4}).value());
    REQUIRE_FALSE(moved);
    CHECK(moved.error().code == ErrorCode::kReadOnly);
    CHECK(p.log->start_offset().value == 0);
    p.work = nullptr;
    p.restart();
    CHECK(p.log->start_offset().value == 0);
    CHECK(p.all() == p.from_line(0) + "in head\ntoo\n");
}
