// The thread that keeps the store within its bounds (store.bytes.max, disk.free.min).
//
// It looks at the disk once a second, more often where the bound is near and the store grows. Where less than a margin
// is left it has room made; where that is not enough, appends find no room (append_room.h) until there is some again.
// Appends that come to the daemon wait while room is made. Those of who was lent the file do not: what they append is
// noted as it is seen, and as much again is made room for ahead, at most 16 margins.
//
// The rule: with less than one margin left, room is made until two are. So what goes is little more than what has to,
// and there is room before anybody meets the bound. The margin is a 64th of store.bytes.max, or a 256th of the file
// system, at least 64 KiB and at most 64 MiB.
//
// Threads: start() and stop() from the owner, the rest from any.
#pragma once

#include "base/clock.h"
#include "store/append_room.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace topicfs {

// What a look at the disk has found.
struct DiskLook {
    std::int64_t left = INT64_MAX;  // bytes until the nearer bound; below 0 behind it
    std::uint64_t margin = 0;       // of that bound
    bool bounds_appends = false;    // false where only the file system's own end does
    bool lends = true;              // false where all appends have to be able to wait for room
    std::string bound;              // the nearer one, for people
};

// Of a bound on something that has so many bytes.
std::uint64_t disk_margin(std::uint64_t bytes, std::uint64_t share);

class DiskKeeper {
public:
    using Look = std::function<DiskLook()>;
    // Frees so many bytes, as far as can be. Returns about how many were: none where nothing more can go.
    using MakeRoom = std::function<std::uint64_t(std::uint64_t bytes)>;

    DiskKeeper(const Clock& clock, Look look, MakeRoom make_room);
    ~DiskKeeper() { stop(); }
    DiskKeeper(const DiskKeeper&) = delete;
    DiskKeeper& operator=(const DiskKeeper&) = delete;

    const std::shared_ptr<AppendRoom>& room() const { return room_; }

    // Without a thread: the same by who is short of room, or calls round().
    void begin();
    void start();
    void stop();
    // The next round begins now.
    void wake();
    // Looks, and has room made. Returns in how many milliseconds to look again. One at a time.
    std::int64_t round();
    // Who was lent a file has appended so many bytes. Never waits for a round.
    void note_appended(std::uint64_t bytes);

    // For figures: looks, unless that was done a moment ago, or never, or somebody looks just now.
    void look_for_figures();
    // What is left until the nearer bound, where there is one. By the last look.
    std::optional<std::int64_t> left() const;
    // How many bytes may be on the disk twice for a while: half of what is left, and not less than a margin.
    std::uint64_t copied_max() const;
    // Whether appends find no room, or have found too little since there was enough for long.
    bool is_full() const;

private:
    void run();
    bool when_short(std::uint64_t bytes);
    DiskLook look();
    DiskLook look_locked();
    bool is_due_locked() const;
    bool may_make_room();
    void tell(const DiskLook& seen);
    std::int64_t wait_ms(const DiskLook& seen);

    const Clock& clock_;
    const Look look_;
    const MakeRoom make_room_;
    const std::shared_ptr<AppendRoom> room_ = std::make_shared<AppendRoom>();
    std::atomic<std::int64_t> left_ = INT64_MAX;
    std::atomic<std::uint64_t> margin_ = 0;
    std::atomic<std::int64_t> noted_bytes_ = 0;    // since the last round
    std::atomic<std::int64_t> alert_left_ = 0;     // with less than that left a look is due
    std::atomic<std::int64_t> look_after_ms_ = 0;  // earlier another look says nothing new

    std::mutex rounds_mutex_;  // held over a round; taken first
    std::int64_t previous_left_ = INT64_MAX;
    bool has_told_ = false;  // that the bound is met

    std::mutex look_mutex_;  // guards what follows; held over a look
    std::int64_t looked_ms_ = INT64_MIN;
    std::int64_t look_cost_ms_ = 0;

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    bool has_thread_ = false;
    bool woken_ = false;
    bool stopped_ = false;
    std::int64_t wanted_bytes_ = 0;  // by who is short of room, of the next round
    std::uint64_t rounds_begun_ = 0;
    std::uint64_t rounds_ended_ = 0;
    std::int64_t fruitless_ms_ = INT64_MIN;  // when none could be made
    std::thread thread_;
};

}  // namespace topicfs
