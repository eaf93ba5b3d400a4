#include "base/log.h"
#include "base/text.h"
#include "store/local_store.h"
#include "store/status.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

namespace topicfs {

namespace {

constexpr unsigned kStateFileVersion = 1;
constexpr std::int64_t kSealAtCloseMs = 10000;
constexpr std::uint64_t kTopicIdsEnd = std::uint64_t{1} << 38;

std::string random_id() {
    std::random_device random;
    std::string id;
    for (int i = 0; i < 4; ++i) {
        constexpr const char* kHex = "0123456789abcdef";
        std::uint32_t bits = random();
        for (int digit = 0; digit < 8; ++digit, bits >>= 4) {
            id.push_back(kHex[bits & 15]);
        }
    }
    return id;
}

Result<std::string> read_boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    if (!std::getline(file, id) || id.empty()) {
        return make_error(ErrorCode::kSystem, "read", "/proc/sys/kernel/random/boot_id",
                          "the boot id tells whether power was cut; is /proc mounted?");
    }
    return id;
}

// Exactly one level is made: a parent that is missing is more likely a typing error.
Result<void> make_data_directory(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        return system_error(errno, "make", directory);
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Store>> open_store(const std::string& directory, const StoreOptions& options) {
    struct stat info {};
    if (::stat(directory.c_str(), &info) == 0) {
        if (!S_ISDIR(info.st_mode)) {
            return make_error(ErrorCode::kNotOurs, "open", directory, "the data directory is not a directory");
        }
    } else if (errno != ENOENT || !options.create || options.read_only) {
        return system_error(errno, "open", directory);
    } else {
        TOPICFS_TRY(make_data_directory(directory));
    }
    StoreEnvironment environment;
    TOPICFS_TRY_ASSIGN(environment.fs, open_file_system(directory));
    TOPICFS_TRY_ASSIGN(environment.boot_id, read_boot_id());
    environment.directory = directory;
    TOPICFS_TRY_ASSIGN(std::unique_ptr<LocalStore> store, LocalStore::open(std::move(environment), options));
    return std::unique_ptr<Store>(std::move(store));
}

Result<std::shared_ptr<Topic>> Store::create_topic(std::string_view name) {
    Attributes attributes;
    attributes.uid = geteuid();
    attributes.gid = getegid();
    attributes.mode = 0755;
    attributes.atime_ns = attributes.mtime_ns = attributes.ctime_ns = system_clock().now().value * 1'000'000;
    return create_topic(name, attributes);
}

LocalStore::LocalStore(StoreEnvironment environment, const StoreOptions& options)
    : environment_(std::move(environment)),
      options_(options),
      fs_(*environment_.fs),
      maintenance_(*environment_.clock, [this] { return partition_logs(); }),
      partitions_{fs_, *environment_.clock, cache_, options.maintenance && !options.read_only ? &maintenance_ : nullptr,
                  options.read_only} {}

LocalStore::~LocalStore() {
    if (const auto closed = close(); !closed) {
        log_error(closed.error().message());
    }
}

Result<std::unique_ptr<LocalStore>> LocalStore::open(StoreEnvironment environment, const StoreOptions& options) {
    std::unique_ptr<LocalStore> store(new LocalStore(std::move(environment), options));
    auto opened = store->open_or_create();
    if (!opened) {
        store->closed_ = true;  // Nothing of it is to be written.
        return std::move(opened).error();
    }
    return store;
}

Error LocalStore::refusal(ErrorCode code, std::string detail) const {
    return make_error(code, "open", environment_.directory, std::move(detail));
}

Result<void> LocalStore::open_or_create() {
    TOPICFS_TRY_ASSIGN(const bool exists, is_ours());
    if (!exists && (!options_.create || options_.read_only)) {
        return refusal(ErrorCode::kNotFound, "there is no store in it");
    }
    if (exists) {
        TOPICFS_TRY(read_store_file());
    }
    if (!options_.read_only) {
        TOPICFS_TRY(take_lock());
        if (!exists) {
            TOPICFS_TRY(create_files());
        }
    }
    TOPICFS_TRY(load_state());
    if (!options_.read_only) {
        TOPICFS_TRY(remove_leftovers());
    }
    TOPICFS_TRY(load_topics());
    if (options_.read_only) {
        return {};
    }
    {
        // From here on an end without close() under another boot id is a power cut.
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(save_state_locked(false));
    }
    if (options_.maintenance) {
        maintenance_.start();
    }
    return {};
}

// Whether a store is there; kNotOurs where something else is.
Result<bool> LocalStore::is_ours() {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, fs_.list(""));
    std::string stranger;
    for (const DirectoryEntry& entry : entries) {
        if (entry.name == kStoreFileName && entry.is_regular) {
            return true;
        }
        // What a new file system has, and what an interrupted first start leaves.
        const std::string_view name = entry.name.ends_with(kTemporarySuffix)
                                          ? std::string_view(entry.name).substr(0, entry.name.rfind('.'))
                                          : std::string_view(entry.name);
        const bool harmless = name == "lost+found" || name == kLockFileName || name == kStoreFileName ||
                              name == kStateFileName || name == kTopicsDirectory;
        if (!harmless) {
            stranger = entry.name;
        }
    }
    if (stranger.empty()) {
        // Written before the file 'store'; another program may have one of that name.
        const auto state = read_small_file(fs_, kStateFileName, kTextFileBytesMax);
        const bool is_missing = !state && is_errno(state.error(), ENOENT);
        stranger = is_missing || (state && state->starts_with("topicfs-state ")) ? "" : kStateFileName;
    }
    if (!stranger.empty()) {
        return refusal(ErrorCode::kNotOurs, "it is no topicfs store but holds other things ('" + stranger +
                                                "'); name an empty or a new directory");
    }
    TOPICFS_TRY_ASSIGN(const bool lone_topics, [&]() -> Result<bool> {
        for (const DirectoryEntry& entry : entries) {
            if (entry.name == kTopicsDirectory) {
                TOPICFS_TRY_ASSIGN(const auto inside, fs_.list(kTopicsDirectory));
                return !inside.empty();
            }
        }
        return false;
    }());
    if (lone_topics) {
        return refusal(ErrorCode::kNotOurs, "it has topics, but its file 'store' is missing");
    }
    return false;
}

Result<void> LocalStore::take_lock() {
    TOPICFS_TRY_ASSIGN(lock_, fs_.open(kLockFileName, O_RDWR | O_CREAT));
    TOPICFS_TRY_ASSIGN(const bool ours, fs_.try_lock(lock_));
    if (!ours) {
        return refusal(ErrorCode::kBusy, "another topicfs has this store open");
    }
    return {};
}

Result<void> LocalStore::create_files() {
    if (auto made = fs_.make_directory(kTopicsDirectory); !made && !is_errno(made.error(), EEXIST)) {
        return made;
    }
    attributes_.uid = geteuid();
    attributes_.gid = getegid();
    attributes_.mode = 0755;
    attributes_.atime_ns = attributes_.mtime_ns = attributes_.ctime_ns = environment_.clock->now().value * 1'000'000;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(save_state_locked(true));
    }
    // Last, as it is what makes the directory a store.
    id_ = random_id();
    TextFile file{"store", kStoreFormatVersion, {{"id", id_}}};
    return replace_file(fs_, kStoreFileName, encode_text_file(file));
}

