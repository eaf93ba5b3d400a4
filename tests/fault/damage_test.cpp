// Files of a store that are not as they were written: every bit flipped, cut at every byte, with zeros, garbage or old
// data behind.
//
// Whatever was done to them: the store opens or says why not, what is read is right or an error, never wrong, and what
// is good around the damage is still read.
#include "fault/store_run.h"
#include "log/segment_scan.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>

namespace topicfs::test {
namespace {

namespace fs = std::filesystem;

const std::string kPartition = "topics/lines/0/";
const std::string kSegment = kPartition + "00000000000000000000.log.lz4";
const std::string kIndex = kPartition + "00000000000000000000.index";
const std::string kHead = kPartition + "00000000000000000000.head";
const std::string kTimes = kPartition + "00000000000000000000.times";
const std::string kRecovery = kPartition + "recovery";

// A store with one partition: some batches in one segment, and a rest in head.
struct Sample {
    TemporaryDirectory root;
    ManualClock clock{TimestampMs{1'000'000}};
    std::string content;
    std::uint64_t sealed_bytes = 0;
    std::map<std::string, std::string> files;

    Sample() {
        Random random(11);
        auto opened = open_file_system(root.string());
        REQUIRE(opened.has_value());
        StoreRun run(std::move(opened).value(), clock, "boot 1");
        REQUIRE(run.open().has_value());
        REQUIRE(run.create_topic("lines").has_value());
        for (int batch = 0; batch < 9; ++batch) {
            // Half of it is not compressible, so that the segment is about 64 KiB.
            const std::string bytes = to_text(random.bytes(6000)) + to_text(random.log_lines(4000));
            content += bytes;
            REQUIRE(run.append("lines", 0, bytes).has_value());
            clock.advance(20);
            REQUIRE(run.maintain(true).has_value());
        }
        sealed_bytes = content.size();
        REQUIRE(run.close().has_value());
        // The rest stays in head: the process dies.
        auto again = open_file_system(root.string());
        REQUIRE(again.has_value());
        const std::shared_ptr<FileSystem> inner = std::move(again).value();
        const auto faults = std::make_shared<FaultFileSystem>(*inner);
        StoreRun last(faults, clock, "boot 1");
        REQUIRE(last.open().has_value());
        const std::string rest = to_text(random.log_lines(3000));
        content += rest;
        auto found = last.partition("lines", 0);
        REQUIRE(found.has_value());
        REQUIRE((*found)->append(to_bytes(rest)).has_value());
        Fault all;
        all.for_good = true;
        faults->set(all);
        found = Error{};
        last.die();
        for (const auto& entry : fs::recursive_directory_iterator(root.path())) {
            if (entry.is_regular_file()) {
                const std::string name = entry.path().lexically_relative(root.path()).string();
                files[name] = read_file(entry.path());
            }
        }
    }

