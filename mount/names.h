// Names in the tree that mean something by their form.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace topicfs {

inline constexpr std::string_view kConfigName = ".config";
inline constexpr std::string_view kStatusName = ".status";
inline constexpr std::string_view kMetricsName = ".metrics";  // in the root
inline constexpr std::string_view kDaysName = ".days";
inline constexpr std::string_view kGroupsName = ".groups";
inline constexpr std::string_view kTrashName = ".trash";
inline constexpr std::string_view kAllName = "all";

// "0", "17": as partitions are listed, so that each has one name only ("017" is none).
std::optional<std::uint32_t> partition_number(std::string_view name);

// What begins with a dot, `all` and names with `@` or `+` belong to the file system: nobody may make them in a topic.
bool is_reserved_name(std::string_view name);

// statfs(2) promises 249 bytes everywhere: ENAMETOOLONG.
Result<void> check_name_length(std::string_view name);

// What the name of a partition ends in whose reads wait for more.
inline constexpr std::string_view kFollowSuffix = "+follow";
// What the name of a partition ends in, in a group's directory, whose committed offset it is.
inline constexpr std::string_view kOffsetSuffix = ".offset";

}  // namespace topicfs
