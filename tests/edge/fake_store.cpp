#include "edge/fake_store.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "io/fd.h"

namespace topicfs::test {

namespace {

void apply(Attributes& attributes, const AttributesChange& change) {
    attributes.uid = change.uid.value_or(attributes.uid);
    attributes.gid = change.gid.value_or(attributes.gid);
    attributes.mode = change.mode.value_or(attributes.mode);
    attributes.atime_ns = change.atime_ns.value_or(attributes.atime_ns);
    attributes.mtime_ns = change.mtime_ns.value_or(attributes.mtime_ns);
}

// Of no bytes: whoever writes to it is the kernel, which the tests have not.
class FakeAppendFile final : public AppendFile {
public:
    explicit FakeAppendFile(std::shared_ptr<FakeContext> context) : context_(std::move(context)) { ++context_->lent; }
    ~FakeAppendFile() override { --context_->lent; }
    void close_fd() override {}
    FakeAppendFile(const FakeAppendFile&) = delete;
    FakeAppendFile& operator=(const FakeAppendFile&) = delete;
    int fd() const override { return fd_.get(); }
    bool usable() const override { return context_->lent_is_usable; }

private:
    const std::shared_ptr<FakeContext> context_;
    const Fd fd_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
};

}  // namespace

void FakeHook::set(Before before) {
    const std::lock_guard lock(mutex_);
    before_ = std::move(before);
}

Result<void> FakeHook::operator()(std::string_view call) const {
    Before before;
    {
        const std::lock_guard lock(mutex_);
        before = before_;
    }
    return before ? before(call) : Result<void>();
}

FakePartition::FakePartition(std::shared_ptr<FakeContext> context, std::uint32_t number, const Attributes& attributes)
    : context_(std::move(context)), number_(number), attributes_(attributes) {}

Result<std::size_t> FakePartition::append(std::span<const std::byte> bytes) {
    TOPICFS_TRY(context_->before("append"));
    {
        const std::lock_guard lock(mutex_);
        bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
        ++attributes_.mtime_ns;
    }
    tell_waiters();
    return bytes.size();
}

void FakePartition::tell_waiters() {
    std::vector<std::shared_ptr<GrowthWaiter>> told;
    {
        const std::lock_guard lock(mutex_);
        told = waiters_;
    }
    for (const auto& waiter : told) {
        waiter->grown();
    }
}

void FakePartition::remove() {
    removed_ = true;
    tell_waiters();
}

Result<std::shared_ptr<const void>> FakePartition::open_for_append() {
    if (removed_) {
        return make_error(ErrorCode::kReadOnly, "append to", "a partition in memory", "its topic was removed");
    }
    ++*appenders_;
    return std::shared_ptr<const void>(this, [count = appenders_](const void*) { --*count; });
}

Result<std::shared_ptr<AppendFile>> FakePartition::append_file() {
    if (!context_->lends) {
        return system_error(EINVAL, "append to", "a partition in memory");
    }
    return std::shared_ptr<AppendFile>(std::make_shared<FakeAppendFile>(context_));
}

bool FakePartition::await_waiters(bool some) {
    std::unique_lock lock(mutex_);
    constexpr std::chrono::seconds kPatience(20);
    return waiters_changed_.wait_for(lock, kPatience, [&] { return waiters_.empty() != some; });
}

void FakePartition::start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    static_cast<void>(context_->before("start_waiting").has_value());
    const std::lock_guard lock(mutex_);
    waiters_.push_back(waiter);
    waiters_changed_.notify_all();
}

void FakePartition::stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) {
    const std::lock_guard lock(mutex_);
    std::erase(waiters_, waiter);
    waiters_changed_.notify_all();
}

Result<std::size_t> FakePartition::append_at(Position expected, std::span<const std::byte> bytes) {
    TOPICFS_TRY(context_->before("append_at"));
    const std::lock_guard lock(mutex_);
    if (expected.value != bytes_.size()) {
        return make_error(ErrorCode::kNotPermitted, "append", "", "not at the log end");
    }
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    ++attributes_.mtime_ns;
    return bytes.size();
}

Result<void> FakePartition::sync() {
    TOPICFS_TRY(context_->before("sync"));
    ++context_->syncs;
    return {};
}

Position FakePartition::start() const {
    const std::lock_guard lock(mutex_);
    return start_;
}

