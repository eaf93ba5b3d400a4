#include "mount/names.h"

#include <topicfs/store.h>

#include <cerrno>

#include "base/text.h"

namespace topicfs {

std::optional<std::uint32_t> partition_number(std::string_view name) {
    const std::optional<std::uint64_t> number = parse_unsigned(name);
    if (!number || *number >= kPartitionsMax || (name.size() > 1 && name.front() == '0')) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*number);
}

bool is_reserved_name(std::string_view name) {
    return name.starts_with('.') || name == kAllName || name.find_first_of("@+") != std::string_view::npos;
}

Result<void> check_name_length(std::string_view name) {
    if (name.size() > kTopicNameBytesMax) {
        return make_error(ErrorCode::kNameTooLong, "look up", std::string(name), "a name has at most 249 bytes");
    }
    return {};
}

}  // namespace topicfs
