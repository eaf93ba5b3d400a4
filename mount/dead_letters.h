// The topic that takes the records which a command could not do with: a JSON line each, with where the record was and
// why it is here.
//
// One thread.
#pragma once

#include "io/fd.h"
#include "new_directory.h"
#include "record_format.h"

#include <topicfs/result.h>

#include <string>
#include <string_view>

namespace topicfs {

class DeadLetters {
public:
    // `name` is a topic's name, or with a '/' the path of its directory; made where there is none, no more open than
    // the topic that is consumed, and `made` then. `topic_directory`, an absolute path, is that topic, in the same
    // mount. kInvalid where both are the same, or where this would be no topic, or is a byte log.
    static Result<DeadLetters> open(const std::string& name, const std::string& topic_directory, NewDirectory& made);

    const std::string& name() const { return name_; }

    // Durable on return. kTooLarge, and nothing is written, where it would be longer than a line may be.
    Result<void> add(const RecordPlace& place, std::string_view record, const RecordFailure& failure);

private:
    std::string name_;
    std::string path_;
    Fd file_;
    char delimiter_ = '\n';
};

}  // namespace topicfs
