// The trash while calls fail, the process dies, or power is cut: a topic is whole where it was, whole where it goes, or
// gone where it was purged; never half, never twice.
#include "store/local_store.h"
#include "store/verify.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/only_damage.h"
#include "support/power_cut_file_system.h"
#include "support/temporary_directory.h"

#include <topicfs/group.h>

#include <catch2/catch.hpp>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace topicfs::test {
namespace {

Result<void> append_synced(Topic& topic, std::uint32_t number, const std::string& bytes) {
    TOPICFS_TRY_ASSIGN(const auto partition, topic.partition(number));
    TOPICFS_TRY(partition->append(to_bytes(bytes)));
    return partition->sync();
}

std::string read_all(Topic& topic, std::uint32_t number) {
    const auto partition = topic.partition(number);
    REQUIRE(partition);
    std::vector<std::byte> bytes(1000);
    const auto got = (*partition)->read(Position{0}, bytes);
    INFO((got ? std::string() : got.error().message()));
    REQUIRE(got);
    return to_text(std::span(bytes).first(*got));
}

// What is done, and where the first topic is after each step: "topics/NAME", "trash/NAME", or nowhere.
class Work {
public:
    Work(std::shared_ptr<FileSystem> fs, ManualClock& clock) : fs_(std::move(fs)), clock_(clock) {}
    Work(const Work& other) : fs_(other.fs_), clock_(other.clock_), id_(other.id_), done_(other.done_) {}

    void use(std::shared_ptr<FileSystem> fs) {
        store_.reset();
        fs_ = std::move(fs);
    }
    Result<void> open(const std::string& boot_id) {
        topic_.reset();
        store_.reset();
        StoreEnvironment environment;
        environment.fs = std::make_unique<FaultFileSystem>(*fs_);  // forwards: the store wants one of its own
        environment.clock = &clock_;
        environment.boot_id = boot_id;
        environment.directory = "store";
        StoreOptions options;
        options.maintenance = false;
        TOPICFS_TRY_ASSIGN(store_, LocalStore::open(std::move(environment), options));
        return {};
    }
    void die() {
        topic_.reset();
        store_.reset();
    }

    // A topic of two partitions and a group, all synced.
    void prepare() {
        REQUIRE(open("boot 1"));
        auto made = static_cast<Store&>(*store_).create_topic("a");
        REQUIRE(made);
        topic_ = *made;
        id_ = topic_->id();
        REQUIRE(topic_->add_partition(1, Attributes{}));
        REQUIRE(topic_->set("seal.ms", "4321"));
        REQUIRE(append_synced(*topic_, 0, "old 0\n"));
        REQUIRE(append_synced(*topic_, 1, "old 1\n"));
        const auto group = topic_->create_group("g", Attributes{});
        REQUIRE(group);
        REQUIRE((*group)->reset(0, GroupPoint{GroupLatest{}}));
    }

    static constexpr std::size_t kSteps = 8;
    Result<void> step(std::size_t number) {
        clock_.advance(10);
        switch (number) {
            case 0:
                return store_->delete_topic("a", "a");
            case 1:
                return static_cast<Store&>(*store_).create_topic("a").has_value()
                           ? Result<void>{}
                           : (store_->topic("a") ? Result<void>{} : system_error(EIO, "make", "a"));
            case 2:
                return append_synced(*topic_, 0, "late\n");
            case 3:
                return store_->undelete_topic("a", "b");
            case 4:
                return store_->delete_topic("a", "a.2");
            case 5:
                return store_->delete_topic("b", "b");
            case 6:
                return store_->maintain(true);
            default:
                return store_->purge_topic("b");
        }
    }
    static std::string place_after(std::size_t steps) {
        constexpr std::array kPlaces = {"topics/a", "trash/a", "trash/a", "trash/a", "topics/b",
                                        "topics/b", "trash/b", "trash/b", ""};
        return kPlaces.at(steps);
    }
    // All of them; stops at the first error.
    Result<void> run() {
        for (done_ = 0; done_ < kSteps; ++done_) {
            TOPICFS_TRY(step(done_));
        }
        return {};
    }
    void set_done(std::size_t steps) { done_ = steps; }
    std::size_t done() const { return done_; }
    LocalStore& store() { return *store_; }

