// A store at work under a FileSystem that misbehaves, and a ledger of what it has promised.
//
// Used by the tests of faults: they do things by a StoreRun, let the fault happen, open the store again, and check()
// that each partition holds what was promised, and else a prefix of what was given to it.
#pragma once

#include "base/clock.h"
#include "io/file_system.h"
#include "store/local_store.h"
#include "support/random_content.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace topicfs::test {

// What must have outlived what happened.
enum class Survives {
    kAcknowledged,  // a process died: appends that have returned
    kSynced,        // power was cut: what was synced
};

// Of one partition.
struct Ledger {
    std::string written;  // what appends have said to be stored
    std::string maybe;    // of the last append, where it failed
    std::uint64_t synced_bytes = 0;
    bool failed = false;  // a sync failed: appends must be refused until it is opened again
};

class StoreRun {
public:
    // `clock` must outlive it.
    StoreRun(std::shared_ptr<FileSystem> fs, ManualClock& clock, std::string boot_id);
    ~StoreRun();
    // The same ledgers, without the store.
    StoreRun(const StoreRun& other);

    // The other file system from now on, the ledgers stay. The store is gone before.
    void move_to(std::shared_ptr<FileSystem> fs, std::string boot_id);

    // In order to see errors at the calls the following return them; the ledgers are kept in any case.
    Result<void> open();
    Result<void> close();
    // The process dies: nothing more is written. The file system must fail every call by now.
    void die();

    Result<void> create_topic(const std::string& topic);
    Result<void> add_partition(const std::string& topic);
    Result<void> set(const std::string& topic, const std::string& key, const std::string& value);
    Result<void> append(const std::string& topic, std::uint32_t number, const std::string& bytes);
    Result<void> sync(const std::string& topic, std::uint32_t number);
    Result<void> maintain(bool seal_all);
    // Seals all of a partition without a checkpoint.
    Result<void> seal(const std::string& topic, std::uint32_t number);

    bool has_topic(const std::string& topic) const { return topics_.contains(topic); }
    std::uint32_t partition_count(const std::string& topic) const { return topics_.at(topic); }
    LocalStore& store() { return *store_; }
    bool is_open() const { return store_ != nullptr; }
    Result<std::shared_ptr<Partition>> partition(const std::string& topic, std::uint32_t number) const;

    // Of the store that was just opened: every promise kept. The ledgers then say what is there. Uses Catch's REQUIRE.
    void check(Survives survives);
    // As `topicfs verify` sees it: no damage.
    void verify() const;

private:
    using Key = std::pair<std::string, std::uint32_t>;
    void check_partition(Partition& partition, Ledger& ledger, Survives survives, const Key& key);

    std::shared_ptr<FileSystem> fs_;
    ManualClock& clock_;
    std::string boot_id_;
    std::unique_ptr<LocalStore> store_;
    std::map<std::string, std::uint32_t> topics_;  // and how many partitions were made, durably
    std::map<Key, Ledger> ledgers_;
};

// Bytes of a partition from its start to its end; an error where any of them cannot be read.
Result<std::string> read_all(Partition& partition);

// Does something at random to a store: appends of all sizes, some with NULs, syncs, seals, checkpoints, changed
// settings, ends and starts. The first error comes back.
Result<void> do_something(StoreRun& run, ManualClock& clock, Random& random);
// Makes the topics that do_something() works on.
Result<void> make_topics(StoreRun& run);

// Everything that a store does, in a fixed order; goes on after an error. True where there was none.
bool run_scenario(StoreRun& run, ManualClock& clock);

}  // namespace topicfs::test
