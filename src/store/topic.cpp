// Topics and their partitions in an open store. A topic's text file is in topic_file.cpp, its attributes are in
// topic_attributes.cpp.
#include "store/topic.h"

#include "base/text.h"
#include "store/disk_use.h"
#include "store/group.h"
#include "store/status.h"

#include <fcntl.h>

#include <algorithm>

namespace topicfs {

namespace {

// Up to so many partitions each file is synced on its own, above that the file system as a whole.
constexpr std::uint32_t kSyncEachMax = 4;
constexpr std::uint32_t kPartitionModeMask = 0666;

}  // namespace

Result<std::size_t> StoredPartition::append(std::span<const std::byte> bytes) {
    if (!room_->take(bytes.size())) {
        return room_->refusal("append to", log_->directory());
    }
    return log_->append(bytes);
}

Result<std::size_t> StoredPartition::append_at(Position expected, std::span<const std::byte> bytes) {
    if (!room_->take(bytes.size())) {
        return room_->refusal("append to", log_->directory());
    }
    return log_->append(bytes, expected);
}

Result<void> StoredPartition::trim(const Found& start) {
    if (const auto topic = topic_.lock()) {
        TOPICFS_TRY(topic->check_changes("trim"));
    }
    return log_->advance_start(start);
}

Result<std::shared_ptr<AppendFile>> StoredPartition::append_file() {
    if (!room_->lends()) {
        return make_error(ErrorCode::kBusy, "lend", log_->directory(), "the store is near one of its bounds");
    }
    return log_->append_file();
}

StoredTopic::StoredTopic(const PartitionEnvironment& environment, std::string name, std::string directory,
                         GroupWork* group_work, std::shared_ptr<AppendRoom> room)
    : env_(environment),
      directory_(std::move(directory)),
      group_work_(group_work),
      room_(room ? std::move(room) : std::make_shared<AppendRoom>()),
      settings_(std::make_shared<TopicSettings>()),
      name_(std::move(name)) {}

Result<void> StoredTopic::create_files(const PartitionEnvironment& environment, const std::string& directory,
                                       std::uint64_t id, const TopicSettings& settings, const Attributes& attributes) {
    FileSystem& fs = environment.fs;
    TOPICFS_TRY(fs.make_directory(directory));
    const bool sync_each = settings.num_partitions <= kSyncEachMax;
    StoredTopic topic(environment, "", directory);
    topic.id_ = id;
    topic.attributes_ = attributes;
    topic.settings_ = std::make_shared<TopicSettings>(settings);
    Attributes of_partition = attributes;
    of_partition.mode &= kPartitionModeMask;
    for (std::uint32_t number = 0; number < settings.num_partitions; ++number) {
        const std::string partition = directory + "/" + std::to_string(number);
        TOPICFS_TRY(fs.make_directory(partition));
        TOPICFS_TRY(PartitionLog::create_files(fs, partition, environment.clock.now(), sync_each));
        topic.partition_attributes_.push_back({of_partition, Position{0}});
    }
    TOPICFS_TRY(topic.save());  // syncs the directory too
    if (!sync_each) {
        TOPICFS_TRY_ASSIGN(const File any, open_file(fs, directory + "/" + kTopicFileName, 0));
        TOPICFS_TRY(fs.syncfs(any));
    }
    return {};
}

Result<std::shared_ptr<StoredTopic>> StoredTopic::open(const PartitionEnvironment& environment, std::string name,
                                                       std::string directory, bool power_was_cut, GroupWork* group_work,
                                                       std::shared_ptr<AppendRoom> room) {
    auto topic =
        std::make_shared<StoredTopic>(environment, std::move(name), std::move(directory), group_work, std::move(room));
    TOPICFS_TRY(topic->load());
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, environment.fs.list(topic->directory_));
    std::vector<std::uint64_t> numbers;
    for (const DirectoryEntry& entry : entries) {
        const auto number = parse_unsigned(entry.name);
        if (entry.is_directory && number && *number < kPartitionsMax && std::to_string(*number) == entry.name) {
            numbers.push_back(*number);
        }
    }
    std::sort(numbers.begin(), numbers.end());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (numbers[i] != i) {
            return make_error(ErrorCode::kDamaged, "open", topic->directory_ + "/" + std::to_string(i),
                              "the partition is missing, though later ones are there");
        }
        TOPICFS_TRY_ASSIGN(auto partition, topic->open_partition(static_cast<std::uint32_t>(i), power_was_cut));
        const std::scoped_lock lock(topic->mutex_);
        topic->publish_locked(std::move(partition));
    }
    TOPICFS_TRY(topic->load_groups());
    return topic;
}

