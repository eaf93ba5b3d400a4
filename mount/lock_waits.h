// Lock requests that have no answer yet, over a LockTable.
//
// One mutex guards the table and the list of requests that wait. It is never held across I/O or an answer. Whoever
// takes a request out of the list answers it, so there is one answer, however interrupts, unlocks and the end of the
// mount fall together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "mount/fuse_api.h"
#include "mount/locks.h"
#include "mount/reply.h"

namespace topicfs {

// Any thread.
class LockWaits {
public:
    // `on_interrupt` is what libfuse calls, with a waiter's number for data; it is to call interrupt() with that.
    explicit LockWaits(fuse_interrupt_func_t on_interrupt) : on_interrupt_(on_interrupt) {}
    // All requests are answered, or cancel_all() was called.
    ~LockWaits() = default;
    LockWaits(const LockWaits&) = delete;
    LockWaits& operator=(const LockWaits&) = delete;

    // Answers the request with what `ask` says; where that is to wait, later.
    using Ask = std::function<LockTable::Answer(LockTable&, std::optional<LockTable::Waiter>)>;
    void lock(Reply& reply, bool wait, const Ask& ask);

    // Changes the table by `change` and answers those who got their lock by it.
    void unlock(const std::function<LockTable::Granted(LockTable&)>& change);

    std::optional<PosixLock> find_conflict(LockTable::FileNumber file, const PosixLock& wanted) const;

    // Answers all that wait with ENOLCK. For the end of the mount, when no thread reads requests any more. (EINTR would
    // have the kernel restart a call that no signal interrupted.)
    void cancel_all();

    // The caller got a signal: answers EINTR if the request still waits. Numbers that are unknown by now are no error,
    // as an interrupt and the answer can cross.
    void interrupt(LockTable::Waiter waiter);

    std::size_t waiting() const;

private:
    struct Waiting {
        fuse_req_t request;
        // False until the request was put to the table. An interrupt that comes before leaves the answer to the thread
        // that asks: libfuse calls the callback under the request's own lock, and an answer would destroy it.
        bool asked = false;
        bool interrupted = false;
    };
    void lock_waiting(Reply& reply, const Ask& ask);
    static void answer_outcome(Reply& reply, LockTable::Outcome outcome);
    std::vector<fuse_req_t> take(const LockTable::Granted& granted);

    const fuse_interrupt_func_t on_interrupt_;
    mutable std::mutex mutex_;
    LockTable table_;
    LockTable::Waiter next_waiter_ = 1;
    std::unordered_map<LockTable::Waiter, Waiting> waiting_;
};

}  // namespace topicfs
