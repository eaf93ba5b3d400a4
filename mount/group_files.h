// The files of a consumer group in a mount, as commands use them.
//
// Values; any thread.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

// The whole of a small file.
Result<std::string> read_text_file(const std::string& path);

// T/.groups/G, or one partition of it.
class GroupFiles {
public:
    // `path` is T/.groups/G, T/.groups/G/N or T/.groups/G/N.offset, however it is written. kInvalid where it is none of
    // these.
    static Result<GroupFiles> open(const std::string& path);

    const std::string& topic() const { return topic_; }
    const std::string& group() const { return group_; }
    const std::vector<std::uint32_t>& partitions() const { return partitions_; }
    std::string offset_path(std::uint32_t partition) const;

    Result<std::uint64_t> committed(std::uint32_t partition) const;
    // Where write() would lead. kInvalid where nothing can be read there, kBusy where the partition has a reader.
    Result<std::uint64_t> find(std::uint32_t partition, std::string_view point) const;
    // Errors as that.
    Result<void> write(std::uint32_t partition, std::string_view point) const;

private:
    std::string directory_;  // absolute
    std::string topic_;
    std::string group_;
    std::vector<std::uint32_t> partitions_;
};

}  // namespace topicfs
