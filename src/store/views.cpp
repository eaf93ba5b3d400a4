#include "store/views.h"

#include "store/merged_view.h"
#include "store/partition_view.h"

namespace topicfs {

Result<std::shared_ptr<LogView>> open_view(const std::shared_ptr<Topic>& topic, const ViewName& name, TimestampMs now) {
    if (!name.partition) {
        TOPICFS_TRY_ASSIGN(const auto merged, MergedView::open(topic, name.from, name.to, now));
        return std::shared_ptr<LogView>(merged);
    }
    TOPICFS_TRY_ASSIGN(auto partition, topic->partition(*name.partition));
    TOPICFS_TRY_ASSIGN(const auto view, PartitionView::open(std::move(partition), name.from, name.to, now));
    return std::shared_ptr<LogView>(view);
}

}  // namespace topicfs
