// How many bytes may still be appended before the store meets one of its bounds (store.bytes.max, disk.free.min).
//
// The keeper of the disk (disk_keeper.h) says how much there is. Who opens for appending asks whether there is any;
// appends that come to the daemon take what they need. What is appended through the kernel is noted once it is seen,
// up to 10 ms later, and so are the copies that sealing makes. Taking costs one atomic operation where there is enough.
//
// Threads: any. Lives as long as anybody appends, longer than the store.
#pragma once

#include <topicfs/error.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <shared_mutex>
#include <string>

namespace topicfs {

class AppendRoom {
public:
    // With less than this who opens is not lent the file, so that all that he appends is counted.
    static constexpr std::int64_t kNearBytes = 64 << 20;

    // Whether `bytes` may be appended; they are taken then. Where there is not enough the keeper looks again first, and
    // may make room: that is waited for.
    bool take(std::uint64_t bytes);
    // Whether anything may be appended, as take(1) but that nothing is taken, and that the keeper looks first unless it
    // has just done so.
    bool has_any();
    std::int64_t left() const { return left_.load(std::memory_order_relaxed); }
    // Whether who opens is lent the file.
    bool lends() const { return lends_ && left() >= kNearBytes; }
    // So many bytes were used without asking.
    void note_used(std::uint64_t bytes) {
        if (!is_unbounded()) {
            left_ -= static_cast<std::int64_t>(bytes);
        }
    }
    // What is said where there is none: ENOSPC.
    Error refusal(const char* operation, std::string path) const;

    // The keeper's. Nothing: there is no bound. `lends`: whether anybody is lent a file, where there is enough room.
    void set(std::optional<std::int64_t> left, bool lends) {
        left_ = left.value_or(kUnbounded);
        lends_ = lends;
    }
    // Whether somebody has found too little since the keeper said that there is enough.
    bool has_refused() const { return has_refused_; }
    void is_enough() { has_refused_ = false; }
    // Called where there is too little, with how much is needed, from the thread that needs it: looks again, and says
    // whether trying again is of use. With 0 it looks only. Nothing: what there is counts; calls under way are waited
    // for.
    void on_shortage(std::function<bool(std::uint64_t bytes)> look);

private:
    // So far from the largest number that no sum of appends gets there from here, or here from a bound.
    static constexpr std::int64_t kUnbounded = INT64_MAX / 2;
    bool is_unbounded() const { return left() > kUnbounded / 2; }
    bool try_take(std::uint64_t bytes);
    bool look_again(std::uint64_t bytes);
    template <typename Try>
    bool try_and_look(std::uint64_t bytes, Try attempt);

    std::atomic<std::int64_t> left_ = kUnbounded;
    std::atomic<bool> lends_ = true;
    std::atomic<bool> has_refused_ = false;
    std::shared_mutex mutex_;  // of what follows; held while it is called
    std::function<bool(std::uint64_t bytes)> look_;
};

}  // namespace topicfs
