#include "store/merged_log.h"

#include <algorithm>
#include <numeric>

namespace topicfs {

namespace {

std::uint64_t position_of(const Found& found) {
    return found.position.value;
}

std::uint64_t offset_of(const Found& found) {
    return found.offset.value;
}

template <typename Places, typename Weight>
std::uint64_t sum(const Places& places, Weight weight) {
    return std::accumulate(places.begin(), places.end(), std::uint64_t{0},
                           [&](std::uint64_t total, const Found& place) { return total + weight(place); });
}

}  // namespace

std::uint64_t MergedState::bytes() const {
    return std::accumulate(positions_.begin(), positions_.end(), std::uint64_t{0},
                           [](std::uint64_t total, Position position) { return total + position.value; });
}

MergedState MergedState::later(const MergedState& a, const MergedState& b) {
    MergedState result;
    for (std::size_t i = std::max(a.size(), b.size()); i-- > 0;) {
        result.set(i, std::max(a.of(i), b.of(i)));
    }
    return result;
}

bool operator==(const MergedState& a, const MergedState& b) {
    bool same = true;
    for (std::size_t i = std::max(a.size(), b.size()); i-- > 0;) {
        same = same && a.of(i) == b.of(i);
    }
    return same;
}

void MergedLog::take_new_partitions(std::uint32_t count) {
    for (auto number = static_cast<std::uint32_t>(partitions_.size()); number < count; ++number) {
        auto partition = topic_->partition(number);
        if (!partition) {
            return;  // Partitions do not go: not reached.
        }
        if (added_) {
            added_(**partition);
        }
        partitions_.push_back(std::move(partition).value());
        all_settled_at_.emplace_back();
    }
}

Result<void> MergedLog::look(Haste haste) {
    if (read_only_) {
        return {};
    }
    std::vector<Settled> known;
    std::optional<TimestampMs> newest;
    do {
        // One that was added while the others were told could have older records than they are told of.
        take_new_partitions(topic_->partition_count());
        known.clear();
        for (const auto& partition : partitions_) {
            TOPICFS_TRY_ASSIGN(known.emplace_back(), partition->settle(std::nullopt));
            newest = std::max(newest, known.back().newest);
        }
        for (std::size_t i = 0; newest && i < known.size(); ++i) {
            if (known[i].before <= *newest) {
                TOPICFS_TRY_ASSIGN(known[i], partitions_[i]->settle(newest, haste));
            }
        }
    } while (topic_->partition_count() != partitions_.size());

    if (known.empty()) {
        return {};
    }
    TimestampMs before{INT64_MAX};
    std::optional<TimestampMs> ask_again_at;
    for (const Settled& one : known) {
        before = std::min(before, one.before);
        ask_again_at = std::max(ask_again_at, one.ask_again_at);
        looked_at_ = one.looked_at;
    }
    const bool read_only = known.front().is_read_only;
    if (read_only && newest) {
        before = *newest + 1;
    }
    snapshot_.clear();
    MergedState settled = settled_;
    auto all_settled_at = all_settled_at_;
    for (std::size_t i = 0; i < known.size(); ++i) {
        if (all_settled_at[i] == known[i].end) {
            continue;
        }
        if (read_only) {
            TOPICFS_TRY_ASSIGN(const Found end, partitions_[i]->records_end());
            settled.set(i, end.position);
            snapshot_.push_back(end);
            continue;
        }
        TOPICFS_TRY_ASSIGN(const TimeBound bound, partitions_[i]->bound_of(before));
        settled.set(i, bound.position);
        const bool all = !known[i].newest || *known[i].newest < before;
        all_settled_at[i] = all ? std::optional(known[i].end) : std::nullopt;
    }
    settled_ = std::move(settled);
    all_settled_at_ = std::move(all_settled_at);
    before_ = std::max(before_, before);
    ask_again_at_ = ask_again_at;
    read_only_ = read_only;
    return {};
}

bool MergedLog::is_removed() const {
    return !partitions_.empty() && partitions_.front()->is_removed();
}

bool MergedLog::is_all_settled() const {
    return std::all_of(all_settled_at_.begin(), all_settled_at_.end(), [](const auto& end) { return end.has_value(); });
}

MergedState MergedLog::start() const {
    MergedState state;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        state.set(i, partitions_[i]->start());
    }
    return state;
}

