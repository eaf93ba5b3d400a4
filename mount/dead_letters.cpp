#include "dead_letters.h"

#include "record_file.h"

#include <topicfs/store.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace topicfs {

namespace {

constexpr const char* kNoTopic = "no topic of a mounted topicfs";

Result<struct stat> look_at(const std::string& path) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0) {
        return system_error(errno, "", path);
    }
    return found;
}

// Who may do what with a topic's records may do that with its dead letters, and nobody else may.
mode_t mode_beside(const std::string& topic_directory, const struct stat& topic) {
    constexpr mode_t kReadBits = 0444;
    constexpr mode_t kGroupBits = 0070;
    constexpr mode_t kOthersBits = 0007;
    struct stat all = {};
    const mode_t records = ::stat((topic_directory + "/all").c_str(), &all) == 0 ? all.st_mode & kReadBits : 0;
    mode_t mode = topic.st_mode & (records | records >> 1 | records >> 2);
    if (topic.st_gid != ::getegid()) {
        mode &= ~kGroupBits | (mode & kOthersBits) << 3;
    }
    return mode & 0777;
}

// Only in a mount of the same store: elsewhere it would be an ordinary directory.
Result<void> make_topic(const std::string& path, const std::string& topic_directory, const struct stat& beside,
                        NewDirectory& made) {
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    TOPICFS_TRY_ASSIGN(const struct stat above, look_at(parent));
    if (above.st_dev != beside.st_dev) {
        return make_error(ErrorCode::kInvalid, "", path, kNoTopic);
    }
    return made.make(path, mode_beside(topic_directory, beside));
}

// Only a topic has groups: in another directory of the mount `all` can be something else.
bool is_topic(const std::string& path) {
    struct stat groups = {};
    return ::stat((path + "/.groups").c_str(), &groups) == 0;
}

}  // namespace

Result<DeadLetters> DeadLetters::open(const std::string& name, const std::string& topic_directory, NewDirectory& made) {
    std::string path = name;
    if (name.find('/') == std::string::npos) {
        path = topic_directory.substr(0, topic_directory.rfind('/') + 1) + name;
    }
    while (path.size() > 1 && path.ends_with('/')) {
        path.pop_back();
    }
    TOPICFS_TRY_ASSIGN(const struct stat topic, look_at(topic_directory));
    auto found = look_at(path);
    if (!found && found.error().system_errno == ENOENT) {
        TOPICFS_TRY(make_topic(path, topic_directory, topic, made));
        found = look_at(path);
    }
    TOPICFS_TRY(found);
    if (found->st_dev == topic.st_dev && found->st_ino == topic.st_ino) {
        return make_error(ErrorCode::kInvalid, "", path, "the topic itself cannot take its dead letters");
    }
    if (!is_topic(path)) {
        return make_error(ErrorCode::kInvalid, "", path, kNoTopic);
    }
    DeadLetters letters;
    letters.path_ = path + "/all";
    TOPICFS_TRY_ASSIGN(const RecordFile all, RecordFile::open(letters.path_, 0, kNoTopic));
    letters.name_ = all.topic();
    if (!all.delimiter()) {
        return make_error(ErrorCode::kInvalid, "", path,
                          "a byte log (record.delimiter is none) has no lines, so it takes no dead letters");
    }
    letters.delimiter_ = *all.delimiter();
    letters.file_ = Fd(::open(letters.path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    if (!letters.file_) {
        return system_error(errno, "open", letters.path_);
    }
    return letters;
}

Result<void> DeadLetters::add(const RecordPlace& place, std::string_view record, const RecordFailure& failure) {
    std::string line;
    add_as_json(line, place, record, &failure);
    line.back() = delimiter_;
    if (line.size() > kLineBytesMax) {
        return make_error(ErrorCode::kTooLarge, "",
                          std::string(place.topic) + "/" + std::to_string(place.partition) + ", record " +
                              std::to_string(place.offset.value),
                          "as a line in " + name_ + " it would have " + std::to_string(line.size()) +
                              " bytes, and a line has at most " + std::to_string(kLineBytesMax) +
                              " bytes; nothing was written");
    }
    for (std::string_view left = line; !left.empty();) {
        const ssize_t written = ::write(file_.get(), left.data(), left.size());
        if (written < 0 && errno != EINTR) {
            return system_error(errno, "append to", path_);
        }
        left.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    if (::fsync(file_.get()) != 0) {
        return system_error(errno, "sync", path_);
    }
    return {};
}

}  // namespace topicfs
