// Retention, trims and giving back while calls fail, the process dies, or power is cut: at the N-th call, N raised
// until a run meets no failure. Whatever happens: the log start that was shown is not taken back, it lies where a
// record begins and no further on than what is to be kept, from there on all bytes are there, and what lay before it
// does not come back.
#include "fault/faulty_store.h"
#include "fault/retention_lines.h"
#include "log/layout.h"
#include "log/recovery_file.h"
#include "store/verify.h"
#include "support/bytes.h"
#include "support/only_damage.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs::test {
namespace {

constexpr std::int64_t kDelayMs = 1000;
constexpr std::size_t kLineBytes = 400;
constexpr std::size_t kLinesOfBatch = 8;
constexpr std::string_view kPartitionPath = "topics/T/0";

// What moves the log start, and what is given back then.
enum class Work {
    kByBytes,      // segments of one batch, and the newest
    kByTime,       // from what is sealed on into head
    kTrim,         // into the middle of a batch
    kSealEarly,    // nothing is sealed yet, and more is unsealed than is to be kept
    kUnlink,       // many whole segments
    kPunchNewest,  // the front of the only segment
    kAll,          // nothing is left
};
constexpr std::array kWorks = {Work::kByBytes, Work::kByTime,      Work::kTrim, Work::kSealEarly,
                               Work::kUnlink,  Work::kPunchNewest, Work::kAll};

void must(const Result<void>& result) {
    INFO((result ? std::string() : result.error().message()));
    REQUIRE(result);
}

std::string line(std::uint64_t number) {
    return numbered_line(number, kLineBytes);
}

class RetentionRun final : public FaultyStore {
public:
    explicit RetentionRun(Work work) : work_(work) {}

    void end() override {
        partition_.reset();
        topic_.reset();
        store_.reset();
    }
    Result<void> open_again() {
        TOPICFS_TRY(open());
        return find();
    }
    Result<void> find() {
        TOPICFS_TRY_ASSIGN(topic_, store_->topic("T"));
        TOPICFS_TRY_ASSIGN(partition_, topic_->partition(0));
        return {};
    }

    // A log of ten batches, or of as much in head.
    Result<void> make() {
        TOPICFS_TRY(open());
        TOPICFS_TRY_ASSIGN(topic_, static_cast<Store&>(*store_).create_topic("T"));
        TOPICFS_TRY_ASSIGN(partition_, topic_->partition(0));
        const bool is_one_segment = work_ == Work::kTrim || work_ == Work::kPunchNewest || work_ == Work::kAll;
        TOPICFS_TRY(topic_->set("compression.type", "none"));
        TOPICFS_TRY(topic_->set("segment.bytes", is_one_segment ? "1000000" : "4096"));
        TOPICFS_TRY(topic_->set("seal.ms", "1000000000"));
        TOPICFS_TRY(topic_->set("seal.bytes", std::to_string(kLinesOfBatch * kLineBytes)));
        TOPICFS_TRY(topic_->set("file.delete.delay.ms", std::to_string(kDelayMs)));
        TOPICFS_TRY(topic_->set("retention.ms", "-1"));
        for (int batch = 0; batch < 10; ++batch) {
            TOPICFS_TRY(append(kLinesOfBatch));
            clock_.advance(1000);
            if (work_ != Work::kSealEarly) {
                TOPICFS_TRY(store_->maintain(true));
            }
        }
        return sync();
    }

    static constexpr std::size_t kSteps = 7;
    Result<void> step(std::size_t number) {
        switch (number) {
            case 0:
                return move(20);
            case 1:
                return append(kLinesOfBatch + 3);
            case 2:
            case 5:
                clock_.advance(kDelayMs);
                return give_back();
            case 3:
                return sync();
            case 4:
                return move(50);
            default:
                return append(1);
        }
    }
    // Stops at the first error, or goes on. Counts errors.
    void run(bool goes_on) {
        for (std::size_t number = 0; number < kSteps; ++number) {
            const auto done = step(number);
            errors_ += done ? 0u : 1u;
            if (partition_->start() > shown_) {
                shown_ = partition_->start();
            }
            if (goes_on) {
                check_shown();
            } else if (!done) {
                return;
            }
        }
    }

    // In memory it is nowhere that the recovery file does not say; and all behind it can be read.
    void check_shown() {
        const auto fs = open_file_system(directory_.string());
        REQUIRE(fs);
        const auto choice = RecoveryFile::load(**fs, std::string(kPartitionPath) + "/" + kRecoveryFileName);
        REQUIRE(choice);
        REQUIRE(*choice);
        CHECK((*choice)->point.log_start >= partition_->start());
        CHECK(partition_->start() == shown_);
    }

