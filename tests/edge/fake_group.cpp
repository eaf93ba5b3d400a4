#include "edge/fake_group.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "edge/fake_store.h"

namespace topicfs::test {

class FakeGroup::Reader final : public GroupReader {
public:
    Reader(std::shared_ptr<FakeGroup> group, std::optional<std::uint32_t> partition)
        : group_(std::move(group)), partition_(partition) {}
    ~Reader() override { static_cast<void>(close().has_value()); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    Result<ByteView> fetch(std::uint64_t at, std::size_t bytes_max) override {
        const std::lock_guard lock(group_->mutex_);
        ++group_->fetches_;
        group_->changed_.notify_all();
        group_->seems_ready_ = false;
        TOPICFS_TRY(check_locked("read"));
        group_->committed_ = std::max(group_->committed_, at);
        const std::size_t from = std::min<std::size_t>(at, group_->stream_.size());
        const auto copy = std::make_shared<std::string>(group_->stream_.substr(from, bytes_max));
        ByteView view;
        view.add(std::as_bytes(std::span(std::as_const(*copy))), copy);
        return view;
    }
    Result<ByteView> fetch_enough(std::uint64_t at, std::size_t bytes_max) override { return fetch(at, bytes_max); }
    Result<void> commit(std::uint64_t at) override {
        const std::lock_guard lock(group_->mutex_);
        TOPICFS_TRY(check_locked("commit"));
        if (at > group_->stream_.size()) {
            return make_error(ErrorCode::kInvalid, "commit", group_->name_, "was not given");
        }
        group_->committed_ = std::max(group_->committed_, at);
        return {};
    }
    Result<std::vector<Chunk>> describe(std::uint64_t /*at*/, std::size_t /*count_max*/) override {
        const std::lock_guard lock(group_->mutex_);
        TOPICFS_TRY(check_locked("describe"));
        return std::vector<Chunk>();
    }
    Result<Readiness> readiness() override {
        const std::lock_guard lock(group_->mutex_);
        Readiness readiness;
        readiness.is_ready = group_->seems_ready_ || group_->is_lost_ || group_->committed_ < group_->stream_.size();
        readiness.is_over = group_->is_over_;
        return readiness;
    }
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override {
        const std::lock_guard lock(group_->mutex_);
        group_->waiters_.push_back(waiter);
    }
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override {
        const std::lock_guard lock(group_->mutex_);
        std::erase(group_->waiters_, waiter);
    }
    Result<void> sync() override { return {}; }
    Result<void> close() override {
        const std::lock_guard lock(group_->mutex_);
        const auto found = group_->readers_.find(partition_);
        if (found != group_->readers_.end() && found->second == this) {
            group_->readers_.erase(found);
        }
        return {};
    }

private:
    Result<void> check_locked(const char* operation) const {
        return group_->is_lost_ ? system_error(EIO, operation, group_->name_) : Result<void>{};
    }

    const std::shared_ptr<FakeGroup> group_;
    const std::optional<std::uint32_t> partition_;
};

void FakeGroup::tell() {
    std::vector<std::shared_ptr<GrowthWaiter>> told;
    {
        const std::lock_guard lock(mutex_);
        told = waiters_;
    }
    for (const auto& waiter : told) {
        waiter->grown();
    }
}

void FakeGroup::give(std::string_view text) {
    {
        const std::lock_guard lock(mutex_);
        stream_ += text;
    }
    tell();
}

void FakeGroup::give_and_take() {
    {
        const std::lock_guard lock(mutex_);
        seems_ready_ = true;
    }
    tell();
}

void FakeGroup::lose() {
    {
        const std::lock_guard lock(mutex_);
        is_lost_ = true;
    }
    tell();
}

void FakeGroup::end() {
    {
        const std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    tell();
}

bool FakeGroup::await(const int& number, int count) {
    std::unique_lock lock(mutex_);
    constexpr std::chrono::seconds kPatience(20);
    return changed_.wait_for(lock, kPatience, [&] { return number >= count; });
}

bool FakeGroup::await_opens(int count) {
    return await(opens_, count);
}

bool FakeGroup::await_fetches(int count) {
    return await(fetches_, count);
}

std::uint64_t FakeGroup::committed_bytes() const {
    const std::lock_guard lock(mutex_);
    return committed_;
}

int FakeGroup::readers() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(readers_.size());
}

Result<std::shared_ptr<GroupReader>> FakeGroup::open_reader(std::optional<std::uint32_t> partition) {
    {
        const std::lock_guard lock(mutex_);
        ++opens_;
        changed_.notify_all();
    }
    TOPICFS_TRY(context_->before("open_reader"));
    const std::lock_guard lock(mutex_);
    if (readers_.find(partition) != readers_.end()) {
        return make_error(ErrorCode::kBusy, "open", name_, "it has a reader");
    }
    const auto reader = std::make_shared<Reader>(shared_from_this(), partition);
    readers_.emplace(partition, reader.get());
    return std::shared_ptr<GroupReader>(reader);
}

Result<Offset> FakeGroup::committed(std::uint32_t /*partition*/) {
    return Offset{committed_bytes()};
}

Result<Offset> FakeGroup::find(std::uint32_t partition, const GroupPoint& /*point*/) {
    TOPICFS_TRY(reset(partition, GroupEarliest{}));
    return Offset{7};
}

Result<void> FakeGroup::reset(std::uint32_t partition, const GroupPoint& /*point*/) {
    const std::lock_guard lock(mutex_);
    if (readers_.find(partition) != readers_.end()) {
        return make_error(ErrorCode::kBusy, "reset", name_, "it has a reader");
    }
    return {};
}

Attributes FakeGroup::attributes() const {
    Attributes attributes;
    attributes.mode = 0755;
    return attributes;
}

Result<void> FakeGroup::change_attributes(const AttributesChange& /*change*/) {
    return make_error(ErrorCode::kNotPermitted, "change", name_, "a group in memory");
}

Result<void> FakeGroup::set(std::string_view /*key*/, std::string_view /*value*/) {
    return make_error(ErrorCode::kNotPermitted, "change", name_, "a group in memory");
}

}  // namespace topicfs::test
