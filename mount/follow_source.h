// What the reads of a `+follow` file wait for: a partition, a view or a group's reader to have more.
#pragma once

#include <optional>

#include "mount/handles.h"

namespace topicfs {

// Any thread.
class FollowSource {
public:
    // Of a handle of a reader, a view or a group's stream.
    explicit FollowSource(Handle& handle)
        : partition_(handle.node->partition), view_(handle.node->view), reader_(handle.reader) {}

    // Those that wait for the same are told together: all readers of a partition, each reader of a view for itself.
    const void* key() const {
        return reader_ ? static_cast<const void*>(reader_.get())
               : view_ ? static_cast<const void*>(view_.get())
                       : partition_.get();
    }

    struct Available {
        // Where the next bytes will be: what a node's start and a file's offset add up to. Of a group's reader, who
        // reads on where he was: behind all, or before.
        Position end;
        bool is_over = false;  // there will be no more
        // When to look again although nobody is told.
        std::optional<TimestampMs> ask_again_at = std::nullopt;
    };
    Result<Available> available() const;
    // Whether available() looks things up, which is not for the thread that tells of growth.
    bool is_costly() const { return view_ != nullptr || reader_ != nullptr; }

    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const;
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const;

private:
    std::shared_ptr<Partition> partition_;
    std::shared_ptr<LogView> view_;
    std::shared_ptr<GroupReader> reader_;
};

}  // namespace topicfs
