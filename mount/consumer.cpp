#include "consumer.h"

#include "command.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace topicfs {

namespace {

constexpr std::size_t kReadBytesMax = 1u << 20;
constexpr std::size_t kRecordBytesGuess = 128;
constexpr double kShareOfBatch = 0.875;
constexpr std::int64_t kFirstPauseMs = 100;
constexpr std::int64_t kPauseMsMax = 10'000;
constexpr std::chrono::seconds kOthersPatience{2};
constexpr std::int64_t kOthersPauseMs = 20;
constexpr int kDamagesMax = 16;  // more in a row: the disk has another trouble

std::int64_t pause_after(std::uint64_t attempt) {
    constexpr std::uint64_t kDoublingsMax = 7;
    return std::min(kPauseMsMax, kFirstPauseMs << std::min(kDoublingsMax, attempt - 1));
}

}  // namespace

Consumer::Consumer(RecordFile& stream, FilterCommand& command, StopSignals& stop,
                   std::optional<DeadLetters>& dead_letters, Options options)
    : stream_(stream),
      command_(command),
      stop_(stop),
      dead_letters_(dead_letters),
      options_(std::move(options)),
      delimiter_(stream.delimiter().value()),
      buffer_(std::make_unique<char[]>(kReadBytesMax)),
      read_bytes_(std::min<std::uint64_t>(options_.batch_records_max, kReadBytesMax / kRecordBytesGuess) *
                  kRecordBytesGuess) {}

Result<Consumer::End> Consumer::run() {
    while (!has_reached_max()) {
        TOPICFS_TRY_ASSIGN(const Read got, read());
        if (got == Read::kStopped) {
            return End::kStopped;
        }
        if (got == Read::kEnd) {
            TOPICFS_TRY_ASSIGN(const bool wait, may_get_more());
            if (!wait) {
                return End::kDone;
            }
            continue;
        }
        at_end_since_.reset();
        TOPICFS_TRY(split());
        adapt();
        TOPICFS_TRY_ASSIGN(const Outcome outcome, consume_all());
        if (outcome == Outcome::kFailed) {
            return End::kFailed;
        }
        if (outcome == Outcome::kAbandoned) {
            return End::kAbandoned;
        }
        if (outcome == Outcome::kStopped) {
            return End::kStopped;
        }
    }
    return End::kDone;
}

// Some more bytes of the stream; waits for them where it follows. Also a read that gives nothing tells the daemon that
// we have come back for all there was, so a partition that another reader is to have goes over.
Result<Consumer::Read> Consumer::read() {
    while (stop_.count() == 0) {
        auto got = stream_.read({buffer_.get(), read_bytes_});
        if (got && *got == 0) {
            return Read::kEnd;
        }
        if (got) {
            bytes_.append(buffer_.get(), *got);
            damages_ = 0;
            return Read::kSome;
        }
        if (got.error().system_errno == EAGAIN) {
            TOPICFS_TRY(wait());
        } else {
            TOPICFS_TRY(pass_damage(std::move(got).error()));
        }
    }
    return Read::kStopped;
}

// A reader that has died keeps its partitions until the daemon is told of that, which takes a moment.
Result<bool> Consumer::may_get_more() {
    const auto now = std::chrono::steady_clock::now();
    at_end_since_ = at_end_since_.value_or(now);
    if (!options_.others_have_more || now - *at_end_since_ > kOthersPatience) {
        return false;
    }
    TOPICFS_TRY_ASSIGN(const bool more, options_.others_have_more());
    if (more) {
        pause(kOthersPauseMs);
    }
    return more;
}

Result<void> Consumer::wait() {
    std::array<pollfd, 2> waits = {{{stream_.descriptor(), POLLIN, 0}, {stop_.descriptor(), POLLIN, 0}}};
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
        return system_error(errno, "poll", "");
    }
    return {};
}

