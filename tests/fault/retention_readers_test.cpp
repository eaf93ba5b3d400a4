// Who reads a store beside the daemon that removes its oldest: before each system call of the reader the daemon moves
// the log start on and gives back. The reader gets the right bytes, or is told that they were removed; never others,
// and never that something is damaged.
#include "fault/faulty_store.h"
#include "fault/retention_lines.h"
#include "log/layout.h"
#include "store/verify.h"
#include "support/bytes.h"
#include "support/only_damage.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace topicfs::test {
namespace {

constexpr std::size_t kLineBytes = 1000;
constexpr std::uint64_t kLines = 80;
constexpr std::uint64_t kLinesOfBatch = 5;

void must(const Result<void>& result) {
    INFO((result ? std::string() : result.error().message()));
    REQUIRE(result);
}

std::string line(std::uint64_t number) {
    return numbered_line(number, kLineBytes);
}

struct Layout {
    const char* codec;
    const char* segment_bytes;
};
constexpr std::array kLayouts = {Layout{"none", "4096"}, Layout{"none", "15000"}, Layout{"none", "1000000"},
                                 Layout{"lz4", "4096"}, Layout{"zstd", "1000000"}};

// What removes.
class Daemon final : public FaultyStore {
public:
    explicit Daemon(const Layout& layout) {
        must(open());
        const auto topic = static_cast<Store&>(*store_).create_topic("T");
        REQUIRE(topic);
        topic_ = *topic;
        partition_ = *topic_->partition(0);
        must(topic_->set("compression.type", layout.codec));
        must(topic_->set("segment.bytes", layout.segment_bytes));
        must(topic_->set("seal.bytes", std::to_string(kLinesOfBatch * kLineBytes)));
        must(topic_->set("file.delete.delay.ms", "10"));
        append(kLines - 3);
        must(store_->maintain(true));
        append(3);  // in head
    }
    void append(std::uint64_t lines) {
        for (; lines > 0; --lines) {
            const std::string bytes = line(written_.size() / kLineBytes);
            REQUIRE(partition_->append(to_bytes(bytes)));
            written_ += bytes;
        }
    }
    // Six lines go, so that the log start comes to lie at and inside of batches; and some come.
    void remove_some() {
        next_start_ += 6;
        append(2);
        must(store_->maintain(false));
        const auto start = partition_->find_offset(Offset{next_start_});
        REQUIRE(start);
        must(partition_->trim(*start));
        clock_.advance(10);
        must(store_->maintain(false));
    }
    bool has_more() const { return next_start_ + 12 < kLines; }

    std::unique_ptr<FaultFileSystem> reader_file_system() {
        auto fs = open_file_system(directory_.string());
        REQUIRE(fs);
        return std::make_unique<OwningFaultFileSystem>(std::move(*fs));
    }
    // At call `number` of a reader, and every `stride`-th behind it.
    void remove_at_calls_of(FaultFileSystem& fs, std::uint64_t number, std::uint64_t stride) {
        calls_ = 0;
        fs.observe([this, number, stride](std::string_view, const std::string&) {
            if (++calls_ >= number && (calls_ - number) % stride == 0 && has_more()) {
                remove_some();
            }
        });
    }
    std::uint64_t calls() const { return calls_; }
    const std::string& written() const { return written_; }
    std::uint64_t start() const { return partition_->start().value; }
    TimestampMs now() const { return clock_.now(); }
    std::filesystem::path partition_path() const { return directory_ / "topics/T/0"; }
    Result<std::unique_ptr<LocalStore>> open_beside(std::unique_ptr<FileSystem> fs) {
        StoreEnvironment environment;
        environment.fs = std::move(fs);
        environment.clock = &clock_;
        environment.boot_id = "boot 0";
        environment.directory = "store";
        StoreOptions options;
        options.maintenance = false;
        options.create = false;
        options.read_only = true;
        return LocalStore::open(std::move(environment), options);
    }

private:
    std::shared_ptr<Topic> topic_;
    std::shared_ptr<Partition> partition_;
    std::string written_;
    std::uint64_t next_start_ = 0;
    std::uint64_t calls_ = 0;
};

Result<std::string> read_at(Partition& partition, Position at, bool by_view) {
    constexpr std::size_t kBytes = 7000;
    if (!by_view) {
        std::vector<std::byte> window(kBytes);
        TOPICFS_TRY_ASSIGN(const std::size_t got, partition.read(at, window));
        return to_text(std::span(window).first(got));
    }
    TOPICFS_TRY_ASSIGN(const ByteView view, partition.view(at, kBytes));
    std::string text;
    for (const auto part : view.parts()) {
        text += to_text(part);
    }
    return text;
}

// All that there is, as `topicfs cat` does. Returns how often something was gone.
int read_all(Partition& partition, const Daemon& daemon, bool by_view) {
    const auto end = partition.end();
    REQUIRE(end);
    int gone = 0;
    for (Position at = partition.start(); at < *end;) {
        const auto text = read_at(partition, at, by_view);
        INFO("at " << at.value << " of " << end->value << ", the log starts at " << daemon.start());
        if (!text) {
            INFO(text.error().message());
            REQUIRE(text.error().code == ErrorCode::kNotFound);
            REQUIRE(partition.start() > at);
            REQUIRE(partition.start().value <= daemon.start());
            at = partition.start();
            ++gone;
            continue;
        }
        REQUIRE_FALSE(text->empty());
        REQUIRE((*text == daemon.written().substr(at.value, text->size())));
        at = at + text->size();
    }
    const auto status = partition.status();
    REQUIRE(status);
    CHECK(status->damaged.empty());
    return gone;
}

}  // namespace

