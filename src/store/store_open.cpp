// Opening a store, or making one: what is in the directory, the lock, the files of the store itself, the topics. What
// an open store does is in store.cpp.
#include "base/log.h"
#include "store/local_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <random>

namespace topicfs {

namespace {

constexpr unsigned kStateFileVersion = 1;
// Those that begin with "setting." are of new topics.
constexpr const char* kStoreSettingPrefix = "store-setting.";

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

// What is in a directory of the store; nothing where that is missing, as the trash was in stores of earlier versions.
Result<std::vector<DirectoryEntry>> list_directory(FileSystem& fs, const char* directory) {
    auto entries = fs.list(directory);
    if (!entries && directory == std::string_view(kTrashDirectory) && is_errno(entries.error(), ENOENT)) {
        return std::vector<DirectoryEntry>();
    }
    return entries;
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
    TOPICFS_TRY_ASSIGN(bool exists, is_ours());
    if (!exists && (!options_.create || options_.read_only)) {
        return refusal(ErrorCode::kNotFound, "there is no store in it");
    }
    if (exists) {
        TOPICFS_TRY(read_store_file());
    }
    if (!options_.read_only || options_.alone) {
        TOPICFS_TRY(take_lock());
    }
    if (!options_.read_only) {
        if (!exists) {
            // Another may have made the store, and closed it again, before the lock was ours.
            TOPICFS_TRY_ASSIGN(exists, is_ours());
            if (exists) {
                TOPICFS_TRY(read_store_file());
            }
        }
        if (!exists) {
            TOPICFS_TRY(create_files());
        }
    }
    TOPICFS_TRY(load_state());
    if (!options_.read_only) {
        TOPICFS_TRY(remove_leftovers(kTopicsDirectory));
        TOPICFS_TRY(remove_leftovers(kTrashDirectory));
    }
    TOPICFS_TRY(load_topics(kTopicsDirectory, topics_));
    TOPICFS_TRY(load_topics(kTrashDirectory, trash_));
    if (options_.read_only) {
        return {};
    }
    fs_.reserve().open(fs_, kReserveDirectory);
    // From here on an end without close() under another boot id is a power cut.
    TOPICFS_TRY(save_state(false));
    for (const auto& topic : all_topics()) {
        topic->write_unfinished_lines(power_was_cut_);
    }
    for (const auto& topic : trashed()) {
        topic->keep_removal();
    }
    if (options_.maintenance) {
        TOPICFS_TRY(maintenance_.start());
        read_ahead_.start();
        group_keeper_.start();
        trash_keeper_.start();
        disk_keeper_.start();
    } else {
        disk_keeper_.begin();
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
                              name == kStateFileName || name == kTopicsDirectory || name == kTrashDirectory ||
                              name == kReserveDirectory;
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
    TOPICFS_TRY_ASSIGN(lock_, open_file(fs_, kLockFileName, options_.read_only ? O_RDONLY : O_RDWR | O_CREAT));
    TOPICFS_TRY_ASSIGN(const bool ours, fs_.try_lock(lock_));
    if (!ours) {
        return refusal(ErrorCode::kBusy, "another topicfs has this store open");
    }
    return {};
}

Result<void> LocalStore::create_files() {
    for (const char* const directory : {kTopicsDirectory, kTrashDirectory}) {
        if (auto made = fs_.make_directory(directory); !made && !is_errno(made.error(), EEXIST)) {
            return made;
        }
    }
    attributes_.uid = geteuid();
    attributes_.gid = getegid();
    attributes_.mode = 0755;
    attributes_.atime_ns = attributes_.mtime_ns = attributes_.ctime_ns = now_ns(*environment_.clock);
    TOPICFS_TRY(save_state(true));
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
    for (const SettingInfo& info : store_setting_infos()) {
        const std::string text = value((kStoreSettingPrefix + std::string(info.key)).c_str());
        if (const auto set = text.empty() ? Result<void>{} : set_setting(store_settings_, info.key, text); !set) {
            log_warning(set.error().message() + "; the default counts");
        }
    }
    cache_.set_bytes_max(store_settings_.read_cache_bytes);
    power_was_cut_ = value("end") != "clean" && value("boot") != environment_.boot_id;
    if (power_was_cut_) {
        log_warning(environment_.directory +
                    ": power was cut while the store was open; what was not synced is checked");
    }
    return {};
}

// Under changes_mutex_, or before anybody else is there.
Result<void> LocalStore::save_state(bool clean) {
    TextFile file{"state", kStateFileVersion, {}};
    file.values["boot"] = environment_.boot_id;
    file.values["end"] = clean ? "clean" : "open";
    {
        const std::scoped_lock lock(mutex_);
        file.values["attributes"] = encode_attributes(attributes_);
        encode_settings(defaults_, file);
        for (const SettingInfo& info : store_setting_infos()) {
            file.values[kStoreSettingPrefix + std::string(info.key)] = *get_setting(store_settings_, info.key);
        }
    }
    const std::string content = encode_text_file(file);
    auto saved = replace_book(fs_, kStateFileName, content);
    if (!saved && lacks_room(saved.error())) {
        saved = overwrite_state(content);
    }
    return saved;
}

// On a full disk: the file keeps the block it has, so that a store can be opened and closed there too. A power cut in
// the middle of it leaves a damaged file, which load_state() takes for a power cut with default settings.
Result<void> LocalStore::overwrite_state(const std::string& content) {
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, kStateFileName, O_WRONLY));
    TOPICFS_TRY(write_at(fs_, file, std::as_bytes(std::span(content)), 0));
    TOPICFS_TRY(fs_.truncate(file, content.size()));
    return fs_.fsync(file);
}

Result<std::shared_ptr<StoredTopic>> LocalStore::open_topic(const char* directory, std::string_view name,
                                                            bool power_was_cut) {
    PartitionEnvironment environment = partitions_;
    environment.directory_name = directories_.name(std::string(directory) + "/" + std::string(name));
    return StoredTopic::open(environment, std::string(name), *environment.directory_name, power_was_cut, group_work(),
                             disk_keeper_.room());
}

Result<void> LocalStore::load_topics(const char* directory, Topics& topics) {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, list_directory(fs_, directory));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = std::string(directory) + "/" + entry.name;
        if (entry.name.starts_with(kUnfinishedPrefix)) {
            continue;
        }
        if (!entry.is_directory || !check_topic_name(entry.name)) {
            log_warning(environment_.directory + "/" + path + ": is no topic's directory and is left alone");
            continue;
        }
        auto opened = open_topic(directory, entry.name, power_was_cut_);
        if (opened) {
            if (&topics == &trash_) {
                (*opened)->trashed(entry.name);
            }
            topics.emplace(entry.name, std::move(opened).value());
        } else if (opened.error().code == ErrorCode::kDamaged || is_errno(opened.error(), EIO)) {
            // The others are served all the same, and nothing of this one is touched.
            log_error(environment_.directory + "/" + path + ": the topic is not served: " + opened.error().message());
        } else if (options_.read_only && is_errno(opened.error(), ENOENT)) {
            log_info(environment_.directory + "/" + path + ": was removed or moved meanwhile");
        } else {
            return std::move(opened).error();
        }
    }
    return {};
}

