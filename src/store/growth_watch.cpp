#include "store/growth_watch.h"

#include "base/log.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>

namespace topicfs {

namespace {

// Contract: times are right to 10 ms.
constexpr std::int64_t kLookUs = 10'000;
// How often a fast writer is looked at while somebody waits.
constexpr std::int64_t kFastLookUs = 1'000;
// Where a head could not be armed, it is looked at this often while it rests.
constexpr std::int64_t kUnarmedLookUs = 100'000;
// Measured: to re-arm at each append costs a writer little up to some 100,000 appends a second; at 100 bytes a line
// that is this rate. Larger writes are fewer, and a millisecond late at most.
constexpr double kFastBytesPerUs = 16.0;
constexpr std::int64_t kRateSpanUs = 2'000;

}  // namespace

std::int64_t GrowthWatch::now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

Result<void> GrowthWatch::start() {
    wake_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_) {
        return system_error(errno, "eventfd", "");
    }
    events_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!events_) {
        log_warning(system_error(errno, "inotify_init1", "").message() + "; growth is looked for by the clock");
    }
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = false;
        const std::int64_t now = now_us();
        for (auto& [key, watched] : watched_) {  // since before the start
            set_due_locked(key, watched, now);
        }
    }
    thread_ = std::thread([this] { run(); });
    return {};
}

void GrowthWatch::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
    }
    if (thread_.joinable()) {
        wake();
        thread_.join();
    }
}

void GrowthWatch::wake() {
    if (wake_) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
    }
}

void GrowthWatch::watch(PartitionLog& partition) {
    const std::scoped_lock lock(mutex_);
    Watched& watched = watched_[&partition];
    if (watched.partition.expired()) {
        set_due_locked(&partition, watched, 0);
        disarm_locked(watched);
        watched = Watched{};
        watched.partition = partition.weak_from_this();
    }
    // Soon: the writer is about to begin, and the first look arms.
    if (watched.descriptor < 0 && watched.due_us == 0) {
        set_due_locked(&partition, watched, now_us());
        wake();
    }
}

void GrowthWatch::unwatch(PartitionLog& partition) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = watched_.find(&partition); found != watched_.end()) {
        set_due_locked(&partition, found->second, 0);
        disarm_locked(found->second);
        watched_.erase(found);
    }
}

void GrowthWatch::waits(PartitionLog& partition) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(&partition);
    if (found == watched_.end()) {
        return;  // Only append() writes to it, and tells.
    }
    Watched& watched = found->second;
    if (watched.descriptor >= 0) {
        return;
    }
    if (!watched.is_fast && arm_locked(&partition, watched)) {
        return;  // Times still want the next look by the clock.
    }
    const std::int64_t due = now_us() + kFastLookUs;
    if (watched.due_us == 0 || watched.due_us > due) {
        set_due_locked(&partition, watched, due);
        wake();
    }
}

void GrowthWatch::has_grown(PartitionLog& partition) {
    {
        const std::scoped_lock lock(mutex_);
        if (!told_.emplace(&partition, partition.weak_from_this()).second) {
            return;
        }
    }
    wake();
}

void GrowthWatch::set_due_locked(Key key, Watched& watched, std::int64_t due_us) {
    if (watched.due_us != 0) {
        due_.erase({watched.due_us, key});
    }
    watched.due_us = due_us;
    if (due_us != 0) {
        due_.emplace(due_us, key);
    }
}

// By descriptor, as the directory may have been renamed.
bool GrowthWatch::arm_locked(Key key, Watched& watched) {
    const std::shared_ptr<PartitionLog> partition = watched.partition.lock();
    const std::shared_ptr<Head> head = partition && events_ ? partition->watched_head() : nullptr;
    if (!head) {
        return false;
    }
    const auto file = head->file();
    if (!file) {
        return false;
    }
    const std::string path = "/proc/self/fd/" + std::to_string((*file)->fd.get());
    const int descriptor = ::inotify_add_watch(events_.get(), path.c_str(), IN_MODIFY | IN_ONESHOT);
    if (descriptor < 0) {
        return false;
    }
    watched.descriptor = descriptor;
    armed_[descriptor] = key;
    return true;
}

void GrowthWatch::disarm_locked(Watched& watched) {
    if (watched.descriptor >= 0) {
        ::inotify_rm_watch(events_.get(), watched.descriptor);
        armed_.erase(watched.descriptor);
        watched.descriptor = -1;
    }
}

void GrowthWatch::run() {
    for (;;) {
        wait(now_us());
        read_events();
        std::vector<Look> looks;
        std::vector<Look> told;
        {
            const std::scoped_lock lock(mutex_);
            if (stopped_) {
                return;
            }
            for (const auto& [key, partition] : told_) {
                if (auto alive = partition.lock()) {
                    told.push_back(std::move(alive));
                }
            }
            told_.clear();
        }
        for (const Look& partition : told) {
            partition->tell_waiters();
        }
        looks = take_due(now_us());
        for (const Look& partition : looks) {
            look_at(partition);
        }
    }
}

