#include "store/disk_keeper.h"

#include "base/background.h"
#include "base/log.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace topicfs {

namespace {

constexpr std::int64_t kWaitMsMax = 1000;
constexpr std::int64_t kWaitMsMin = 20;
// Nobody appends more in a millisecond.
constexpr std::int64_t kBytesPerMs = 1 << 20;
// A look takes at most this part of the time.
constexpr std::int64_t kLookShare = 20;
// Who is short of room asks no more often.
constexpr std::int64_t kLookAgainMs = 5;
constexpr std::int64_t kMakeAgainMs = 1000;
// Room is waited for so long. Making it takes far less, but where a sync of the disk does.
constexpr std::chrono::seconds kRoomPatience{2};
constexpr std::int64_t kAheadMargins = 16;
constexpr std::uint64_t kMarginMin = 64u << 10;
constexpr std::uint64_t kMarginMax = 64u << 20;

}  // namespace

std::uint64_t disk_margin(std::uint64_t bytes, std::uint64_t share) {
    return std::clamp(bytes / share, kMarginMin, kMarginMax);
}

DiskKeeper::DiskKeeper(const Clock& clock, Look look, MakeRoom make_room)
    : clock_(clock), look_(std::move(look)), make_room_(std::move(make_room)) {}

void DiskKeeper::begin() {
    room_->on_shortage([this](std::uint64_t bytes) { return when_short(bytes); });
    (void)round();
}

void DiskKeeper::start() {
    has_thread_ = true;
    begin();
    thread_ = std::thread([this] { run(); });
}

void DiskKeeper::stop() {
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    room_->on_shortage({});
    if (thread_.joinable()) {
        thread_.join();
    }
}

void DiskKeeper::wake() {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
    fruitless_ms_ = INT64_MIN;
    changed_.notify_all();
}

void DiskKeeper::run() {
    become_background_thread();
    std::unique_lock lock(mutex_);
    while (!stopped_) {
        woken_ = false;
        lock.unlock();
        const std::int64_t wait_ms = round();
        lock.lock();
        changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return woken_ || stopped_; });
    }
}

std::int64_t DiskKeeper::round() {
    const std::scoped_lock one(rounds_mutex_);
    std::uint64_t number = 0;
    std::int64_t wanted = 0;
    {
        const std::scoped_lock lock(mutex_);
        number = ++rounds_begun_;
        wanted = std::exchange(wanted_bytes_, 0);
    }
    const std::int64_t noted = noted_bytes_.exchange(0);
    DiskLook seen = look();
    const auto margin = static_cast<std::int64_t>(seen.margin);
    wanted = std::max(wanted, margin + std::min(noted, kAheadMargins * margin));
    const std::int64_t goal = wanted + margin;
    alert_left_ = seen.bounds_appends ? goal : 0;
    if (seen.left < wanted && may_make_room()) {
        const std::uint64_t made = make_room_(static_cast<std::uint64_t>(goal - seen.left));
        if (made > 0) {
            seen = look();
        }
        const std::scoped_lock lock(mutex_);
        fruitless_ms_ = made > 0 ? INT64_MIN : clock_.monotonic_ms();
    }
    tell(seen);
    const std::int64_t wait = wait_ms(seen);
    const std::scoped_lock lock(mutex_);
    rounds_ended_ = number;
    changed_.notify_all();
    return wait;
}

void DiskKeeper::note_appended(std::uint64_t bytes) {
    room_->note_used(bytes);
    noted_bytes_ += static_cast<std::int64_t>(bytes);
    if (room_->left() < alert_left_ && clock_.monotonic_ms() >= look_after_ms_) {
        const std::scoped_lock lock(mutex_);
        woken_ = true;
        changed_.notify_all();
    }
}

bool DiskKeeper::may_make_room() {
    const std::scoped_lock lock(mutex_);
    return fruitless_ms_ == INT64_MIN || clock_.monotonic_ms() - fruitless_ms_ >= kMakeAgainMs;
}

DiskLook DiskKeeper::look() {
    const std::scoped_lock lock(look_mutex_);
    return look_locked();
}

DiskLook DiskKeeper::look_locked() {
    const std::int64_t begin_ms = clock_.monotonic_ms();
    DiskLook seen = look_();
    looked_ms_ = clock_.monotonic_ms();
    look_cost_ms_ = looked_ms_ - begin_ms;
    look_after_ms_ = looked_ms_ + std::max(kLookAgainMs, look_cost_ms_ * kLookShare);
    left_ = seen.left;
    margin_ = seen.margin;
    room_->set(seen.bounds_appends ? std::optional(std::max<std::int64_t>(seen.left, 0)) : std::nullopt, seen.lends);
    return seen;
}

// Once until it is over for good: at the bound room comes and goes by small steps.
void DiskKeeper::tell(const DiskLook& seen) {
    if (!seen.bounds_appends || seen.left >= static_cast<std::int64_t>(seen.margin)) {
        room_->is_enough();
        if (std::exchange(has_told_, false)) {
            log_info("the store takes appends again, as there is room");
        }
    } else if (is_full() && !std::exchange(has_told_, true)) {
        log_warning(seen.bound + ": the store has met it, and takes no appends until there is room");
    }
}

std::int64_t DiskKeeper::wait_ms(const DiskLook& seen) {
    const bool is_still = std::exchange(previous_left_, seen.left) == seen.left;
    const std::int64_t spare = seen.left - static_cast<std::int64_t>(seen.margin);
    const std::int64_t wait = is_still ? kWaitMsMax : std::clamp(spare / kBytesPerMs, kWaitMsMin, kWaitMsMax);
    const std::scoped_lock lock(look_mutex_);
    return std::max(wait, look_cost_ms_ * kLookShare);
}

bool DiskKeeper::is_due_locked() const {
    return clock_.monotonic_ms() >= look_after_ms_;
}

void DiskKeeper::look_for_figures() {
    const std::unique_lock lock(look_mutex_, std::try_to_lock);
    if (lock && looked_ms_ != INT64_MIN && is_due_locked()) {
        (void)look_locked();
    }
}

// From a thread that is about to append. It makes no room itself, as it may hold locks that this takes.
bool DiskKeeper::when_short(std::uint64_t bytes) {
    {
        const std::scoped_lock lock(look_mutex_);
        if (is_due_locked() && look_locked().left >= static_cast<std::int64_t>(bytes)) {
            return true;
        }
    }
    if (bytes == 0) {
        return true;
    }
    if (!may_make_room()) {
        return false;
    }
    std::unique_lock lock(mutex_);
    wanted_bytes_ = std::max(wanted_bytes_, static_cast<std::int64_t>(bytes));
    if (!has_thread_) {
        lock.unlock();
        (void)round();
        return may_make_room();
    }
    woken_ = true;
    changed_.notify_all();
    const std::uint64_t wanted = rounds_begun_ + 1;
    const bool done = changed_.wait_for(lock, kRoomPatience, [&] { return stopped_ || rounds_ended_ >= wanted; });
    return done && !stopped_ && fruitless_ms_ == INT64_MIN;
}

bool DiskKeeper::is_full() const {
    return left_ <= 0 || room_->has_refused();
}

std::uint64_t DiskKeeper::copied_max() const {
    const std::int64_t left = std::max<std::int64_t>(std::min(left_.load(), room_->left()), 0);
    return std::max<std::uint64_t>(static_cast<std::uint64_t>(left) / 2, margin_);
}

std::optional<std::int64_t> DiskKeeper::left() const {
    const std::int64_t left = left_;
    return left == INT64_MAX ? std::nullopt : std::optional(left);
}

}  // namespace topicfs
