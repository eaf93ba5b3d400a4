#include "store/verify.h"

#include "base/text.h"
#include "format/commit_slot.h"
#include "format/text_file.h"
#include "log/layout.h"
#include "store/verify_partition.h"

#include <topicfs/settings.h>
#include <topicfs/store.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs {

namespace {

constexpr unsigned kTextVersionMax = 1;
constexpr const char* kTopics = "topics";
constexpr const char* kTrash = "trash";
constexpr std::string_view kUnfinished = ".unfinished-";  // what is being made or removed

// Reads and decodes a text file; nothing where it is damaged, which is then reported.
Result<std::optional<TextFile>> check_text_file(VerifyContext& context, const std::string& path, const char* kind) {
    auto content = read_small_file(context.fs, path, kTextFileBytesMax);
    if (!content) {
        if (is_errno(content.error(), ENOENT)) {
            context.damage({Finding::Kind::kDamage, path, {}, {}, "the file is missing"});
            return std::optional<TextFile>();
        }
        if (content.error().code != ErrorCode::kTooLarge && !is_disk_error(content.error())) {
            return std::move(content).error();
        }
        context.damage({Finding::Kind::kDamage, path, {}, {}, content.error().message()});
        return std::optional<TextFile>();
    }
    auto decoded = decode_text_file(*content, kind, kTextVersionMax);
    if (!decoded) {
        if (decoded.error().code == ErrorCode::kNewerFormat) {
            decoded.error().path = path;
            return std::move(decoded).error();
        }
        const std::string why =
            decoded.error().detail.empty() ? "the content is not as it was written" : decoded.error().detail;
        context.damage({Finding::Kind::kDamage, path, Extent{0, content->size()}, {}, why});
        return std::optional<TextFile>();
    }
    return std::optional<TextFile>(std::move(*decoded));
}

// What ends a record in this topic; nothing is known where its text file is damaged.
RecordEnd record_end_of(const std::optional<TextFile>& topic) {
    if (!topic) {
        return {};
    }
    constexpr std::string_view kKey = "record.delimiter";
    TopicSettings settings;
    const auto found = topic->values.find("setting." + std::string(kKey));
    if (found != topic->values.end() && !set_setting(settings, kKey, found->second)) {
        return {};
    }
    return {true, settings.record_delimiter};
}

// Entries of a directory by name, so that two runs report in the same order.
Result<std::vector<DirectoryEntry>> sorted_list(FileSystem& fs, const std::string& path) {
    TOPICFS_TRY_ASSIGN(auto entries, fs.list(path));
    std::sort(entries.begin(), entries.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    return entries;
}

// A partition's number where `name` is one, written as topicfs writes it.
std::optional<std::uint64_t> partition_number(const std::string& name) {
    const auto number = parse_unsigned(name);
    return number && std::to_string(*number) == name && *number < kPartitionsMax ? number : std::nullopt;
}

// A slot can be half written at the moment when it is looked at, beside a daemon; then another look finds it whole.
Result<void> verify_commits(VerifyContext& context, const std::string& path) {
    constexpr std::size_t kBytesMax = commit_file_bytes(kPartitionsMax);
    constexpr int kLooksMax = 10;
    for (int look = 1;; ++look) {
        const auto content = read_small_file(context.fs, path, kBytesMax);
        if (!content) {
            if (!is_errno(content.error(), ENOENT) && content.error().code != ErrorCode::kTooLarge &&
                !is_disk_error(content.error())) {
                return content.error();
            }
            context.damage({Finding::Kind::kDamage, path, {}, {}, content.error().message()});
            return {};
        }
        const auto bytes = std::as_bytes(std::span(*content));
        std::vector<std::uint32_t> damaged;
        for (std::uint32_t partition = 0; commit_slot_at(partition, 0) < bytes.size(); ++partition) {
            auto choice = choose_commit(bytes, partition);
            if (!choice) {
                choice.error().path = path;
                return std::move(choice).error();
            }
            if (choice->damaged > 0) {
                damaged.push_back(partition);
            }
        }
        if (!damaged.empty() && look < kLooksMax) {
            continue;
        }
        if (bytes.size() < commit_file_bytes(1)) {
            context.damage({Finding::Kind::kDamage,
                            path,
                            Extent{bytes.size(), commit_file_bytes(1)},
                            {},
                            "the file is cut short; the group goes on by older commits, or anew"});
        }
        for (const std::uint32_t partition : damaged) {
            context.damage({Finding::Kind::kDamage,
                            path,
                            {},
                            {},
                            "a commit of partition " + std::to_string(partition) +
                                " is not as it was written; the group goes on by an older one, or anew"});
        }
        return {};
    }
}

Result<void> verify_groups(VerifyContext& context, const std::string& directory) {
    const auto entries = sorted_list(context.fs, directory);
    if (!entries) {
        return is_errno(entries.error(), ENOENT) ? Result<void>{} : entries.error();
    }
    for (const DirectoryEntry& entry : *entries) {
        const std::string path = directory + "/" + entry.name;
        if (!entry.is_directory || !check_group_name(entry.name)) {
            context.note(path, "not a group; topicfs leaves it alone");
            continue;
        }
        TOPICFS_TRY(check_text_file(context, path + "/group", "group"));
        TOPICFS_TRY(verify_commits(context, path + "/commits"));
        TOPICFS_TRY_ASSIGN(const auto inside, sorted_list(context.fs, path));
        for (const DirectoryEntry& file : inside) {
            if (file.name != "group" && file.name != "commits") {
                context.note(path + "/" + file.name, "not part of a group; topicfs leaves it alone");
            }
        }
    }
    return {};
}

Result<void> verify_topic(VerifyContext& context, const std::string& directory) {
    TOPICFS_TRY_ASSIGN(const auto topic, check_text_file(context, directory + "/topic", "topic"));
    ++context.totals.topics;
    TOPICFS_TRY_ASSIGN(const auto entries, sorted_list(context.fs, directory));
    std::vector<std::uint64_t> numbers;
    for (const DirectoryEntry& entry : entries) {
        const auto number = partition_number(entry.name);
        if (number && entry.is_directory) {
            numbers.push_back(*number);
        } else if (entry.name != "topic" && entry.name != "groups" && entry.name != "unfinished") {
            context.note(directory + "/" + entry.name, "not part of a topic; topicfs leaves it alone");
        }
    }
    std::sort(numbers.begin(), numbers.end());
    for (std::size_t expected = 0; expected < numbers.size(); ++expected) {
        if (numbers[expected] != expected) {
            context.damage({Finding::Kind::kDamage,
                            directory + "/" + std::to_string(expected),
                            {},
                            {},
                            "the partition is missing"});
            break;
        }
    }
    const RecordEnd record_end = record_end_of(topic);
    for (const std::uint64_t number : numbers) {
        TOPICFS_TRY(verify_partition(context, directory + "/" + std::to_string(number), record_end));
    }
    return verify_groups(context, directory + "/groups");
}

// The stored bytes of all segments, for the progress line. What cannot be listed is left to the check itself.
std::uint64_t segment_bytes_below(FileSystem& fs, const std::string& directory, int depth) {
    std::uint64_t bytes = 0;
    const auto entries = fs.list(directory);
    if (!entries) {
        return 0;
    }
    for (const DirectoryEntry& entry : *entries) {
        const std::string path = directory + "/" + entry.name;
        if (entry.is_directory && depth > 0) {
            bytes += segment_bytes_below(fs, path, depth - 1);
        } else if (const auto name = parse_partition_file_name(entry.name);
                   depth == 0 && name && name->kind == PartitionFile::kSegment) {
            const auto info = fs.info(path);
            bytes += info ? info->size : 0;
        }
    }
    return bytes;
}

Result<void> verify_root(VerifyContext& context, const std::vector<DirectoryEntry>& entries) {
    TOPICFS_TRY(check_text_file(context, "store", "store"));
    TOPICFS_TRY(check_text_file(context, "state", "state"));
    constexpr std::array<std::string_view, 7> kOurs = {"store", "state",   "lock",      kTrash,
                                                       kTopics, "reserve", "lost+found"};
    for (const DirectoryEntry& entry : entries) {
        if (std::find(kOurs.begin(), kOurs.end(), entry.name) == kOurs.end()) {
            context.note(entry.name, "not part of a store; topicfs leaves it alone");
        }
    }
    return {};
}

Result<void> verify_topics(VerifyContext& context, const std::string& directory) {
    TOPICFS_TRY_ASSIGN(const auto topics, sorted_list(context.fs, directory));
    for (const DirectoryEntry& entry : topics) {
        const std::string path = directory + "/" + entry.name;
        if (entry.is_directory && check_topic_name(entry.name)) {
            TOPICFS_TRY(verify_topic(context, path));
        } else if (entry.is_directory && directory == kTrash && entry.name.starts_with(kUnfinished)) {
            context.note(path, "what is left of a topic that was removed for good; it goes at the next start");
        } else {
            context.note(path, "not a topic; topicfs leaves it alone");
        }
    }
    return {};
}

}  // namespace

Result<VerifyTotals> verify_store(FileSystem& fs, VerifyObserver& observer) {
    TOPICFS_TRY_ASSIGN(const auto entries, sorted_list(fs, ""));
    const auto has = [&](std::string_view name) {
        return std::any_of(entries.begin(), entries.end(), [&](const DirectoryEntry& e) { return e.name == name; });
    };
    // Either is enough: a store that lost one of them is damaged, not absent.
    if (!has("store") && !has(kTopics)) {
        return make_error(ErrorCode::kNotOurs, "verify", "", "this is no topicfs data directory");
    }
    VerifyContext context{fs, observer, {}, segment_bytes_below(fs, kTopics, 2) + segment_bytes_below(fs, kTrash, 2)};
    TOPICFS_TRY(verify_root(context, entries));
    for (const char* const directory : {kTopics, kTrash}) {
        // A store in which no topic was made yet may lack the folder, or nothing was ever removed.
        if (has(directory)) {
            TOPICFS_TRY(verify_topics(context, directory));
        }
    }
    return context.totals;
}

}  // namespace topicfs