Result<std::shared_ptr<StoredPartition>> StoredTopic::open_partition(std::uint32_t number, bool power_was_cut) {
    TOPICFS_TRY_ASSIGN(auto log, PartitionLog::open(env_, partition_directory(number), settings_, power_was_cut));
    auto partition = std::make_shared<StoredPartition>(number, std::move(log), weak_from_this(), room_);
    if (!env_.read_only) {
        TOPICFS_TRY_ASSIGN(const Position end, partition->end());
        partition->opened_at(end);
    }
    return partition;
}

// Under mutex_.
void StoredTopic::publish_locked(std::shared_ptr<StoredPartition> partition) {
    if (partition_attributes_.size() <= partition->number()) {
        // It was added, and power was cut before the topic's file knew of it.
        Attributes attributes = attributes_;
        attributes.mode &= kPartitionModeMask;
        partition_attributes_.push_back({attributes, Position{0}});
    }
    partitions_.push_back(std::move(partition));
}

// Partitions that come late must not get records that are older than what a reader of the whole topic has seen: none
// that are older than a time that one of the others has given by the moment in which they are there for all. What is
// noted for that is there before, as it goes to a file.
void StoredTopic::publish_added(const std::vector<std::shared_ptr<StoredPartition>>& added) {
    std::optional<TimestampMs> noted;
    for (;;) {
        TimestampMs newest;
        {
            const std::scoped_lock lock(mutex_);
            for (const auto& other : partitions_) {
                newest = std::max(newest, other->log()->last_time());
            }
            if (noted && newest <= *noted) {
                for (const auto& partition : added) {
                    publish_locked(partition);
                }
                break;
            }
        }
        for (const auto& partition : added) {
            partition->log()->begin_at(newest);
        }
        noted = newest;
    }
    if (env_.work != nullptr && !added.empty() && added.front()->number() > 0) {
        // Who waits for the whole topic waits for each of the others; now there are more.
        env_.work->has_grown(*partitions().front()->log());
    }
    for (const auto& group : groups()) {
        group->partitions_added();
    }
}

std::uint32_t StoredTopic::partition_count() const {
    const std::scoped_lock lock(mutex_);
    return static_cast<std::uint32_t>(partitions_.size());
}

std::vector<std::shared_ptr<StoredPartition>> StoredTopic::partitions() const {
    const std::scoped_lock lock(mutex_);
    return partitions_;
}

Result<std::shared_ptr<Partition>> StoredTopic::partition(std::uint32_t number) const {
    const std::scoped_lock lock(mutex_);
    if (number >= partitions_.size()) {
        return make_error(ErrorCode::kNotFound, "open", name() + "/" + std::to_string(number), "no such partition");
    }
    return std::shared_ptr<Partition>(partitions_[number]);
}

std::shared_ptr<StoredPartition> StoredTopic::stored_partition(std::uint32_t number) const {
    const std::scoped_lock lock(mutex_);
    return number < partitions_.size() ? partitions_[number] : nullptr;
}

Result<std::shared_ptr<Partition>> StoredTopic::add_partition(std::uint32_t number, const Attributes& attributes) {
    const std::scoped_lock changes(changes_mutex_);
    const std::string shown = name() + "/" + std::to_string(number);
    const std::uint32_t count = partition_count();
    TOPICFS_TRY(check_changes("add a partition to"));
    if (number < count) {
        return make_error(ErrorCode::kExists, "add", shown, "the partition is there already");
    }
    if (number > count || number >= kPartitionsMax) {
        return make_error(ErrorCode::kInvalid, "add", shown, "the next partition is " + std::to_string(count));
    }
    TOPICFS_TRY(check_room("add", shown));
    TOPICFS_TRY(add_partitions(1, attributes));
    return partition(number);
}

