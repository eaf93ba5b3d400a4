// Random sequences of operations on one partition, compared with a model at every step.
#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::uint64_t kDelayMs = 30;
constexpr std::array kCodecs = {Codec::kNone, Codec::kLz4, Codec::kZstd};

class RandomLog {
public:
    RandomLog(Random& random, std::optional<std::uint8_t> delimiter)
        : random_(random), model_(delimiter), fixture_(first_settings(random, delimiter)) {}

    void step() {
        switch (random_.between(0, 18)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
                append();
                break;
            case 5:
                fixture_.clock.advance(static_cast<std::int64_t>(random_.between(0, 40)));
                break;
            case 6:
                fixture_.clock.step_to(fixture_.clock.now() + (-static_cast<std::int64_t>(random_.between(0, 30))));
                break;
            case 7:
                REQUIRE(fixture_.log->seal_due(fixture_.builder));
                break;
            case 8:
                fixture_.seal();
                break;
            case 9:
                REQUIRE(fixture_.log->checkpoint());
                break;
            case 10:
                fixture_.log->close_idle();
                break;
            case 11:
                change_settings();
                break;
            case 12:
                fixture_.restart();
                break;
            case 13:
                REQUIRE(fixture_.log->sync());
                break;
            case 14:
                check_reader();
                break;
            case 15:
                advance_start();
                break;
            case 16:
                retain();
                break;
            case 17:
                give_back();
                break;
            default:
                check_all();
                break;
        }
        check_some();
    }

    void check_all() {
        CHECK((fixture_.read(start().position.value, model_.bytes().size() + 100) ==
               model_.bytes().substr(start().position.value)));
        const PartitionStatus status = fixture_.status();
        CHECK(status.end.value == model_.bytes().size());
        CHECK(status.end_offset.value == model_.records());
        CHECK(status.damaged.empty());
        CHECK(status.failed.empty());
        CHECK(status.sealed_end <= status.end);
        CHECK(status.durable_sealed_end <= status.sealed_end);
    }

private:
    static TopicSettings first_settings(Random& random, std::optional<std::uint8_t> delimiter) {
        TopicSettings settings;
        settings.record_delimiter = delimiter;
        settings.file_delete_delay_ms = kDelayMs;
        choose_settings(random, settings);
        return settings;
    }

    static void choose_settings(Random& random, TopicSettings& settings) {
        settings.seal_bytes =
            static_cast<std::uint32_t>(random.one_in(4) ? random.between(1, 60) : random.between(60, 5000));
        settings.segment_bytes = static_cast<std::uint32_t>(random.between(1, 20000));
        settings.seal_ms = random.between(1, 100);
        settings.compression_type = kCodecs.at(random.between(0, 2));
    }

    void change_settings() {
        choose_settings(random_, fixture_.settings);
        fixture_.log->set_settings(std::make_shared<TopicSettings>(fixture_.settings));
    }

    void append() {
        std::string bytes;
        const std::uint64_t size = random_.one_in(6) ? random_.between(1, 9000) : random_.between(1, 100);
        const std::string alphabet = std::string("ab\n\0|", 5);
        const bool is_long = random_.one_in(3);  // few delimiters
        for (std::uint64_t i = 0; i < size; ++i) {
            bytes += is_long && !random_.one_in(300) ? 'x' : alphabet[random_.between(0, alphabet.size() - 1)];
        }
        fixture_.append(bytes);
        model_.append(bytes, fixture_.clock.now());
    }

    Found start() const { return fixture_.log->log_start(); }

    void advance_start() {
        const auto to = fixture_.log->find_offset(Offset{random_.between(start().offset.value, model_.records())});
        INFO((to ? std::string() : to.error().message()));
        REQUIRE(to);
        REQUIRE(fixture_.log->advance_start(*to));
        REQUIRE(start() == *to);
    }
    void retain() {
        const Found before = start();
        PartitionLog::Retention retention;
        if (random_.one_in(2)) {
            retention.oldest = fixture_.clock.now() + -static_cast<std::int64_t>(random_.between(0, 100));
        } else {
            retention.stored_bytes = random_.between(0, 20000);
        }
        REQUIRE(fixture_.log->retain(retention));
        const Found after = start();
        REQUIRE(after.position >= before.position);
        REQUIRE(after.position.value == model_.start_of(after.offset.value));
        if (retention.oldest && after.position > before.position) {
            REQUIRE(after.position <= model_.at_time(*retention.oldest).position);
        }
    }
    void give_back() {
        const Position before = fixture_.log->removed_end();
        REQUIRE(fixture_.log->give_back_due());
        REQUIRE(fixture_.log->removed_end() <= start().position);
        fixture_.clock.advance(static_cast<std::int64_t>(kDelayMs));
        REQUIRE(fixture_.log->give_back_due());
        REQUIRE(fixture_.log->removed_end() >= before);
        REQUIRE(fixture_.log->removed_end() == start().position);
    }

