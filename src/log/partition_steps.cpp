// What merging partitions by time needs: how far the times have come, and which records have which.
#include "log/partition_log.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace topicfs {

namespace {

constexpr std::int64_t kFullRetryMs = 1000;  // where there is no room for more times until something was sealed
constexpr std::uint64_t kHeadPieceBytesMax = 256u << 20;
constexpr std::size_t kLookBackBytesMin = 256;
constexpr std::size_t kLookBackBytesMax = 1u << 16;
constexpr TimestampMs kLongAgo{INT64_MIN};

std::optional<std::size_t> find_last(std::span<const std::byte> bytes, std::byte delimiter) {
    const void* const found = ::memrchr(bytes.data(), std::to_integer<int>(delimiter), bytes.size());
    return found == nullptr
               ? std::nullopt
               : std::optional(static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data()));
}

}  // namespace

Result<Settled> PartitionLog::settle(std::optional<TimestampMs> time, Haste haste) {
    Settled settled;
    TOPICFS_TRY_ASSIGN(settled.end, look());
    const TimestampMs now = env_.clock.now();
    settled.looked_at = now;
    settled.is_read_only = env_.read_only;
    const bool is_wanted = time && !env_.read_only;
    if (is_wanted && times_->last() <= *time && now != *time) {
        // Where it is the same moment a later one comes soon.
        const bool ahead = now < *time;
        TOPICFS_TRY_ASSIGN(settled.end, fence(ahead ? *time + 1 : now, ahead, haste));
    }
    settled.before = times_->last();
    if (settled.end > start()) {
        settled.newest = times_->time_at(Position{settled.end.value - 1});
    }
    if (is_wanted && settled.before <= *time) {
        const std::int64_t interval = times_->fence_interval_ms().value_or(kFullRetryMs);
        const TimestampMs by_clock = now < *time ? now + interval : settled.before + interval;
        settled.ask_again_at = std::max(by_clock, now + 1);
    }
    return settled;
}

void PartitionLog::begin_at(TimestampMs time) {
    const std::scoped_lock lock(growth_mutex_);
    note_times(times_->fence_ahead(observed_end_.load(), time, std::nullopt));
}

// Builds steps from the times of bytes, piece by piece.
class PartitionLog::StepBuilder {
public:
    explicit StepBuilder(Position from) : record_(from) {}

    // From the record that begins at the latest found so far on.
    void set_time(TimestampMs time) {
        if (!steps_.empty() && steps_.back().from == record_) {
            steps_.back().time = time;
        } else if (steps_.empty() || steps_.back().time != time) {
            steps_.push_back({record_, time});
        }
    }
    // The bytes of [at, to), which have these times, the first of them at `at` or before it. `last_delimiter(from, to)`
    // gives the position of the last one in there.
    template <typename LastDelimiter>
    Result<void> add(Position base, std::span<const BatchTime> times, Position at, Position to,
                     LastDelimiter last_delimiter) {
        const auto begins = [&](Position from, Position upto) -> Result<void> {
            if (from < upto) {
                TOPICFS_TRY_ASSIGN(const std::optional<Position> found, last_delimiter(from, upto));
                record_ = found ? *found + 1 : record_;
            }
            return {};
        };
        for (std::size_t i = 0; i < times.size(); ++i) {
            const Position from = base + times[i].raw_offset;
            if (i + 1 < times.size() && base + times[i + 1].raw_offset <= at) {
                continue;
            }
            if (from >= to) {
                break;
            }
            if (from > at && (steps_.empty() || steps_.back().time != times[i].time)) {
                TOPICFS_TRY(begins(std::max(record_, at), from));
            }
            set_time(times[i].time);
        }
        return begins(std::max(record_, at), to);
    }
    // What is lost up to there: nobody knows what records it has.
    void add_lost(Position to) {
        if (steps_.empty()) {
            set_time(kLongAgo);
        }
        record_ = to;
    }
    Position record() const { return record_; }
    TimeSteps take(Position upto) {
        while (steps_.size() > 1 && steps_.back().from >= upto) {
            steps_.pop_back();  // Of a record that is not whole in what was looked at.
        }
        return {std::move(steps_), upto};
    }

private:
    std::vector<TimeStep> steps_;
    Position record_;  // where the latest record begins
};

