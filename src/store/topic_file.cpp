// A topic's text file: what it says, and how it is read and replaced.
#include "base/crc32c.h"
#include "base/log.h"
#include "base/text.h"
#include "store/topic.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace topicfs {

namespace {

constexpr const char* kRemovedNameKey = "removed.name";
constexpr const char* kRemovedTimeKey = "removed.time";

std::string partition_key(std::uint32_t number) {
    return "partition." + std::to_string(number);
}

std::string octal(std::uint32_t value) {
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 8).ptr;
    return std::string(digits.data(), end);
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!(text = trim(text)).empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

}  // namespace

std::string encode_attributes(const Attributes& attributes) {
    return std::to_string(attributes.uid) + " " + std::to_string(attributes.gid) + " " + octal(attributes.mode) + " " +
           std::to_string(attributes.atime_ns) + " " + std::to_string(attributes.mtime_ns) + " " +
           std::to_string(attributes.ctime_ns);
}

bool decode_attributes(std::string_view text, Attributes& attributes) {
    const std::vector<std::string_view> words = words_of(text);
    if (words.size() < 6) {
        return false;
    }
    const auto uid = parse_unsigned(words[0]);
    const auto gid = parse_unsigned(words[1]);
    std::uint32_t mode = 0;
    const auto mode_end = std::from_chars(words[2].data(), words[2].data() + words[2].size(), mode, 8);
    const auto atime = parse_signed(words[3]);
    const auto mtime = parse_signed(words[4]);
    const auto ctime = parse_signed(words[5]);
    if (!uid || !gid || mode_end.ec != std::errc() || mode > 07777 || !atime || !mtime || !ctime) {
        return false;
    }
    attributes = {static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid), mode, *atime, *mtime, *ctime};
    return true;
}

void encode_settings(const TopicSettings& settings, TextFile& file) {
    for (const SettingInfo& info : topic_setting_infos()) {
        file.values["setting." + std::string(info.key)] = *get_setting(settings, info.key);
    }
}

void decode_settings(const TextFile& file, TopicSettings& settings) {
    constexpr std::string_view kPrefix = "setting.";
    for (const auto& [key, value] : file.values) {
        if (key.starts_with(kPrefix)) {
            if (const auto set = set_setting(settings, key.substr(kPrefix.size()), value); !set) {
                log_warning(set.error().message() + "; the default counts");
            }
        }
    }
}

Result<void> StoredTopic::load() {
    const std::string path = directory_ + "/" + kTopicFileName;
    auto content = read_small_file(env_.fs, path, kTextFileBytesMax);
    Result<TextFile> file = Error{};
    if (content) {
        env_.fs.reserve().expect(content->size());
        file = decode_text_file(*content, "topic", kTopicFileVersion);
    } else if (is_errno(content.error(), ENOENT) || content.error().code == ErrorCode::kTooLarge) {
        file = make_error(ErrorCode::kDamaged, "read", path, "it is missing or too large");
    } else {
        return std::move(content).error();
    }
    if (!file && file.error().code == ErrorCode::kNewerFormat) {
        return std::move(file).error();
    }
    load_removal(file ? &*file : nullptr);
    if (file) {
        take_over(*file);
        return {};
    }
    log_error(path + ": " + file.error().detail +
              "; the records are there, but owner, modes and settings are lost: only the daemon's user may enter");
    attributes_ = {geteuid(), getegid(), 0700, 0, 0, 0};
    // The same at each start, until it is written with the next change.
    const std::string shown = is_from_trash() ? std::string(kTrashDirectory) + "/" + name() : name();
    id_ = std::uint64_t{1} + crc32c(std::as_bytes(std::span(shown)));
    return {};
}

void StoredTopic::take_over(const TextFile& file) {
    TopicSettings settings;
    decode_settings(file, settings);
    settings_ = std::make_shared<TopicSettings>(settings);
    attributes_ = {geteuid(), getegid(), 0700, 0, 0, 0};
    for (const auto& [key, value] : file.values) {
        constexpr std::string_view kPartition = "partition.";
        if (key == "id") {
            id_ = parse_unsigned(value).value_or(0);
        } else if (key == "attributes") {
            (void)decode_attributes(value, attributes_);
        } else if (key.starts_with(kPartition)) {
            const auto number = parse_unsigned(std::string_view(key).substr(kPartition.size()));
            const std::vector<std::string_view> words = words_of(value);
            StoredAttributes stored;
            if (number && *number < kPartitionsMax && words.size() == 7 &&
                decode_attributes(value, stored.attributes)) {
                stored.mtime_set_at = {parse_unsigned(words[6]).value_or(0)};
                partition_attributes_.resize(std::max<std::size_t>(partition_attributes_.size(), *number + 1),
                                             {{geteuid(), getegid(), 0600, 0, 0, 0}, {}});
                partition_attributes_[*number] = stored;
            }
        }
    }
}

TextFile StoredTopic::to_text() const {
    TextFile file{"topic", kTopicFileVersion, {}};
    file.values["id"] = std::to_string(id_);
    file.values["attributes"] = encode_attributes(attributes_);
    encode_settings(*settings_, file);
    if (removal_) {
        file.values[kRemovedNameKey] = removal_->name;
        file.values[kRemovedTimeKey] = std::to_string(removal_->time.value);
    }
    for (std::uint32_t number = 0; number < partition_attributes_.size(); ++number) {
        const StoredAttributes& stored = partition_attributes_[number];
        file.values[partition_key(number)] =
            encode_attributes(stored.attributes) + " " + std::to_string(stored.mtime_set_at.value);
    }
    return file;
}

bool StoredTopic::is_from_trash() const {
    return directory_.starts_with(std::string(kTrashDirectory) + "/");
}

// At a start. What is in the trash without a time gets the present one; elsewhere such keys are left from a removal
// that was not carried out, or is over.
void StoredTopic::load_removal(const TextFile* file) {
    keeps_no_removal_ = file == nullptr;
    const auto value = [&](const char* key) {
        const bool is_there = file != nullptr && file->values.contains(key);
        return is_there ? file->values.at(key) : std::string();
    };
    if (const auto time = parse_signed(value(kRemovedTimeKey))) {
        stored_removal_ = Removal{value(kRemovedNameKey), TimestampMs{*time}};
    }
    if (is_from_trash()) {
        removal_ = stored_removal_.value_or(Removal{name(), env_.clock.now()});
    }
}

// Under changes_mutex_, or before anybody else is there.
Result<void> StoredTopic::save() {
    std::optional<Removal> removal;
    std::string content;
    {
        const std::scoped_lock lock(mutex_);
        removal = removal_;
        content = encode_text_file(to_text());
    }
    TOPICFS_TRY(replace_book(env_.fs, directory_ + "/" + kTopicFileName, content));
    const std::scoped_lock lock(mutex_);
    stored_removal_ = std::move(removal);
    keeps_no_removal_ = false;
    return {};
}

std::string StoredTopic::text() const {
    const std::scoped_lock lock(mutex_);
    return encode_text_file(to_text());
}

// After a save that failed: whether the file holds the new state all the same, as where only the last sync failed. Then
// it counts, so that this process and the next one go by the same settings.
bool StoredTopic::is_saved() const {
    const auto content = read_small_file(env_.fs, directory_ + "/" + kTopicFileName, kTextFileBytesMax);
    return content && *content == text();
}

}  // namespace topicfs
