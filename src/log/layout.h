// The names of a partition's files. Each but `recovery` is named by a position in 20 decimal digits.
#pragma once

#include <topicfs/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace topicfs {

enum class PartitionFile { kHead, kTimes, kSegment, kIndex, kRecovery };

struct PartitionFileName {
    PartitionFile kind = PartitionFile::kRecovery;
    Position base;               // not for kRecovery
    Codec codec = Codec::kNone;  // for kSegment: kZstd or kLz4, as far as a name can tell
};

std::string head_file_name(Position base);
std::string times_file_name(Position base);
std::string segment_file_name(Position base, Codec codec);
std::string index_file_name(Position base);
inline constexpr const char* kRecoveryFileName = "recovery";

// Nothing where it is none of ours.
std::optional<PartitionFileName> parse_partition_file_name(std::string_view name);

}  // namespace topicfs
