// A Store in memory, for tests of what sits on one. Nothing is compressed, nothing is durable.
//
// `before` is called at the begin of every engine call that can fail, with the call's name; an Error it returns is what
// the call returns, and what it throws comes out of the call. It may also wait, to hold the call there.
#pragma once

#include <topicfs/store.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "edge/fake_group.h"

namespace topicfs::test {

class FakeHook {
public:
    using Before = std::function<Result<void>(std::string_view call)>;
    void set(Before before);
    Result<void> operator()(std::string_view call) const;

private:
    mutable std::mutex mutex_;
    Before before_;
};

// What the parts of a FakeStore share.
struct FakeContext {
    FakeHook before;
    std::atomic<std::uint64_t> next_topic_id = 1;
    std::atomic<int> syncs = 0;
    std::atomic<bool> lends = false;              // append_file() gives a file, else EINVAL
    std::atomic<bool> lent_is_usable = true;      // what AppendFile::usable() says
    std::atomic<int> lent = 0;                    // append_file()s that are there
    std::atomic<bool> bytes_are_records = false;  // records_end() knows the end; else the fake counts no records
};

class FakePartition final : public Partition {
public:
    FakePartition(std::shared_ptr<FakeContext> context, std::uint32_t number, const Attributes& attributes);

    std::uint32_t number() const override { return number_; }
    Result<std::size_t> append(std::span<const std::byte> bytes) override;
    Result<std::size_t> append_at(Position expected, std::span<const std::byte> bytes) override;
    Result<void> sync() override;
    Position start() const override;
    // As if each byte were a record.
    Offset start_offset() const override { return Offset{start().value}; }
    Result<Position> end() const override;
    Result<Found> records_end() override;
    Result<std::size_t> read(Position from, std::span<std::byte> into) override;
    Result<Found> find_offset(Offset offset) override;
    Result<Found> find_position(Position position) override;
    Result<Found> find_time(TimestampMs time) override;
    Result<void> trim(const Found& start) override;
    Result<TimeBound> bound_of(TimestampMs time) override;
    Result<TimestampMs> time_of(Position position) override;
    Result<Settled> settle(std::optional<TimestampMs> time, Haste haste) override;
    Result<TimeSteps> time_steps(Position from, Position to) override;
    Result<PartitionStatus> status() override;
    Result<ByteView> view(Position from, std::size_t bytes_max) override;
    Result<std::shared_ptr<AppendFile>> append_file() override;
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;
    bool is_removed() const override { return removed_; }
    // As when its topic is removed, and brought back.
    void remove();
    void bring_back() { removed_ = false; }
    Result<std::shared_ptr<const void>> open_for_append() override;
    int appenders() const { return *appenders_; }
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    std::uint64_t disk_bytes() const override { return 1000; }

    // Waits until somebody waits for growth, or nobody does any more; false after the test's patience.
    bool await_waiters(bool some);

    // As retention does. Bytes below can not be read any more.
    void move_start(Position start);

private:
    const std::shared_ptr<FakeContext> context_;
    const std::uint32_t number_;
    mutable std::mutex mutex_;
    Position start_;
    std::atomic<bool> removed_{false};
    const std::shared_ptr<std::atomic<int>> appenders_ = std::make_shared<std::atomic<int>>(0);
    void tell_waiters();

    std::vector<std::byte> bytes_;
    Attributes attributes_;
    std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
    std::condition_variable waiters_changed_;
};

class FakeTopic final : public Topic {
public:
    FakeTopic(std::shared_ptr<FakeContext> context, std::string name, const Attributes& attributes,
              const TopicSettings& settings);

    std::string name() const override;
    std::optional<Removal> removal() const override;
    std::uint64_t id() const override { return id_; }
    std::uint32_t partition_count() const override;
    Result<std::shared_ptr<Partition>> partition(std::uint32_t number) const override;
    Result<std::shared_ptr<Partition>> add_partition(std::uint32_t number, const Attributes& attributes) override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    TopicSettings settings() const override;
    Result<void> set(std::string_view key, std::string_view value) override;
    Result<void> check(std::string_view key, std::string_view value) const override;
    Result<std::string> status_json() override;
    // None: kNotPermitted.
    Result<std::shared_ptr<TopicWriter>> open_writer() override;

    // Those of add_group(). Making one: kNotPermitted.
    std::vector<std::string> group_names() const override;
    Result<std::shared_ptr<Group>> group(std::string_view name) const override;
    Result<std::shared_ptr<Group>> create_group(std::string_view name, const Attributes& attributes) override;
    // kBusy while it has a reader.
    Result<void> remove_group(std::string_view name) override;
    std::shared_ptr<FakeGroup> add_group(std::string_view name);

    std::shared_ptr<FakePartition> fake_partition(std::uint32_t number) const;
    bool has_records() const;
    // Moves it to the trash, or back.
    void move(std::string name, std::optional<Removal> removal);
    bool has_writers() const;

private:
    const std::shared_ptr<FakeContext> context_;
    const std::uint64_t id_;
    mutable std::mutex mutex_;
    std::string name_;
    std::optional<Removal> removal_;
    Attributes attributes_;
    TopicSettings settings_;
    std::vector<std::shared_ptr<FakePartition>> partitions_;
    std::map<std::string, std::shared_ptr<FakeGroup>, std::less<>> groups_;
};

class FakeStore final : public Store {
public:
    FakeStore();

    std::vector<std::string> topic_names() const override;
    Result<std::shared_ptr<Topic>> topic(std::string_view name) const override;
    using Store::create_topic;
    Result<std::shared_ptr<Topic>> create_topic(std::string_view name, const Attributes& attributes,
                                                const TopicSettings& settings) override;
    Result<void> remove_topic(std::string_view name) override;
    std::vector<std::string> trash_names() const override;
    Result<std::shared_ptr<Topic>> trashed_topic(std::string_view name) const override;
    Result<void> delete_topic(std::string_view name, std::string_view trash_name) override;
    Result<void> undelete_topic(std::string_view trash_name, std::string_view name) override;
    Result<void> purge_topic(std::string_view trash_name) override;
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    TopicSettings default_settings() const override;
    Result<void> set_default(std::string_view key, std::string_view value) override;
    Result<std::string> store_setting(std::string_view key) const override;
    Result<void> set_store_setting(std::string_view key, std::string_view value) override;
    using Store::status_json;
    Result<std::string> status_json(std::span<const StatusFact> facts) override;
    Result<std::string> metrics_text() override;
    Result<void> close() override { return {}; }

    // Throws where there is none: a mistake of the test.
    std::shared_ptr<FakeTopic> fake_topic(std::string_view name) const;
    FakeContext& context() { return *context_; }

private:
    const std::shared_ptr<FakeContext> context_ = std::make_shared<FakeContext>();
    mutable std::mutex mutex_;
    Attributes attributes_;
    TopicSettings settings_;
    StoreSettings store_settings_;
    using Topics = std::map<std::string, std::shared_ptr<FakeTopic>, std::less<>>;
    static Result<std::shared_ptr<FakeTopic>> find(const Topics& topics, std::string_view name);
    Topics topics_;
    Topics trash_;
};

}  // namespace topicfs::test
