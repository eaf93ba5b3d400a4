#include <topicfs/store.h>

#include <algorithm>

namespace topicfs {

Result<void> check_topic_name(std::string_view name) {
    const auto refuse = [&](ErrorCode code, std::string detail) {
        return make_error(code, "name a topic", std::string(name), std::move(detail));
    };
    if (name.size() > kTopicNameBytesMax) {
        return refuse(ErrorCode::kNameTooLong, "it has more than 249 bytes");
    }
    if (name.empty() || name.front() == '.') {
        return refuse(ErrorCode::kInvalid, "a topic's name is not empty and begins with no dot");
    }
    const bool allowed = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
    if (!allowed) {
        return refuse(ErrorCode::kInvalid, "a topic's name is made of letters, digits, '.', '_' and '-'");
    }
    return {};
}

}  // namespace topicfs
