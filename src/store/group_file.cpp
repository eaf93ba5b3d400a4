// A group's files: how they are made, read at a start, and replaced.
#include "base/crc32c.h"
#include "base/log.h"
#include "base/text.h"
#include "store/group.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace topicfs {

namespace {

constexpr const char* kSettingPrefix = "setting.";

TextFile to_text(std::uint32_t id, const Attributes& attributes, const GroupSettings& settings, TimestampMs last_use) {
    TextFile file{"group", kGroupFileVersion, {}};
    file.values["id"] = std::to_string(id);
    file.values["attributes"] = encode_attributes(attributes);
    file.values["last-use"] = std::to_string(last_use.value);
    for (const SettingInfo& info : group_setting_infos()) {
        file.values[kSettingPrefix + std::string(info.key)] = *get_setting(settings, info.key);
    }
    return file;
}

}  // namespace

Result<void> StoredGroup::create_files(const PartitionEnvironment& environment, const std::string& directory,
                                       std::uint32_t id, std::uint32_t partitions, const Attributes& attributes) {
    FileSystem& fs = environment.fs;
    TOPICFS_TRY(fs.make_directory(directory));
    TOPICFS_TRY(CommitFile::create(fs, directory + "/" + kCommitFileName, partitions));
    const TextFile file = to_text(id, attributes, {}, environment.clock.now());
    return replace_file(fs, directory + "/" + kGroupFileName, encode_text_file(file));  // syncs the directory too
}

StoredGroup::StoredGroup(const PartitionEnvironment& environment, GroupWork* work,
                         const std::shared_ptr<StoredTopic>& topic, std::string name)
    : env_(environment),
      work_(environment.read_only ? nullptr : work),
      topic_(topic),
      name_(std::move(name)),
      shown_(topic->name() + "/.groups/" + name_),
      directory_(topic->groups_directory() + "/" + name_),
      file_(environment.fs, directory_ + "/" + kCommitFileName) {}

Result<std::shared_ptr<StoredGroup>> StoredGroup::open(const PartitionEnvironment& environment, GroupWork* work,
                                                       const std::shared_ptr<StoredTopic>& topic, std::string name) {
    auto group = std::make_shared<StoredGroup>(environment, work, topic, std::move(name));
    TOPICFS_TRY(group->load_text());
    TOPICFS_TRY(group->load_commits());
    return group;
}

Result<void> StoredGroup::load_text() {
    const std::string path = directory_ + "/" + kGroupFileName;
    auto content = read_small_file(env_.fs, path, kTextFileBytesMax);
    Result<TextFile> file = Error{};
    if (content) {
        file = decode_text_file(*content, "group", kGroupFileVersion);
    } else if (is_errno(content.error(), ENOENT) || is_errno(content.error(), EIO) ||
               content.error().code == ErrorCode::kTooLarge) {
        file = make_error(ErrorCode::kDamaged, "read", path, content.error().message());
    } else {
        return std::move(content).error();
    }
    if (!file && file.error().code == ErrorCode::kNewerFormat) {
        file.error().path = path;
        return std::move(file).error();
    }
    attributes_ = {geteuid(), getegid(), 0700, 0, 0, 0};
    // The same at each start, until it is written with the next change; never 0.
    id_ = 1 + crc32c(std::as_bytes(std::span(name_))) % (kGroupIdsEnd - 1);
    last_use_ = saved_use_ = env_.clock.now();
    lost_text_ = !file;
    if (!file) {
        log_error(path + ": " + file.error().detail +
                  "; commits are there, but owner, mode and settings of the group are lost: only the daemon's user may "
                  "enter");
        return {};
    }
    for (const auto& [key, value] : file->values) {
        if (key == "id") {
            id_ = static_cast<std::uint32_t>(parse_unsigned(value).value_or(id_) % kGroupIdsEnd);
        } else if (key == "attributes") {
            (void)decode_attributes(value, attributes_);
        } else if (key == "last-use") {
            last_use_ = saved_use_ = TimestampMs{parse_signed(value).value_or(last_use_.value)};
        } else if (key.starts_with(kSettingPrefix)) {
            const std::string_view setting = std::string_view(key).substr(std::string_view(kSettingPrefix).size());
            if (const auto set = set_setting(settings_, setting, value); !set) {
                log_warning(set.error().message() + "; the default counts");
            }
        }
    }
    show_settings_locked();
    return {};
}

Result<void> StoredGroup::load_commits() {
    auto loaded = file_.load();
    if (!loaded && (is_errno(loaded.error(), EIO) || loaded.error().code == ErrorCode::kTooLarge)) {
        log_error(loaded.error().message() + "; the group begins anew, by auto.offset.reset");
        loaded = CommitFile::Loaded{};
    }
    TOPICFS_TRY(loaded);
    if (loaded->is_short) {
        log_error(directory_ + "/" + kCommitFileName +
                  ": is missing or cut short; where its commits are lost the group begins anew, by auto.offset.reset");
    }
    for (const std::uint32_t number : loaded->damaged) {
        log_error(directory_ + "/" + kCommitFileName + ": a commit of partition " + std::to_string(number) +
                  " is damaged; " +
                  (loaded->slots[number] ? "the newest whole one counts, so that records may come again"
                                         : "the group begins there anew, by auto.offset.reset"));
    }
    const std::scoped_lock lock(mutex_);
    take_partitions_locked();
    bool changed = false;
    for (std::uint32_t number = 0; number < parts_.size(); ++number) {
        Part& part = parts_[number];
        if (number >= loaded->slots.size() || !loaded->slots[number]) {
            continue;
        }
        part.slot = loaded->slots[number];
        last_use_ = std::max(last_use_, part.slot->time);
        part.exact = part.slot->known == part.slot->position;
        show_locked(number);
        // It may be in the page cache only.
        part.durable_sequence = 0;
        TOPICFS_TRY_ASSIGN(const Position log_end, part.partition->end());
        if (part.slot->position > log_end && !env_.read_only) {
            TOPICFS_TRY(clamp_to_log(number));
            changed = true;
        }
    }
    // Before anything is appended there.
    return changed ? file_.sync() : Result<void>{};
}