    // Where the first topic is; it must be in one place at most, and whole.
    std::string place() {
        std::string found;
        for (const bool is_trash : {false, true}) {
            for (const auto& name : is_trash ? store_->trash_names() : store_->topic_names()) {
                const auto topic = is_trash ? store_->trashed_topic(name) : store_->topic(name);
                REQUIRE(topic);
                REQUIRE((*topic)->removal().has_value() == is_trash);
                if ((*topic)->id() == id_) {
                    REQUIRE(found.empty());
                    found = (is_trash ? "trash/" : "topics/") + name;
                    check_whole(**topic);
                } else {
                    REQUIRE((*topic)->partition_count() == 1);
                    REQUIRE(read_all(**topic, 0).empty());
                }
            }
        }
        return found;
    }
    // Of a store that was opened after something happened in the step that comes next.
    void check() {
        const std::string is = place();
        INFO("after " << done_ << " steps it is at '" << is << "'");
        const bool is_before = is == place_after(done_);
        const bool is_after = done_ < kSteps && is == place_after(done_ + 1);
        REQUIRE((is_before || is_after));
        // And where it is it can be moved.
        if (is.starts_with("trash/")) {
            REQUIRE(store_->undelete_topic(is.substr(6), "z"));
            REQUIRE(place() == "topics/z");
        }
        OnlyDamage seen;
        REQUIRE(verify_store(*fs_, seen));
        REQUIRE_THAT(seen.text, Catch::Equals(""));
        const auto left = fs_->list("trash");
        REQUIRE(left);
        for (const DirectoryEntry& entry : *left) {
            REQUIRE_FALSE(entry.name.starts_with(kUnfinishedPrefix));
        }
    }

private:
    void check_whole(Topic& topic) const {
        REQUIRE(topic.partition_count() == 2);
        const std::string first = read_all(topic, 0);
        const bool has_late = first == "old 0\nlate\n";
        INFO(first);
        REQUIRE((has_late ||
                 (done_ <= 2 && std::string_view("old 0\nlate\n").starts_with(first) && first.starts_with("old 0\n"))));
        REQUIRE(read_all(topic, 1) == "old 1\n");
        REQUIRE(topic.settings().seal_ms == 4321);
        const auto group = topic.group("g");
        REQUIRE(group);
        REQUIRE((*group)->committed(0)->value == 1);
    }

    std::shared_ptr<FileSystem> fs_;
    ManualClock& clock_;
    std::unique_ptr<LocalStore> store_;
    std::shared_ptr<Topic> topic_;
    std::uint64_t id_ = 0;
    std::size_t done_ = 0;
};

struct Faulty {
    explicit Faulty(const TemporaryDirectory& root) : inner(std::move(*open_file_system(root.string()))) {}
    std::unique_ptr<FileSystem> inner;
    FaultFileSystem faults{*inner};
};

Fault fault_at(std::uint64_t number, int system_errno, bool for_good) {
    Fault fault;
    fault.number = number;
    fault.system_errno = system_errno;
    fault.for_good = for_good;
    return fault;
}

}  // namespace

TEST_CASE("Trash: a call that fails once leaves the topic where it was, and trying again moves it") {
    const int system_errno = GENERATE(EIO, ENOSPC, EMFILE);
    std::uint64_t number = 1;
    for (bool met = true; met; ++number) {
        INFO("call " << number << " fails, errno " << system_errno);
        const TemporaryDirectory root;
        const auto faulty = std::make_shared<Faulty>(root);
        ManualClock clock(TimestampMs{1'000'000});
        Work work(std::shared_ptr<FileSystem>(faulty, &faulty->faults), clock);
        work.prepare();
        faulty->faults.set(fault_at(number, system_errno, false));
        bool log_failed = false;
        for (std::size_t step = 0; step < Work::kSteps; ++step) {
            work.set_done(step);
            const auto done = work.step(step);
            if (done) {
                continue;
            }
            INFO(done.error().message());
            if (step == 2) {
                // A sync that failed makes a partition read-only; that is not the trash's.
                log_failed = true;
                break;
            }
            REQUIRE(work.place() == Work::place_after(step));
            const auto again = work.step(step);
            INFO((again ? std::string() : again.error().message()));
            REQUIRE(again);
        }
        met = faulty->faults.has_failed();
        faulty->faults.clear();
        if (!log_failed) {
            work.set_done(Work::kSteps);
            REQUIRE(work.place().empty());
        }
        faulty->faults.set(fault_at(1, EIO, true));
        work.die();
        faulty->faults.clear();
        REQUIRE(work.open("boot 1"));
        work.check();
    }
    REQUIRE(number > 60);
}