// Under changes_mutex_. Adds the next `more` partitions with as few syncs as that takes; on an error some may be there.
Result<void> StoredTopic::add_partitions(std::uint32_t more, const Attributes& attributes) {
    const std::uint32_t begin = partition_count();
    const std::uint32_t end = begin + more;
    auto made = make_partition_files(begin, end);
    if (made) {
        {
            const std::scoped_lock lock(mutex_);
            partition_attributes_.resize(begin);
            partition_attributes_.resize(end, {attributes, Position{0}});
            attributes_.mtime_ns = attributes_.ctime_ns = now_ns(env_.clock);
        }
        made = save();  // and with it the directory's names
    }
    std::vector<std::shared_ptr<StoredPartition>> added;
    for (std::uint32_t number = begin; made && number < end; ++number) {
        auto opened = open_partition(number, false);
        if (opened) {
            added.push_back(std::move(opened).value());
        } else {
            made = std::move(opened).error();
        }
    }
    publish_added(added);
    if (made) {
        return made;
    }
    for (std::uint32_t number = partition_count(); number < end; ++number) {
        // So that it can be made again.
        (void)env_.fs.rename(partition_directory(number), unfinished_directory(number)).has_value();
    }
    const std::scoped_lock lock(mutex_);
    partition_attributes_.resize(partitions_.size());
    return made;
}

Result<void> StoredTopic::make_partition_files(std::uint32_t begin, std::uint32_t end) {
    const bool sync_each = end - begin <= kSyncEachMax;
    for (std::uint32_t number = begin; number < end; ++number) {
        const std::string unfinished = unfinished_directory(number);
        if (auto made = env_.fs.make_directory(unfinished); !made && !is_errno(made.error(), EEXIST)) {
            return made;
        }
        TOPICFS_TRY(PartitionLog::create_files(env_.fs, unfinished, env_.clock.now(), sync_each));
    }
    if (!sync_each) {
        TOPICFS_TRY_ASSIGN(const File any, open_file(env_.fs, directory_ + "/" + kTopicFileName, O_RDONLY));
        TOPICFS_TRY(env_.fs.syncfs(any));
    }
    for (std::uint32_t number = begin; number < end; ++number) {
        TOPICFS_TRY(env_.fs.rename(unfinished_directory(number), partition_directory(number)));
    }
    return {};
}

std::string StoredTopic::partition_directory(std::uint32_t number) const {
    return directory_ + "/" + std::to_string(number);
}

std::string StoredTopic::unfinished_directory(std::uint32_t number) const {
    return directory_ + "/" + kUnfinishedPrefix + std::to_string(number);
}

TopicSettings StoredTopic::settings() const {
    const std::scoped_lock lock(mutex_);
    return *settings_;
}

// `before` with another value, if the topic as it is can have that.
Result<TopicSettings> StoredTopic::changed_settings(const TopicSettings& before, std::string_view key,
                                                    std::string_view value) const {
    TOPICFS_TRY(check_changes("set"));
    TopicSettings changed = before;
    TOPICFS_TRY(set_setting(changed, key, value));
    if (changed.record_delimiter != before.record_delimiter) {
        for (const auto& partition : partitions()) {
            TOPICFS_TRY_ASSIGN(const Position log_end, partition->end());
            if (log_end != Position{0}) {
                return make_error(ErrorCode::kInvalid, "set", "record.delimiter",
                                  "the topic has records already, and their offsets count by the present delimiter");
            }
        }
    }
    const std::uint32_t count = partition_count();
    if (changed.num_partitions < count && changed.num_partitions != before.num_partitions) {
        return make_error(ErrorCode::kInvalid, "set", "num.partitions",
                          "the topic has " + std::to_string(count) + " partitions; they can only become more");
    }
    return changed;
}

Result<void> StoredTopic::check(std::string_view key, std::string_view value) const {
    TOPICFS_TRY(changed_settings(settings(), key, value));
    return {};
}