// The log has lost what the group had got. Under mutex_.
Result<void> StoredGroup::clamp_to_log(std::uint32_t number) {
    Part& part = parts_[number];
    TOPICFS_TRY_ASSIGN(const Found end, part.partition->records_end());
    CommitSlot slot = *part.slot;
    slot.position = slot.known = end.position;
    slot.known_offset = end.offset;
    TOPICFS_TRY(file_.write(slot));
    part.slot = slot;
    part.exact = true;
    show_locked(number);
    log_info(shown_ + "/" + std::to_string(number) + ": was ahead of the log end; it goes on there, at offset " +
             std::to_string(end.offset.value));
    return {};
}

std::string StoredGroup::text() const {
    const std::scoped_lock lock(mutex_);
    return encode_text_file(to_text(id_, attributes_, settings_, last_use_));
}

// Under changes_mutex_.
Result<void> StoredGroup::save() {
    TimestampMs use;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_locked("change"));
        if (env_.read_only) {
            return make_error(ErrorCode::kReadOnly, "change", shown_, "the store is open for reading only");
        }
        use = last_use_;
    }
    TOPICFS_TRY(replace_book(env_.fs, directory_ + "/" + kGroupFileName, text()));
    const std::scoped_lock lock(mutex_);
    saved_use_ = std::max(saved_use_, use);
    return {};
}

// After a save that failed: whether the file holds the settings all the same, as where only the last sync failed.
bool StoredGroup::is_saved() const {
    const auto content = read_small_file(env_.fs, directory_ + "/" + kGroupFileName, kTextFileBytesMax);
    return content && *content == text();
}

Attributes StoredGroup::attributes() const {
    const std::scoped_lock lock(mutex_);
    return attributes_;
}

Result<void> StoredGroup::check_topic() const {
    const auto topic = topic_.lock();
    return topic ? topic->check_changes("change a group of") : Result<void>{};
}

Result<void> StoredGroup::change_attributes(const AttributesChange& change) {
    TOPICFS_TRY(check_topic());
    const std::scoped_lock changes(changes_mutex_);
    Attributes before;
    {
        const std::scoped_lock lock(mutex_);
        before = attributes_;
        apply_change(attributes_, change, now_ns(env_.clock));
    }
    auto saved = save();
    if (!saved && !is_saved()) {
        const std::scoped_lock lock(mutex_);
        attributes_ = before;
    }
    return saved;
}

GroupSettings StoredGroup::settings() const {
    const std::scoped_lock lock(mutex_);
    return settings_;
}

Result<void> StoredGroup::set(std::string_view key, std::string_view value) {
    TOPICFS_TRY(check_topic());
    const std::scoped_lock changes(changes_mutex_);
    GroupSettings before;
    {
        const std::scoped_lock lock(mutex_);
        before = settings_;
        TOPICFS_TRY(set_setting(settings_, key, value));
        show_settings_locked();
    }
    auto saved = save();
    const bool counts = saved || is_saved();
    const std::scoped_lock lock(mutex_);
    if (!counts) {
        settings_ = before;
    }
    show_settings_locked();
    schedule_expiry_locked();
    return saved;
}

bool StoredGroup::is_unused_since(TimestampMs time) const {
    const std::scoped_lock lock(mutex_);
    return readers_.empty() && last_use_ < time;
}

void StoredGroup::save_last_use(std::int64_t resolution_ms) {
    {
        const std::scoped_lock lock(mutex_);
        if (!readers_.empty()) {
            last_use_ = std::max(last_use_, env_.clock.now());
        }
        if (last_use_ - saved_use_ < resolution_ms) {
            return;
        }
    }
    const std::scoped_lock changes(changes_mutex_);
    if (const auto saved = save(); !saved) {
        log_debug(saved.error().message());  // The next round tries again.
    }
}

bool StoredGroup::retire(std::string reason, bool if_unused) {
    Tells tells;
    const std::scoped_lock locks(changes_mutex_, mutex_);
    if (if_unused && !readers_.empty()) {
        return false;
    }
    retired_ = std::move(reason);
    for (const StoredGroupReader* const reader : readers_) {
        add_waiters(*reader, tells);
    }
    return true;
}

void StoredGroup::topic_removed() {
    Tells tells;
    const std::scoped_lock lock(mutex_);
    for (const StoredGroupReader* const reader : readers_) {
        add_waiters(*reader, tells);
    }
}

void StoredGroup::topic_brought_back() {
    const std::scoped_lock lock(mutex_);
    last_use_ = std::max(last_use_, env_.clock.now());
}

void StoredGroup::reinstate() {
    const std::scoped_lock lock(mutex_);
    retired_.clear();
}

}  // namespace topicfs
