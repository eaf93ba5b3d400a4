#include "log/read_ahead.h"

#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::size_t kBatchBytes = 3000;

std::string batch(std::size_t number) {
    return std::string(kBatchBytes - 1, static_cast<char>('a' + number % 26)) + "\n";
}

// A log of sealed batches, and how often one of them was read from its segment.
struct AheadFixture {
    explicit AheadFixture(Codec codec, std::size_t count) : batches(count) {
        partition.settings.compression_type = codec;
        partition.read_ahead = &ahead;
        partition.cache.set_ahead_patience(std::chrono::minutes(1));
        partition.restart();
        for (std::size_t i = 0; i < count; ++i) {
            partition.append(batch(i));
            partition.seal();
            text += batch(i);
        }
        partition.append("in head\n");
        // Each time a batch is read there is one read of its header and one of its payload.
        partition.fs.observe([this](std::string_view call, const std::string& path) {
            segment_reads += call == "pread" && path.find(".log.") != std::string::npos ? 1U : 0U;
        });
        ahead.start();
    }
    ~AheadFixture() { ahead.stop(); }
    AheadFixture(const AheadFixture&) = delete;
    AheadFixture& operator=(const AheadFixture&) = delete;

    std::size_t loads() const { return segment_reads / 2; }
    bool becomes(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!condition() && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        return condition();
    }

    const std::size_t batches;
    ReadAhead ahead;
    std::atomic<std::size_t> segment_reads{0};
    std::string text;
    PartitionFixture partition;
};

}  // namespace

TEST_CASE("ReadAhead: a sequential reader finds the next batches decoded, and each is decoded once") {
    AheadFixture fixture(GENERATE(Codec::kLz4, Codec::kZstd, Codec::kNone), 40);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK((fixture.partition.view(i * 1000, 1000) == fixture.text.substr(i * 1000, 1000)));
    }
    REQUIRE(fixture.becomes([&] { return fixture.loads() == fixture.batches; }));
    fixture.ahead.stop();
    const std::size_t loads = fixture.loads();
    for (std::size_t at = 3000; at < fixture.text.size(); at += 1000) {
        const auto entry_bytes = fixture.partition.log->view(Position{at}, 1000);
        REQUIRE(entry_bytes);
        CHECK(entry_bytes->size() == 1000);
    }
    if (fixture.partition.settings.compression_type != Codec::kNone) {  // whose bytes are read where they lie
        CHECK(fixture.loads() == loads);
    }
}

TEST_CASE("ReadAhead: a reader of whole records, whose reads are cut at a record's end, is read ahead of") {
    AheadFixture fixture(GENERATE(Codec::kLz4, Codec::kZstd), 40);
    const Position end{fixture.text.size()};
    std::uint64_t at = 0;
    const auto read = [&] {
        // One record and a piece of the next, which is cut off.
        const auto records = fixture.partition.log->view_records(Position{at}, end, kBatchBytes + 500);
        REQUIRE(records);
        CHECK_FALSE(records->ends_in_record);
        CHECK((PartitionFixture::text_of(records->view) == fixture.text.substr(at, kBatchBytes)));
        at += records->view.size();
    };
    for (int i = 0; i < 3; ++i) {
        read();
    }
    REQUIRE(fixture.becomes([&] { return fixture.loads() == fixture.batches; }));
    while (at < end.value) {
        read();
    }
    fixture.ahead.stop();
    CHECK(fixture.loads() == fixture.batches);
}

TEST_CASE("ReadAhead: a reader of whole records that gets pieces of a long one is read ahead of") {
    AheadFixture fixture(Codec::kLz4, 40);
    const Position end{fixture.text.size()};
    std::uint64_t at = 0;
    for (const std::uint64_t bytes : {1300u, 1300u, 400u, 1300u, 1300u}) {  // of a record of 3000, then the next one
        const auto records = fixture.partition.log->view_records(Position{at}, end, 1300);
        REQUIRE(records);
        CHECK(records->view.size() == bytes);
        CHECK(records->ends_in_record == (bytes == 1300));
        at += bytes;
    }
    REQUIRE(fixture.becomes([&] { return fixture.loads() == fixture.batches; }));
}

TEST_CASE("ReadAhead: reads here and there decode nothing else") {
    AheadFixture fixture(Codec::kLz4, 40);
    Random random(3);
    std::set<std::size_t> touched;
    for (int i = 0; i < 200; ++i) {
        const std::size_t number = random.between(0, 9) * 4;
        touched.insert(number);
        // Never at a place where another read ended.
        CHECK(fixture.partition.view(number * kBatchBytes + random.between(0, 49) * 20, 10 + random.between(1, 9))
                  .size() > 0);
    }
    fixture.ahead.stop();
    CHECK(fixture.loads() == touched.size());
}

TEST_CASE("ReadAhead: many consumers of one place, and of several, decode each batch once") {
    AheadFixture fixture(GENERATE(Codec::kLz4, Codec::kZstd), 100);
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (std::size_t reader = 0; reader < 10; ++reader) {
        readers.emplace_back([&, reader] {
            const std::size_t begin = reader % 3 * 30 * kBatchBytes;
            std::vector<std::byte> into(1300);
            for (std::size_t at = begin; at < fixture.text.size();) {
                const auto got = reader % 2 == 0 ? fixture.partition.log->read(Position{at}, into)
                                                 : Result<std::size_t>(std::size_t{0});
                const auto view = fixture.partition.log->view(Position{at}, into.size());
                const std::size_t here = std::min(into.size(), fixture.text.size() - at);
                wrong += !got || (*got > 0 && to_text(std::span(into).first(here)) != fixture.text.substr(at, here));
                wrong +=
                    !view || to_text(view->parts().front()) != fixture.text.substr(at, view->parts().front().size());
                at += here;
            }
        });
    }
    for (std::thread& reader : readers) {
        reader.join();
    }
    fixture.ahead.stop();
    CHECK(wrong == 0);
    CHECK(fixture.loads() == fixture.batches);
}

TEST_CASE("ReadAhead: without room in the cache nothing is read ahead, and reads work") {
    AheadFixture fixture(Codec::kLz4, 20);
    fixture.partition.cache.set_bytes_max(0);
    for (std::size_t at = 0; at < fixture.text.size(); at += 1000) {
        CHECK((fixture.partition.view(at, 1000) == fixture.text.substr(at, 1000)));
    }
    fixture.ahead.stop();
    CHECK(fixture.loads() == fixture.text.size() / 1000);
}

TEST_CASE("ReadAhead: a damaged batch stops nobody before it") {
    AheadFixture fixture(Codec::kLz4, 20);
    const auto path = fixture.partition.segment_path(0);
    overwrite(path, std::filesystem::file_size(path) / 2, "?");
    const std::string good = fixture.partition.read(0, fixture.text.size());
    CHECK(good.size() >= 8 * kBatchBytes);
    CHECK((good == fixture.text.substr(0, good.size())));
    for (std::size_t at = 0; at < good.size(); at += 1000) {
        CHECK((fixture.partition.view(at, 1000) ==
               fixture.text.substr(at, std::min<std::size_t>(1000, good.size() - at))));
    }
    CHECK(fixture.partition.read_error(good.size()) == ErrorCode::kDamaged);
}

TEST_CASE("ReadAhead: a partition may go while work for it is queued") {
    for (int i = 0; i < 20; ++i) {
        AheadFixture fixture(Codec::kLz4, 20);
        for (std::size_t at = 0; at < 3000; at += 1000) {
            CHECK(fixture.partition.view(at, 1000).size() == 1000);
        }
        fixture.partition.kill();
    }
}
