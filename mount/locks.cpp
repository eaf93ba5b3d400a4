#include "mount/locks.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

namespace topicfs {

namespace {

bool overlap(const PosixLock& a, const PosixLock& b) {
    return a.first <= b.last && b.first <= a.last;
}

bool excludes(LockType a, LockType b) {
    return a == LockType::kExclusive || b == LockType::kExclusive;
}

bool conflict(const PosixLock& held, const PosixLock& wanted) {
    return held.owner != wanted.owner && overlap(held, wanted) && excludes(held.type, wanted.type);
}

bool conflict(const Flock& held, const Flock& wanted) {
    return held.owner != wanted.owner && excludes(held.type, wanted.type);
}

// Whether `held` continues `wanted`, so that the two can be kept as one. Locks of different opens stay apart, as they
// end apart.
bool joins(const PosixLock& held, const PosixLock& wanted) {
    if (held.owner != wanted.owner || held.handle != wanted.handle || held.type != wanted.type) {
        return false;
    }
    const bool follows = held.last != std::numeric_limits<std::uint64_t>::max() && held.last + 1 == wanted.first;
    const bool precedes = wanted.last != std::numeric_limits<std::uint64_t>::max() && wanted.last + 1 == held.first;
    return follows || precedes || overlap(held, wanted);
}

}  // namespace

bool LockTable::conflicts(const File& file, const Wanted& wanted) {
    if (const auto* posix = std::get_if<PosixLock>(&wanted)) {
        return std::any_of(file.posix.begin(), file.posix.end(),
                           [&](const PosixLock& held) { return conflict(held, *posix); });
    }
    return std::any_of(file.flocks.begin(), file.flocks.end(),
                       [&](const Flock& held) { return conflict(held, std::get<Flock>(wanted)); });
}

void LockTable::carve(File& file, std::uint64_t owner, std::uint64_t first, std::uint64_t last) {
    std::vector<PosixLock> kept;
    kept.reserve(file.posix.size() + 1);
    for (const PosixLock& held : file.posix) {
        if (held.owner != owner || held.last < first || held.first > last) {
            kept.push_back(held);
            continue;
        }
        if (held.first < first) {
            kept.push_back(held);
            kept.back().last = first - 1;
        }
        if (held.last > last) {
            kept.push_back(held);
            kept.back().first = last + 1;
        }
    }
    file.posix = std::move(kept);
}

void LockTable::grant(File& file, const Wanted& wanted) {
    if (const auto* flock = std::get_if<Flock>(&wanted)) {
        std::erase_if(file.flocks, [&](const Flock& held) { return held.owner == flock->owner; });
        file.flocks.push_back(*flock);
        return;
    }
    PosixLock lock = std::get<PosixLock>(wanted);
    carve(file, lock.owner, lock.first, lock.last);
    for (const PosixLock& held : file.posix) {
        if (joins(held, lock)) {
            lock.first = std::min(lock.first, held.first);
            lock.last = std::max(lock.last, held.last);
        }
    }
    std::erase_if(file.posix, [&](const PosixLock& held) { return joins(held, lock); });
    file.posix.push_back(lock);
}

LockTable::Granted LockTable::settle(FileNumber number) {
    Granted granted;
    const auto found = files_.find(number);
    if (found == files_.end()) {
        return granted;
    }
    File& file = found->second;
    // A grant can weaken a lock of its own owner and so let in one that came earlier: begin again after each.
    for (auto waiting = file.waiting.begin(); waiting != file.waiting.end();) {
        if (conflicts(file, waiting->wanted)) {
            ++waiting;
            continue;
        }
        grant(file, waiting->wanted);
        granted.push_back(waiting->waiter);
        waiter_files_.erase(waiting->waiter);
        file.waiting.erase(waiting);
        waiting = file.waiting.begin();
    }
    if (file.posix.empty() && file.flocks.empty() && file.waiting.empty()) {
        files_.erase(found);
    }
    return granted;
}

bool LockTable::closes_a_circle(FileNumber number, const PosixLock& wanted) const {
    std::unordered_set<std::uint64_t> seen;
    std::vector<std::uint64_t> to_visit;
    const auto visit_holders = [&](const File& file, const PosixLock& lock) {
        for (const PosixLock& held : file.posix) {
            if (conflict(held, lock) && seen.insert(held.owner).second) {
                to_visit.push_back(held.owner);
            }
        }
    };
    visit_holders(files_.at(number), wanted);
    while (!to_visit.empty()) {
        const std::uint64_t owner = to_visit.back();
        to_visit.pop_back();
        if (owner == wanted.owner) {
            return true;
        }
        for (const auto& [file_number, file] : files_) {
            for (const Waiting& waiting : file.waiting) {
                const auto* posix = std::get_if<PosixLock>(&waiting.wanted);
                if (posix != nullptr && posix->owner == owner) {
                    visit_holders(file, *posix);
                }
            }
        }
    }
    return false;
}

LockTable::Answer LockTable::lock_or_wait(FileNumber number, const Wanted& wanted, std::optional<Waiter> waiter) {
    File& file = files_[number];
    if (file.posix.size() + file.flocks.size() + file.waiting.size() >= kLocksPerFileMax) {
        return {Outcome::kNoRoom, settle(number)};
    }
    if (!conflicts(file, wanted)) {
        grant(file, wanted);
        return {Outcome::kGranted, settle(number)};
    }
    if (!waiter) {
        return {Outcome::kRefused, settle(number)};
    }
    if (const auto* posix = std::get_if<PosixLock>(&wanted); posix != nullptr && closes_a_circle(number, *posix)) {
        return {Outcome::kDeadlock, settle(number)};
    }
    file.waiting.push_back({*waiter, wanted});
    waiter_files_.emplace(*waiter, number);
    return {Outcome::kWaiting, settle(number)};
}

LockTable::Answer LockTable::lock(FileNumber file, const PosixLock& wanted, std::optional<Waiter> waiter) {
    return lock_or_wait(file, wanted, waiter);
}

LockTable::Answer LockTable::lock(FileNumber file, const Flock& wanted, std::optional<Waiter> waiter) {
    // Linux changes the type of a flock in two steps, the first of which gives up what is held. So two who both hold
    // it shared and want it exclusively do not stop each other for good.
    Granted before;
    if (const auto found = files_.find(file); found != files_.end()) {
        const auto changed = std::erase_if(found->second.flocks, [&](const Flock& held) {
            return held.owner == wanted.owner && held.type != wanted.type;
        });
        if (changed > 0) {
            before = settle(file);
        }
    }
    Answer answer = lock_or_wait(file, wanted, waiter);
    answer.granted.insert(answer.granted.begin(), before.begin(), before.end());
    return answer;
}

LockTable::Granted LockTable::unlock_posix(FileNumber file, std::uint64_t owner, std::uint64_t first,
                                           std::uint64_t last) {
    if (const auto found = files_.find(file); found != files_.end()) {
        carve(found->second, owner, first, last);
    }
    return settle(file);
}

LockTable::Granted LockTable::unlock_flock(FileNumber file, std::uint64_t owner) {
    if (const auto found = files_.find(file); found != files_.end()) {
        std::erase_if(found->second.flocks, [&](const Flock& held) { return held.owner == owner; });
    }
    return settle(file);
}

LockTable::Granted LockTable::unlock_handle(FileNumber file, std::uint64_t handle) {
    if (const auto found = files_.find(file); found != files_.end()) {
        std::erase_if(found->second.posix, [&](const PosixLock& held) { return held.handle == handle; });
    }
    return settle(file);
}

std::optional<PosixLock> LockTable::find_conflict(FileNumber file, const PosixLock& wanted) const {
    const auto found = files_.find(file);
    if (found == files_.end()) {
        return std::nullopt;
    }
    // The lowest one, as fcntl(2) promises "the first".
    std::optional<PosixLock> lowest;
    for (const PosixLock& held : found->second.posix) {
        if (conflict(held, wanted) && (!lowest || held.first < lowest->first)) {
            lowest = held;
        }
    }
    return lowest;
}

bool LockTable::cancel(Waiter waiter) {
    const auto found = waiter_files_.find(waiter);
    if (found == waiter_files_.end()) {
        return false;
    }
    const FileNumber number = found->second;
    waiter_files_.erase(found);
    files_.at(number).waiting.remove_if([&](const Waiting& waiting) { return waiting.waiter == waiter; });
    // Nobody waits for a waiter, so this grants nothing; it forgets the file where nothing is left of it.
    settle(number);
    return true;
}

}  // namespace topicfs
