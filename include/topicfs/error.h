// What went wrong, in a form that a program can act on and a person can read.
//
// An Error is a value: copyable, owned by whoever holds it, safe to pass between threads. `code` says what kind of
// failure it is and is what programs decide by; `system_errno` is the errno of the system call that failed (positive)
// or 0 where no call failed. `operation`, `path` and `position` name what was being done, to what, and where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace topicfs {

// Persisted nowhere; the numbers may change. ErrorCode and errno are mapped onto each other in one place, to_errno().
enum class ErrorCode {
    kSystem,        // A system call failed; system_errno says how.
    kInvalid,       // The caller asked for something that is not allowed (EINVAL).
    kNotFound,      // No such topic, partition, setting or position (ENOENT).
    kExists,        // It is there already (EEXIST).
    kNotEmpty,      // A topic that has records (ENOTEMPTY).
    kNotPermitted,  // Refused by design: what is append-only is not overwritten (EPERM).
    kNameTooLong,   // A topic name over 249 bytes (ENAMETOOLONG).
    kBusy,          // Somebody else owns it: a store with a daemon on it (EBUSY).
    kReadOnly,      // The partition takes no appends since a write or sync failed; reopening the store ends it (EROFS).
    kDamaged,       // What is on disk fails its check; the range is known, the bytes are not served (EIO).
    kNotOurs,       // The directory holds something else than a topicfs store; nothing was written into it.
    kNewerFormat,   // Written by a later version in a way this one cannot read.
    kTooLarge,      // A declared size is over its cap.
};

// The stable, lower-case name of a code, as JSON output shows it.
const char* error_code_name(ErrorCode code);

struct [[nodiscard]] Error {
    ErrorCode code = ErrorCode::kSystem;
    int system_errno = 0;
    std::string operation;                  // What was being done, in the infinitive: "open", "append".
    std::string path;                       // What to; empty where there is none.
    std::optional<std::uint64_t> position;  // Where, in bytes; of the file or of the partition as `detail` says.
    std::string detail;                     // What to know beyond that: a whole clause, no full stop.

    // One line for people: the thing, the place, the reason.
    std::string message() const;
};

// The errno (positive) that a system call interface answers for this error. Any thread.
int to_errno(const Error& error);

// An error from a failed system call; `system_errno` must be positive.
Error system_error(int system_errno, std::string operation, std::string path);

// An error of another kind than a failed system call.
Error make_error(ErrorCode code, std::string operation, std::string path, std::string detail);

}  // namespace topicfs
