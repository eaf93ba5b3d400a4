// Writers of a whole topic when calls fail, and when the process dies: at the N-th system call, N raised until a run
// meets no failure. Whatever happens: each line that was acknowledged is there once, and the acknowledged part of an
// unfinished line too.
#include "store/local_store.h"
#include "support/fault_file_system.h"
#include "support/power_cut_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <random>
#include <string>
#include <vector>

namespace topicfs::test {
namespace {

constexpr std::uint32_t kPartitions = 3;
constexpr int kWriters = 3;

struct OwningFaults final : FaultFileSystem {
    explicit OwningFaults(std::unique_ptr<FileSystem> fs) : FaultFileSystem(*fs), inner(std::move(fs)) {}
    std::unique_ptr<FileSystem> inner;
};

// What one writer was given, and how much of it was acknowledged.
struct Stream {
    std::string text;
    std::size_t acknowledged = 0;
    std::size_t synced = 0;
    std::size_t tried = 0;  // may be stored
};

std::string stream_text(int writer) {
    std::mt19937 random(static_cast<unsigned>(writer) + 7);
    std::string text;
    for (int i = 0; i < 60; ++i) {
        const std::string who = std::to_string(writer) + "-" + std::to_string(i) + "-";
        text += (i % 4 == 0 ? "" : "key" + std::to_string(random() % 6) + ";") + "<" + who;
        text += std::string(random() % 70, 'x') + ">\n";
    }
    return text;
}

class WriterRun {
public:
    explicit WriterRun(bool keyed) : keyed_(keyed) {
        for (int i = 0; i < kWriters; ++i) {
            streams_.push_back({stream_text(i), 0, 0, 0});
        }
    }

    Result<void> open(const std::optional<Fault>& fault = {}) {
        TOPICFS_TRY_ASSIGN(auto fs, open_file_system(directory_.string()));
        auto faults = std::make_unique<OwningFaults>(std::move(fs));
        faults_ = faults.get();
        if (fault) {
            faults_->set(*fault);
        }
        return open_on(std::move(faults));
    }
    // What is in the directory counts as durable. With `freeze_before` power is cut before that change of the start, if
    // it has so many.
    Result<void> open_for_power_cut(std::uint64_t freeze_before = 0) {
        power_ = std::make_unique<PowerCutFileSystem>(directory_);
        power_->freeze_before(freeze_before);
        return open_on(std::make_unique<FaultFileSystem>(*power_));
    }
    PowerCutFileSystem& power() { return *power_; }
    // Goes on in another directory, with what a power cut now leaves.
    void cut_power(Random& random) {
        power_->freeze();
        directory_ = root_ / ("after cut " + std::to_string(++cuts_));
        std::filesystem::create_directory(directory_);
        power_->materialize(directory_, random);
        end();
    }
    Result<void> make() {
        TOPICFS_TRY(open());
        TOPICFS_TRY(store_->set_default("num.partitions", std::to_string(kPartitions)));
        if (keyed_) {
            TOPICFS_TRY(store_->set_default("key.separator", ";"));
        }
        TOPICFS_TRY(static_cast<Store&>(*store_).create_topic("T"));
        return {};
    }
    FaultFileSystem& faults() { return *faults_; }
    LocalStore& store() { return *store_; }

    // All calls fail from now on, then it is gone.
    void die() {
        if (store_) {
            faults_->set({"", "", 1, true, EIO});
            writers_.clear();
            store_.reset();
        }
    }
    void end() {
        writers_.clear();
        store_.reset();
    }

    // Appends of all sizes by turns, until `calls` of them were done or one fails (or all the same, where `goes_on`).
    void work(int calls, bool with_syncs, bool goes_on) {
        const auto topic = store_->topic("T");
        REQUIRE(topic);
        std::mt19937 random(42);
        writers_.resize(kWriters);
        for (int call = 0; call < calls; ++call) {
            const auto number = static_cast<std::size_t>(random() % kWriters);
            Stream& stream = streams_[number];
            if (!writers_[number]) {
                auto opened = (*topic)->open_writer();
                REQUIRE(opened);
                writers_[number] = *opened;
            }
            const std::size_t want = std::min<std::size_t>(1 + random() % (random() % 4 == 0 ? 400 : 60),
                                                           stream.text.size() - stream.acknowledged);
            stream.tried = std::max(stream.tried, stream.acknowledged + want);
            const auto bytes = std::as_bytes(std::span(stream.text)).subspan(stream.acknowledged, want);
            const auto stored = writers_[number]->append(bytes);
            stream.acknowledged += stored ? *stored : 0;
            if (!stored && !goes_on) {
                return;
            }
            if (with_syncs && random() % 6 == 0) {
                const bool synced = writers_[number]->sync().has_value();
                stream.synced = synced ? stream.acknowledged : stream.synced;
                if (!synced && !goes_on) {
                    return;
                }
            }
            const bool at_line_end = stream.acknowledged > 0 && stream.text[stream.acknowledged - 1] == '\n';
            if (at_line_end && random() % 4 == 0) {
                // Nothing is unfinished.
                (void)writers_[number]->close().has_value();
                writers_[number] = nullptr;
            }
        }
    }
    Result<void> close_writers() {
        for (const auto& writer : writers_) {
            TOPICFS_TRY(writer ? writer->close() : Result<void>{});
        }
        writers_.clear();
        return {};
    }

