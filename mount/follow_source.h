// What the reads of a `+follow` file wait for: a partition, or a view, to have more.
#pragma once

#include <optional>

#include "mount/nodes.h"

namespace topicfs {

// Any thread.
class FollowSource {
public:
    // Of a reader's or a view's node.
    explicit FollowSource(const Node& node) : partition_(node.partition), view_(node.view) {}

    // Those that wait for the same are told together: all readers of a partition, each reader of a view for itself.
    const void* key() const { return view_ ? static_cast<const void*>(view_.get()) : partition_.get(); }

    struct Available {
        Position end;          // where the next bytes will be: what a node's start and a file's offset add up to
        bool is_over = false;  // there will be no more
        // When to look again although nobody is told.
        std::optional<TimestampMs> ask_again_at = std::nullopt;
    };
    Result<Available> available() const;
    // Whether available() looks things up, which is not for the thread that tells of growth.
    bool is_costly() const { return view_ != nullptr; }

    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const;
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const;

private:
    std::shared_ptr<Partition> partition_;
    std::shared_ptr<LogView> view_;
};

}  // namespace topicfs
