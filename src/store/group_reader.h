// One open reader of a group; see topicfs/group.h. Which partitions it has is the group's affair (group.h), and so is
// the mutex that guards it; calls of one reader wait for each other by call_mutex_, which is held over I/O.
//
// Invariant: what was given and is not committed, or may be asked for again, is in stretches_, in the order of the
// stream. A stretch is a range of the stream and where its bytes are; one of no bytes stands for damage that was
// passed.
#pragma once

#include "store/group.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace topicfs {

class StoredGroupReader final : public GroupReader {
public:
    StoredGroupReader(std::shared_ptr<StoredGroup> group, std::optional<std::uint32_t> number)
        : group_(std::move(group)), number_(number) {}
    ~StoredGroupReader() override;

    Result<ByteView> fetch(std::uint64_t at, std::size_t bytes_max) override;
    Result<ByteView> fetch_enough(std::uint64_t at, std::size_t bytes_max) override;
    Result<void> commit(std::uint64_t at) override;
    Result<std::vector<Chunk>> describe(std::uint64_t at, std::size_t count_max) override;
    Result<Readiness> readiness() override;
    void start_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;
    void stop_waiting(const std::shared_ptr<GrowthWaiter>& waiter) override;
    Result<void> sync() override;
    Result<void> close() override;

private:
    friend class StoredGroup;

    struct Stretch {
        std::uint64_t begin = 0;  // in the stream
        std::uint64_t bytes = 0;
        std::uint32_t partition = 0;
        Position position;
        std::uint64_t end() const { return begin + bytes; }
        Position position_end() const { return position + bytes; }
    };
    // A partition as it was when its reader began to look for bytes of it.
    struct Place {
        std::uint32_t number = 0;
        std::shared_ptr<StoredPartition> partition;
        std::optional<Position> next;
        Position committed;
        bool in_record = false;
        Position whole_end;
        Position searched;
    };
    // The reader does not expire while one is there.
    class Call;

    Result<void> check_locked();
    Result<void> check_place(std::uint64_t at, const char* operation) const;
    Result<void> commit_to_locked(std::uint64_t at);
    void forget_locked();
    std::vector<std::uint32_t> turns_locked() const;
    Result<std::optional<Place>> enter(std::uint32_t number);
    void leave(const Place& place);
    Result<void> prepare(Place& place, std::uint64_t wanted_bytes);
    Result<ByteView> look(Place& place, std::size_t bytes_max);
    Result<void> come_back(std::uint64_t at);
    Result<Readiness> readiness_in_call();
    Result<ByteView> give(std::size_t bytes_max);
    Result<ByteView> give_again(std::uint64_t at, std::size_t bytes_max);
    Result<void> describe_stretch(const Stretch& stretch, std::size_t count_max, std::vector<Chunk>& chunks);

    const std::shared_ptr<StoredGroup> group_;
    const std::optional<std::uint32_t> number_;
    std::mutex call_mutex_;  // taken before the group's

    // By the group's mutex.
    bool is_open_ = false;
    bool lost_ = false;
    bool in_call_ = false;
    std::int64_t last_call_ms_ = 0;
    std::vector<std::uint32_t> owned_;
    std::vector<std::shared_ptr<GrowthWaiter>> waiters_;
    std::deque<Stretch> stretches_;
    std::uint64_t given_ = 0;
    std::uint64_t returned_ = 0;
    std::uint32_t last_served_ = 0;
    std::optional<std::int64_t> some_since_ms_;  // bytes are there, but fewer than fetch.min.bytes
};

}  // namespace topicfs