Result<Position> FakePartition::end() const {
    TOPICFS_TRY(context_->before("end"));
    const std::lock_guard lock(mutex_);
    return Position{bytes_.size()};
}

Result<std::size_t> FakePartition::read(Position from, std::span<std::byte> into) {
    TOPICFS_TRY(context_->before("read"));
    const std::lock_guard lock(mutex_);
    if (from < start_) {
        return make_error(ErrorCode::kNotFound, "read", "", "below the log start");
    }
    if (from.value >= bytes_.size()) {
        return std::size_t{0};
    }
    const std::size_t count = std::min(into.size(), bytes_.size() - static_cast<std::size_t>(from.value));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from.value), count, into.begin());
    return count;
}

Result<ByteView> FakePartition::view(Position from, std::size_t bytes_max) {
    const auto copy = std::make_shared<std::vector<std::byte>>(bytes_max);
    TOPICFS_TRY_ASSIGN(const std::size_t got, read(from, *copy));
    ByteView view;
    view.add(std::span<const std::byte>(*copy).first(got), copy);
    return view;
}

Result<Found> FakePartition::find_offset(Offset /*offset*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake counts no records");
}

Result<Found> FakePartition::find_position(Position /*position*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake counts no records");
}

Result<void> FakePartition::trim(const Found& start) {
    TOPICFS_TRY(context_->before("trim"));
    move_start(start.position);
    return {};
}

Result<Found> FakePartition::find_time(TimestampMs /*time*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake knows no times");
}

Result<Found> FakePartition::records_end() {
    if (!context_->bytes_are_records) {
        return make_error(ErrorCode::kNotFound, "find", "", "the fake counts no records");
    }
    TOPICFS_TRY_ASSIGN(const Position last, end());
    return Found{last, Offset{last.value}};
}

Result<TimeBound> FakePartition::bound_of(TimestampMs /*time*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake knows no times");
}

Result<TimestampMs> FakePartition::time_of(Position /*position*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake knows no times");
}

Result<Settled> FakePartition::settle(std::optional<TimestampMs> /*time*/, Haste /*haste*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake knows no times");
}

Result<TimeSteps> FakePartition::time_steps(Position /*from*/, Position /*to*/) {
    return make_error(ErrorCode::kNotFound, "find", "", "the fake knows no times");
}

Result<PartitionStatus> FakePartition::status() {
    return PartitionStatus{};
}

Attributes FakePartition::attributes() const {
    const std::lock_guard lock(mutex_);
    return attributes_;
}

Result<void> FakePartition::change_attributes(const AttributesChange& change) {
    TOPICFS_TRY(context_->before("change_attributes"));
    const std::lock_guard lock(mutex_);
    apply(attributes_, change);
    return {};
}

void FakePartition::move_start(Position start) {
    const std::lock_guard lock(mutex_);
    start_ = start;
}

FakeTopic::FakeTopic(std::shared_ptr<FakeContext> context, std::string name, const Attributes& attributes,
                     const TopicSettings& settings)
    : context_(std::move(context)),
      id_(context_->next_topic_id++),
      name_(std::move(name)),
      attributes_(attributes),
      settings_(settings) {
    Attributes of_partition = attributes;
    of_partition.mode &= 0666;
    for (std::uint32_t number = 0; number < settings.num_partitions; ++number) {
        partitions_.push_back(std::make_shared<FakePartition>(context_, number, of_partition));
    }
}

std::uint32_t FakeTopic::partition_count() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint32_t>(partitions_.size());
}

std::shared_ptr<FakePartition> FakeTopic::fake_partition(std::uint32_t number) const {
    const std::lock_guard lock(mutex_);
    return partitions_.at(number);
}

Result<std::shared_ptr<Partition>> FakeTopic::partition(std::uint32_t number) const {
    const std::lock_guard lock(mutex_);
    if (number >= partitions_.size()) {
        return make_error(ErrorCode::kNotFound, "open", name_, "no such partition");
    }
    return std::shared_ptr<Partition>(partitions_[number]);
}

Result<std::shared_ptr<Partition>> FakeTopic::add_partition(std::uint32_t number, const Attributes& attributes) {
    TOPICFS_TRY(context_->before("add_partition"));
    const std::lock_guard lock(mutex_);
    if (number < partitions_.size()) {
        return make_error(ErrorCode::kExists, "add", name_, "it is there");
    }
    if (number > partitions_.size()) {
        return make_error(ErrorCode::kInvalid, "add", name_, "a gap");
    }
    partitions_.push_back(std::make_shared<FakePartition>(context_, number, attributes));
    return std::shared_ptr<Partition>(partitions_.back());
}