Result<void> LocalStore::read_store_file() {
    TOPICFS_TRY_ASSIGN(const std::string content, read_small_file(fs_, kStoreFileName, kTextFileBytesMax));
    auto file = decode_text_file(content, "store", kStoreFormatVersion);
    if (!file && file.error().code == ErrorCode::kNewerFormat) {
        return refusal(ErrorCode::kNewerFormat, "the store was written by a later version; update topicfs");
    }
    if (!file) {
        return refusal(ErrorCode::kDamaged, "its file 'store' is damaged: " + file.error().detail);
    }
    id_ = file->values.count("id") != 0 ? file->values.at("id") : "";
    return {};
}

Result<void> LocalStore::load_state() {
    auto content = read_small_file(fs_, kStateFileName, kTextFileBytesMax);
    Result<TextFile> file = Error{};
    if (content) {
        file = decode_text_file(*content, "state", kStateFileVersion);
    } else if (is_errno(content.error(), ENOENT) || content.error().code == ErrorCode::kTooLarge) {
        file = make_error(ErrorCode::kDamaged, "read", kStateFileName, "it is missing or too large");
    } else {
        return std::move(content).error();
    }
    if (!file && file.error().code == ErrorCode::kNewerFormat) {
        return refusal(ErrorCode::kNewerFormat, "its file 'state' was written by a later version; update topicfs");
    }
    if (!file) {
        log_error(environment_.directory + "/" + kStateFileName + ": " + file.error().detail +
                  "; defaults count, and the last end is taken for a power cut");
        attributes_ = {geteuid(), getegid(), 0755, 0, 0, 0};
        power_was_cut_ = true;
        return {};
    }
    const auto value = [&](const char* key) {
        const auto found = file->values.find(key);
        return found == file->values.end() ? std::string() : found->second;
    };
    attributes_ = {geteuid(), getegid(), 0755, 0, 0, 0};
    (void)decode_attributes(value("attributes"), attributes_);
    decode_settings(*file, defaults_);
    power_was_cut_ = value("end") != "clean" && value("boot") != environment_.boot_id;
    if (power_was_cut_) {
        log_warning(environment_.directory +
                    ": power was cut while the store was open; what was not synced is checked");
    }
    return {};
}

