// The file of one writer's unfinished line, and what is known of that line. Layout in FORMAT.md, "Unfinished lines".
//
// The file is made when there is something to keep, and every member that changes it writes it: when the call has
// returned, the change outlives the death of the process; after sync(), a power cut. An error leaves the line as it
// was, but for begin(). Short lines are kept in memory too, long ones in the file only.
//
// Threads: one at a time. Ownership: owns the file, not its name; a destructor leaves both to the next start.
#pragma once

#include "format/unfinished_line.h"
#include "io/file_system.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace topicfs {

inline constexpr const char* kUnfinishedDirectory = "unfinished";  // in a topic's

class UnfinishedFile {
public:
    UnfinishedFile(FileSystem& fs, std::string topic_directory, std::uint64_t number);

    // Takes over what an earlier process has left. Before anything but remove() is called, rewrite() is. kNewerFormat:
    // leave it alone.
    Result<void> load(bool power_was_cut);
    // The line as it is known, of which the first `more` unplaced bytes are in their partition too, and which is not
    // being appended, in a new file of one frame. As durable as it was.
    Result<void> rewrite(std::uint64_t more = 0);

    // Whether a line has begun.
    bool is_there() const { return bytes_ > 0 || partition_; }
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t placed() const { return placed_; }
    std::optional<std::uint32_t> partition() const { return partition_; }
    bool is_synced() const { return synced_; }
    const std::optional<UnfinishedLine::Appended>& appended() const { return appended_; }
    // Those of bytes() that are not placed.
    Result<std::vector<std::byte>> unplaced();
    bool ends_in(std::byte delimiter) const { return last_ == delimiter; }

    // The line that was there is in its partition, or there was none: begins another one, or none where there is
    // neither data nor a partition; see UnfinishedKind. Where it fails there is no line (without data it
    // does not fail for lack of room); kReadOnly where the file still
    // tells of the old one.
    Result<void> begin(std::span<const std::byte> data, std::optional<std::uint32_t> partition = std::nullopt);
    Result<void> more(std::span<const std::byte> data);
    // The line, with `rest` at its end, is going to be appended. Durable on return where something of the line is.
    Result<void> line(std::span<const std::byte> rest, std::uint32_t partition, Position log_end);
    // It was not appended: the line is without `rest` again.
    Result<void> drop_line();
    // In place of a line() of which so many bytes more were appended, fewer than unplaced(). Durable as line() is.
    Result<void> place(std::uint32_t partition, std::uint64_t more);

    // All is durable when this returns, the file's name too.
    Result<void> sync();
    // Closes and removes the file.
    Result<void> remove();

private:
    UnfinishedFile(FileSystem& fs, std::string topic_directory, std::string path);
    Result<void> make_file();
    // At the chain's end; what is no kLine belongs to the chain then.
    Result<void> write(UnfinishedFrame frame);
    Result<void> sync_name();
    Result<void> sync_data();
    void set_line(const UnfinishedLine& line);
    void keep_in_memory(std::span<const std::byte> data);
    void forget_line();

    FileSystem& fs_;
    const std::string topic_directory_;
    const std::string path_;
    File file_;
    std::uint64_t generation_ = 0;
    std::uint32_t index_ = 0;        // of the next frame
    std::uint64_t end_ = 0;          // of the chain, without a kLine
    std::uint64_t bytes_ = 0;        // of the line
    std::optional<std::byte> last_;  // of these
    std::uint64_t placed_ = 0;
    std::optional<std::uint32_t> partition_;
    std::optional<UnfinishedLine::Appended> appended_;
    std::optional<std::vector<std::byte>> memory_ = std::vector<std::byte>();  // all of bytes_, where that is short
    bool synced_ = false;                                                      // some of the line was
    bool all_synced_ = true;                                                   // all frames were
    bool name_synced_ = false;
};

}  // namespace topicfs