Attributes FakeTopic::attributes() const {
    const std::lock_guard lock(mutex_);
    return attributes_;
}

Result<void> FakeTopic::change_attributes(const AttributesChange& change) {
    const std::lock_guard lock(mutex_);
    apply(attributes_, change);
    return {};
}

TopicSettings FakeTopic::settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
}

Result<void> FakeTopic::set(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    return set_setting(settings_, key, value);
}

Result<void> FakeTopic::check(std::string_view key, std::string_view value) const {
    TopicSettings settings = this->settings();
    if (key == "num.partitions") {
        return make_error(ErrorCode::kInvalid, "set", "num.partitions", "for the test");
    }
    return set_setting(settings, key, value);
}

Result<std::string> FakeTopic::status_json() {
    TOPICFS_TRY(context_->before("status_json"));
    return "{\"topic\":\"" + name() + "\"}";
}

Result<std::shared_ptr<TopicWriter>> FakeTopic::open_writer() {
    TOPICFS_TRY(context_->before("open_writer"));
    return make_error(ErrorCode::kNotPermitted, "append to", name(), "a topic in memory has no writers");
}

std::vector<std::string> FakeTopic::group_names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, group] : groups_) {
        names.push_back(name);
    }
    return names;
}

std::shared_ptr<FakeGroup> FakeTopic::add_group(std::string_view name) {
    const std::lock_guard lock(mutex_);
    return groups_.emplace(name, std::make_shared<FakeGroup>(context_, std::string(name))).first->second;
}

Result<std::shared_ptr<Group>> FakeTopic::group(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto found = groups_.find(name);
    if (found == groups_.end()) {
        return make_error(ErrorCode::kNotFound, "open", std::string(name), "no such group");
    }
    return std::shared_ptr<Group>(found->second);
}

Result<std::shared_ptr<Group>> FakeTopic::create_group(std::string_view name, const Attributes& /*attributes*/) {
    return make_error(ErrorCode::kNotPermitted, "make", std::string(name), "a test adds the groups");
}

Result<void> FakeTopic::remove_group(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto found = groups_.find(name);
    if (found == groups_.end()) {
        return make_error(ErrorCode::kNotFound, "remove", std::string(name), "no such group");
    }
    if (found->second->is_in_use()) {
        return make_error(ErrorCode::kBusy, "remove", std::string(name), "it has a reader");
    }
    groups_.erase(found);
    return {};
}

std::string FakeTopic::name() const {
    const std::lock_guard lock(mutex_);
    return name_;
}

std::optional<Removal> FakeTopic::removal() const {
    const std::lock_guard lock(mutex_);
    return removal_;
}

void FakeTopic::move(std::string name, std::optional<Removal> removal) {
    const bool is_removed = removal.has_value();
    std::vector<std::shared_ptr<FakePartition>> partitions;
    {
        const std::lock_guard lock(mutex_);
        name_ = std::move(name);
        removal_ = std::move(removal);
        partitions = partitions_;
    }
    for (const auto& partition : partitions) {
        is_removed ? partition->remove() : partition->bring_back();
    }
}

bool FakeTopic::has_writers() const {
    const std::lock_guard lock(mutex_);
    return std::any_of(partitions_.begin(), partitions_.end(),
                       [](const auto& partition) { return partition->appenders() > 0; });
}

bool FakeTopic::has_records() const {
    const std::lock_guard lock(mutex_);
    return std::any_of(partitions_.begin(), partitions_.end(),
                       [](const auto& partition) { return *partition->end() != partition->start(); });
}

FakeStore::FakeStore() {
    attributes_.mode = 0755;
}

std::vector<std::string> FakeStore::topic_names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) {
        names.push_back(name);
    }
    return names;
}

Result<std::shared_ptr<Topic>> FakeStore::topic(std::string_view name) const {
    TOPICFS_TRY(context_->before("topic"));
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) {
        return make_error(ErrorCode::kNotFound, "open", std::string(name), "no such topic");
    }
    return std::shared_ptr<Topic>(found->second);
}

