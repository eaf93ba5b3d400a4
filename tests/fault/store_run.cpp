#include "fault/store_run.h"

#include "base/log.h"
#include "store/verify.h"
#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/only_damage.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <utility>

namespace topicfs::test {
namespace {

constexpr std::size_t kReadBytes = 50'000;  // no multiple of any block

std::uint64_t count_delimiters(const std::string& bytes, std::optional<std::uint8_t> delimiter) {
    if (!delimiter) {
        return bytes.size();
    }
    return static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), static_cast<char>(*delimiter)));
}

}  // namespace

Result<std::string> read_all(Partition& partition) {
    std::string all;
    std::vector<std::byte> window(kReadBytes);
    const Position start = partition.start();
    for (;;) {
        TOPICFS_TRY_ASSIGN(const std::size_t have, partition.read(start + all.size(), window));
        if (have == 0) {
            return all;
        }
        all += to_text(std::span(window).first(have));
    }
}

StoreRun::StoreRun(std::shared_ptr<FileSystem> fs, ManualClock& clock, std::string boot_id)
    : fs_(std::move(fs)), clock_(clock), boot_id_(std::move(boot_id)) {}

StoreRun::~StoreRun() = default;

StoreRun::StoreRun(const StoreRun& other)
    : fs_(other.fs_),
      clock_(other.clock_),
      boot_id_(other.boot_id_),
      topics_(other.topics_),
      ledgers_(other.ledgers_) {}

void StoreRun::move_to(std::shared_ptr<FileSystem> fs, std::string boot_id) {
    store_.reset();
    fs_ = std::move(fs);
    boot_id_ = std::move(boot_id);
}

Result<void> StoreRun::open() {
    store_.reset();
    StoreEnvironment environment;
    environment.fs = std::make_unique<FaultFileSystem>(*fs_);  // forwards: the store wants one of its own
    environment.clock = &clock_;
    environment.boot_id = boot_id_;
    environment.directory = "store";
    StoreOptions options;
    options.maintenance = false;
    TOPICFS_TRY_ASSIGN(store_, LocalStore::open(std::move(environment), options));
    for (auto& [key, ledger] : ledgers_) {
        ledger.failed = false;
    }
    return {};
}

Result<void> StoreRun::close() {
    auto closed = store_->close();
    store_.reset();
    return closed;
}

void StoreRun::die() {
    store_.reset();
}

Result<std::shared_ptr<Partition>> StoreRun::partition(const std::string& topic, std::uint32_t number) const {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Topic> found, store_->topic(topic));
    return found->partition(number);
}

Result<void> StoreRun::create_topic(const std::string& topic) {
    TOPICFS_TRY(static_cast<Store&>(*store_).create_topic(topic));
    topics_[topic] = 1;
    ledgers_[{topic, 0}];
    return {};
}

Result<void> StoreRun::add_partition(const std::string& topic) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Topic> found, store_->topic(topic));
    const std::uint32_t number = found->partition_count();
    TOPICFS_TRY(found->add_partition(number, Attributes{}));
    topics_[topic] = number + 1;
    ledgers_[{topic, number}];
    return {};
}

Result<void> StoreRun::set(const std::string& topic, const std::string& key, const std::string& value) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Topic> found, store_->topic(topic));
    return found->set(key, value);
}

Result<void> StoreRun::append(const std::string& topic, std::uint32_t number, const std::string& bytes) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Topic> owner, store_->topic(topic));
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Partition> found, owner->partition(number));
    Ledger& ledger = ledgers_[{topic, number}];
    if (!ledger.maybe.empty() && !ledger.failed) {
        // What an append before it left, though it failed, is what this one comes behind.
        TOPICFS_TRY_ASSIGN(const Position log_end, found->end());
        REQUIRE(log_end.value >= ledger.written.size());
        ledger.written += ledger.maybe.substr(0, log_end.value - ledger.written.size());
        REQUIRE(log_end.value == ledger.written.size());
        ledger.maybe.clear();
    }
    const auto stored = found->append(to_bytes(bytes));
    if (ledger.failed) {
        REQUIRE_FALSE(stored.has_value());
        REQUIRE(stored.error().code == ErrorCode::kReadOnly);
    }
    if (!stored) {
        // Where it was refused outright, what an earlier one may have left counts.
        if (stored.error().code != ErrorCode::kReadOnly) {
            ledger.maybe = bytes;
        }
        const auto status = found->status();
        ledger.failed = ledger.failed || (status && !status->failed.empty());
        return stored.error();
    }
    REQUIRE(*stored <= bytes.size());
    ledger.written += bytes.substr(0, *stored);
    ledger.maybe.clear();
    if (owner->settings().flush_messages == 1) {
        ledger.synced_bytes = ledger.written.size();
    }
    return *stored == bytes.size() ? Result<void>{} : system_error(ENOSPC, "append", topic);
}