    // Of the store that was opened again.
    void check(bool power_was_cut, const std::set<std::uint64_t>& starts) {
        const Position start = partition_->start();
        const auto log_end = partition_->end();
        REQUIRE(log_end);
        INFO("starts at " << start.value << ", was shown at " << shown_.value << "; ends at " << log_end->value
                          << " of " << written_.size() << ", synced " << synced_);
        CHECK(start >= shown_);
        CHECK(start.value % kLineBytes == 0);
        CHECK(partition_->start_offset().value == start.value / kLineBytes);
        if (!starts.empty()) {
            CHECK(starts.contains(start.value));
        }
        CHECK(log_end->value >= (power_was_cut ? synced_ : written_.size()));
        CHECK(log_end->value <= written_.size() + maybe_.size());
        check_content(start, *log_end);
        verify();
        keep_all();
        clock_.advance(kDelayMs);
        must(store_->maintain(false));
        CHECK(partition_->start() == start);
        check_content(start, *log_end);
        check_gone(start);
        verify();
        go_on(*log_end);
    }
    // The store takes more, and a later round removes more.
    void go_on(Position log_end) {
        written_ = (written_ + maybe_).substr(0, log_end.value);
        maybe_.clear();
        keep_all();
        must(append(kLinesOfBatch - written_.size() % kLineBytes / kLineBytes));
        const auto last = partition_->records_end();
        REQUIRE(last);
        const auto target = partition_->find_offset(Offset{last->offset.value - 1});
        REQUIRE(target);
        must(partition_->trim(*target));
        clock_.advance(kDelayMs);
        must(store_->maintain(true));
        CHECK(partition_->start() == target->position);
        check_content(target->position, Position{written_.size()});
        check_gone(target->position);
        verify();
    }

    std::uint64_t start() const { return partition_->start().value; }
    std::uint64_t errors() const { return errors_; }
    // Failures that were counted, and the partition's own.
    std::uint64_t failures() {
        const auto status = partition_->status();
        REQUIRE(status);
        const PartitionCounts& counts = status->counts;
        return counts.seal_failures + counts.checkpoint_failures + counts.retention_failures + counts.times_failures +
               (status->failed.empty() ? 0 : 1);
    }
    bool has_failed() { return !partition_->status()->failed.empty(); }
    void try_later_round() { go_on(*partition_->end()); }

private:
    void keep_all() {
        must(topic_->set("retention.bytes", "-1"));
        must(topic_->set("retention.ms", "-1"));
    }
    // The log start is to go to about that line.
    Result<void> move(std::uint64_t number) {
        const auto trim = [&](std::uint64_t to) -> Result<void> {
            TOPICFS_TRY_ASSIGN(const Found found, partition_->find_offset(Offset{to}));
            return partition_->trim(found);
        };
        switch (work_) {
            case Work::kTrim:
            case Work::kPunchNewest:
            case Work::kUnlink:
                return trim(work_ == Work::kTrim ? number + 3 : number + 20);
            case Work::kAll: {
                TOPICFS_TRY_ASSIGN(const Found end, partition_->records_end());
                return partition_->trim(end);
            }
            case Work::kByTime:
                clock_.advance(1000);
                // With the second one all but the last line goes, head's too.
                TOPICFS_TRY(
                    topic_->set("retention.ms", number > 40 ? "500" : std::to_string(1000 * (11 - number / 8))));
                break;
            case Work::kByBytes:
            case Work::kSealEarly:
                TOPICFS_TRY(topic_->set("retention.bytes", std::to_string((80 - number) * kLineBytes)));
                break;
        }
        TOPICFS_TRY(store_->maintain(false));
        return {};
    }
    Result<void> give_back() { return store_->maintain(false); }
    Result<void> append(std::size_t lines) {
        for (std::size_t i = 0; i < lines; ++i) {
            const std::string bytes = line(written_.size() / kLineBytes);
            maybe_ = bytes;
            TOPICFS_TRY_ASSIGN(const std::size_t stored, partition_->append(to_bytes(bytes)));
            written_ += bytes.substr(0, stored);
            maybe_.clear();
            if (stored != bytes.size()) {
                return system_error(ENOSPC, "append", "");
            }
        }
        return {};
    }
    Result<void> sync() {
        TOPICFS_TRY(partition_->sync());
        synced_ = written_.size();
        return {};
    }
    void check_content(Position start, Position log_end) {
        std::vector<std::byte> window(7000);
        std::string content;
        for (Position at = start; at < log_end; at = start + content.size()) {
            const auto got = partition_->read(at, window);
            INFO((got ? std::string() : got.error().message()));
            REQUIRE(got);
            REQUIRE(*got > 0);
            content += to_text(std::span(window).first(*got));
        }
        const std::string wanted = (written_ + maybe_).substr(start.value, log_end - start);
        CHECK((content == wanted));
        CHECK(partition_->status()->damaged.empty());
        if (start < log_end) {
            const auto first = partition_->find_position(start);
            INFO((first ? std::string() : first.error().message()));
            REQUIRE(first);
            CHECK(first->position == start);
        }
    }
    // Nothing before `start` can be read or found.
    void check_gone(Position start) {
        std::vector<std::byte> byte(1);
        for (const std::uint64_t before : {std::uint64_t{1}, kLineBytes, start.value}) {
            if (start.value == 0) {
                return;
            }
            const auto got = partition_->read(Position{start.value - std::min(before, start.value)}, byte);
            INFO("read " << before << " bytes before " << start.value);
            REQUIRE_FALSE(got);
            CHECK(got.error().code == ErrorCode::kNotFound);
        }
        CHECK_FALSE(partition_->find_offset(Offset{start.value / kLineBytes - 1}));
    }
    void verify() {
        const auto fs = open_file_system(directory_.string());
        REQUIRE(fs);
        OnlyDamage seen;
        const auto verified = verify_store(**fs, seen);
        INFO((verified ? std::string() : verified.error().message()));
        REQUIRE(verified);
        CHECK_THAT(seen.text, Catch::Equals(""));
    }