    std::string content() {
        std::string all;
        const auto topic = store_->topic("T");
        for (std::uint32_t i = 0; topic && i < kPartitions; ++i) {
            const auto partition = (*topic)->partition(i);
            std::string text((*partition)->end()->value, '?');
            REQUIRE((*partition)->read(Position{0}, std::as_writable_bytes(std::span(text))).value() == text.size());
            all += text + "|\n";
        }
        return all;
    }

    // In the store that was opened again. `may_repeat`: what was not acknowledged may be there more than once, as it
    // was tried more than once.
    void check(bool may_repeat = false, bool power_was_cut = false) {
        const std::string all = content();
        for (const Stream& stream : streams_) {
            const std::size_t sure = power_was_cut ? stream.synced : stream.acknowledged;
            for (std::size_t at = 0; at < stream.text.size();) {
                const std::size_t end = stream.text.find('\n', at) + 1;
                const std::string line = stream.text.substr(stream.text.find('<', at), end - stream.text.find('<', at));
                const std::size_t begin = end - line.size();  // of what names the line
                if (end <= sure) {
                    require_times(all, line, 1, may_repeat ? 9 : 1);
                } else if (at < sure) {
                    // The front of it, with a delimiter, or with more of what was tried.
                    const std::string front = stream.text.substr(at, sure - at);
                    const std::size_t from = std::min(begin, sure);
                    const std::string name = stream.text.substr(from, sure - from);
                    require_times(all, name.size() > 6 ? name : front, 1, name.size() > 6 && !may_repeat ? 1 : 999);
                } else {
                    require_times(all, line, 0, end <= stream.tried ? (may_repeat ? 9 : 1) : 0);
                }
                at = end;
            }
        }
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_)) {
            if (entry.path().parent_path().filename() == "unfinished") {
                FAIL("left behind: " << entry.path());
            }
        }
    }

    // Each line is one that was written, or the front of one; so what comes next is a line too.
    void check_lines() {
        const auto topic = store_->topic("T");
        for (std::uint32_t i = 0; i < kPartitions; ++i) {
            const auto writer = (*topic)->open_writer();
            REQUIRE(writer);
            const std::string line = "new " + std::to_string(i) + "\n";
            REQUIRE((*writer)->append(std::as_bytes(std::span(line))));
            REQUIRE((*writer)->close());
        }
        const std::string all = content();
        int new_lines = 0;
        for (std::size_t at = 0; at < all.size();) {
            const std::size_t end = all.find('\n', at) + 1;
            const std::string line = all.substr(at, end - at);
            at = end;
            new_lines += line.starts_with("new ") && line.size() == 6 ? 1 : 0;
            if (!line.starts_with("new ") && line != "|\n" && !is_front(line.substr(0, line.size() - 1))) {
                FAIL("'" << line << "' was not written\n" << all);
            }
        }
        REQUIRE(new_lines == kPartitions);
    }

    std::vector<Stream>& streams() { return streams_; }

private:
    Result<void> open_on(std::unique_ptr<FileSystem> fs) {
        StoreEnvironment environment;
        environment.fs = std::move(fs);
        environment.clock = &clock_;
        environment.boot_id = "boot " + std::to_string(cuts_);
        environment.directory = "store";
        StoreOptions options;
        options.maintenance = false;
        TOPICFS_TRY_ASSIGN(store_, LocalStore::open(std::move(environment), options));
        return {};
    }

    // Of a line in a stream.
    bool is_front(const std::string& text) const {
        return std::any_of(streams_.begin(), streams_.end(), [&](const Stream& stream) {
            return stream.text.starts_with(text) || stream.text.find('\n' + text) != std::string::npos;
        });
    }

    static void require_times(const std::string& all, const std::string& what, int least, int most) {
        int times = 0;
        for (std::size_t at = all.find(what); at != std::string::npos; at = all.find(what, at + 1)) {
            ++times;
        }
        if (times < least || times > most) {
            FAIL("'" << what << "' is there " << times << " times\n" << all);
        }
    }

    const bool keyed_;
    TemporaryDirectory root_;
    std::filesystem::path directory_ = root_.path();
    int cuts_ = 0;
    std::unique_ptr<PowerCutFileSystem> power_;
    ManualClock clock_{TimestampMs{1'000'000}};
    FaultFileSystem* faults_ = nullptr;
    std::unique_ptr<LocalStore> store_;
    std::vector<std::shared_ptr<TopicWriter>> writers_;
    std::vector<Stream> streams_;
};

void must(const Result<void>& result) {
    INFO((result ? std::string() : result.error().message()));
    REQUIRE(result);
}

