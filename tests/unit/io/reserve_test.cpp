#include "io/reserve.h"

#include "io/file_system.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/power_cut_file_system.h"
#include "support/random_content.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <cerrno>
#include <filesystem>
#include <string>

namespace topicfs {
namespace {

class Fixture {
public:
    Fixture() : real_(std::move(open_file_system(directory_.string()).value())), fs_(*real_) {}
    test::FaultFileSystem& fs() { return fs_; }
    std::filesystem::path path(const char* name) const { return directory_ / name; }
    // Nothing new finds room from now on; what is there can be written over.
    void fill_the_disk(int system_errno = ENOSPC) {
        fs_.set({.call = "pwrite", .path_part = kTemporarySuffix, .for_good = true, .system_errno = system_errno});
    }
    std::uint64_t spare_bytes(const char* name) const { return std::filesystem::file_size(path(name)); }

private:
    test::TemporaryDirectory directory_;
    std::unique_ptr<FileSystem> real_;
    test::FaultFileSystem fs_;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "replace_book: on a full disk as often as need be, once the file and the reserve are there") {
    fs().reserve().open(fs(), "reserve");
    REQUIRE(replace_book(fs(), "settings", "first"));
    const int full = GENERATE(ENOSPC, EDQUOT);
    fill_the_disk(full);
    for (int i = 0; i < 100; ++i) {
        const std::string content = std::to_string(i) + std::string(static_cast<std::size_t>(i) * 40, 'x');
        REQUIRE(replace_book(fs(), "settings", content));
        REQUIRE(test::read_file(path("settings")) == content);
        REQUIRE_FALSE(std::filesystem::exists(path("settings.tmp")));
    }
}

TEST_CASE_METHOD(Fixture, "replace_book: a new file, or one without a reserve, is refused on a full disk") {
    fill_the_disk();
    REQUIRE(is_errno(replace_book(fs(), "settings", "text").error(), ENOSPC));
    fs().clear();
    REQUIRE(replace_book(fs(), "settings", "old"));
    fill_the_disk();
    REQUIRE(is_errno(replace_book(fs(), "settings", "new").error(), ENOSPC));
    REQUIRE(test::read_file(path("settings")) == "old");
    fs().reserve().open(fs(), "reserve");
    REQUIRE(is_errno(replace_book(fs(), "other", "text").error(), ENOSPC));
    REQUIRE_FALSE(std::filesystem::exists(path("other")));
    REQUIRE(replace_book(fs(), "settings", "new"));
    REQUIRE(test::read_file(path("settings")) == "new");
}

TEST_CASE_METHOD(Fixture, "Reserve: holds twice what was replaced, and is made up when there is room again") {
    fs().reserve().open(fs(), "reserve");
    REQUIRE(spare_bytes("reserve/0") == 8192);
    REQUIRE(spare_bytes("reserve/1") == 8192);
    REQUIRE(replace_book(fs(), "settings", std::string(9000, 's')));
    fs().reserve().refill();
    REQUIRE(spare_bytes("reserve/0") == 24576);
    REQUIRE(replace_book(fs(), "settings", "small"));
    fill_the_disk();
    REQUIRE(replace_book(fs(), "settings", std::string(20000, 's')));
    REQUIRE(replace_book(fs(), "settings", std::string(20000, 't')));
    // Each of the two has gone into a file that is smaller or as large.
    REQUIRE(is_errno(replace_book(fs(), "settings", std::string(24577, 'u')).error(), ENOSPC));
    REQUIRE(test::read_file(path("settings")) == std::string(20000, 't'));
    fs().clear();
    fs().reserve().refill();
    REQUIRE(spare_bytes("reserve/0") >= 49152);
    REQUIRE(spare_bytes("reserve/1") >= 49152);
}

TEST_CASE_METHOD(Fixture, "Reserve: costs no call while nothing is missing") {
    fs().reserve().open(fs(), "reserve");
    const std::uint64_t before = fs().all_calls();
    fs().reserve().refill();
    REQUIRE(fs().all_calls() == before);
}

TEST_CASE_METHOD(Fixture, "Reserve: each call that fails leaves the old content or the new") {
    fs().reserve().open(fs(), "reserve");
    REQUIRE(replace_book(fs(), "settings", "0"));
    std::string content = "0";
    for (const std::string call : {"open", "pwrite", "truncate", "fsync", "close", "exchange", "info"}) {
        for (std::uint64_t number = 1;; ++number) {
            REQUIRE(number < 20);
            const std::string next = call + std::to_string(number);
            fs().set({.call = call, .number = number});
            const auto replaced = fs().reserve().replace(fs(), "settings", next);
            const bool has_failed = fs().has_failed();
            fs().clear();
            const std::string there = test::read_file(path("settings"));
            INFO(call << " " << number);
            REQUIRE((there == next || (!replaced && there == content)));
            content = there;
            if (!has_failed) {
                break;
            }
        }
    }
}

TEST_CASE("Reserve: a power cut leaves the old content or the new, and what was acknowledged") {
    test::Random random;
    INFO("seed " << random.seed());
    for (std::uint64_t cut = 1;; ++cut) {
        REQUIRE(cut < 100);
        const test::TemporaryDirectory before;
        const test::TemporaryDirectory after;
        std::string acknowledged = "first";
        bool is_cut = false;
        {
            test::PowerCutFileSystem fs(before.path());
            fs.reserve().open(fs, "reserve");
            REQUIRE(replace_book(fs, "settings", acknowledged));
            REQUIRE(sync_directory(fs, ""));
            fs.freeze_before(fs.changes() + cut);
            for (int i = 0; i < 4; ++i) {
                const std::string next = "content " + std::to_string(i);
                if (fs.reserve().replace(fs, "settings", next)) {
                    acknowledged = next;
                }
            }
            is_cut = fs.is_frozen();
            fs.freeze();
            fs.materialize(after.path(), random);
        }
        const std::string left = test::read_file(after / "settings");
        INFO("cut " << cut << ", acknowledged '" << acknowledged << "', left '" << left << "'");
        const bool is_next =
            !left.empty() && (acknowledged == "first" ? left == "content 0" : left.back() == acknowledged.back() + 1);
        REQUIRE((left == acknowledged || (is_cut && is_next)));
        if (!is_cut) {
            break;
        }
    }
}

}  // namespace topicfs
