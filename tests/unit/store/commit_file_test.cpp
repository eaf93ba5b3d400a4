#include "store/commit_file.h"

#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <cerrno>
#include <set>
#include <utility>

namespace topicfs::test {
namespace {

class Commits {
public:
    Commits() { REQUIRE(CommitFile::create(faults, "commits", 2)); }
    CommitSlot write(CommitFile& file, std::uint64_t position, std::uint32_t partition = 0) {
        CommitSlot slot;
        slot.partition = partition;
        slot.position = Position{position};
        REQUIRE(file.write(slot));
        return slot;
    }
    // The positions in the slots of a partition that are whole.
    std::set<std::uint64_t> positions(std::uint32_t partition = 0) const {
        const std::string content = read_file(directory / "commits");
        std::set<std::uint64_t> all;
        for (unsigned index = 0; index < kCommitSlots; ++index) {
            const auto bytes = std::as_bytes(std::span(content)).subspan(commit_slot_at(partition, index));
            if (const auto slot = decode_commit_slot(bytes.first(kCommitSlotBytes))) {
                all.insert(slot->position.value);
            }
        }
        return all;
    }

    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    FaultFileSystem faults{*real};
};

}  // namespace

TEST_CASE("CommitFile: the newest commit is what is loaded") {
    Commits commits;
    CommitFile file(commits.faults, "commits");
    REQUIRE(file.load());
    commits.write(file, 10);
    const CommitSlot last = commits.write(file, 20);
    const CommitSlot other = commits.write(file, 5, 1);
    CommitFile again(commits.faults, "commits");
    const auto loaded = again.load();
    REQUIRE(loaded);
    CHECK(loaded->damaged.empty());
    CHECK(loaded->slots[0] == last);
    CHECK(loaded->slots[1] == other);
}

TEST_CASE("CommitFile: neither the durable commit nor the one that is being synced is written over") {
    Commits commits;
    CommitFile file(commits.faults, "commits");
    REQUIRE(file.load());
    std::uint64_t durable = 0;
    for (std::uint64_t round = 1; round < 10; ++round) {
        const std::uint64_t next = round * 100;
        for (std::uint64_t i = 0; i < 3; ++i) {
            commits.write(file, next + i);
            if (durable > 0) {
                CHECK(commits.positions().count(durable) == 1);
            }
        }
        bool is_first = true;
        commits.faults.observe([&](std::string_view name, const std::string& /*path*/) {
            if (name == "fdatasync" && std::exchange(is_first, false)) {
                for (std::uint64_t i = 3; i < 6; ++i) {
                    commits.write(file, next + i);
                    CHECK(commits.positions().count(next + 2) == 1);
                    CHECK((durable == 0 || commits.positions().count(durable) == 1));
                }
            }
        });
        REQUIRE(file.sync());
        commits.faults.observe({});
        CHECK_FALSE(is_first);
        durable = next + 2;
    }
}

TEST_CASE("CommitFile: what was loaded is synced before anything is written over") {
    Commits commits;
    {
        CommitFile file(commits.faults, "commits");
        REQUIRE(file.load());
        commits.write(file, 10);
        REQUIRE(file.sync());
        commits.write(file, 20);
    }
    CommitFile file(commits.faults, "commits");
    REQUIRE(file.load());
    const auto syncs = commits.faults.calls("fdatasync");
    commits.write(file, 30);
    CHECK(commits.faults.calls("fdatasync") == syncs + 1);
    CHECK(commits.positions().count(20) == 1);
    commits.write(file, 40);
    CHECK(commits.faults.calls("fdatasync") == syncs + 1);
    CHECK(commits.positions().count(20) == 1);
}

TEST_CASE("CommitFile: after a sync that failed it takes no more, after a full disk it does") {
    Commits commits;
    CommitFile file(commits.faults, "commits");
    REQUIRE(file.load());
    CommitSlot slot = commits.write(file, 10);
    commits.faults.set({"pwrite", "", 1, false, ENOSPC});
    CHECK_FALSE(file.write(slot));
    commits.faults.clear();
    CHECK(file.write(slot));
    commits.faults.set({"fdatasync", "", 1, false, EIO});
    CHECK_FALSE(file.sync());
    commits.faults.clear();
    CHECK_FALSE(file.write(slot));
    CHECK_FALSE(file.sync());
    REQUIRE(file.load());
    CHECK(file.write(slot));
}

}  // namespace topicfs::test
