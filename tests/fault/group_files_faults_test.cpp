// Making, changing and removing groups when calls fail, when the process dies, and when power is cut: at the N-th
// system call, N raised until a run meets no failure. Whatever happens: the store opens; a group whose making was
// answered is there with the settings and the commit that were answered, one whose removal was answered is gone, one in
// between is there as a whole or not at all; a group that nobody touched is what it was; and nothing is left over.
#include "fault/faulty_store.h"
#include "store/group.h"
#include "support/bytes.h"

#include <topicfs/group.h>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <set>
#include <string>

namespace topicfs::test {
namespace {

// What a group may be: more than one of each where a call has failed.
struct Known {
    bool may_be_there = false;
    bool may_be_absent = true;
    std::set<std::uint64_t> fetch_min_bytes;
    std::set<std::uint64_t> committed;
};

class GroupsRun final : public FaultyStore {
public:
    // With a group "kept", whose reader has come back for two records, durably.
    Result<void> make() {
        TOPICFS_TRY(open());
        TOPICFS_TRY_ASSIGN(const auto topic, static_cast<Store&>(*store_).create_topic("T"));
        const std::string_view lines = "zero\none\ntwo\nthree\n";
        TOPICFS_TRY_ASSIGN(const auto partition, topic->partition(0));
        TOPICFS_TRY(partition->append(std::as_bytes(std::span(lines))));
        TOPICFS_TRY(create("kept"));
        TOPICFS_TRY(set("kept", 77));
        TOPICFS_TRY_ASSIGN(const auto group, topic->group("kept"));
        TOPICFS_TRY_ASSIGN(const auto reader, group->open_reader(0));
        TOPICFS_TRY(reader->fetch(0, 9));
        TOPICFS_TRY(reader->fetch(9, 9));
        TOPICFS_TRY(reader->close());
        known_["kept"].committed = {2};
        return store_->maintain(true);
    }

    // False where a call has failed and `goes_on` is not set. What failed is tried again once: then it succeeds, but
    // for commits, which may be refused until the next start.
    bool work(bool goes_on) {
        const std::function<Result<void>()> steps[] = {
            [&] { return create("a"); },     [&] { return set("a", 5); },   [&] { return reset("a", 1); },
            [&] { return create("b"); },     [&] { return set("a", 6); },   [&] { return own("b"); },
            [&] { return remove("a"); },     [&] { return reset("b", 3); }, [&] { return create("a"); },
            [&] { return set("kept", 78); }, [&] { return remove("b"); },   [&] { return set("a", 7); },
        };
        for (std::size_t step = 0; step < std::size(steps); ++step) {
            INFO("step " << step);
            auto done = steps[step]();
            if (!done && !goes_on) {
                return false;
            }
            if (!done) {
                INFO(done.error().message());
                check_settings();
                done = steps[step]();
                INFO((done ? std::string() : done.error().message()));
                REQUIRE((done || step == 2 || step == 7));
            }
            check_settings();
        }
        return true;
    }

    // In the store that was opened again.
    void check() {
        const auto topic = store_->topic("T");
        REQUIRE(topic);
        const auto names = (*topic)->group_names();
        for (const auto& entry : std::filesystem::directory_iterator(directory_ / "topics/T/groups")) {
            INFO(entry.path().string());
            CHECK(std::find(names.begin(), names.end(), entry.path().filename().string()) != names.end());
        }
        for (const auto& [name, known] : known_) {
            INFO(name);
            const bool is_there = std::find(names.begin(), names.end(), name) != names.end();
            CHECK((is_there ? known.may_be_there : known.may_be_absent));
            if (!is_there) {
                REQUIRE((*topic)->create_group(name, Attributes{}));
                continue;
            }
            const auto group = (*topic)->group(name);
            REQUIRE(group);
            CHECK(known.fetch_min_bytes.count((*group)->settings().fetch_min_bytes) == 1);
            CHECK((*group)->attributes().mode == 0750);
            const auto committed = (*group)->committed(0);
            REQUIRE(committed);
            CHECK(known.committed.count(committed->value) == 1);
            const auto reader = (*group)->open_reader(0);
            REQUIRE(reader);
            const auto view = (*reader)->fetch(0, 100);
            REQUIRE(view);
            constexpr std::size_t kBegins[] = {0, 5, 9, 13, 19};
            CHECK(view->size() == 19 - kBegins[committed->value]);
            REQUIRE((*reader)->close());
            if (name != "kept") {
                REQUIRE((*topic)->remove_group(name));
                REQUIRE((*topic)->create_group(name, Attributes{}));
            }
        }
    }

private:
    std::shared_ptr<Topic> topic() { return *store_->topic("T"); }

