// The part of verify that checks one partition's folder.
#pragma once

#include "store/verify.h"

#include <cstdint>
#include <optional>
#include <string>

namespace topicfs {

// What goes through the whole check: where findings and figures are put. One thread.
struct VerifyContext {
    FileSystem& fs;
    VerifyObserver& observer;
    VerifyTotals totals;
    std::uint64_t bytes_total = 0;  // of segments, as far as known before the check began

    void damage(Finding finding);
    void note(std::string path, std::string what);
};

struct RecordEnd {
    bool is_known = false;
    std::optional<std::uint8_t> delimiter;  // nothing: every byte is a record
};

Result<void> verify_partition(VerifyContext& context, const std::string& directory, const RecordEnd& record_end);

// True for an error that the disk gave, as against one that says that we may not look.
bool is_disk_error(const Error& error);

}  // namespace topicfs