Result<void> LocalStore::save_state_locked(bool clean) {
    TextFile file{"state", kStateFileVersion, {}};
    file.values["boot"] = environment_.boot_id;
    file.values["end"] = clean ? "clean" : "open";
    file.values["attributes"] = encode_attributes(attributes_);
    encode_settings(defaults_, file);
    const std::string content = encode_text_file(file);
    auto saved = replace_file(fs_, kStateFileName, content);
    if (!saved && (is_errno(saved.error(), ENOSPC) || is_errno(saved.error(), EDQUOT))) {
        saved = overwrite_state(content);
    }
    return saved;
}

// On a full disk: the file keeps the block it has, so that a store can be opened and closed there too. A power cut in
// the middle of it leaves a damaged file, which load_state() takes for a power cut with default settings.
Result<void> LocalStore::overwrite_state(const std::string& content) {
    TOPICFS_TRY_ASSIGN(const File file, fs_.open(kStateFileName, O_WRONLY));
    TOPICFS_TRY(write_at(fs_, file, std::as_bytes(std::span(content)), 0));
    TOPICFS_TRY(fs_.truncate(file, content.size()));
    return fs_.fsync(file);
}

Result<void> LocalStore::load_topics() {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, fs_.list(kTopicsDirectory));
    for (const DirectoryEntry& entry : entries) {
        if (entry.name.starts_with(kUnfinishedPrefix)) {
            continue;
        }
        if (!entry.is_directory || !check_topic_name(entry.name)) {
            log_warning(environment_.directory + "/" + kTopicsDirectory + "/" + entry.name +
                        ": is no topic's directory and is left alone");
            continue;
        }
        TOPICFS_TRY_ASSIGN(auto opened, StoredTopic::open(partitions_, entry.name, power_was_cut_));
        topics_.emplace(entry.name, std::move(opened));
    }
    return {};
}

Result<void> LocalStore::remove_leftovers() {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, fs_.list(kTopicsDirectory));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = std::string(kTopicsDirectory) + "/" + entry.name;
        if (entry.is_directory && entry.name.starts_with(kUnfinishedPrefix)) {
            TOPICFS_TRY(remove_tree(path));
        } else if (entry.is_directory) {
            TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> inside, fs_.list(path));
            for (const DirectoryEntry& partition : inside) {
                if (partition.is_directory && partition.name.starts_with(kUnfinishedPrefix)) {
                    TOPICFS_TRY(remove_tree(path + "/" + partition.name));
                }
            }
        }
    }
    return {};
}

