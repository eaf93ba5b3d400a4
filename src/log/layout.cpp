#include "log/layout.h"

#include "base/text.h"
#include "codec/codec.h"

namespace topicfs {

namespace {

constexpr unsigned kDigits = 20;

std::string named(Position base, std::string_view suffix) {
    return zero_padded(base.value, kDigits).append(suffix);
}

}  // namespace

std::string head_file_name(Position base) {
    return named(base, ".head");
}

std::string times_file_name(Position base) {
    return named(base, ".times");
}

std::string segment_file_name(Position base, Codec codec) {
    return named(base, codec_file_suffix(codec));
}

std::string index_file_name(Position base) {
    return named(base, ".index");
}

std::optional<PartitionFileName> parse_partition_file_name(std::string_view name) {
    if (name == kRecoveryFileName) {
        return PartitionFileName{};
    }
    if (name.size() <= kDigits) {
        return std::nullopt;
    }
    const std::optional<std::uint64_t> base = parse_unsigned(name.substr(0, kDigits));
    if (!base || *base > kPositionMax) {
        return std::nullopt;
    }
    const std::string_view suffix = name.substr(kDigits);
    if (suffix == ".head") {
        return PartitionFileName{PartitionFile::kHead, {*base}, Codec::kNone};
    }
    if (suffix == ".times") {
        return PartitionFileName{PartitionFile::kTimes, {*base}, Codec::kNone};
    }
    if (suffix == ".index") {
        return PartitionFileName{PartitionFile::kIndex, {*base}, Codec::kNone};
    }
    for (const Codec codec : {Codec::kLz4, Codec::kZstd}) {
        if (suffix == codec_file_suffix(codec)) {
            return PartitionFileName{PartitionFile::kSegment, {*base}, codec};
        }
    }
    return std::nullopt;
}

}  // namespace topicfs