    void check_some() {
        const std::size_t size = model_.bytes().size();
        const auto end = fixture_.log->end();
        REQUIRE(end);
        REQUIRE(end->value == size);
        const std::uint64_t readable = fixture_.log->removed_end().value;
        if (readable > 0) {
            REQUIRE(fixture_.read_error(random_.between(0, readable - 1)) == ErrorCode::kNotFound);
        }
        const std::size_t from = random_.between(readable, size + 5);
        const std::size_t count = random_.between(1, 3000);
        REQUIRE((fixture_.read(from, count) == (from < size ? model_.bytes().substr(from, count) : "")));
        REQUIRE((fixture_.view(from, count) == (from < size ? model_.bytes().substr(from, count) : "")));

        const std::uint64_t offset = random_.between(0, model_.records() + 1);
        const auto found = fixture_.log->find_offset(Offset{offset});
        const auto expected = offset < start().offset.value ? std::nullopt : model_.start_of(offset);
        CAPTURE(offset, model_.records());
        REQUIRE(found.has_value() == expected.has_value());
        if (expected) {
            CHECK(found->position.value == *expected);
            CHECK(found->offset.value == offset);
        } else {
            CHECK(found.error().code == ErrorCode::kNotFound);
        }
        check_position(random_.between(start().position.value, size));
        check_time();
    }

    void check_position(std::size_t position) {
        const std::string before = model_.bytes().substr(0, position);
        const auto delimiter = fixture_.settings.record_delimiter;
        const std::uint64_t offset =
            delimiter
                ? static_cast<std::uint64_t>(std::count(before.begin(), before.end(), static_cast<char>(*delimiter)))
                : position;
        const auto found = fixture_.log->find_position(Position{position});
        CAPTURE(position, offset);
        INFO((found ? std::string() : found.error().message()));
        REQUIRE(found);
        CHECK(found->offset.value == offset);
        CHECK(found->position.value == model_.start_of(offset));
    }

    void check_time() {
        const std::size_t size = model_.bytes().size();
        TimestampMs time = fixture_.clock.now();
        if (size > 0 && !random_.one_in(10)) {
            time =
                model_.time_of(random_.between(0, size - 1)) + (static_cast<std::int64_t>(random_.between(0, 2)) - 1);
        }
        const auto found = fixture_.log->find_time(time);
        INFO((found ? std::string() : found.error().message()));
        REQUIRE(found);
        Found expected = model_.at_time(time);
        if (expected.position < start().position) {
            expected = start();
        }
        CAPTURE(time.value, size);
        CHECK(found->position.value == expected.position.value);
        CHECK(found->offset.value == expected.offset.value);
    }

    // Another process that looks at the files.
    void check_reader() {
        auto reader = fixture_.try_open(false, true);
        REQUIRE(reader);
        const auto text = PartitionFixture::read(**reader, start().position, model_.bytes().size() + 10);
        REQUIRE(text);
        REQUIRE((*text == model_.bytes().substr(start().position.value)));
        const auto status = (*reader)->status();
        REQUIRE(status);
        CHECK(status->end_offset.value == model_.records());
        CHECK(status->damaged.empty());
    }

    Random& random_;
    LogModel model_;
    PartitionFixture fixture_;
};

void run(std::optional<std::uint8_t> delimiter) {
    Random random;
    for (int round = 0; round < 5; ++round) {
        CAPTURE(random.seed(), round);
        RandomLog log(random, delimiter);
        for (int step = 0; step < 150; ++step) {
            CAPTURE(step);
            log.step();
        }
        log.check_all();
    }
}

}  // namespace

TEST_CASE("PartitionLog: random operations on lines give what the model says") {
    run('\n');
}

TEST_CASE("PartitionLog: random operations on records that end with NUL give what the model says") {
    run(std::uint8_t{0});
}

TEST_CASE("PartitionLog: random operations on a byte log give what the model says") {
    run(std::nullopt);
}
