// The figures of a store and of a topic as JSON; the schema is in src/format/FORMAT.md, "Status".
#pragma once

#include "store/topic.h"

#include <topicfs/result.h>

#include <memory>
#include <string>
#include <vector>

namespace topicfs {

Result<std::string> topic_status_json(const StoredTopic& topic);

struct StoreFacts {
    std::string id;
    std::string directory;
    unsigned format_version = 1;
    FileSystemSpace space;
    std::vector<std::shared_ptr<StoredTopic>> topics;
};
Result<std::string> store_status_json(const StoreFacts& facts, std::span<const StatusFact> more);

}  // namespace topicfs