Result<void> StoreRun::sync(const std::string& topic, std::uint32_t number) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Partition> found, partition(topic, number));
    Ledger& ledger = ledgers_[{topic, number}];
    auto synced = found->sync();
    if (ledger.failed) {
        REQUIRE_FALSE(synced.has_value());
    }
    if (synced) {
        ledger.synced_bytes = ledger.written.size();
    }
    return synced;
}

Result<void> StoreRun::maintain(bool seal_all) {
    return store_->maintain(seal_all);
}

Result<void> StoreRun::seal(const std::string& topic, std::uint32_t number) {
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<Partition> found, partition(topic, number));
    BatchBuilder builder;
    TOPICFS_TRY(dynamic_cast<StoredPartition&>(*found).log()->seal_due(builder, true));
    return {};
}

void StoreRun::check(Survives survives) {
    for (const auto& [topic, count] : topics_) {
        INFO("topic " << topic);
        const auto found = store_->topic(topic);
        REQUIRE(found.has_value());
        REQUIRE((*found)->partition_count() >= count);
        for (std::uint32_t number = 0; number < (*found)->partition_count(); ++number) {
            const auto partition = (*found)->partition(number);
            REQUIRE(partition.has_value());
            check_partition(**partition, ledgers_[{topic, number}], survives, {topic, number});
        }
    }
    for (const std::string& name : store_->topic_names()) {
        if (!topics_.contains(name)) {  // its making had not been answered
            topics_[name] = 1;
            ledgers_[{name, 0}];
        }
    }
}

void StoreRun::check_partition(Partition& partition, Ledger& ledger, Survives survives, const Key& key) {
    INFO("partition " << key.second);
    const std::string given = ledger.written + ledger.maybe;
    const auto log_end = partition.end();
    REQUIRE(log_end.has_value());
    const auto content = read_all(partition);
    INFO((content ? std::string() : content.error().message()));
    REQUIRE(content.has_value());
    REQUIRE(partition.start() == Position{0});
    REQUIRE(content->size() == log_end->value);
    REQUIRE(content->size() >= (survives == Survives::kSynced ? ledger.synced_bytes : ledger.written.size()));
    REQUIRE(content->size() <= given.size());
    const auto differs = std::mismatch(content->begin(), content->end(), given.begin());
    INFO("first wrong byte at " << differs.first - content->begin() << " of " << content->size() << ", given "
                                << given.size() << ", synced " << ledger.synced_bytes);
    REQUIRE((differs.first == content->end()));

    const auto status = partition.status();
    REQUIRE(status.has_value());
    REQUIRE(status->damaged.empty());
    REQUIRE(status->failed.empty());
    REQUIRE(status->sealed_end <= status->end);
    const auto settings = (*store_->topic(key.first))->settings();
    REQUIRE(status->end_offset.value == count_delimiters(*content, settings.record_delimiter));
    const auto found = partition.find_offset(Offset{status->end_offset.value / 2});
    INFO((found ? std::string() : found.error().message()));
    REQUIRE(found.has_value());
    REQUIRE(count_delimiters(content->substr(0, found->position.value), settings.record_delimiter) ==
            found->offset.value);
    REQUIRE(partition.find_time(clock_.now() + 1'000'000).has_value());

    ledger.written = *content;
    ledger.maybe.clear();
    if (survives == Survives::kSynced) {
        ledger.synced_bytes = content->size();  // What is kept after a power cut is made durable before it is shown.
    }
}

void StoreRun::verify() const {
    OnlyDamage seen;
    const auto verified = verify_store(*fs_, seen);
    INFO((verified ? std::string() : verified.error().message()));
    REQUIRE(verified.has_value());
    REQUIRE_THAT(seen.text, Catch::Equals(""));
}

}  // namespace topicfs::test
