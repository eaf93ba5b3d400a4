// Random operations on one partition with power cuts: what was synced is there, and nothing is there that was not
// appended.
#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

class CutLog {
public:
    CutLog(Random& random, std::optional<std::uint8_t> delimiter)
        : random_(random), delimiter_(delimiter), model_(delimiter), fixture_(first_settings(random, delimiter)) {
        fixture_.fs.record();
    }

    void step() {
        switch (random_.between(0, 13)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
                append();
                break;
            case 5:
                REQUIRE(fixture_.log->seal_due(fixture_.builder));
                break;
            case 6:
                fixture_.seal();
                break;
            case 7:
                sync();
                break;
            case 8:
                checkpoint();
                break;
            case 9:
                fixture_.restart();
                break;
            case 10:
                fixture_.log->close_idle();
                break;
            case 11:
                advance_start();
                break;
            case 12:
                give_back();
                break;
            default:
                cut_power();
                break;
        }
    }

    void cut_power() {
        do {
            fixture_.kill();
            fixture_.fs.cut(random_);
            fixture_.open(true);
            check();
        } while (random_.one_in(4));
    }

private:
    static TopicSettings first_settings(Random& random, std::optional<std::uint8_t> delimiter) {
        TopicSettings settings;
        settings.record_delimiter = delimiter;
        settings.seal_bytes = static_cast<std::uint32_t>(random.between(1, random.one_in(2) ? 3000 : 12000));
        settings.segment_bytes = static_cast<std::uint32_t>(random.between(1, random.one_in(2) ? 9000 : 100000));
        settings.compression_type = random.one_in(2) ? Codec::kNone : Codec::kLz4;
        return settings;
    }

    void append() {
        const std::uint64_t size = random_.one_in(4) ? random_.between(1, 20000) : random_.between(1, 200);
        const std::string alphabet = has_nuls_ ? std::string("\0\n|a", 4) : std::string("\n|abcdef");
        std::string bytes;
        for (std::uint64_t i = 0; i < size; ++i) {
            bytes += alphabet[random_.between(0, alphabet.size() - 1)];
        }
        if (has_nuls_ && random_.one_in(5)) {
            bytes += std::string(random_.between(1, 6000), '\0');
        }
        fixture_.append(bytes);
        model_.append(bytes, fixture_.clock.now());
    }

    void sync() {
        REQUIRE(fixture_.log->sync());
        safe_ = model_.bytes().size();
    }
    void checkpoint() {
        REQUIRE(fixture_.log->checkpoint());
        safe_ = std::max<std::size_t>(safe_, fixture_.status().durable_sealed_end.value);
    }

    void advance_start() {
        const std::uint64_t from = fixture_.log->start_offset().value;
        const auto to = fixture_.log->find_offset(Offset{random_.between(from, model_.records())});
        INFO((to ? std::string() : to.error().message()));
        REQUIRE(to);
        REQUIRE(fixture_.log->advance_start(*to));
        start_ = *to;
        safe_ = std::max<std::size_t>(safe_, start_.position.value);
    }
    void give_back() {
        fixture_.clock.advance(static_cast<std::int64_t>(fixture_.settings.file_delete_delay_ms));
        REQUIRE(fixture_.log->give_back_due());
    }

    void check() {
        REQUIRE(fixture_.log->log_start() == start_);
        const auto end = fixture_.log->end();
        REQUIRE(end);
        CAPTURE(end->value, safe_, model_.bytes().size(), fixture_.settings.seal_bytes,
                fixture_.settings.segment_bytes);
        REQUIRE(end->value >= safe_);
        REQUIRE(end->value <= model_.bytes().size());
        const std::string text = fixture_.read(start_.position.value, model_.bytes().size() + 100);
        model_.cut(end->value);
        if (delimiter_ == 0 && !text.empty() && text.back() == 0 && model_.bytes().back() != 0) {
            // One NUL at the end is kept where it is the delimiter.
            model_.cut(end->value - 1);
            model_.append(std::string(1, '\0'), fixture_.clock.now());
        }
        REQUIRE((text == model_.bytes().substr(start_.position.value)));
        const PartitionStatus status = fixture_.status();
        CHECK(status.damaged.empty());
        REQUIRE(status.end_offset.value == model_.records());
        const std::uint64_t offset = random_.between(start_.offset.value, model_.records());
        const auto found = fixture_.log->find_offset(Offset{offset});
        INFO((found ? std::string() : found.error().message()));
        REQUIRE(found);
        REQUIRE(found->position.value == model_.start_of(offset));
        safe_ = end->value;  // Recovery makes what it keeps durable.
    }

    Random& random_;
    const std::optional<std::uint8_t> delimiter_;
    const bool has_nuls_ = random_.one_in(2);
    LogModel model_;
    PartitionFixture fixture_;
    std::size_t safe_ = 0;
    Found start_;
};

void run(std::optional<std::uint8_t> delimiter, int rounds) {
    Random random;
    for (int round = 0; round < rounds; ++round) {
        CAPTURE(random.seed(), round);
        CutLog log(random, delimiter);
        for (int step = 0; step < 60; ++step) {
            CAPTURE(step);
            log.step();
        }
        log.cut_power();
    }
}

}  // namespace

TEST_CASE("PartitionLog: after any power cut all that was synced is there, and only what was appended") {
    run('\n', 16);
}

TEST_CASE("PartitionLog: power cuts lose nothing synced where the delimiter is NUL") {
    run(std::uint8_t{0}, 8);
}

TEST_CASE("PartitionLog: power cuts lose nothing synced of a byte log") {
    run(std::nullopt, 8);
}
