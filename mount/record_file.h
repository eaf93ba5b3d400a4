// What a command reads records from: a view of a mounted topic, or a group's stream, that is open; its bytes, and which
// partition, position and time they are of.
//
// One thread. Owns its descriptor.
#pragma once

#include "io/fd.h"
#include "record_format.h"

#include <topicfs/ioctl.h>
#include <topicfs/result.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace topicfs {

class RecordFile {
public:
    // `flags` are added to those of open(2). `if_missing` says what it means that there is no such file. kNotFound
    // then; kInvalid for a file that is no such thing; kBusy for a stream that somebody else reads.
    static Result<RecordFile> open(const std::string& path, int flags, const char* if_missing);

    std::string_view topic() const { return topic_.name; }
    // What ends a record; nothing in a byte log.
    std::optional<char> delimiter() const {
        return topic_.delimiter < 0 ? std::nullopt : std::optional(static_cast<char>(topic_.delimiter));
    }
    // For poll(2).
    int descriptor() const { return fd_.get(); }

    // 0 at the end. kSystem with EAGAIN where it was opened with O_NONBLOCK and there is nothing yet.
    Result<std::size_t> read(std::span<char> into);

    // Of the record that begins at byte `at` of the file, which has been read (and in a stream is not committed). Calls
    // go forward.
    Result<RecordPlace> place_of(std::uint64_t at);
    // The record at `place` was of so many bytes, its delimiter too.
    void passed(const RecordPlace& place, std::size_t bytes);

    // Of a stream: commits the records that end at or before byte `at`.
    Result<void> commit(std::uint64_t at);
    // Of a stream: whether it has lost its partitions, as nobody came back in time. `end` is the end of what was read.
    bool is_lost(std::uint64_t end);

private:
    struct Next {
        std::optional<std::uint64_t> position;
        std::uint64_t offset = 0;
    };

    Result<void> describe(std::uint64_t at);

    std::string path_;
    Fd fd_;
    topicfs_topic topic_ = {};
    std::deque<topicfs_chunk> chunks_;
    std::uint64_t chunks_begin_ = 0;
    std::map<std::uint32_t, Next> next_;  // by partition: what comes there
};

}  // namespace topicfs