    const Work work_;
    std::shared_ptr<Topic> topic_;
    std::shared_ptr<Partition> partition_;
    std::string written_;  // acknowledged
    std::string maybe_;    // of the append that failed
    std::size_t synced_ = 0;
    Position shown_;
    std::uint64_t errors_ = 0;
};

// Where the log starts after each step, where nothing fails.
std::set<std::uint64_t> starts_of(Work work) {
    RetentionRun run(work);
    must(run.make());
    std::set<std::uint64_t> starts = {0};
    for (std::size_t number = 0; number < RetentionRun::kSteps; ++number) {
        must(run.step(number));
        starts.insert(run.start());
    }
    return starts;
}

}  // namespace

TEST_CASE("Retention faults: where nothing fails each work moves the log start twice and more") {
    for (const Work work : kWorks) {
        INFO("work " << static_cast<int>(work));
        const auto starts = starts_of(work);
        CHECK(starts.size() >= 3);
        CHECK(*starts.rbegin() >= 50 * kLineBytes);
    }
}

TEST_CASE(
    "Retention faults: a call that fails once is told, nothing that is to be kept goes, and a later round succeeds") {
    const std::set<std::string> telling = {"pwrite", "write", "fdatasync", "fsync", "unlink", "punch_hole"};
    for (const Work work : kWorks) {
        for (const int system_errno : {EIO, ENOSPC}) {
            std::uint64_t number = 1;
            for (bool met = true; met; ++number) {
                INFO("work " << static_cast<int>(work) << ", call " << number << " fails, errno " << system_errno);
                RetentionRun run(work);
                must(run.make());
                std::string failed;
                bool segment_sync_failed = false;
                run.faults().observe(
                    [&, calls = std::uint64_t{0}](std::string_view name, const std::string& path) mutable {
                        if (++calls == number) {
                            failed = name;
                            // Whoever makes the batches durable hears of it, and the partition takes nothing more.
                            segment_sync_failed = name == "fdatasync" && path.find(".log.") != std::string::npos;
                            UNSCOPED_INFO(name << " " << path);
                        }
                    });
                run.faults().set({"", "", number, false, system_errno});
                run.run(true);
                met = run.faults().has_failed();
                run.faults().observe({});
                run.faults().clear();
                // On a full disk the reserve takes a text file's new content, and there is nothing to tell.
                const bool is_absorbed = run.faults().calls("exchange") > 0;
                if (met && telling.contains(failed) && !is_absorbed) {
                    CHECK(run.errors() + run.failures() > 0);
                }
                if (!run.has_failed() && !segment_sync_failed) {
                    run.try_later_round();
                }
                run.die();
                must(run.open_again());
                run.check(false, {});
                run.end();
            }
            CHECK(number > 60);
        }
    }
}

TEST_CASE("Retention faults: the process dies at each system call") {
    for (const Work work : kWorks) {
        const auto starts = starts_of(work);
        std::uint64_t number = 1;
        for (bool died = true; died; ++number) {
            INFO("work " << static_cast<int>(work) << ", death at call " << number);
            RetentionRun run(work);
            must(run.make());
            run.faults().set({"", "", number, true, EIO});
            run.run(false);
            died = run.faults().has_failed();
            run.die();
            must(run.open_again());
            run.check(false, starts);
            run.end();
        }
        CHECK(number > 60);
    }
}

TEST_CASE("Retention faults: power is cut before each call that changes something") {
    for (const Work work : kWorks) {
        const auto starts = starts_of(work);
        std::uint64_t number = 1;
        for (bool cut = true; cut; ++number) {
            INFO("work " << static_cast<int>(work) << ", cut before change " << number);
            RetentionRun run(work);
            must(run.make());
            run.end();
            must(run.open_for_power_cut());
            must(run.find());
            run.power().freeze_before(run.power().changes() + number);
            run.run(false);
            cut = run.power().is_frozen();
            Random random(number);
            run.cut_power(random);
            must(run.open_again());
            run.check(true, starts);
            run.end();
        }
        CHECK(number > 20);
    }
}

}  // namespace topicfs::test
