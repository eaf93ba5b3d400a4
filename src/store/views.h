// The views of a topic by name, and the days that it has.
//
// Any thread. Ownership: what is handed out keeps the topic's partitions; the Store must outlive it.
#pragma once

#include "base/local_time.h"
#include "store/log_view.h"
#include "store/view_name.h"

#include <topicfs/store.h>

#include <memory>
#include <optional>
#include <vector>

namespace topicfs {

// What `name` shows when it is looked up at `now`. kNotFound for a partition that there is not, and for an offset
// before the log start.
Result<std::shared_ptr<LogView>> open_view(const std::shared_ptr<Topic>& topic, const ViewName& name, TimestampMs now);

// The days, in the process's zone and in order, in which records of the topic were appended. A day that a log start
// has cut into is gone from that partition: its records were not all kept. The cost is a few look-ups for each day that
// has data and partition.
Result<std::vector<CivilDate>> days_of(Topic& topic);
// Of one day, the partitions that have records of it, in order; empty where it is no such day.
Result<std::vector<std::uint32_t>> partitions_of_day(Topic& topic, const CivilDate& day);
// The day's part of a partition, or of the whole topic where there is no number. kNotFound where the day is not there.
Result<std::shared_ptr<LogView>> open_day(const std::shared_ptr<Topic>& topic, const CivilDate& day,
                                          std::optional<std::uint32_t> partition, TimestampMs now);

}  // namespace topicfs
