// The backing files that opens for append are handed (passthrough.h): one a partition, shared by all its writers, and
// kept for some seconds after the last of them, so that a shell that appends line by line does not name it anew each
// time.
//
// While somebody has a partition open for appending only, the path that such writes take does not change (those that
// must come to the daemon, as with O_DSYNC, do not count): on one path a large write is never mixed with others, by the
// lock of head's inode or by that of the one writer node, and between the paths nothing would keep its parts together.
#pragma once

#include <topicfs/store.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "mount/passthrough.h"

namespace topicfs {

// A head that the kernel may write to.
class Backing {
public:
    Backing(const Passthrough& passthrough, std::int32_t id, std::shared_ptr<AppendFile> file)
        : passthrough_(passthrough), id_(id), file_(std::move(file)) {}
    ~Backing() { passthrough_.remove(id_); }
    Backing(const Backing&) = delete;
    Backing& operator=(const Backing&) = delete;
    std::int32_t id() const { return id_; }
    bool usable() const { return file_->usable(); }

private:
    const Passthrough& passthrough_;
    const std::int32_t id_;
    const std::shared_ptr<AppendFile> file_;
};

// Any thread.
class Backings {
public:
    explicit Backings(const Passthrough& passthrough) : passthrough_(passthrough) {}

    // For an open for append of the partition with that inode number: its backing, or nothing where the write is to
    // come to the daemon. `path` is what the topic's setting says.
    std::shared_ptr<Backing> get(std::uint64_t inode, Partition& partition, WritePath path);

    // An open for writing only, on that path (none: through the daemon), begins and ends.
    void opened(std::uint64_t inode, bool backed);
    void closed(std::uint64_t inode, bool backed);

    // Lets go of it at once, unless somebody has it open.
    void let_go(std::uint64_t inode);

    // To be called every few seconds: lets those go that nobody has used since.
    void sweep();
    bool empty() const;
    std::size_t size() const;

private:
    struct Entry {
        std::shared_ptr<Backing> backing;
        std::size_t backed_opens = 0;
        std::size_t daemon_opens = 0;
        bool used = false;  // since the last sweep
        bool in_use() const { return backed_opens > 0 || daemon_opens > 0; }
    };

    const Passthrough& passthrough_;
    mutable std::mutex mutex_;  // not held while a partition is asked
    std::unordered_map<std::uint64_t, Entry> entries_;
};

}  // namespace topicfs