std::uint64_t MergedLog::start_offset() const {
    std::uint64_t total = 0;
    for (const auto& partition : partitions_) {
        total += partition->start_offset().value;
    }
    return total;
}

Result<Found> MergedLog::settled_place(std::size_t partition) {
    if (settled_.of(partition) <= partitions_[partition]->start()) {
        return Found{partitions_[partition]->start(), partitions_[partition]->start_offset()};
    }
    return read_only_ ? Result<Found>(snapshot_[partition]) : partitions_[partition]->find_time(before_);
}

Result<std::uint64_t> MergedLog::settled_offset() {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        TOPICFS_TRY_ASSIGN(const Found place, settled_place(i));
        total += place.offset.value;
    }
    return total;
}

Result<std::optional<MergedState>> MergedLog::at_time(TimestampMs time) {
    if (time > before_ && !read_only_) {
        if (looked_at_ < time) {
            return std::optional<MergedState>();
        }
        for (const auto& partition : partitions_) {
            TOPICFS_TRY(partition->bound_of(time));
        }
        TOPICFS_TRY(look());
        if (time > before_) {
            return std::optional<MergedState>();
        }
    }
    MergedState state;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        TOPICFS_TRY_ASSIGN(const Found found, partitions_[i]->find_time(time));
        state.set(i, std::min(found.position, settled_.of(i)));
    }
    return std::optional(std::move(state));
}

// Where the records of the partition are that are older, among what is settled. What is lost is as old as what is
// before it, as in Partition::time_steps(); nobody can tell how many records that were.
Result<Found> MergedLog::place_at(std::size_t partition, TimestampMs time, Weight weight) {
    auto found = partitions_[partition]->find_time(time);
    if (found || weight != position_of || found.error().code != ErrorCode::kDamaged || !found.error().position) {
        return found;
    }
    const Position lost{*found.error().position};
    const Position limit = settled_.of(partition);
    if (lost >= limit) {
        return found;
    }
    TOPICFS_TRY_ASSIGN(const TimeSteps steps, partitions_[partition]->time_steps(lost, limit));
    return Found{steps.steps.size() > 1 ? steps.steps[1].from : steps.upto, Offset{}};
}

Result<MergedLog::TimeStepFound> MergedLog::step_of(std::uint64_t wanted, Places low, Weight weight) {
    Places high;
    TimestampMs low_time = before_;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        Found end{settled_.of(i), Offset{}};
        if (weight != position_of) {
            TOPICFS_TRY_ASSIGN(end, settled_place(i));
        }
        end.position = std::max(end.position, low[i].position);
        end.offset = std::max(end.offset, low[i].offset);
        high.push_back(end);
        if (low[i].position < end.position) {
            auto first = partitions_[i]->time_of(low[i].position);
            if (!first && first.error().code != ErrorCode::kDamaged) {
                return std::move(first).error();
            }
            low_time = std::min(low_time, first.value_or(TimestampMs{0}));
        }
    }
    if (sum(high, weight) <= wanted) {
        return TimeStepFound{std::move(high), {}};
    }
    TimestampMs high_time = before_;
    while (high_time - low_time > 1) {
        const TimestampMs middle = low_time + (high_time - low_time) / 2;
        Places places;
        for (std::size_t i = 0; i < partitions_.size(); ++i) {
            places.push_back(low[i]);
            if (low[i].position < high[i].position) {
                TOPICFS_TRY_ASSIGN(const Found found, place_at(i, middle, weight));
                if (found.position > low[i].position) {
                    places[i] = found.position < high[i].position ? found : high[i];
                }
            }
        }
        if (sum(places, weight) <= wanted) {
            low_time = middle;
            low = std::move(places);
        } else {
            high_time = middle;
            high = std::move(places);
        }
    }
    return TimeStepFound{std::move(low), std::move(high)};
}

