// What is open through the mount: file handles of the FUSE protocol, numbers that are given out once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "mount/backings.h"
#include "mount/fuse_api.h"
#include "mount/nodes.h"

namespace topicfs {

struct Handle {
    Handle(std::shared_ptr<const Node> opened_node, int open_flags) : node(std::move(opened_node)), flags(open_flags) {}

    ~Handle();
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    std::uint64_t number = 0;
    const std::shared_ptr<const Node> node;
    const int flags;                         // of open(2)
    std::shared_ptr<const Backing> backing;  // where writes stay in the kernel
    bool is_counted_writer = false;          // Backings knows of it
    std::shared_ptr<const void> appends;     // of a partition that is open for writing: Partition::open_for_append()
    std::shared_ptr<TopicWriter> writer;     // of T/all
    std::shared_ptr<GroupReader> reader;     // of a group's streams
    std::uint64_t end_at_open = 0;           // where T/all ended then

    std::atomic<bool> damage_logged = false;  // a reader that tries again and again must not fill the log

    // One open can be used by many threads: this guards what follows.
    std::mutex mutex;
    std::string text;                 // of .status and .config files: what a reader sees, as it was at the open
    std::vector<std::string> names;   // of the root directory: what a reader of it sees, as it was at its begin
    Position next_position;           // of +follow files: where the next read will begin
    off_t next_write = 0;             // of T/all: where the next write begins that goes on where the last one ended
    fuse_pollhandle* poll = nullptr;  // of +follow files: the latest that the kernel gave
};

// Any thread.
class HandleTable {
public:
    // Gives the handle its number.
    std::shared_ptr<Handle> add(std::shared_ptr<Handle> handle);
    // None where it is not open.
    std::shared_ptr<Handle> find(std::uint64_t number) const;
    std::shared_ptr<Handle> remove(std::uint64_t number);
    std::size_t size() const;

private:
    mutable std::mutex mutex_;
    std::uint64_t next_number_ = 1;
    std::unordered_map<std::uint64_t, std::shared_ptr<Handle>> handles_;
};

}  // namespace topicfs