TEST_CASE("Trash: a process that dies at any call leaves the topic whole in one place") {
    std::uint64_t number = 1;
    for (bool met = true; met; ++number) {
        INFO("dies at call " << number);
        const TemporaryDirectory root;
        const auto faulty = std::make_shared<Faulty>(root);
        ManualClock clock(TimestampMs{1'000'000});
        Work work(std::shared_ptr<FileSystem>(faulty, &faulty->faults), clock);
        work.prepare();
        faulty->faults.set(fault_at(number, EIO, true));
        const auto done = work.run();
        met = faulty->faults.has_failed();
        REQUIRE((met || done));
        work.die();
        faulty->faults.clear();
        // The next start dies as well, at some call of it.
        faulty->faults.set(fault_at(number % 40 + 1, EIO, true));
        (void)work.open("boot 1").has_value();
        work.die();
        faulty->faults.clear();
        const auto opened = work.open("boot 1");
        INFO((opened ? std::string() : opened.error().message()));
        REQUIRE(opened);
        work.check();
    }
    REQUIRE(number > 60);
}

TEST_CASE("Trash: a power cut at any change leaves the topic whole in one place, and what was done is done") {
    Random random;
    INFO("seed " << random.seed());
    std::uint64_t number = 1;
    for (bool met = true; met; ++number) {
        for (int time = 0; time < 3; ++time) {  // What is left is a matter of chance.
            INFO("power is cut before change " << number);
            const TemporaryDirectory root;
            ManualClock clock(TimestampMs{1'000'000});
            for (const char* name : {"first", "second", "third"}) {
                std::filesystem::create_directory(root / name);
            }
            const auto fs = std::make_shared<PowerCutFileSystem>(root / "first");
            Work work(fs, clock);
            work.prepare();
            fs->freeze_before(fs->changes() + number);
            const auto done = work.run();
            met = fs->is_frozen();
            REQUIRE((met || done));
            fs->freeze();
            work.die();
            fs->materialize(root / "second", random);
            const auto left = std::make_shared<PowerCutFileSystem>(root / "second");
            work.use(left);
            left->freeze_before(random.between(1, 60));
            (void)work.open("boot 2").has_value();
            left->freeze();
            work.die();
            left->materialize(root / "third", random);
            const auto last = std::make_shared<PowerCutFileSystem>(root / "third");
            work.use(last);
            const auto opened = work.open("boot 3");
            INFO((opened ? std::string() : opened.error().message()));
            REQUIRE(opened);
            work.check();
        }
    }
    REQUIRE(number > 30);
}

TEST_CASE("Trash: on a full disk a topic can be removed, and its time is kept later") {
    const TemporaryDirectory root;
    const auto faulty = std::make_shared<Faulty>(root);
    ManualClock clock(TimestampMs{1'000'000});
    Work work(std::shared_ptr<FileSystem>(faulty, &faulty->faults), clock);
    work.prepare();
    Fault full;
    full.call = "pwrite";
    full.system_errno = ENOSPC;
    full.for_good = true;
    faulty->faults.set(full);
    REQUIRE(work.store().delete_topic("a", "a"));
    const Removal removal = *(*work.store().trashed_topic("a"))->removal();
    SECTION("when there is room") {
        faulty->faults.clear();
        REQUIRE(work.store().maintain(false));
        clock.advance(5000);
        REQUIRE(work.open("boot 1"));
        CHECK((*work.store().trashed_topic("a"))->removal() == removal);
    }
    SECTION("not by the time that an earlier removal has left, which would be too early") {
        REQUIRE(work.store().undelete_topic("a", "a"));
        faulty->faults.clear();
        clock.advance(5000);
        REQUIRE(work.store().delete_topic("a", "a"));
        faulty->faults.set(full);
        REQUIRE(work.store().undelete_topic("a", "a"));  // The time is left in the file.
        clock.advance(5000);
        CHECK(work.store().delete_topic("a", "a").error().system_errno == ENOSPC);
        CHECK(work.place() == "topics/a");
        REQUIRE((*work.store().topic("a"))->partition(0));
        faulty->faults.clear();
        REQUIRE(work.store().delete_topic("a", "a"));
        CHECK((*work.store().trashed_topic("a"))->removal()->time == clock.now());
    }
    SECTION("or for good") {
        REQUIRE(work.store().purge_topic("a"));
        CHECK(std::filesystem::is_empty(root / "trash"));
    }
}

}  // namespace topicfs::test