// The process dies at a call; `short_bytes`: in the middle of it, where it writes.
void die_at_each(bool keyed, const std::string& call, std::optional<std::size_t> short_bytes) {
    for (std::uint64_t number = 1;; ++number) {
        INFO("death at " << (call.empty() ? "call" : call) << " " << number << (keyed ? ", keyed" : ", sticky"));
        WriterRun run(keyed);
        must(run.make());
        run.faults().set({call, "", number, true, EIO, short_bytes});
        run.work(40, true, false);
        const bool died = run.faults().has_failed();
        run.die();
        must(run.open());
        run.check();
        run.check_lines();
        run.end();
        if (!died) {
            REQUIRE(number > 10);
            return;
        }
    }
}

}  // namespace

TEST_CASE("TopicWriter faults: the process dies at each system call") {
    die_at_each(false, "", std::nullopt);
    die_at_each(true, "", std::nullopt);
}

TEST_CASE("TopicWriter faults: the process dies in the middle of each write to an unfinished line's file") {
    die_at_each(true, "pwrite", 50);
    die_at_each(true, "pwrite", 70);
}

TEST_CASE("TopicWriter faults: the process dies at each system call of the start that follows on a death") {
    for (std::uint64_t first = 8; first < 220; first += 9) {
        for (std::uint64_t number = 1;; ++number) {
            INFO("death at call " << first << ", then at call " << number << " of the start");
            WriterRun run(true);
            must(run.make());
            run.faults().set({"", "", first, true, EIO});
            run.work(40, true, false);
            run.die();
            const auto opened = run.open(Fault{"", "", number, true, EIO});
            const bool died = !opened || run.faults().has_failed();
            if (opened) {
                run.die();
            }
            must(run.open());
            run.check();
            run.check_lines();
            run.end();
            if (!died) {
                break;
            }
        }
    }
}

TEST_CASE("TopicWriter faults: the process dies in the middle of each write to a partition") {
    die_at_each(false, "write", 3);
    die_at_each(true, "write", 40);
}

TEST_CASE(
    "TopicWriter faults: power is cut at each change, and again at the start: what was synced is there, nothing "
    "twice") {
    Random random;
    INFO("seed " << random.seed());
    std::uint64_t starts_cut = 0;
    for (std::uint64_t number = 1;; ++number) {
        INFO("cut before change " << number);
        WriterRun run(true);
        must(run.make());
        run.end();
        must(run.open_for_power_cut());
        run.power().freeze_before(run.power().changes() + number);
        run.work(40, true, false);
        const bool was_cut = run.power().is_frozen();
        run.cut_power(random);
        const auto opened = run.open_for_power_cut(random.between(1, 60));
        if (!opened || run.power().is_frozen()) {
            ++starts_cut;
        } else {
            run.check(false, true);
        }
        run.cut_power(random);
        must(run.open());
        run.check(false, true);
        run.check_lines();
        run.end();
        if (!was_cut) {
            REQUIRE(number > 50);
            REQUIRE(starts_cut > 10);
            break;
        }
    }
}

TEST_CASE("TopicWriter faults: a full disk, and room again") {
    for (const bool keyed : {false, true}) {
        for (const std::string call : {"write", "pwrite", ""}) {
            for (const auto short_bytes :
                 {std::optional<std::size_t>(), std::optional<std::size_t>(3), std::optional<std::size_t>(40)}) {
                // Where writers share a partition, another's line can come before the rest of one that was cut.
                if (short_bytes && (call.empty() || (keyed && call == "write"))) {
                    continue;
                }
                for (std::uint64_t number = 1;; ++number) {
                    INFO("full at " << (call.empty() ? "open" : call) << " " << number << (keyed ? ", keyed" : "")
                                    << (short_bytes ? ", after " + std::to_string(*short_bytes) : std::string()));
                    WriterRun run(keyed);
                    must(run.make());
                    run.faults().set({call.empty() ? "open" : call, "", number, true, ENOSPC, short_bytes});
                    run.work(25, false, true);
                    const bool was_full = run.faults().has_failed();
                    run.faults().clear();
                    run.work(10, false, true);
                    must(run.close_writers());
                    // Lines of one call go to several partitions where there are keys.
                    run.check(keyed);
                    run.end();
                    if (!was_full) {
                        break;
                    }
                }
            }
        }
    }
}

TEST_CASE("TopicWriter faults: one call fails, the writers go on or are opened again") {
    for (const int system_errno : {EIO, ENOSPC, EMFILE}) {
        for (std::uint64_t number = 1;; ++number) {
            INFO("call " << number << " fails with " << system_errno);
            WriterRun run(true);
            must(run.make());
            run.faults().set({"", "", number, false, system_errno});
            run.work(30, true, true);
            const bool failed = run.faults().has_failed();
            run.die();
            must(run.open());
            run.check(true);
            run.end();
            if (!failed) {
                break;
            }
        }
    }
}

}  // namespace topicfs::test