Result<void> StoredTopic::set(std::string_view key, std::string_view value) {
    const std::scoped_lock changes(changes_mutex_);
    std::shared_ptr<const TopicSettings> before;
    Attributes attributes;
    {
        const std::scoped_lock lock(mutex_);
        before = settings_;
        attributes = attributes_;
    }
    TOPICFS_TRY_ASSIGN(const TopicSettings changed, changed_settings(*before, key, value));
    if (changed.num_partitions > partition_count()) {
        TOPICFS_TRY(check_room("add partitions to", name()));
    }
    const auto now = std::make_shared<const TopicSettings>(changed);
    {
        const std::scoped_lock lock(mutex_);
        settings_ = now;
    }
    auto saved = save();
    if (!saved && !is_saved()) {
        const std::scoped_lock lock(mutex_);
        settings_ = before;
        return saved;
    }
    for (const auto& partition : partitions()) {
        partition->log()->set_settings(now);
    }
    TOPICFS_TRY(std::move(saved));
    attributes.mode &= kPartitionModeMask;
    const std::uint32_t count = partition_count();
    if (key == "num.partitions" && count < changed.num_partitions) {
        TOPICFS_TRY(add_partitions(changed.num_partitions - count, attributes));
    }
    return {};
}

std::uint64_t StoredTopic::other_disk_bytes() const {
    const std::uint32_t count = partition_count();
    return disk_use(env_.fs, directory_, [&](const std::string& name) {
        const auto number = parse_unsigned(name);
        return number && *number < count && name == std::to_string(*number);
    });
}

Result<std::string> StoredTopic::status_json() {
    return topic_status_json(*this);
}

Result<void> StoredTopic::check_appends(const char* operation) const {
    const std::scoped_lock lock(mutex_);
    if (env_.read_only) {
        return make_error(ErrorCode::kReadOnly, operation, name(), "the store is open for reading only");
    }
    return retired_.empty() ? Result<void>{} : make_error(ErrorCode::kReadOnly, operation, name(), retired_);
}

Result<void> StoredTopic::check_room(const char* operation, std::string path) const {
    return room_->has_any() ? Result<void>{} : room_->refusal(operation, std::move(path));
}

Result<void> StoredTopic::check_changes(const char* operation) const {
    TOPICFS_TRY(check_appends(operation));
    const std::scoped_lock lock(mutex_);
    return removal_ ? make_error(ErrorCode::kReadOnly, operation, name(), "it is in the trash; bring it back first")
                    : Result<void>{};
}

void StoredTopic::retire(std::string reason) {
    const std::scoped_lock lock(use_mutex_, mutex_);
    retired_ = std::move(reason);
}

void StoredTopic::reinstate() {
    retire("");
    for (const auto& partition : partitions()) {
        partition->log()->reinstate();
    }
}

void StoredTopic::removed() {
    for (const auto& group : groups()) {
        (void)group->retire("the topic was removed", false);
    }
    for (const auto& partition : partitions()) {
        partition->log()->removed();
    }
}

Result<bool> StoredTopic::retire_if_empty() {
    const std::scoped_lock changes(changes_mutex_);
    if (has_leftovers_) {
        return false;
    }
    const std::scoped_lock no_writer(use_mutex_);
    auto retired = retire_partitions_if_empty();
    if (retired && *retired) {
        const std::scoped_lock lock(mutex_);
        retired_ = "the topic was removed";
    }
    return retired;
}

Result<bool> StoredTopic::retire_partitions_if_empty() {
    if (writers_ > 0) {
        return make_error(ErrorCode::kBusy, "remove", name(), "somebody has it open for appending");
    }
    for (const auto& group : groups()) {
        if (group->is_in_use()) {
            return make_error(ErrorCode::kBusy, "remove", name(), "group " + group->name() + " has a reader");
        }
    }
    const auto all = partitions();
    for (std::size_t i = 0; i < all.size(); ++i) {
        auto retired = all[i]->log()->retire_if_empty();
        if (!retired || !*retired) {
            for (std::size_t j = 0; j < i; ++j) {
                all[j]->log()->reinstate();
            }
            return retired;
        }
    }
    return true;
}

}  // namespace topicfs
