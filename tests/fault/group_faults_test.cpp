// Commits of a group when calls fail, when the process dies, and when power is cut: at the N-th system call, N raised
// until a run meets no failure. Whatever happens: a commit that was shown outlives the process; one that was made
// durable outlives a power cut; none lies behind the log end, or ahead of what a reader had come back for.
#include "fault/faulty_store.h"
#include "store/group.h"
#include "support/bytes.h"

#include <topicfs/group.h>

#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <random>
#include <string>

namespace topicfs::test {
namespace {

constexpr std::uint32_t kParts = 3;

struct Known {
    std::uint64_t appended = 0;
    std::uint64_t shown = 0;    // the largest commit that committed() has told
    std::uint64_t durable = 0;  // the largest that was shown before a close or reset had returned
    std::uint64_t back = 0;     // records that a reader has come back for, or tried to
};

class GroupRun final : public FaultyStore {
public:
    void end() override {
        reader_.reset();
        group_.reset();
        store_.reset();
    }
    Result<void> make() {
        TOPICFS_TRY(open());
        TOPICFS_TRY(store_->set_default("num.partitions", std::to_string(kParts)));
        TOPICFS_TRY_ASSIGN(const auto topic, static_cast<Store&>(*store_).create_topic("T"));
        TOPICFS_TRY(topic->create_group("G", Attributes{}));
        return {};
    }

    // Appends, reads and commits by turns, and all that the store does behind them. False where a call has failed and
    // `goes_on` is not set.
    bool work(int steps, bool goes_on) {
        std::mt19937 random(11);
        const auto topic = store_->topic("T");
        REQUIRE(topic);
        const auto found = (*topic)->group("G");
        REQUIRE(found);
        group_ = *found;
        for (int step = 0; step < steps; ++step) {
            const auto done = one_step(**topic, random);
            if (!done && !goes_on) {
                return false;
            }
        }
        return true;
    }

    // In the store that was opened again.
    void check(bool power_was_cut, bool goes_on = true) {
        const auto topic = store_->topic("T");
        REQUIRE(topic);
        const auto found = (*topic)->group("G");
        REQUIRE(found);
        for (std::uint32_t i = 0; i < kParts; ++i) {
            const Known& known = known_[i];
            const auto committed = (*found)->committed(i);
            INFO("partition " << i << ": shown " << known.shown << ", durable " << known.durable << ", come back for "
                              << known.back << ", appended " << known.appended);
            INFO((committed ? std::to_string(committed->value) : committed.error().message()));
            REQUIRE(committed);
            const auto end = (*(*topic)->partition(i))->records_end();
            REQUIRE(end);
            INFO("records " << end->offset.value);
            CHECK(committed->value <= end->offset.value);
            CHECK(committed->value >= (power_was_cut ? known.durable : known.shown));
            CHECK(committed->value <= known.back);
            if (!goes_on) {
                continue;
            }
            // The next reader gets exactly what is behind it.
            const auto reader = (*found)->open_reader(i);
            REQUIRE(reader);
            std::uint64_t number = committed->value;
            std::string text;
            for (;;) {
                const auto view = (*reader)->fetch(text.size(), 50);
                REQUIRE(view);
                if (view->empty()) {
                    break;
                }
                for (const auto part : view->parts()) {
                    text += to_text(part);
                }
            }
            for (std::size_t at = 0; at < text.size(); ++number) {
                const std::string line = record(i, number);
                REQUIRE(text.substr(at, line.size()) == line);
                at += line.size();
            }
            CHECK(number == end->offset.value);
            CHECK((*found)->committed(i)->value == number);
        }
    }
    // The records that there are: all of them count as consumed now.
    std::array<std::uint64_t, kParts> reset_to_end() {
        reader_.reset();
        std::array<std::uint64_t, kParts> set{};
        for (std::uint32_t i = 0; i < kParts; ++i) {
            REQUIRE(group_->reset(i, GroupLatest{}));
            set[i] = known_[i].appended;
            REQUIRE(group_->committed(i)->value == set[i]);
        }
        return set;
    }
    // What is committed; then `bytes` go to each partition, durably.
    std::array<std::uint64_t, kParts> committed_and_append(const std::string& bytes) {
        const auto topic = store_->topic("T");
        REQUIRE(topic);
        std::array<std::uint64_t, kParts> committed{};
        for (std::uint32_t i = 0; i < kParts; ++i) {
            const auto now = (*(*topic)->group("G"))->committed(i);
            REQUIRE(now);
            committed[i] = now->value;
            const auto log = (*topic)->partition(i);
            REQUIRE((*log)->append(std::as_bytes(std::span(bytes))));
            REQUIRE((*log)->sync());
        }
        return committed;
    }
    std::array<Known, kParts>& known() { return known_; }

private:
    static std::string record(std::uint32_t partition, std::uint64_t number) {
        return std::to_string(partition) + "-" + std::to_string(number) + std::string(number % 9, '.') + "\n";
    }

