// Finds out what a partition holds when a store is opened: which bytes are in segments, which in head, where the log
// ends.
//
// Two cases, by what ended the last run (storage rules in FORMAT.md, "Recovery"):
// - The process died, the machine went on: head holds every byte from the recovery point on. What the segments hold
// behind
//   the recovery point is dropped and sealed again from head, so that every sealed byte is written and synced anew.
// - Power was cut, or head lacks bytes: the segments are scanned behind the recovery point for their verified end, and
// no byte of
//   head behind the durable end is trusted where it could be a block that was never written.
// Only what lies behind the recovery point is read, so the time does not grow with the data. Running it twice gives the
// same.
#pragma once

#include "format/recovery_point.h"
#include "log/append_times.h"
#include "log/head.h"
#include "log/recovery_file.h"
#include "log/segment.h"

#include <topicfs/store.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace topicfs {

struct RecoveryOptions {
    bool power_was_cut = false;
    bool read_only = false;  // nothing is written: what would be cut is only not looked at
    TimestampMs now;
};

struct Recovered {
    std::optional<RecoveryChoice> choice;            // the recovery file's valid slot
    RecoveryPoint point;                             // as it is to be from now on
    std::vector<std::shared_ptr<Segment>> segments;  // by base
    std::shared_ptr<Head> head;                      // null only in read-only mode, where it is missing
    Position end;                                    // of the log
    bool new_segment = false;                        // the newest segment is not to be appended to
    bool times_unknown = false;                      // what is in head gets the time of this start
    Position lost_end;                               // durable positions below it, from `end` on, are lost; else 0
    std::vector<DamagedRange> damaged;
};

// `directory` is relative to the file system's root. Without read_only the partition's files are put in order, and what
// was decided is durable on return. Errors of the file system, and kNewerFormat.
Result<Recovered> recover_partition(FileSystem& fs, const std::string& directory, const RecoveryOptions& options);

// From `from` on, up to where head can be trusted after a power cut: the first hole, or the first run of NULs that
// reaches the end of a sector or of the file. NULs that were synced lie before the durable end, where `from` begins; of
// others nobody can tell whether they were written, a delimiter neither.
Result<Position> trusted_end(const Head& head, Position from);

}  // namespace topicfs
