// verify of a store with groups: each file of one that is missing, cut at any byte, or has a bit flipped.
#include "store/verify.h"
#include "unit/store/group_fixture.h"

#include <algorithm>
#include <vector>

namespace topicfs::test {
namespace {

struct Findings final : VerifyObserver {
    void found(const Finding& finding) override { all.push_back(finding); }
    void progress(std::uint64_t /*done*/, std::uint64_t /*total*/, const std::string& /*path*/) override {}
    std::vector<Finding> all;
};

// A group of three partitions with commits, at rest.
class Resting : public Groups {
public:
    Resting() {
        append(0, "one\ntwo\n");
        Reading reading = open_reader();
        CHECK(reading.read(4) == "one\n");
        CHECK(reading.read(4) == "two\n");
        reading.close();
        REQUIRE(group()->reset(0, Offset{2}));
        fixture.end();
    }
    std::vector<Finding> verify() const {
        const auto fs = std::move(*open_file_system(fixture.directory.string()));
        Findings findings;
        const auto totals = verify_store(*fs, findings);
        REQUIRE(totals);
        CHECK(totals->damages + totals->notes == findings.all.size());
        return findings.all;
    }
    // Damage, of this file and nothing else.
    bool is_found(const std::string& name) const {
        const auto found = verify();
        return !found.empty() && std::all_of(found.begin(), found.end(), [&](const Finding& finding) {
            return finding.kind == Finding::Kind::kDamage && finding.path == "topics/t/groups/g/" + name;
        });
    }
    std::filesystem::path file(const std::string& name) const { return fixture.path("topics/t/groups/g/" + name); }
};

}  // namespace

TEST_CASE("verify: a group's files that are missing or cut short are found, and a store that has gone on is whole") {
    Resting resting;
    CHECK(resting.verify().empty());
    const std::string name = GENERATE("commits", "group");
    const std::string content = read_file(resting.file(name));
    std::filesystem::remove(resting.file(name));
    CHECK(resting.is_found(name));
    for (std::size_t bytes = 0; bytes < content.size(); bytes += name == "group" ? 1u : 61u) {
        INFO(name << " is cut at " << bytes);
        write_file(resting.file(name), content.substr(0, bytes));
        CHECK(resting.is_found(name));
    }
    if (GENERATE(false, true)) {
        std::filesystem::remove(resting.file(name));
    }
    // It goes on, and what is stored then is whole.
    resting.open();
    REQUIRE(resting.group()->reset(0, Offset{1}));
    REQUIRE(resting.group()->set("fetch.min.bytes", "2"));
    CHECK(resting.committed(0) == 1);
    resting.fixture.end();
    CHECK(resting.verify().empty());
}

TEST_CASE("verify: a bit that was flipped in a group's file is found") {
    Resting resting;
    for (const std::string name : {"commits", "group"}) {
        const std::string content = read_file(resting.file(name));
        for (std::size_t at = 0; at < content.size(); ++at) {
            if (name == "commits" && content.substr(at / 128 * 128, 128) == std::string(128, '\0')) {
                continue;  // A slot that was never written.
            }
            INFO(name << ", byte " << at);
            std::string flipped = content;
            flipped[at] = static_cast<char>(flipped[at] ^ (1 << at % 8));
            write_file(resting.file(name), flipped);
            CHECK(resting.is_found(name));
        }
        write_file(resting.file(name), content);
        CHECK(resting.verify().empty());
    }
}

TEST_CASE("verify: what is left of a group that was not made or removed whole is noted only") {
    Resting resting;
    std::filesystem::rename(resting.fixture.path("topics/t/groups/g"),
                            resting.fixture.path("topics/t/groups/.unfinished-7"));
    const auto found = resting.verify();
    REQUIRE(found.size() == 1);
    CHECK(found[0].kind == Finding::Kind::kNote);
}

}  // namespace topicfs::test
