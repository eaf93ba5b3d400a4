// The file that keeps an unfinished line: what one writer of a whole topic has appended behind the last delimiter. It
// is a chain of frames, each with a checksum. Layout in FORMAT.md, "Unfinished lines".
//
// Pure; any thread.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace topicfs {

inline constexpr std::size_t kUnfinishedFrameHeaderBytes = 64;
inline constexpr std::uint32_t kUnfinishedDataBytesMax = 64u << 20;  // of one frame, and of a whole line

// Persisted: never renumber.
enum class UnfinishedKind : std::uint16_t {
    kBegin = 1,   // a line begins with `data`, or none has begun; what stood in the file before is over
    kMore = 2,    // `data` goes on with it
    kSynced = 3,  // all frames before were synced
    kLine = 4,    // `data`, if any, ends the line, which is then appended to `partition`, at or behind `log_end`
    kPlaced = 5,  // the first `placed` bytes of the line are in `partition`, and so must the rest be
};

struct UnfinishedFrame {
    UnfinishedKind kind = UnfinishedKind::kBegin;
    std::uint64_t generation = 0;  // the same in all frames of a chain, another in the next chain
    std::uint32_t index = 0;       // frames of the chain before this one
    // kLine and kPlaced have one; kBegin where the front of the line is in that partition already, and not in `data`.
    std::optional<std::uint32_t> partition;
    Position log_end;                 // of kLine: of the partition, before the line was appended
    std::uint64_t placed = 0;         // of kPlaced, in all
    std::span<const std::byte> data;  // of kMore, and of kBegin and kLine, where it may be empty

    std::size_t bytes() const { return kUnfinishedFrameHeaderBytes + data.size(); }
};

std::vector<std::byte> encode_unfinished_frame(const UnfinishedFrame& frame);

// The frame that `bytes` begins with; `data` points into `bytes`. kDamaged, also where it is cut short, or
// kNewerFormat.
Result<UnfinishedFrame> decode_unfinished_frame(std::span<const std::byte> bytes);

// A line as a file of frames tells of it.
struct UnfinishedLine {
    std::vector<std::byte> bytes;            // from the line's begin, or from where a kBegin goes on; all that is known
    std::uint64_t placed = 0;                // so many of them are in `partition`
    std::optional<std::uint32_t> partition;  // that has the line's front
    // Set where `bytes` is the whole line, its delimiter included, and it (without what was placed) may have been
    // appended.
    struct Appended {
        std::uint32_t partition = 0;
        Position log_end;  // at or behind it
        friend bool operator==(const Appended&, const Appended&) = default;
    };
    std::optional<Appended> appended;
    bool synced = false;  // some of it was

    bool is_there() const { return !bytes.empty() || partition; }
    friend bool operator==(const UnfinishedLine&, const UnfinishedLine&) = default;
};

// The line of a whole file. A torn or damaged frame ends the chain: what it would have said was never acknowledged.
// With `power_was_cut` only what was synced counts, as the rest cannot be told from what has been appended meanwhile.
// kNewerFormat where the chain meets a frame of a later version.
Result<UnfinishedLine> decode_unfinished_file(std::span<const std::byte> file, bool power_was_cut);

}  // namespace topicfs