// Behind damage the next read goes on with the next record. What was read of the one that is damaged is of no use.
Result<void> Consumer::pass_damage(Error error) {
    if (error.system_errno != EIO || ++damages_ > kDamagesMax) {
        return error;
    }
    if (stream_.is_lost(begin_ + bytes_.size())) {
        error.detail = "the command took longer than max.poll.interval.ms, so the partitions went to other readers";
        return error;
    }
    warn(std::string(stream_.topic()) + ": damaged records are left out; the daemon's log says which");
    begin_ += bytes_.size();
    bytes_.clear();
    searched_ = 0;
    return {};
}

// Notes the records that are whole.
Result<void> Consumer::split() {
    std::size_t from =
        records_.empty() ? 0 : static_cast<std::size_t>(records_.back().begin - begin_) + records_.back().bytes;
    for (std::size_t at; (at = bytes_.find(delimiter_, searched_)) != std::string::npos;) {
        Record record;
        record.begin = begin_ + from;
        record.bytes = at + 1 - from;
        TOPICFS_TRY_ASSIGN(record.place, stream_.place_of(record.begin));
        stream_.passed(record.place, record.bytes);
        records_.push_back(record);
        from = searched_ = at + 1;
    }
    searched_ = bytes_.size();
    return {};
}

// The next read is to give about a batch, as each read is of the partition whose turn it is: the records of a larger
// one would all be consumed before another partition's. Where records differ in length it is to give rather less, as
// what is above a batch is a small one of its own.
void Consumer::adapt() {
    if (records_.empty()) {
        read_bytes_ = std::min(kReadBytesMax, 2 * read_bytes_);
        return;
    }
    const auto [shortest, longest] = std::minmax_element(
        records_.begin(), records_.end(), [](const Record& a, const Record& b) { return a.bytes < b.bytes; });
    const double mean = static_cast<double>(records_.back().begin + records_.back().bytes - begin_) /
                        static_cast<double>(records_.size());
    const double share = shortest->bytes == longest->bytes ? 1 : kShareOfBatch;
    const double wanted = std::ceil(mean * share * static_cast<double>(options_.batch_records_max));
    read_bytes_ = static_cast<std::size_t>(std::clamp(wanted, 1.0, static_cast<double>(kReadBytesMax)));
}

// All whole records that were read, or so many as are still to be consumed.
Result<Consumer::Outcome> Consumer::consume_all() {
    std::size_t done = 0;
    for (Batch batch = next_batch(0); !batch.empty(); batch = next_batch(done)) {
        if (stop_.count() > 0) {
            return Outcome::kStopped;
        }
        TOPICFS_TRY_ASSIGN(const Outcome outcome, consume(batch, options_.retries, 0));
        if (outcome != Outcome::kCommitted) {
            return outcome;
        }
        done += batch.size();
        consumed_ += batch.size();
    }
    if (done > 0) {
        const Record& last = records_[done - 1];
        const auto bytes = static_cast<std::size_t>(last.begin - begin_) + last.bytes;
        bytes_.erase(0, bytes);
        searched_ -= bytes;
        begin_ += bytes;
        records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(done));
    }
    return Outcome::kCommitted;
}

Consumer::Batch Consumer::next_batch(std::size_t from) const {
    std::uint64_t count_max = std::min<std::uint64_t>(options_.batch_records_max, records_.size() - from);
    if (options_.records_max) {
        count_max = std::min(count_max, *options_.records_max - consumed_);
    }
    std::size_t count = 0;
    while (count < count_max) {
        const Record& record = records_[from + count];
        if (count > 0) {
            const RecordPlace& before = records_[from + count - 1].place;
            if (record.place.partition != before.partition || record.place.offset.value != before.offset.value + 1) {
                break;
            }
        }
        ++count;
    }
    return Batch(records_).subspan(from, count);
}

std::string_view Consumer::bytes_of(Batch batch) const {
    const auto from = static_cast<std::size_t>(batch.front().begin - begin_);
    const auto to = static_cast<std::size_t>(batch.back().begin - begin_) + batch.back().bytes;
    return std::string_view(bytes_).substr(from, to - from);
}

