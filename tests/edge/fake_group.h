// A consumer group in memory: one stream for whoever reads it, of what the test gives. Nothing is shared or kept.
#pragma once

#include <topicfs/group.h>
#include <topicfs/store.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs::test {

struct FakeContext;

class FakeGroup final : public Group, public std::enable_shared_from_this<FakeGroup> {
public:
    FakeGroup(std::shared_ptr<FakeContext> context, std::string name)
        : context_(std::move(context)), name_(std::move(name)) {}

    // More of the stream, for the readers there are.
    void give(std::string_view text);
    // As when a partition with records comes to the readers and goes to others before they look: they are told that
    // there is something, and there is nothing.
    void give_and_take();
    // As max.poll.interval.ms does.
    void lose();
    // As when the group is removed.
    void end();

    // Waits until so many calls were begun; false after the test's patience.
    bool await_opens(int count);    // of open_reader()
    bool await_fetches(int count);  // of all readers
    std::uint64_t committed_bytes() const;
    int readers() const;

    const std::string& name() const override { return name_; }
    std::uint32_t id() const override { return 1; }
    // kBusy where that one is open already, `all` too.
    Result<std::shared_ptr<GroupReader>> open_reader(std::optional<std::uint32_t> partition) override;
    Result<Offset> committed(std::uint32_t partition) override;
    Result<Offset> find(std::uint32_t partition, const GroupPoint& point) override;
    Result<void> reset(std::uint32_t partition, const GroupPoint& point) override;
    Result<std::vector<GroupPartitionStatus>> status() override { return std::vector<GroupPartitionStatus>(); }
    bool is_in_use() const override { return readers() > 0; }
    Attributes attributes() const override;
    Result<void> change_attributes(const AttributesChange& change) override;
    GroupSettings settings() const override { return {}; }
    Result<void> set(std::string_view key, std::string_view value) override;

private:
    class Reader;
    void tell();
    bool await(const int& number, int count);

    const std::shared_ptr<FakeContext> context_;
    const std::string name_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::string stream_;
    std::uint64_t committed_ = 0;
    bool seems_ready_ = false;
    bool is_lost_ = false;
    bool is_over_ = false;
    int opens_ = 0;
    int fetches_ = 0;
    std::map<std::optional<std::uint32_t>, Reader*> readers_;
    std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
};

}  // namespace topicfs::test