    // `done` of the group, which has `after` then, and one of both where it fails.
    Result<void> change(const std::string& name, const Known& after, Result<void> done) {
        Known& known = known_[name];
        if (done) {
            known = after;
            return done;
        }
        known.may_be_there = known.may_be_there || after.may_be_there;
        known.may_be_absent = known.may_be_absent || after.may_be_absent;
        known.fetch_min_bytes.insert(after.fetch_min_bytes.begin(), after.fetch_min_bytes.end());
        known.committed.insert(after.committed.begin(), after.committed.end());
        return done;
    }
    Result<void> create(const std::string& name) {
        Attributes attributes;
        attributes.mode = 0750;
        auto made = topic()->create_group(name, attributes);
        return change(name, {true, false, {1}, {0}}, made ? Result<void>{} : std::move(made).error());
    }
    Result<void> remove(const std::string& name) {
        auto removed = topic()->remove_group(name);
        if (!removed && removed.error().code == ErrorCode::kNotFound) {
            removed = {};  // The first try has got so far.
        }
        return change(name, {}, std::move(removed));
    }
    Result<void> set(const std::string& name, std::uint64_t bytes) {
        Known after = known_[name];
        after.fetch_min_bytes = {bytes};
        TOPICFS_TRY_ASSIGN(const auto group, topic()->group(name));
        return change(name, after, group->set("fetch.min.bytes", std::to_string(bytes)));
    }
    Result<void> own(const std::string& name) {
        TOPICFS_TRY_ASSIGN(const auto group, topic()->group(name));
        AttributesChange change;
        change.uid = 7;
        return group->change_attributes(change);
    }
    Result<void> reset(const std::string& name, std::uint64_t offset) {
        Known after = known_[name];
        after.committed = {offset};
        TOPICFS_TRY_ASSIGN(const auto group, topic()->group(name));
        return change(name, after, group->reset(0, Offset{offset}));
    }
    // What the running process goes by is what a start would find: else a change that failed would be one later.
    void check_settings() {
        for (const std::string& name : topic()->group_names()) {
            const auto group = topic()->group(name);
            REQUIRE(group);
            const std::string text = read_file(directory_ / "topics/T/groups" / name / "group");
            INFO(name << ": " << text);
            CHECK(text.find("fetch.min.bytes = " + std::to_string((*group)->settings().fetch_min_bytes) + "\n") !=
                  std::string::npos);
        }
    }

    std::map<std::string, Known> known_;
};

void must(const Result<void>& result) {
    INFO((result ? std::string() : result.error().message()));
    REQUIRE(result);
}

}  // namespace

TEST_CASE("Group files: the process dies at each system call") {
    for (std::uint64_t number = 1;; ++number) {
        INFO("death at call " << number);
        GroupsRun run;
        must(run.make());
        run.faults().set({"", "", number, true, EIO});
        run.work(false);
        const bool died = run.faults().has_failed();
        run.die();
        must(run.open());
        run.check();
        run.end();
        if (!died) {
            REQUIRE(number > 60);
            break;
        }
    }
}

TEST_CASE("Group files: one call fails, and what it was for is done when it is tried again") {
    for (const int system_errno : {EIO, ENOSPC, EMFILE}) {
        for (std::uint64_t number = 1;; ++number) {
            INFO("call " << number << " fails with " << system_errno);
            GroupsRun run;
            must(run.make());
            run.faults().set({"", "", number, false, system_errno});
            run.work(true);
            const bool failed = run.faults().has_failed();
            run.die();
            must(run.open());
            run.check();
            run.end();
            if (!failed) {
                REQUIRE(number > 60);
                break;
            }
        }
    }
}

TEST_CASE("Group files: power is cut before each call that changes something") {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        for (std::uint64_t number = 1;; ++number) {
            GroupsRun run;
            must(run.make());
            run.end();
            must(run.open_for_power_cut());
            run.power().freeze_before(run.power().changes() + number);
            const bool whole = run.work(false);
            INFO("cut before change " << number << ", seed " << seed);
            Random random(seed * 1000 + static_cast<unsigned>(number));
            run.cut_power(random);
            must(run.open());
            run.check();
            run.end();
            if (whole) {
                REQUIRE(number > 30);
                break;
            }
        }
    }
}

}  // namespace topicfs::test