Result<std::optional<MergedState>> MergedLog::at_offset(std::uint64_t offset) {
    Places starts;
    for (const auto& partition : partitions_) {
        starts.push_back({partition->start(), partition->start_offset()});
    }
    if (offset < sum(starts, offset_of)) {
        return make_error(ErrorCode::kNotFound, "look up", topic_->name(),
                          "record " + std::to_string(offset) + " of all partitions lies before the log starts");
    }
    TOPICFS_TRY_ASSIGN(const std::uint64_t end, settled_offset());
    if (offset >= end) {
        return offset == end ? std::optional(settled_) : std::nullopt;
    }
    TOPICFS_TRY_ASSIGN(const TimeStepFound step, step_of(offset, std::move(starts), offset_of));
    std::uint64_t left = offset - sum(step.low, offset_of);
    MergedState state;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const std::uint64_t here = std::min(left, step.high.empty() ? 0 : step.high[i].offset - step.low[i].offset);
        if (!step.high.empty() && here > 0 && here == step.high[i].offset - step.low[i].offset) {
            state.set(i, step.high[i].position);
        } else if (here == 0) {
            state.set(i, step.low[i].position);
        } else {
            TOPICFS_TRY_ASSIGN(const Found found, partitions_[i]->find_offset(step.low[i].offset + here));
            state.set(i, found.position);
        }
        left -= here;
    }
    return std::optional(std::move(state));
}

Result<std::optional<TimestampMs>> MergedLog::time_of(const MergedState& state) {
    std::optional<TimestampMs> earliest;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const Position at = std::max(state.of(i), partitions_[i]->start());
        if (at < settled_.of(i)) {
            TOPICFS_TRY_ASSIGN(const TimeSteps steps, partitions_[i]->time_steps(at, settled_.of(i)));
            const TimestampMs time = steps.steps.front().time;
            earliest = earliest ? std::min(*earliest, time) : time;
        }
    }
    return earliest;
}

Result<std::optional<TimestampMs>> MergedLog::last_time_before(const MergedState& to, const MergedState& from) {
    std::optional<TimestampMs> latest;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        if (to.of(i) > std::max(from.of(i), partitions_[i]->start())) {
            const auto time = partitions_[i]->time_of(Position{to.of(i).value - 1});
            if (!time && time.error().code != ErrorCode::kNotFound && time.error().code != ErrorCode::kDamaged) {
                return time.error();
            }
            latest = time ? std::max(latest, std::optional(*time)) : latest;
        }
    }
    return latest;
}

// Where retention has taken something behind `base`, what lies before the last of that is not known any more.
Result<std::optional<std::uint64_t>> MergedLog::first_certain_byte(const MergedState& base) {
    std::optional<std::pair<TimestampMs, std::size_t>> last;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const Position start = partitions_[i]->start();
        if (start <= base.of(i)) {
            continue;
        }
        if (start >= settled_.of(i)) {
            return std::optional(settled_.bytes() - base.bytes());
        }
        TOPICFS_TRY_ASSIGN(const TimeSteps steps, partitions_[i]->time_steps(start, settled_.of(i)));
        last = std::max(last, std::optional(std::pair(steps.steps.front().time, i)));
    }
    if (!last) {
        return std::optional<std::uint64_t>();
    }
    const auto [time, number] = *last;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        Position position = partitions_[i]->start();
        if (i != number) {
            TOPICFS_TRY_ASSIGN(const Found found, place_at(i, i < number ? time + 1 : time, position_of));
            position = found.position;
        }
        bytes += std::clamp(position, base.of(i), std::max(base.of(i), settled_.of(i))) - base.of(i);
    }
    return std::optional(bytes);
}

Result<MergedState> MergedLog::at_bytes(const MergedState& base, std::uint64_t bytes) {
    if (bytes == 0) {
        return base;
    }
    TOPICFS_TRY_ASSIGN(const std::optional<std::uint64_t> certain, first_certain_byte(base));
    if (certain && bytes < *certain) {
        return make_error(ErrorCode::kNotFound, "look up", topic_->name(),
                          "the log start has passed this place in a partition");
    }
    Places begin;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        begin.push_back({std::max(base.of(i), partitions_[i]->start()), Offset{}});
    }
    const std::uint64_t wanted = base.bytes() + bytes;
    TOPICFS_TRY_ASSIGN(const TimeStepFound step, step_of(wanted, std::move(begin), position_of));
    std::uint64_t left = wanted - std::min(wanted, sum(step.low, position_of));
    MergedState state;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        const std::uint64_t here = step.high.empty() ? 0 : std::min(left, step.high[i].position - step.low[i].position);
        state.set(i, step.low[i].position + here);
        left -= here;
    }
    return state;
}

}  // namespace topicfs
