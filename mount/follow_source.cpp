#include "mount/follow_source.h"

namespace topicfs {

Result<FollowSource::Available> FollowSource::available() const {
    if (reader_) {
        TOPICFS_TRY_ASSIGN(const GroupReader::Readiness readiness, reader_->readiness());
        return Available{Position{readiness.is_ready ? kPositionMax : 0}, readiness.is_over, readiness.ask_again_at};
    }
    if (view_) {
        TOPICFS_TRY_ASSIGN(const LogView::Extent extent, view_->extent());
        return Available{Position{extent.bytes}, extent.is_complete, extent.ask_again_at};
    }
    const bool removed = partition_->is_removed();  // Before the end: what came before that is still read.
    TOPICFS_TRY_ASSIGN(const Position end, partition_->end());
    return Available{end, removed};
}

void FollowSource::start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const {
    if (reader_) {
        reader_->start_waiting(waiter);
    } else if (view_) {
        view_->start_waiting(waiter);
    } else {
        partition_->start_waiting(waiter);
    }
}

void FollowSource::stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) const {
    if (reader_) {
        reader_->stop_waiting(waiter);
    } else if (view_) {
        view_->stop_waiting(waiter);
    } else {
        partition_->stop_waiting(waiter);
    }
}

}  // namespace topicfs
