// The figures of a store in the text format of Prometheus; the names are in src/format/FORMAT.md, "Metrics".
//
// What is counted counts from when the store was opened. As with store/status.h nothing is waited for but the file
// system; and no commit is looked up in segments, so that ten thousand partitions with groups cost no decoding.
#pragma once

#include "store/status.h"

namespace topicfs {

Result<std::string> store_metrics_text(const StoreFacts& facts);

}  // namespace topicfs