Result<void> LocalStore::remove_leftovers(const char* directory) {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, list_directory(fs_, directory));
    for (const DirectoryEntry& entry : entries) {
        const std::string path = std::string(directory) + "/" + entry.name;
        if (entry.is_directory && entry.name.starts_with(kUnfinishedPrefix)) {
            TOPICFS_TRY(remove_tree(path));
        } else if (entry.is_directory) {
            TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> inside, fs_.list(path));
            for (const DirectoryEntry& partition : inside) {
                if (partition.is_directory && partition.name.starts_with(kUnfinishedPrefix)) {
                    TOPICFS_TRY(remove_tree(path + "/" + partition.name));
                }
            }
            TOPICFS_TRY(remove_group_leftovers(path + "/" + kGroupsDirectory));
        }
    }
    return {};
}

Result<void> LocalStore::remove_group_leftovers(const std::string& groups) {
    const auto entries = fs_.list(groups);
    for (std::size_t i = 0; entries && i < entries->size(); ++i) {
        const DirectoryEntry& group = (*entries)[i];
        if (group.is_directory && group.name.starts_with(kUnfinishedPrefix)) {
            TOPICFS_TRY(remove_tree(groups + "/" + group.name));
        }
    }
    return {};  // A directory that cannot be listed is spoken of when the groups are loaded.
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

}  // namespace topicfs
