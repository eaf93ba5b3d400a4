// Who holds and who waits for which lock: flock(2) and fcntl(2) byte ranges of files, by plain numbers.
//
// The kernel leaves the locks of this mount to us, because a partition has several nodes and the kernel would keep
// locks apart a node. A file is therefore a number that all nodes of a partition share. Semantics are Linux's own: a
// flock that changes its type gives up the old lock first; an fcntl lock replaces what its owner holds in its range; a
// new request is measured against what is held, not against who waits; waiters are served in the order in which they
// came.
//
// Pure: no libfuse, no threads, no time. Not thread-safe: the caller has one mutex around it. Whatever frees something
// returns the waiters that got their lock by it; they are no waiters any more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

namespace topicfs {

enum class LockType { kShared, kExclusive };

struct PosixLock {
    LockType type = LockType::kShared;
    std::uint64_t first = 0;
    std::uint64_t last = 0;    // inclusive
    std::uint64_t owner = 0;   // the kernel's number of a process's file table, or of an open file (F_OFD_SETLK)
    std::uint64_t handle = 0;  // the open that it came through; nothing of it outlives that
    std::uint32_t pid = 0;     // for F_GETLK
    friend bool operator==(const PosixLock&, const PosixLock&) = default;
};

struct Flock {
    LockType type = LockType::kShared;
    std::uint64_t owner = 0;  // the kernel's number of an open file
};

class LockTable {
public:
    using FileNumber = std::uint64_t;
    using Waiter = std::uint64_t;
    using Granted = std::vector<Waiter>;

    enum class Outcome {
        kGranted,
        kRefused,   // Somebody else holds it, and the caller did not want to wait (EAGAIN).
        kWaiting,   // The waiter comes back in somebody's Granted, unless it is cancelled.
        kDeadlock,  // Waiting would close a circle of owners that wait for each other (EDEADLK); fcntl locks only.
        kNoRoom,    // The file has kLocksPerFileMax locks and waiters already (ENOLCK).
    };
    struct Answer {
        Outcome outcome = Outcome::kGranted;
        Granted granted;  // Others who got theirs: a lock that becomes weaker lets some in.
    };

    // A process may split its range into as many locks as it likes, and each is looked at at each request.
    static constexpr std::size_t kLocksPerFileMax = 16384;

    // Waits where `waiter` is given; waiter numbers are the caller's and unique.
    Answer lock(FileNumber file, const PosixLock& wanted, std::optional<Waiter> waiter);
    Answer lock(FileNumber file, const Flock& wanted, std::optional<Waiter> waiter);

    // What is not held is no error.
    Granted unlock_posix(FileNumber file, std::uint64_t owner, std::uint64_t first, std::uint64_t last);
    Granted unlock_flock(FileNumber file, std::uint64_t owner);
    // The open is gone: all fcntl locks that came through it.
    Granted unlock_handle(FileNumber file, std::uint64_t handle);

    // A lock that `wanted` would have to wait for.
    std::optional<PosixLock> find_conflict(FileNumber file, const PosixLock& wanted) const;

    // Whether it was still waiting.
    bool cancel(Waiter waiter);

    // Files with locks or waiters: 0 when all is given back.
    std::size_t file_count() const { return files_.size(); }

private:
    using Wanted = std::variant<PosixLock, Flock>;
    struct Waiting {
        Waiter waiter;
        Wanted wanted;
    };
    struct File {
        std::vector<PosixLock> posix;
        std::vector<Flock> flocks;
        std::list<Waiting> waiting;  // in order of arrival
    };

    static bool conflicts(const File& file, const Wanted& wanted);
    static void grant(File& file, const Wanted& wanted);
    static void carve(File& file, std::uint64_t owner, std::uint64_t first, std::uint64_t last);
    Answer lock_or_wait(FileNumber number, const Wanted& wanted, std::optional<Waiter> waiter);
    bool closes_a_circle(FileNumber number, const PosixLock& wanted) const;
    // Serves who can be served now; forgets the file if nothing is left of it.
    Granted settle(FileNumber number);

    std::unordered_map<FileNumber, File> files_;
    std::unordered_map<Waiter, FileNumber> waiter_files_;
};

}  // namespace topicfs