Result<void> LocalStore::remove_tree(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, fs_.list(path));
    for (const DirectoryEntry& entry : entries) {
        const std::string inner = path + "/" + entry.name;
        if (entry.is_directory) {
            TOPICFS_TRY(remove_tree(inner));
        } else {
            TOPICFS_TRY(fs_.unlink(inner));
        }
    }
    return fs_.remove_directory(path);
}

std::vector<std::string> LocalStore::topic_names() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) {
        names.push_back(name);
    }
    return names;
}

std::vector<std::shared_ptr<StoredTopic>> LocalStore::topics() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<StoredTopic>> all;
    for (const auto& [name, topic] : topics_) {
        all.push_back(topic);
    }
    return all;
}

Maintenance::Partitions LocalStore::partition_logs() const {
    Maintenance::Partitions logs;
    for (const auto& topic : topics()) {
        for (const auto& partition : topic->partitions()) {
            logs.push_back(partition->log());
        }
    }
    return logs;
}

Result<std::shared_ptr<Topic>> LocalStore::topic(std::string_view name) const {
    const std::scoped_lock lock(mutex_);
    const auto found = topics_.find(name);
    if (found == topics_.end()) {
        return make_error(ErrorCode::kNotFound, "open", std::string(name), "there is no such topic");
    }
    return std::shared_ptr<Topic>(found->second);
}

Result<std::uint64_t> LocalStore::new_topic_id_locked() const {
    std::random_device random;
    std::uniform_int_distribution<std::uint64_t> any(1, kTopicIdsEnd - 1);
    for (;;) {
        const std::uint64_t id = any(random);
        if (std::none_of(topics_.begin(), topics_.end(), [&](const auto& topic) { return topic.second->id() == id; })) {
            return id;
        }
    }
}

Result<std::shared_ptr<Topic>> LocalStore::create_topic(std::string_view name, const Attributes& attributes) {
    TOPICFS_TRY(check_topic_name(name));
    const std::scoped_lock changes(changes_mutex_);
    std::uint64_t id = 0;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_changes_locked("make topic", name));
        if (topics_.find(name) != topics_.end()) {
            return make_error(ErrorCode::kExists, "make topic", std::string(name), "it is there already");
        }
        TOPICFS_TRY_ASSIGN(id, new_topic_id_locked());
    }
    const std::string unfinished = std::string(kTopicsDirectory) + "/" + kUnfinishedPrefix + std::to_string(id);
    const std::string directory = std::string(kTopicsDirectory) + "/" + std::string(name);
    auto made = StoredTopic::create_files(partitions_, unfinished, id, default_settings(), attributes);
    if (made) {
        made = fs_.rename(unfinished, directory);
    }
    Result<std::shared_ptr<StoredTopic>> opened = std::shared_ptr<StoredTopic>();
    if (made) {
        made = sync_directory(fs_, kTopicsDirectory);
        if (made) {
            opened = StoredTopic::open(partitions_, std::string(name), false);
        }
        if (!made || !opened) {
            (void)fs_.rename(directory, unfinished).has_value();  // So that it can be made again.
        }
    }
    if (!made || !opened) {
        (void)remove_tree(unfinished).has_value();  // What stays of it goes at the next start.
        return made ? std::move(opened).error() : std::move(made).error();
    }
    const std::scoped_lock lock(mutex_);
    topics_.emplace(name, *opened);
    attributes_.mtime_ns = attributes_.ctime_ns = environment_.clock->now().value * 1'000'000;
    return std::shared_ptr<Topic>(std::move(opened).value());
}