Result<std::shared_ptr<Topic>> FakeStore::create_topic(std::string_view name, const Attributes& attributes,
                                                       const TopicSettings& settings) {
    TOPICFS_TRY(check_topic_name(name));
    const std::lock_guard lock(mutex_);
    if (topics_.find(name) != topics_.end()) {
        return make_error(ErrorCode::kExists, "create", std::string(name), "it is there");
    }
    auto topic = std::make_shared<FakeTopic>(context_, std::string(name), attributes, settings);
    topics_.emplace(std::string(name), topic);
    return std::shared_ptr<Topic>(topic);
}

Result<void> FakeStore::remove_topic(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) {
        return make_error(ErrorCode::kNotFound, "remove", std::string(name), "no such topic");
    }
    if (found->second->has_records()) {
        return make_error(ErrorCode::kNotEmpty, "remove", std::string(name), "it has records");
    }
    topics_.erase(found);
    return {};
}

std::vector<std::string> FakeStore::trash_names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : trash_) {
        names.push_back(name);
    }
    return names;
}

Result<std::shared_ptr<FakeTopic>> FakeStore::find(const Topics& topics, std::string_view name) {
    const auto found = topics.find(name);
    if (found == topics.end()) {
        return make_error(ErrorCode::kNotFound, "find", std::string(name), "no such topic");
    }
    return found->second;
}

Result<std::shared_ptr<Topic>> FakeStore::trashed_topic(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    TOPICFS_TRY_ASSIGN(const auto topic, find(trash_, name));
    return std::shared_ptr<Topic>(topic);
}

Result<void> FakeStore::delete_topic(std::string_view name, std::string_view trash_name) {
    TOPICFS_TRY(context_->before("delete_topic"));
    TOPICFS_TRY(check_topic_name(trash_name));
    const std::lock_guard lock(mutex_);
    TOPICFS_TRY_ASSIGN(const auto topic, find(topics_, name));
    if (!trash_.emplace(trash_name, topic).second) {
        return make_error(ErrorCode::kExists, "delete", std::string(name), "it is there");
    }
    topics_.erase(topics_.find(name));
    topic->move(std::string(trash_name), Removal{std::string(name), TimestampMs{1}});
    return {};
}

Result<void> FakeStore::undelete_topic(std::string_view trash_name, std::string_view name) {
    TOPICFS_TRY(check_topic_name(name));
    const std::lock_guard lock(mutex_);
    TOPICFS_TRY_ASSIGN(const auto topic, find(trash_, trash_name));
    if (!topics_.emplace(name, topic).second) {
        return make_error(ErrorCode::kExists, "undelete", std::string(name), "it is there");
    }
    trash_.erase(trash_.find(trash_name));
    topic->move(std::string(name), std::nullopt);
    return {};
}

Result<void> FakeStore::purge_topic(std::string_view trash_name) {
    const std::lock_guard lock(mutex_);
    TOPICFS_TRY_ASSIGN(const auto topic, find(trash_, trash_name));
    if (topic->has_writers()) {
        return make_error(ErrorCode::kBusy, "purge", std::string(trash_name), "somebody appends to it");
    }
    trash_.erase(trash_.find(trash_name));
    return {};
}

Attributes FakeStore::attributes() const {
    const std::lock_guard lock(mutex_);
    return attributes_;
}

Result<void> FakeStore::change_attributes(const AttributesChange& change) {
    const std::lock_guard lock(mutex_);
    apply(attributes_, change);
    return {};
}

TopicSettings FakeStore::default_settings() const {
    const std::lock_guard lock(mutex_);
    return settings_;
}

Result<void> FakeStore::set_default(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    return set_setting(settings_, key, value);
}

Result<std::string> FakeStore::store_setting(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    return get_setting(store_settings_, key);
}

Result<void> FakeStore::set_store_setting(std::string_view key, std::string_view value) {
    const std::lock_guard lock(mutex_);
    return set_setting(store_settings_, key, value);
}

Result<std::string> FakeStore::metrics_text() {
    TOPICFS_TRY(context_->before("metrics_text"));
    return std::string("# HELP fake 1\n# TYPE fake gauge\nfake 1\n");
}

Result<std::string> FakeStore::status_json(std::span<const StatusFact> /*facts*/) {
    return std::string("{\"store\":true}");
}

std::shared_ptr<FakeTopic> FakeStore::fake_topic(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) {
        throw std::logic_error("the test asks for a topic that it did not make");
    }
    return found->second;
}

}  // namespace topicfs::test
