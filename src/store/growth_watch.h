// Sees the appends that the kernel makes to heads without asking us (FUSE passthrough), and tells who waits for growth.
//
// Each watched head has an inotify watch that fires once. What fires is looked at, and then looked at again each 10 ms
// for as long as it grows: so a busy writer pays for one event in a while and not for one an append (a watch that is
// always armed halves its rate), and times are right to 10 ms. Once it rests the watch is armed again. While somebody
// waits for growth it is armed again at once, unless the writer is so fast that looking each millisecond disturbs it
// less. Where there is no inotify to be had heads are looked at by the clock alone.
//
// Threads: one of its own, which also calls the waiters (so an append never waits for them); the members may be called
// from any thread. start() and stop() from the owner. Nothing is watched before start().
#pragma once

#include "io/fd.h"
#include "log/partition_log.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace topicfs {

class GrowthWatch {
public:
    GrowthWatch() = default;
    ~GrowthWatch() { stop(); }
    GrowthWatch(const GrowthWatch&) = delete;
    GrowthWatch& operator=(const GrowthWatch&) = delete;

    // kSystem where it cannot run at all.
    Result<void> start();
    void stop();

    // Others may append to the partition's head from now on; until unwatch() they may.
    void watch(PartitionLog& partition);
    void unwatch(PartitionLog& partition);
    // Somebody begins to wait.
    void waits(PartitionLog& partition);
    // The partition has grown by our own doing, while somebody waits.
    void has_grown(PartitionLog& partition);

private:
    using Key = PartitionLog*;  // never followed; `partition` says whether it is still there
    struct Watched {
        std::weak_ptr<PartitionLog> partition;
        int descriptor = -1;        // of the armed inotify watch
        std::int64_t due_us = 0;    // when it is looked at by the clock; 0: not
        Position seen;              // the log end at the last look
        std::int64_t since_us = 0;  // begin of the span over which the rate is taken
        std::uint64_t grown_bytes = 0;
        bool is_fast = false;
    };
    using Look = std::shared_ptr<PartitionLog>;

    void run();
    void wait(std::int64_t now_us);
    void read_events();
    std::vector<Look> take_due(std::int64_t now_us);
    void look_at(const Look& partition);
    bool note_look(const Look& partition, Position end, std::int64_t now_us);
    void look_behind(const Look& partition, Position seen);
    bool arm_locked(Key key, Watched& watched);
    void disarm_locked(Watched& watched);
    void set_due_locked(Key key, Watched& watched, std::int64_t due_us);
    static void note_rate(Watched& watched, std::uint64_t bytes, std::int64_t now_us);
    void wake();
    static std::int64_t now_us();

    Fd events_;  // inotify; none where it cannot be had
    Fd wake_;    // eventfd
    std::thread thread_;

    std::mutex mutex_;  // guards what follows; never held while a partition or a waiter is called
    bool stopped_ = false;
    std::map<Key, Watched> watched_;
    std::unordered_map<int, Key> armed_;               // by inotify watch descriptor
    std::set<std::pair<std::int64_t, Key>> due_;       // who is looked at by the clock, earliest first
    std::map<Key, std::weak_ptr<PartitionLog>> told_;  // has_grown()
};

}  // namespace topicfs
