// Readers of all that come, read, commit, close and die at random, over partitions that grow and are sealed, against a
// model of what each partition must give: every record at least once, in order between rebalances, and never again
// once its reader has come back behind it.
#include "unit/store/group_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

namespace topicfs::test {
namespace {

constexpr std::uint32_t kParts = 16;

struct Member {
    Reading reading;
    std::map<std::uint32_t, std::uint64_t> next;  // record that must come next, since it has the partition in one go
    std::string piece;                            // of a record that was not given whole
    std::vector<std::pair<std::uint32_t, std::uint64_t>> in_hand;
};

class Pool {
public:
    explicit Pool(unsigned seed) : random_(seed) {
        REQUIRE(groups_.topic->set("num.partitions", std::to_string(kParts)));
        REQUIRE(groups_.topic->set("compression.type", "none"));
        appended_.resize(kParts);
        done_.resize(kParts);
        given_.resize(kParts);
    }

    void run(int steps) {
        for (int step = 0; step < steps; ++step) {
            switch (random_() % 24) {
                case 0:
                    if (members_.size() < 20) {
                        members_.push_back({groups_.open_reader(), {}, {}, {}});
                    }
                    break;
                case 1:
                    leave();
                    break;
                case 2:
                    if (random_() % 4 == 0) {
                        groups_.seal();
                    }
                    break;
                case 3:
                    if (random_() % 8 == 0) {
                        die();
                    }
                    break;
                case 4:
                case 5:
                case 6:
                case 7:
                    append();
                    break;
                default:
                    fetch();
            }
        }
        drain();
    }

private:
    static std::string record(std::uint32_t partition, std::uint64_t number) {
        std::string text = std::to_string(partition) + ":" + std::to_string(number) + ":";
        text += std::string(number % 7 == 0 ? 90 : number % 13, 'x');
        return text + "\n";
    }

    void append() {
        const auto partition = static_cast<std::uint32_t>(random_() % kParts);
        std::string lines;
        for (auto count = 1 + random_() % 5; count > 0; --count) {
            lines += record(partition, appended_[partition]++);
        }
        groups_.append(partition, lines);
    }

    void take(Member& member, std::uint32_t partition, std::uint64_t number) {
        INFO("partition " << partition << " record " << number);
        // Never again once it was come back for; in order while the reader has the partition.
        REQUIRE(number >= done_[partition]);
        const auto expected = member.next.find(partition);
        if (expected != member.next.end() && expected->second != number) {
            // It had lost the partition meanwhile, and goes on at the commit.
            REQUIRE(number == done_[partition]);
        }
        if (expected == member.next.end()) {
            REQUIRE(number == done_[partition]);
        }
        member.next[partition] = number + 1;
        given_[partition] = std::max(given_[partition], number + 1);
        member.in_hand.emplace_back(partition, number);
    }

    void fetch(Member& member) {
        const std::size_t bytes = random_() % 3 == 0 ? 1 + random_() % 40 : 200 + random_() % 2000;
        auto got = member.reading.try_read(bytes);
        INFO((got ? std::string() : got.error().message()));
        REQUIRE(got);
        // It has come back for all that it was given before.
        for (const auto& [partition, number] : member.in_hand) {
            done_[partition] = std::max(done_[partition], number + 1);
        }
        member.in_hand.clear();
        std::string text = member.piece + *got;
        std::size_t at = 0;
        for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
            const std::string line = text.substr(at, end + 1 - at);
            const auto partition = static_cast<std::uint32_t>(std::stoul(line));
            const std::uint64_t number = std::stoull(line.substr(line.find(':') + 1));
            REQUIRE(line == record(partition, number));
            take(member, partition, number);
            at = end + 1;
        }
        member.piece = text.substr(at);
        // Nobody else has got them, so the counts agree.
        for (const auto& [partition, number] : member.in_hand) {
            REQUIRE(groups_.committed(partition) == done_[partition]);
        }
    }

    void fetch() {
        if (!members_.empty()) {
            fetch(members_[random_() % members_.size()]);
        }
    }

    void leave() {
        if (members_.empty()) {
            return;
        }
        const auto which = static_cast<std::ptrdiff_t>(random_() % members_.size());
        if (random_() % 2 == 0) {
            members_[static_cast<std::size_t>(which)].reading.close();
        }
        members_.erase(members_.begin() + which);
    }

    // The daemon, with all readers.
    void die() {
        groups_.fixture.die();
        members_.clear();
        groups_.open();
    }

    void drain() {
        if (members_.empty()) {
            members_.push_back({groups_.open_reader(), {}, {}, {}});
        }
        for (int quiet = 0; quiet < 3; ++quiet) {
            for (Member& member : members_) {
                const std::uint64_t before = member.reading.at;
                fetch(member);
                quiet = member.reading.at != before ? -1 : quiet;
            }
        }
        for (std::uint32_t partition = 0; partition < kParts; ++partition) {
            INFO("partition " << partition);
            CHECK(given_[partition] == appended_[partition]);
            CHECK(groups_.committed(partition) == appended_[partition]);
        }
        // Even, and each partition has one.
        const auto status = groups_.group()->status();
        REQUIRE(status);
        CHECK(std::all_of(status->begin(), status->end(), [](const auto& part) { return part.has_reader; }));
    }

    Groups groups_;
    std::mt19937 random_;
    std::vector<Member> members_;
    std::vector<std::uint64_t> appended_;
    std::vector<std::uint64_t> done_;  // all before were come back for
    std::vector<std::uint64_t> given_;
};

}  // namespace

TEST_CASE("Group: readers that come and go at random get all records, in order, and none that is done") {
    const char* const given = std::getenv("TOPICFS_GROUP_ROUNDS");
    const int rounds = given != nullptr ? std::atoi(given) : 6;
    for (int round = 0; round < rounds; ++round) {
        const unsigned seed = static_cast<unsigned>(round) + 1;
        INFO("seed " << seed);
        Pool(seed).run(1500);
    }
}

TEST_CASE("Group: sixteen partitions and any number of readers: shares differ by one at most once all have come back") {
    Groups groups;
    REQUIRE(groups.topic->set("num.partitions", std::to_string(kParts)));
    std::vector<Reading> readers;
    const auto shares = [&] {
        // Each reader is given one record of each partition that it has.
        std::vector<std::size_t> counts;
        for (std::uint32_t partition = 0; partition < kParts; ++partition) {
            groups.append(partition, "x\n");
        }
        for (Reading& reader : readers) {
            std::size_t count = 0;
            while (!reader.read(2).empty()) {
                ++count;
            }
            counts.push_back(count);
        }
        std::sort(counts.begin(), counts.end());
        return counts;
    };
    for (std::size_t count = 1; count <= 20; ++count) {
        readers.push_back(groups.open_reader());
        const auto counts = shares();
        INFO(count << " readers");
        CHECK(counts.front() == kParts / count);
        CHECK(counts.back() == (kParts + count - 1) / count);
    }
    std::mt19937 random(5);
    while (readers.size() > 1) {
        readers.erase(readers.begin() + static_cast<std::ptrdiff_t>(random() % readers.size()));
        const auto counts = shares();
        INFO(readers.size() << " readers");
        CHECK(counts.front() == kParts / readers.size());
        CHECK(counts.back() == (kParts + readers.size() - 1) / readers.size());
    }
}

}  // namespace topicfs::test
