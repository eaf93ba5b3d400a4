// The part of verify that checks one segment and its index.
#pragma once

#include "store/verify_partition.h"

#include <topicfs/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace topicfs {

struct SegmentToCheck {
    std::string directory;  // of the partition
    std::string name;
    Position base;
    Codec codec = Codec::kNone;  // what its name says: kZstd, or kLz4 for both others
    bool is_empty = false;
    bool is_newest = false;             // then a torn tail is no damage where head holds its bytes
    std::optional<Position> head_from;  // what head still has, where there is one
    Position head_end;
    Position log_start;    // what lies before may have been given back
    Position durable_end;  // what the recovery point vouches for; behind it head counts, not the segment
};

// What goes from one segment of a partition to the next.
struct SegmentChain {
    RecordEnd record_end;
    Position position;  // where the next batch should begin
    Offset offset;      // and with which record, where that is known
    bool offset_known = false;
    TimestampMs time{INT64_MIN};  // of the last record
};

// Errors as of verify_store.
Result<void> verify_segment(VerifyContext& context, const SegmentToCheck& segment, SegmentChain& chain);

}  // namespace topicfs