    Result<void> one_step(Topic& topic, std::mt19937& random) {
        const auto partition = static_cast<std::uint32_t>(random() % kParts);
        Known& known = known_[partition];
        const auto dice = random() % 12;
        if (dice < 3) {
            const std::string line = record(partition, known.appended);
            TOPICFS_TRY_ASSIGN(const auto log, topic.partition(partition));
            const auto stored = log->append(std::as_bytes(std::span(line)));
            known.appended += stored ? 1u : 0u;
            return stored ? Result<void>{} : stored.error();
        }
        if (dice < 4) {
            return store_->maintain(random() % 2 == 0);
        }
        if (dice < 5) {
            reader_.reset();  // Its close() may fail, which is no business of the next.
            return {};
        }
        if (dice < 6 && reader_) {
            const auto shown = shown_commits();
            auto closed = reader_->close();
            reader_.reset();
            for (std::uint32_t i = 0; closed && i < kParts; ++i) {
                known_[i].durable = std::max(known_[i].durable, shown[i]);
            }
            return closed;
        }
        if (!reader_) {
            TOPICFS_TRY_ASSIGN(reader_, group_->open_reader(std::nullopt));
            given_.clear();
            at_ = 0;
        }
        // It comes back for all that it was given.
        for (const auto& [of, number] : given_) {
            known_[of].back = std::max(known_[of].back, number);
        }
        TOPICFS_TRY_ASSIGN(const ByteView view, reader_->fetch(at_, 60));
        given_.clear();
        at_ += view.size();
        std::string text;
        for (const auto part : view.parts()) {
            text += to_text(part);
        }
        for (std::size_t begin = 0; begin < text.size(); begin = text.find('\n', begin) + 1) {
            const std::string line = text.substr(begin);
            given_.emplace_back(static_cast<std::uint32_t>(std::stoul(line)),
                                std::stoull(line.substr(line.find('-') + 1)) + 1);
        }
        shown_commits();
        return {};
    }

    std::array<std::uint64_t, kParts> shown_commits() {
        std::array<std::uint64_t, kParts> shown{};
        for (std::uint32_t i = 0; i < kParts; ++i) {
            if (const auto committed = group_->committed(i)) {
                shown[i] = committed->value;
                known_[i].shown = std::max(known_[i].shown, shown[i]);
            }
        }
        return shown;
    }

    std::shared_ptr<Group> group_;
    std::shared_ptr<GroupReader> reader_;
    std::uint64_t at_ = 0;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> given_;
    std::array<Known, kParts> known_;
};

void must(const Result<void>& result) {
    INFO((result ? std::string() : result.error().message()));
    REQUIRE(result);
}

}  // namespace

TEST_CASE("Group faults: the process dies at each system call") {
    for (std::uint64_t number = 1;; ++number) {
        INFO("death at call " << number);
        GroupRun run;
        must(run.make());
        run.faults().set({"", "", number, true, EIO});
        run.work(120, false);
        const bool died = run.faults().has_failed();
        run.die();
        must(run.open());
        run.check(false);
        run.end();
        if (!died) {
            REQUIRE(number > 100);
            break;
        }
    }
}

TEST_CASE("Group faults: one call fails, the group goes on or is opened again") {
    for (const int system_errno : {EIO, ENOSPC, EMFILE}) {
        for (std::uint64_t number = 1;; ++number) {
            INFO("call " << number << " fails with " << system_errno);
            GroupRun run;
            must(run.make());
            run.faults().set({"", "", number, false, system_errno});
            run.work(80, true);
            const bool failed = run.faults().has_failed();
            run.die();
            must(run.open());
            run.check(false);
            run.end();
            if (!failed) {
                break;
            }
        }
    }
}

TEST_CASE("Group faults: a commit is written in full or not at all") {
    // The file system cuts a write of a commit short, and the process dies.
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{40}, std::size_t{127}}) {
        for (std::uint64_t number = 1;; ++number) {
            INFO("write " << number << " ends after " << bytes);
            GroupRun run;
            must(run.make());
            run.faults().set({"pwrite", "commits", number, true, EIO, bytes});
            run.work(60, false);
            const bool died = run.faults().has_failed();
            run.die();
            must(run.open());
            // No process writes so few bytes by halves; but what is taken then is whole, and not ahead.
            for (Known& known : run.known()) {
                known.shown = known.durable;
            }
            run.check(false);
            run.end();
            if (!died) {
                break;
            }
        }
    }
}

TEST_CASE("Group faults: power is cut before each call that changes something") {
    for (std::uint64_t number = 1;; ++number) {
        GroupRun run;
        must(run.make());
        run.end();
        must(run.open_for_power_cut());
        run.power().freeze_before(run.power().changes() + number);
        const bool whole = run.work(120, false);
        INFO("cut before change " << number);
        Random random(static_cast<unsigned>(number));
        run.cut_power(random);
        must(run.open());
        run.check(true);
        run.end();
        if (whole) {
            REQUIRE(number > 50);
            break;
        }
    }
}

TEST_CASE("Group faults: what was reset stays reset after a power cut") {
    for (unsigned seed = 1; seed <= 10; ++seed) {
        INFO("seed " << seed);
        Random random(seed);
        GroupRun run;
        must(run.make());
        run.end();
        must(run.open_for_power_cut());
        run.work(40, true);
        const auto set = run.reset_to_end();
        run.cut_power(random);
        must(run.open());
        const auto now = run.committed_and_append("");
        for (std::uint32_t i = 0; i < kParts; ++i) {
            CHECK(now[i] == set[i]);
        }
        run.end();
    }
}

TEST_CASE("Group faults: after a power cut the commit stays at the log end that was found, whatever is appended then") {
    for (unsigned seed = 1; seed <= 100; ++seed) {
        INFO("seed " << seed);
        Random random(seed);
        GroupRun run;
        must(run.make());
        run.end();
        must(run.open_for_power_cut());
        run.work(static_cast<int>(20 + seed), true);
        run.cut_power(random);
        // A second cut, right after the first appends of the next start.
        must(run.open_for_power_cut());
        const std::string line(200, '\n');  // many records, so that a commit which was left ahead is seen
        const auto committed = run.committed_and_append(line);
        run.cut_power(random);
        must(run.open());
        const auto now = run.committed_and_append("");
        for (std::uint32_t i = 0; i < kParts; ++i) {
            CHECK(now[i] <= committed[i]);
        }
        run.end();
    }
}

}  // namespace topicfs::test