    // As it was; head without its holes, which no test here minds.
    void restore() const {
        fs::remove_all(root / "topics/lines/0");
        fs::create_directory(root / "topics/lines/0");
        for (const auto& [name, bytes] : files) {
            write_file(root / name, bytes);
        }
    }
    void put(const std::string& name, const std::string& bytes) const { write_file(root / name, bytes); }
};

std::string flipped(std::string bytes, std::uint64_t bit) {
    bytes[bit / 8] = static_cast<char>(static_cast<unsigned char>(bytes[bit / 8]) ^ (1u << (bit % 8)));
    return bytes;
}

struct Seen {
    bool opened = false;
    std::uint64_t wrong = 0;     // bytes that are not what was appended
    std::uint64_t unserved = 0;  // bytes that could not be read
    Error error;
};

// Opens the store and reads the partition piece by piece; behind damage it goes on at the next piece.
Seen look(const Sample& sample, const std::string& boot_id) {
    constexpr std::size_t kPieceBytes = 500;
    Seen seen;
    StoreEnvironment environment;
    auto opened = open_file_system(sample.root.string());
    REQUIRE(opened.has_value());
    environment.fs = std::move(opened).value();
    environment.clock = &sample.clock;
    environment.boot_id = boot_id;
    environment.directory = "store";
    StoreOptions options;
    options.maintenance = false;
    options.create = false;
    const auto store = LocalStore::open(std::move(environment), options);
    if (!store) {
        seen.error = store.error();
        return seen;
    }
    const auto topic = (*store)->topic("lines");
    REQUIRE(topic.has_value());
    const auto partition = (*topic)->partition(0);
    REQUIRE(partition.has_value());
    seen.opened = true;
    Bytes window(kPieceBytes);
    std::uint64_t at = 0;
    while (at < sample.content.size()) {
        const std::size_t want = std::min<std::uint64_t>(kPieceBytes, sample.content.size() - at);
        const auto have = (*partition)->read(Position{at}, std::span(window).first(want));
        if (!have || *have == 0) {
            if (!have) {
                REQUIRE((have.error().code == ErrorCode::kDamaged || have.error().code == ErrorCode::kNotFound));
            }
            seen.unserved += want;
            at += want;
            continue;
        }
        for (std::size_t i = 0; i < *have; ++i) {
            seen.wrong += static_cast<char>(window[i]) != sample.content[at + i] ? 1u : 0u;
        }
        at += *have;
    }
    (void)(*partition)->find_offset(Offset{3}).has_value();
    (void)(*partition)->find_time(TimestampMs{1'000'050}).has_value();
    (void)(*partition)->status().has_value();
    return seen;
}

// Where batches begin and end in the segment.
std::vector<std::uint64_t> batch_bounds(const Sample& sample) {
    auto opened = open_file_system(sample.root.string());
    REQUIRE(opened.has_value());
    const auto file = (*opened)->open(kSegment, 0);
    REQUIRE(file.has_value());
    std::vector<std::uint64_t> bounds;
    SegmentScanOptions options;
    const auto scan = scan_segment(**opened, *file, options, [&](const ScannedBatch& batch) {
        bounds.push_back(batch.file_offset);
        return true;
    });
    REQUIRE(scan.has_value());
    bounds.push_back(scan->valid_end);
    return bounds;
}

constexpr std::uint64_t kBatchRawBytes = 10'000;

}  // namespace

TEST_CASE("Damage: a flipped bit of a segment loses no more than its batch, and no wrong byte is served") {
    const Sample sample;
    const std::string& segment = sample.files.at(kSegment);
    const std::vector<std::uint64_t> bounds = batch_bounds(sample);
    REQUIRE(bounds.size() == 10);
    std::set<std::uint64_t> bits;
    for (std::uint64_t bit = 0; bit < 130 * 8; ++bit) {  // a whole header
        bits.insert(bounds[4] * 8 + bit);
    }
    for (std::uint64_t bit = 0; bit < segment.size() * 8; bit += 997) {
        bits.insert(bit);
    }
    for (const std::uint64_t bit : bits) {
        INFO("bit " << bit);
        sample.restore();
        sample.put(kSegment, flipped(segment, bit));
        const Seen seen = look(sample, "boot 1");
        if (!seen.opened) {
            REQUIRE(seen.error.code == ErrorCode::kNewerFormat);
            continue;
        }
        REQUIRE(seen.wrong == 0);
        REQUIRE(seen.unserved <= kBatchRawBytes);
    }
}

TEST_CASE("Damage: a flipped bit of the index is found, and the index rebuilt") {
    const Sample sample;
    const std::string& index = sample.files.at(kIndex);
    for (std::uint64_t bit = 0; bit < index.size() * 8; ++bit) {
        INFO("bit " << bit);
        sample.put(kIndex, flipped(index, bit));
        const Seen seen = look(sample, "boot 1");
        REQUIRE(seen.opened);
        REQUIRE(seen.wrong == 0);
        REQUIRE(seen.unserved == 0);
        sample.restore();
    }
    for (const std::string& bytes :
         {std::string(), index.substr(0, 40), index.substr(0, 100), std::string(5000, 'x')}) {
        sample.put(kIndex, bytes);
        const Seen seen = look(sample, "boot 1");
        REQUIRE(seen.opened);
        REQUIRE(seen.wrong + seen.unserved == 0);
        sample.restore();
    }
    fs::remove(sample.root / kIndex);
    const Seen seen = look(sample, "boot 1");
    REQUIRE((seen.opened && seen.wrong + seen.unserved == 0));
    REQUIRE(fs::file_size(sample.root / kIndex) >= index.size());
}

TEST_CASE("Damage: a flipped bit of the recovery file, the times or head's header changes no byte") {
    const Sample sample;
    for (const std::string& name : {kRecovery, kTimes, kHead}) {
        const std::string& bytes = sample.files.at(name);
        std::set<std::uint64_t> bits;
        for (std::uint64_t bit = 0; bit < std::min<std::size_t>(bytes.size(), 300) * 8; bit += 3) {
            bits.insert(bit);
        }
        for (std::uint64_t bit = 4096 * 8; name == kRecovery && bit < (4096 + 256) * 8; bit += 3) {
            bits.insert(bit);
        }
        for (const std::uint64_t bit : bits) {
            for (const std::string boot_id : {"boot 1", "boot 2"}) {
                INFO(name << ", bit " << bit << ", " << boot_id);
                sample.restore();
                sample.put(name, flipped(bytes, bit));
                const Seen seen = look(sample, boot_id);
                REQUIRE(seen.opened);
                REQUIRE(seen.wrong == 0);
                REQUIRE(seen.unserved == 0);
            }
        }
    }
}

TEST_CASE("Damage: a flipped bit of the store's text files is found, and no record is lost by it") {
    const Sample sample;
    for (const std::string name : {"store", "state", "topics/lines/topic"}) {
        const std::string& bytes = sample.files.at(name);
        for (std::uint64_t bit = 0; bit < bytes.size() * 8; bit += 2) {
            INFO(name << ", bit " << bit);
            sample.restore();
            sample.put(name, flipped(bytes, bit));
            const Seen seen = look(sample, "boot 1");
            REQUIRE((seen.opened || name == "store" || seen.error.code == ErrorCode::kNewerFormat));
            REQUIRE(seen.wrong == 0);
            REQUIRE(seen.unserved == 0);
        }
        for (const std::string& other : {std::string(), std::string(3, '\0'), std::string(5'000'000, 'x')}) {
            INFO(name << " of " << other.size() << " bytes");
            sample.restore();
            sample.put(name, other);
            const Seen seen = look(sample, "boot 1");
            REQUIRE((seen.opened || name == "store"));
            REQUIRE(seen.wrong + seen.unserved == 0);
        }
    }
}

TEST_CASE("Damage: a segment cut at any byte keeps its whole batches, with head and without") {
    const Sample sample;
    const std::string& segment = sample.files.at(kSegment);
    const std::vector<std::uint64_t> bounds = batch_bounds(sample);
    std::set<std::uint64_t> sizes;
    for (std::uint64_t size = 0; size < segment.size(); size += 331) {
        sizes.insert(size);
    }
    for (const std::uint64_t bound : bounds) {
        for (std::uint64_t near = bound < 20 ? 0 : bound - 20;
             near < std::min<std::uint64_t>(bound + 150, segment.size()); ++near) {
            sizes.insert(near);
        }
    }
    for (const std::uint64_t size : sizes) {
        const auto whole =
            static_cast<std::uint64_t>(std::upper_bound(bounds.begin(), bounds.end(), size) - bounds.begin() - 1);
        for (const bool with_head : {true, false}) {
            INFO("cut to " << size << (with_head ? ", with head" : ", without head"));
            sample.restore();
            sample.put(kSegment, segment.substr(0, size));
            if (!with_head) {
                fs::remove(sample.root / kHead);
            }
            for (int again = 0; again < 2; ++again) {
                const Seen seen = look(sample, "boot 1");
                REQUIRE(seen.opened);
                REQUIRE(seen.wrong == 0);
                // Head was punched, so what is cut off is lost; with head its own bytes are not.
                const std::uint64_t lost = sample.sealed_bytes - whole * kBatchRawBytes;
                const std::uint64_t in_head = sample.content.size() - sample.sealed_bytes;
                REQUIRE(seen.unserved <= lost + (with_head ? 0 : in_head) + 500);
            }
        }
    }
}

TEST_CASE("Damage: zeros, garbage or old data behind any batch are never served") {
    const Sample sample;
    const std::string& segment = sample.files.at(kSegment);
    Random random(5);
    const std::vector<std::uint64_t> bounds = batch_bounds(sample);
    for (std::size_t whole = 0; whole < bounds.size(); ++whole) {
        const std::uint64_t bound = bounds[whole];
        const std::string before = segment.substr(0, bound);
        for (const std::string& behind :
             {std::string(5000, '\0'), to_text(random.bytes(5000)), segment.substr(0, 9000)}) {
            for (const std::string boot_id : {"boot 1", "boot 2"}) {
                INFO("behind " << bound << ", " << boot_id);
                sample.restore();
                sample.put(kSegment, before + behind);
                const Seen seen = look(sample, boot_id);
                REQUIRE(seen.opened);
                REQUIRE(seen.wrong == 0);
                REQUIRE(seen.unserved <= sample.sealed_bytes - whole * kBatchRawBytes);
                const Seen again = look(sample, boot_id);
                REQUIRE((again.wrong == 0 && again.unserved == seen.unserved));
            }
        }
    }
}

}  // namespace topicfs::test
