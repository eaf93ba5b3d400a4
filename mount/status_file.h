// The `.status` file of a topic or of the root of a mount, as commands read it.
//
// Any thread.
#pragma once

#include "base/json_value.h"

#include <string>

namespace topicfs {

// Of the directory `directory`. kInvalid where its `.status` is none of topicfs's.
Result<JsonValue> read_status(const std::string& directory);

// As above; kInvalid where it is that of a store, or of a topic.
Result<JsonValue> read_topic_status(const std::string& directory);
Result<JsonValue> read_store_status(const std::string& directory);

}  // namespace topicfs
