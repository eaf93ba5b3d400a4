// A writer of a whole topic: puts lines together and appends them to partitions. What a caller sees is in TopicWriter
// (topicfs/store.h).
//
// A line goes to a partition in one append, with all the other lines of the same call for that partition. What stands
// behind the last delimiter is kept in a file (UnfinishedFile) and, when the line is whole, appended with its rest:
// the file says so first, so that a process that dies in between leaves behind what is needed to find out whether the
// line is in the partition. Between the log end that the file names and the end of the append no other writer of the
// topic appends there (LineTurns), as two lines can be the same.
//
// After an error that is not for lack of room the writer fails every call; what it had kept is written at the next
// start. Threads: any; the calls of one writer wait for each other.
#pragma once

#include "base/clock.h"
#include "store/unfinished_file.h"

#include <topicfs/store.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace topicfs {

class StoredPartition;
class StoredTopic;

Error no_lines(std::string topic);  // for a topic without a delimiter

class StoredTopicWriter final : public TopicWriter {
public:
    StoredTopicWriter(FileSystem& fs, const Clock& clock, std::shared_ptr<StoredTopic> topic, std::string directory,
                      std::uint64_t number);
    ~StoredTopicWriter() override;

    Result<std::size_t> append(std::span<const std::byte> bytes) override;
    Result<void> sync() override;
    Result<void> close() override;

    // At a start: takes over the file of a writer that has died, and finds out what of its line is where. close() then
    // writes the rest; all files are taken over before the first is closed.
    Result<void> take_over(bool power_was_cut);

private:
    // Lines of one call for one partition, in their order, as pieces of the call's bytes.
    struct Group {
        std::uint32_t partition = 0;
        std::vector<std::span<const std::byte>> runs;
    };
    // The unfinished line and what ends it.
    struct FirstLine {
        bool was_there = false;
        std::vector<std::byte> front;     // what is kept of it and not placed
        std::span<const std::byte> rest;  // of the call's bytes
    };

    Result<std::byte> check_usable() const;  // the delimiter
    Result<std::size_t> append_locked(std::span<const std::byte> bytes, std::byte delimiter);
    Result<std::size_t> append_lines(std::span<const std::byte> lines, std::byte delimiter);
    Result<void> keep(std::span<const std::byte> tail, bool begins);
    std::vector<Group> group(std::span<const std::byte> lines, const FirstLine& first, std::byte delimiter);
    std::uint32_t sticky_partition(std::uint32_t count);
    // How much of the group is stored, and why not all of it.
    struct Stored {
        std::size_t bytes = 0;
        bool is_whole = false;
        bool is_unknown = false;  // more may be stored, or what is stored may not last
        std::optional<Error> error;
    };
    Stored append_group(const Group& group, const FirstLine* first, std::byte delimiter);
    Stored append_first(StoredPartition& partition, const FirstLine& first, std::span<const std::byte> bytes,
                        std::byte delimiter);
    Result<std::size_t> settle(std::span<const std::byte> lines, const std::vector<Group>& groups, std::size_t failed,
                               const FirstLine& first, Stored stored, std::byte delimiter);
    void forget_line(std::optional<std::uint32_t> begun_in = std::nullopt);
    // An error of the file: fails the writer where it is not for lack of something.
    void note(const Error& error);

    const Clock& clock_;
    const std::shared_ptr<StoredTopic> topic_;
    const std::string shown_;

    std::mutex mutex_;  // held over each call
    UnfinishedFile unfinished_;
    std::vector<std::byte> scratch_;
    std::set<std::uint32_t> touched_;  // partitions since the last sync
    std::optional<std::uint32_t> sticky_;
    std::uint64_t sticky_bytes_ = 0;  // appended to it
    std::int64_t last_append_ms_ = 0;
    std::string failure_;
    bool closed_ = false;
};

}  // namespace topicfs
