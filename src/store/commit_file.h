// The file of a group's commits while it is open. Layout in FORMAT.md, "Commits".
//
// Invariant, for each partition: one of its three slots holds a commit that is durable, and neither that one nor the
// one which is being synced is written. So a power cut at any moment leaves the last durable commit readable, and
// commits go on while an earlier one is synced.
//
// After a write or a sync that failed for another reason than a lack of something the file takes no more until it is
// loaded again. Threads: any; a write waits for no sync, but for that of the first write after load(). Ownership: owns
// its descriptor, which it gives up at close().
#pragma once

#include "format/commit_slot.h"
#include "io/file_system.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace topicfs {

class CommitFile {
public:
    CommitFile(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

    // A new file, with room for so many partitions; its content is durable, its name is not.
    static Result<void> create(FileSystem& fs, const std::string& path, std::uint32_t partitions);

    struct Loaded {
        std::vector<std::optional<CommitSlot>> slots;  // by partition
        std::vector<std::uint32_t> damaged;            // partitions with a slot that is
        bool is_short = false;                         // than any is: commits may be lost with its end
    };
    // kNewerFormat: leave it alone. A missing file is as an empty one, and short.
    Result<Loaded> load();

    // The slot's commit, which gets the next sequence: it outlives the death of the process when this has returned.
    Result<void> write(CommitSlot& slot);
    // All that was written before the call is durable when this returns.
    Result<void> sync();
    void close();

private:
    struct Slots {
        std::uint64_t sequence = 0;
        unsigned target = 0;   // where the next write goes
        unsigned durable = 2;  // not written
        bool written = false;  // since the last sync began
    };
    Result<std::shared_ptr<File>> open_locked();
    Error note_locked(Error error);

    FileSystem& fs_;
    const std::string path_;
    std::mutex sync_mutex_;  // one sync at a time; taken before mutex_
    std::mutex mutex_;       // guards what follows; held over a write, not over a sync
    std::shared_ptr<File> file_;
    std::vector<Slots> slots_;
    bool is_new_ = true;  // what is durable is known
    std::string failure_;
};

}  // namespace topicfs