TEST_CASE("Retention beside a reader: it gets the right bytes, or that they were removed") {
    for (const Layout& layout : kLayouts) {
        int gone = 0;
        for (const bool by_view : {false, true}) {
            std::uint64_t number = 1;
            for (bool met = true; met; number += 1 + number / 30) {
                INFO(layout.codec << ", segments of " << layout.segment_bytes << ", from call " << number << " on");
                Daemon daemon(layout);
                auto fs = daemon.reader_file_system();
                daemon.remove_at_calls_of(*fs, number, 3 + number % 20);
                const auto store = daemon.open_beside(std::move(fs));
                INFO((store ? std::string() : store.error().message()));
                REQUIRE(store);
                const auto topic = (*store)->topic("T");
                REQUIRE(topic);
                const auto partition = (*topic)->partition(0);
                REQUIRE(partition);
                gone += read_all(**partition, daemon, by_view);
                gone += read_all(**partition, daemon, by_view);
                met = daemon.start() > 0;
            }
            CHECK(number > 40);
        }
        CHECK(gone > 10);
    }
}

TEST_CASE("Retention beside a reader: verify finds no damage") {
    for (const Layout& layout : kLayouts) {
        std::uint64_t number = 1;
        for (bool met = true; met; number += 1 + number / 30) {
            INFO(layout.codec << ", segments of " << layout.segment_bytes << ", from call " << number << " on");
            Daemon daemon(layout);
            const auto fs = daemon.reader_file_system();
            daemon.remove_at_calls_of(*fs, number, 3 + number % 20);
            OnlyDamage seen;
            const auto verified = verify_store(*fs, seen);
            INFO((verified ? std::string() : verified.error().message()));
            REQUIRE(verified);
            CHECK_THAT(seen.text, Catch::Equals(""));
            met = daemon.start() > 0;
        }
        CHECK(number > 40);
    }
}

TEST_CASE("Retention beside a reader: a look-up finds what is there, or that it was removed") {
    for (const Layout& layout : kLayouts) {
        std::uint64_t number = 1;
        for (bool met = true; met; number += 1 + number / 30) {
            INFO(layout.codec << ", segments of " << layout.segment_bytes << ", from call " << number << " on");
            Daemon daemon(layout);
            auto fs = daemon.reader_file_system();
            daemon.remove_at_calls_of(*fs, number, 3 + number % 20);
            const auto store = daemon.open_beside(std::move(fs));
            REQUIRE(store);
            const auto partition = (*(*store)->topic("T"))->partition(0);
            REQUIRE(partition);
            for (const std::uint64_t offset : {7u, 33u, 52u, 68u}) {
                const auto found = (*partition)->find_offset(Offset{offset});
                const auto at = (*partition)->find_position(Position{offset * kLineBytes + 5});
                INFO("offset " << offset << ", the log starts at " << daemon.start());
                for (const auto* each : {&found, &at}) {
                    INFO((*each ? std::string() : each->error().message()));
                    if (*each) {
                        CHECK((*each)->position.value == offset * kLineBytes);
                        CHECK((*each)->offset.value == offset);
                    } else {
                        CHECK(each->error().code == ErrorCode::kNotFound);
                        CHECK(daemon.start() > offset * kLineBytes);
                    }
                }
            }
            const auto last = (*partition)->find_time(daemon.now() + 1'000'000);
            INFO((last ? std::string() : last.error().message()));
            CHECK(last);
            CHECK((*partition)->status()->damaged.empty());
            met = daemon.start() > 0;
        }
        CHECK(number > 40);
    }
}

TEST_CASE("Retention beside a reader: what is damaged is damage, also in the batch that the log starts in") {
    Daemon daemon({"none", "1000000"});
    daemon.remove_some();  // to the second record of the second batch
    REQUIRE(daemon.start() == 6 * kLineBytes);
    const auto segment = daemon.partition_path() / segment_file_name(Position{0}, Codec::kNone);
    const std::string content = read_file(segment);
    const std::size_t at = content.find("7 hhhhh");
    REQUIRE(at != std::string::npos);
    std::fstream(segment, std::ios::in | std::ios::out | std::ios::binary)
        .seekp(static_cast<std::streamoff>(at))
        .write("?", 1);
    const auto store = daemon.open_beside(daemon.reader_file_system());
    REQUIRE(store);
    const auto partition = (*(*store)->topic("T"))->partition(0);
    REQUIRE(partition);
    const auto text = read_at(**partition, (*partition)->start(), false);
    REQUIRE_FALSE(text);
    CHECK(text.error().code == ErrorCode::kDamaged);
    const auto status = (*partition)->status();
    REQUIRE(status->damaged.size() == 1);
    CHECK(status->damaged.front().from == Position{6 * kLineBytes});
    CHECK(status->damaged.front().to == Position{10 * kLineBytes});
    OnlyDamage seen;
    REQUIRE(verify_store(*daemon.reader_file_system(), seen));
    CHECK_FALSE(seen.text.empty());
}

}  // namespace topicfs::test