// "orders/0, records 1200 to 1299"
std::string Consumer::name_of(Batch batch) const {
    const std::string first = std::to_string(batch.front().place.offset.value);
    return std::string(stream_.topic()) + "/" + std::to_string(batch.front().place.partition) +
           (batch.size() == 1 ? ", record " + first
                              : ", records " + first + " to " + std::to_string(batch.back().place.offset.value));
}

Result<Consumer::Outcome> Consumer::consume(Batch batch, std::uint64_t retries, std::uint64_t attempts_before) {
    tell_command(batch);
    for (std::uint64_t attempt = 1;; ++attempt) {
        TOPICFS_TRY_ASSIGN(const std::string reason, command_.run(bytes_of(batch)));
        if (reason.empty()) {
            TOPICFS_TRY(commit(batch));
            return Outcome::kCommitted;
        }
        if (stop_.count() > 0) {
            return abandon(batch);
        }
        if (attempt > retries) {
            return give_up(batch, reason, attempts_before + attempt);
        }
        if (attempts_before == 0 && std::has_single_bit(attempt)) {
            warn(name_of(batch) + ": " + reason + ", at attempt " + std::to_string(attempt) + "; trying again");
        }
        if (!pause(pause_after(attempt))) {
            return abandon(batch);
        }
    }
}

// A signal has come, and the command could not do with the batch.
Consumer::Outcome Consumer::abandon(Batch batch) const {
    warn(name_of(batch) +
         (stop_.count() > 1 ? ": the command was killed; not committed" : ": stopped by a signal; not committed"));
    return Outcome::kAbandoned;
}

Result<Consumer::Outcome> Consumer::give_up(Batch batch, const std::string& reason, std::uint64_t attempts) {
    if (!dead_letters_) {
        warn(name_of(batch) + ": " + reason + ", at attempt " + std::to_string(attempts) + "; not committed");
        return Outcome::kFailed;
    }
    if (batch.size() > 1) {
        return consume_halves(batch, attempts);
    }
    std::string_view record = bytes_of(batch);
    record.remove_suffix(1);
    TOPICFS_TRY(dead_letters_->add(batch.front().place, record, {options_.group, reason, attempts}));
    warn(name_of(batch) + ": " + reason + ", at attempt " + std::to_string(attempts) + "; now in " +
         dead_letters_->name());
    TOPICFS_TRY(commit(batch));
    return Outcome::kCommitted;
}

// Some of the records are what the command cannot do with. Which ones shows where it fails for one alone.
Result<Consumer::Outcome> Consumer::consume_halves(Batch batch, std::uint64_t attempts_before) {
    const std::size_t half = batch.size() / 2;
    for (const Batch part : {batch.first(half), batch.subspan(half)}) {
        if (stop_.count() > 0) {
            return abandon(part);
        }
        const std::uint64_t retries = part.size() == 1 ? options_.retries : 0;
        TOPICFS_TRY_ASSIGN(const Outcome outcome, consume(part, retries, attempts_before));
        if (outcome != Outcome::kCommitted) {
            return outcome;
        }
    }
    return Outcome::kCommitted;
}

Result<void> Consumer::commit(Batch batch) {
    return stream_.commit(batch.back().begin + batch.back().bytes);
}

void Consumer::tell_command(Batch batch) const {
    const RecordPlace& place = batch.front().place;
    ::setenv("TOPICFS_TOPIC", std::string(stream_.topic()).c_str(), 1);
    ::setenv("TOPICFS_GROUP", options_.group.c_str(), 1);
    ::setenv("TOPICFS_PARTITION", std::to_string(place.partition).c_str(), 1);
    ::setenv("TOPICFS_OFFSET", std::to_string(place.offset.value).c_str(), 1);
    ::setenv("TOPICFS_COUNT", std::to_string(batch.size()).c_str(), 1);
}

// False where a stop signal came.
bool Consumer::pause(std::int64_t pause_ms) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(pause_ms);
    while (stop_.count() == 0) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            return true;
        }
        pollfd stop = {stop_.descriptor(), POLLIN, 0};
        ::poll(&stop, 1, static_cast<int>(left.count()));
    }
    return false;
}

}  // namespace topicfs
