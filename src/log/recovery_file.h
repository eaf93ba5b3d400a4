// The recovery file of a partition while it is open: where the partition's recovery point is kept up to date.
//
// Invariant: one of the two slots holds a point that is durable, and is not written until the other holds a durable
// one. So a power cut at any moment leaves the last durable point readable.
//
// Threads: all members from any thread; a sync holds off other changes of the same partition's point.
#pragma once

#include "format/recovery_point.h"
#include "io/file_system.h"

#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace topicfs {

class RecoveryFile {
public:
    // The valid point in the file at `path`; nothing where there is none. Other errors than a missing file come
    // through.
    static Result<std::optional<RecoveryChoice>> load(FileSystem& fs, const std::string& path);

    // `durable` is what load() gave, whose slot is kept; nothing begins with slot 0 free.
    RecoveryFile(FileSystem& fs, std::string path, std::optional<RecoveryChoice> durable);

    // Makes both slots of a new file and syncs it.
    static Result<void> create(FileSystem& fs, const std::string& path, const RecoveryPoint& point);

    RecoveryPoint point() const;

    using Change = std::function<void(RecoveryPoint&)>;
    // Changes the point and writes it: seen by other processes on return, not durable.
    Result<void> publish(const Change& change);
    // The same, durable on return.
    Result<void> commit(const Change& change);
    // After somebody else's syncfs that began when the point was `sequence`.
    void note_synced(std::uint64_t sequence);

private:
    Result<void> write_locked(const Change& change);

    FileSystem& fs_;
    const std::string path_;
    mutable std::mutex mutex_;
    RecoveryPoint point_;
    unsigned durable_slot_;
};

}  // namespace topicfs