Result<void> LocalStore::remove_topic(std::string_view name) {
    const std::scoped_lock changes(changes_mutex_);
    std::shared_ptr<StoredTopic> topic;
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY(check_changes_locked("remove", name));
        const auto found = topics_.find(name);
        if (found == topics_.end()) {
            return make_error(ErrorCode::kNotFound, "remove", std::string(name), "there is no such topic");
        }
        topic = found->second;
    }
    if (!topic->retire_if_empty()) {
        return make_error(ErrorCode::kNotEmpty, "remove", std::string(name), "it has records");
    }
    const std::string gone = std::string(kTopicsDirectory) + "/" + kUnfinishedPrefix + std::to_string(topic->id());
    if (auto renamed = fs_.rename(std::string(kTopicsDirectory) + "/" + std::string(name), gone); !renamed) {
        topic->reinstate();
        return renamed;
    }
    {
        const std::scoped_lock lock(mutex_);
        topics_.erase(topics_.find(name));
        attributes_.mtime_ns = attributes_.ctime_ns = environment_.clock->now().value * 1'000'000;
    }
    TOPICFS_TRY(sync_directory(fs_, kTopicsDirectory));
    if (const auto removed = remove_tree(gone); !removed) {
        log_warning(removed.error().message() + "; the rest goes at the next start");
    }
    return {};
}

Attributes LocalStore::attributes() const {
    const std::scoped_lock lock(mutex_);
    return attributes_;
}

Result<void> LocalStore::check_changes_locked(const char* operation, std::string_view what) const {
    if (closed_ || options_.read_only) {
        return make_error(ErrorCode::kReadOnly, operation, std::string(what), "the store is not open for writing");
    }
    return {};
}

Result<void> LocalStore::change_attributes(const AttributesChange& change) {
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY(check_changes_locked("change", environment_.directory));
    const Attributes before = attributes_;
    apply_change(attributes_, change, environment_.clock->now().value * 1'000'000);
    auto saved = save_state_locked(false);
    if (!saved) {
        attributes_ = before;
    }
    return saved;
}

TopicSettings LocalStore::default_settings() const {
    const std::scoped_lock lock(mutex_);
    return defaults_;
}

Result<void> LocalStore::set_default(std::string_view key, std::string_view value) {
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY(check_changes_locked("set", key));
    const TopicSettings before = defaults_;
    TOPICFS_TRY(set_setting(defaults_, key, value));
    auto saved = save_state_locked(false);
    if (!saved) {
        defaults_ = before;
    }
    return saved;
}

Result<std::string> LocalStore::status_json() {
    StoreFacts facts;
    facts.id = id_;
    facts.directory = environment_.directory;
    facts.format_version = kStoreFormatVersion;
    TOPICFS_TRY_ASSIGN(facts.space, fs_.space());
    facts.topics = topics();
    return store_status_json(facts);
}

Result<void> LocalStore::maintain(bool seal_all) {
    BatchBuilder builder;
    const Maintenance::Partitions logs = partition_logs();
    for (const auto& log : logs) {
        TOPICFS_TRY(log->seal_due(builder, seal_all));
    }
    Maintenance::checkpoint(logs);
    return {};
}

Result<void> LocalStore::close() {
    const std::scoped_lock changes(changes_mutex_);
    {
        const std::scoped_lock lock(mutex_);
        if (closed_ || options_.read_only) {
            closed_ = true;
            return {};
        }
        closed_ = true;
    }
    maintenance_.stop();
    const Maintenance::Partitions logs = partition_logs();
    BatchBuilder builder;
    const std::int64_t deadline = environment_.clock->monotonic_ms() + kSealAtCloseMs;
    for (const auto& log : logs) {
        if (environment_.clock->monotonic_ms() < deadline) {
            if (const auto sealed = log->seal_due(builder, true); !sealed) {
                log_error(sealed.error().message() + "; what is not sealed stays in head");
            }
        }
    }
    Maintenance::checkpoint(logs);
    bool clean = true;
    for (const auto& log : logs) {
        if (log->failure().empty()) {
            clean = log->sync().has_value() && clean;
            log->retire("the store is closed");
        } else {
            clean = false;
        }
    }
    for (const auto& topic : topics()) {
        topic->retire("the store is closed");
    }
    const std::scoped_lock lock(mutex_);
    auto saved = save_state_locked(clean);
    (void)fs_.close(std::move(lock_)).has_value();
    lock_ = {};
    return saved;
}

}  // namespace topicfs