void GrowthWatch::wait(std::int64_t now) {
    std::int64_t due = 0;
    {
        const std::scoped_lock lock(mutex_);
        if (stopped_ || !told_.empty()) {
            return;
        }
        due = due_.empty() ? 0 : due_.begin()->first;
    }
    if (due != 0 && due <= now) {
        return;
    }
    std::array<pollfd, 2> polled = {{{wake_.get(), POLLIN, 0}, {events_.get(), POLLIN, 0}}};
    timespec timeout = {};
    timeout.tv_sec = (due - now) / 1'000'000;
    timeout.tv_nsec = (due - now) % 1'000'000 * 1'000;
    ::ppoll(polled.data(), events_ ? 2 : 1, due == 0 ? nullptr : &timeout, nullptr);
    if (polled[0].revents != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    }
}

void GrowthWatch::read_events() {
    if (!events_) {
        return;
    }
    alignas(inotify_event) std::array<char, 4096> buffer;
    for (;;) {
        const ssize_t got = ::read(events_.get(), buffer.data(), buffer.size());
        if (got <= 0) {
            return;
        }
        const std::int64_t now = now_us();
        const std::scoped_lock lock(mutex_);
        for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
            at += sizeof(inotify_event) + event->len;
            if ((event->mask & IN_Q_OVERFLOW) != 0) {
                // Whose event was lost is not known.
                for (auto& [key, watched] : watched_) {
                    set_due_locked(key, watched, now);
                }
            } else if ((event->mask & (IN_MODIFY | IN_IGNORED)) != 0) {
                // IN_IGNORED of a watch that is armed: the kernel reports the append first and removes the watch that
                // has fired then. One that was armed in between is the old one still, and goes with it.
                const auto armed = armed_.find(event->wd);
                if (armed == armed_.end()) {
                    continue;
                }
                Watched& watched = watched_.at(armed->second);
                watched.descriptor = -1;
                set_due_locked(armed->second, watched, now);
                armed_.erase(armed);
            }
        }
        if (static_cast<std::size_t>(got) < buffer.size() / 2) {
            return;
        }
    }
}

std::vector<GrowthWatch::Look> GrowthWatch::take_due(std::int64_t now) {
    std::vector<Look> looks;
    const std::scoped_lock lock(mutex_);
    while (!due_.empty() && due_.begin()->first <= now) {
        PartitionLog* const key = due_.begin()->second;
        const auto found = watched_.find(key);
        Look partition = found->second.partition.lock();
        set_due_locked(key, found->second, 0);
        if (partition) {
            looks.push_back(std::move(partition));
        } else {
            disarm_locked(found->second);
            watched_.erase(found);
        }
    }
    return looks;
}

void GrowthWatch::look_at(const Look& partition) {
    const auto log_end = partition->end();
    if (!log_end) {
        partition->note_failed(PartitionLog::Work::kLook, log_end.error());
        const std::scoped_lock lock(mutex_);
        if (const auto found = watched_.find(partition.get()); found != watched_.end()) {
            set_due_locked(partition.get(), found->second, now_us() + kUnarmedLookUs);
        }
        return;
    }
    const bool grown = note_look(partition, *log_end, now_us());
    if (grown) {
        partition->tell_waiters();  // First: somebody waits.
    }
    if (const auto seen = partition->observe(); !seen) {
        partition->note_failed(PartitionLog::Work::kLook, seen.error());
    } else {
        partition->note_done(PartitionLog::Work::kLook);
    }
    const bool waits_on = grown && partition->has_waiters();
    if (waits_on) {
        waits(*partition);  // Whoever waits on must see the next append at once too.
    }
    if (!grown || waits_on) {
        look_behind(partition, *log_end);
    }
}

void GrowthWatch::note_rate(Watched& watched, std::uint64_t bytes, std::int64_t now) {
    watched.grown_bytes += bytes;
    const std::int64_t span = now - watched.since_us;
    if (span >= kRateSpanUs) {
        // Over a long rest the rate says nothing: it was no writer's.
        watched.is_fast = span<10 * kRateSpanUs&& static_cast<double>(watched.grown_bytes) / static_cast<double>(span)>
            kFastBytesPerUs;
        watched.since_us = now;
        watched.grown_bytes = 0;
    }
}

// Whether the log has grown since the last look; and when the next one comes: by the clock for as long as it grows,
// then by inotify.
bool GrowthWatch::note_look(const Look& partition, Position end, std::int64_t now) {
    const std::scoped_lock lock(mutex_);
    const auto found = watched_.find(partition.get());
    if (found == watched_.end()) {
        return false;
    }
    Watched& watched = found->second;
    if (end > watched.seen) {
        note_rate(watched, end - watched.seen, now);
        watched.seen = end;
        set_due_locked(partition.get(), watched, now + kLookUs);
        return true;
    }
    if (watched.descriptor < 0 && !arm_locked(partition.get(), watched)) {
        set_due_locked(partition.get(), watched, now + kUnarmedLookUs);
    }
    return false;
}

// What came before a watch was armed fires no event.
void GrowthWatch::look_behind(const Look& partition, Position seen) {
    const auto log_end = partition->end();
    if (log_end && *log_end > seen) {
        const std::scoped_lock lock(mutex_);
        if (const auto found = watched_.find(partition.get()); found != watched_.end()) {
            set_due_locked(partition.get(), found->second, now_us());
        }
    }
}

}  // namespace topicfs