Result<TimeSteps> PartitionLog::time_steps(Position from, Position to) {
    // Who has begun before the log start moved reads on there, as long as the bytes are there.
    if (from < removed_end() || from >= to) {
        return make_error(ErrorCode::kNotFound, "look up", directory_, "no records lie there");
    }
    StepBuilder builder(from);
    for (Position at = from; builder.record() == from && at < to;) {
        TOPICFS_TRY_ASSIGN(at, at < sealed_end() ? add_sealed_steps(at, to, builder) : add_head_steps(at, to, builder));
        if (at >= to) {
            return builder.take(to);
        }
    }
    return builder.take(builder.record());
}

// Where the piece ends that was looked at.
Result<Position> PartitionLog::add_sealed_steps(Position at, Position to, StepBuilder& builder) {
    auto piece = sealed_piece(at);
    if (!piece && piece.error().code == ErrorCode::kDamaged) {
        const Place place = place_of(at);
        Position lost_end = place.next_base;
        if (place.segment) {
            TOPICFS_TRY_ASSIGN(const Segment::Lookup lookup, place.segment->find(at));
            lost_end = lookup.entry ? lookup.entry->end_position() : lookup.gap_to.value_or(place.next_base);
        }
        if (lost_end <= at) {
            return std::move(piece).error();
        }
        builder.add_lost(std::min(lost_end, to));
        return std::min(lost_end, to);
    }
    TOPICFS_TRY(piece);
    const Segment::Decoded& batch = *piece->batch;
    const Position base = batch.entry.base_position;
    const Position end = std::min(batch.entry.end_position(), to);
    const auto last_delimiter = [&](Position low, Position high) {
        return last_delimiter_in(low, high, [&](Position from, std::span<std::byte> into) {
            return piece->segment->copy_raw(batch, from - base, into);
        });
    };
    TOPICFS_TRY(builder.add(base, batch.times, at, end, last_delimiter));
    return end;
}

Result<Position> PartitionLog::add_head_steps(Position at, Position to, StepBuilder& builder) {
    const Position durable = durable_sealed_end_.load();
    const Position end = std::min(to, at + kHeadPieceBytesMax);
    const std::vector<BatchTime> times = times_->slice(at, end);
    if (durable_sealed_end_.load() != durable) {
        return at;  // As in first_byte_at(): look again.
    }
    TOPICFS_TRY(builder.add(at, times, at, end, [&](Position low, Position high) {
        return last_delimiter_in(low, high,
                                 [&](Position from, std::span<std::byte> into) { return read_unnoted(from, into); });
    }));
    return end;
}

// Nothing where there is none. In a log without records each byte ends one.
template <typename Read>
Result<std::optional<Position>> PartitionLog::last_delimiter_in(Position low, Position high, Read read_at) {
    const auto delimiter = settings()->record_delimiter;
    if (!delimiter) {
        return std::optional(Position{high.value - 1});
    }
    std::array<std::byte, kLookBackBytesMax> window;
    for (std::size_t step = kLookBackBytesMin; low < high; step = std::min(step * 8, kLookBackBytesMax)) {
        const std::size_t bytes = std::min<std::uint64_t>(step, high - low);
        high = Position{high.value - bytes};
        const auto into = std::span(window).first(bytes);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(high, into));
        if (have != bytes) {
            Error error = make_error(ErrorCode::kDamaged, "look up", directory_, "the log has become shorter");
            error.position = high.value + have;
            return error;
        }
        if (const auto found = find_last(into, std::byte{*delimiter})) {
            return std::optional(high + *found);
        }
    }
    return std::optional<Position>();
}

Result<std::optional<Position>> PartitionLog::last_record_end(Position from, Position to) {
    if (from >= to) {
        return std::optional<Position>();
    }
    TOPICFS_TRY_ASSIGN(
        const std::optional<Position> last,
        last_delimiter_in(from, to, [&](Position at, std::span<std::byte> into) { return read_unnoted(at, into); }));
    return last ? std::optional(*last + 1) : std::nullopt;
}

}  // namespace topicfs
