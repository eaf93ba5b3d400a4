// Gives the records of a group's stream to a command, batch by batch, and commits what the command could do with.
//
// A batch is of consecutive records of one partition. It is committed when the command has exited with 0 for it, or
// when each record of it that the command cannot do with is durable in the dead letter topic. Nothing else is
// committed: the stream is read on only when all that was read before is.
//
// One thread.
#pragma once

#include "dead_letters.h"
#include "filter_command.h"
#include "record_file.h"
#include "stop_signals.h"

#include <topicfs/result.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

class Consumer {
public:
    struct Options {
        std::string group;
        std::optional<std::uint64_t> records_max;  // to consume; off
        std::uint64_t batch_records_max = 100;
        std::uint64_t retries = 3;
        // At the end of the stream: whether the group has more to get, which another reader has now. Off: nobody can.
        std::function<Result<bool>()> others_have_more;
    };
    enum class End {
        kDone,       // so many records were consumed, or the stream is at its end
        kStopped,    // by a signal, between two batches
        kAbandoned,  // by a signal, with a batch in hand that the command could not do with; stderr says which
        kFailed,     // the command failed for records that no dead letter topic takes; stderr says which
    };

    // `stream` is a group's, opened with O_NONBLOCK; what is referred to must outlive the consumer.
    Consumer(RecordFile& stream, FilterCommand& command, StopSignals& stop, std::optional<DeadLetters>& dead_letters,
             Options options);

    // An error where the command cannot be started, or the stream or the dead letters fail.
    Result<End> run();
    bool has_reached_max() const { return options_.records_max && consumed_ >= *options_.records_max; }

private:
    struct Record {
        std::uint64_t begin = 0;  // in the stream
        std::size_t bytes = 0;    // with the delimiter
        RecordPlace place;
    };
    using Batch = std::span<const Record>;
    enum class Read { kSome, kEnd, kStopped };
    enum class Outcome { kCommitted, kStopped, kAbandoned, kFailed };

    Result<Read> read();
    Result<void> wait();
    Result<void> pass_damage(Error error);
    Result<void> split();
    void adapt();
    Batch next_batch(std::size_t from) const;  // empty where so many were consumed as are to be
    std::string_view bytes_of(Batch batch) const;
    Result<Outcome> consume_all();
    Result<Outcome> consume(Batch batch, std::uint64_t retries, std::uint64_t attempts_before);
    Result<Outcome> consume_halves(Batch batch, std::uint64_t attempts_before);
    Outcome abandon(Batch batch) const;
    Result<Outcome> give_up(Batch batch, const std::string& reason, std::uint64_t attempts);
    Result<void> commit(Batch batch);
    void tell_command(Batch batch) const;
    Result<bool> may_get_more();
    bool pause(std::int64_t pause_ms);
    std::string name_of(Batch batch) const;

    RecordFile& stream_;
    FilterCommand& command_;
    StopSignals& stop_;
    std::optional<DeadLetters>& dead_letters_;
    const Options options_;
    const char delimiter_;
    const std::unique_ptr<char[]> buffer_;
    std::size_t read_bytes_;       // what the next read asks for
    std::string bytes_;            // read, and not consumed yet
    std::uint64_t begin_ = 0;      // where they are in the stream
    std::size_t searched_ = 0;     // of them: in records_, or no delimiter there
    std::vector<Record> records_;  // those that are whole of them
    std::uint64_t consumed_ = 0;   // records
    int damages_ = 0;              // since something was read
    std::optional<std::chrono::steady_clock::time_point> at_end_since_;
};

}  // namespace topicfs
