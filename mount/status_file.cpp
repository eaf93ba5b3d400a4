#include "status_file.h"

#include "group_files.h"

#include <sys/stat.h>

#include <cerrno>

namespace topicfs {

Result<JsonValue> read_status(const std::string& directory) {
    const Error neither = make_error(ErrorCode::kInvalid, "", directory, "neither topic nor mount of topicfs");
    struct stat found = {};
    if (::stat(directory.c_str(), &found) != 0) {
        return system_error(errno, "", directory);
    }
    const auto text = read_text_file(directory + "/.status");
    if (!text) {
        const int code = text.error().system_errno;
        return code == ENOENT || code == ENOTDIR ? neither : text.error();
    }
    auto status = JsonValue::parse(*text);
    if (!status || (status->find("topic") == nullptr && status->find("topics") == nullptr)) {
        return neither;
    }
    return status;
}

Result<JsonValue> read_topic_status(const std::string& directory) {
    TOPICFS_TRY_ASSIGN(JsonValue status, read_status(directory));
    if (status.find("topic") == nullptr) {
        return make_error(ErrorCode::kInvalid, "", directory,
                          "it is the root of a mount, and no topic (topicfs list shows its topics)");
    }
    return status;
}

Result<JsonValue> read_store_status(const std::string& directory) {
    TOPICFS_TRY_ASSIGN(JsonValue status, read_status(directory));
    if (status.find("store") == nullptr) {
        return make_error(ErrorCode::kInvalid, "", directory,
                          "it is a topic, and no root of a mount (topicfs describe shows it)");
    }
    return status;
}

}  // namespace topicfs
