// What of head can be believed after a power cut.
#include "log/recovery.h"

#include <algorithm>
#include <vector>

namespace topicfs {

namespace {

// Runs of NULs are judged by the smallest unit that a disk writes, whatever the file system's block is.
constexpr std::uint64_t kSectorBytes = 512;
constexpr std::size_t kScanBytes = 1u << 18;

}  // namespace

Result<Position> trusted_end(const Head& head, Position from) {
    TOPICFS_TRY_ASSIGN(const Position hole, head.first_hole(from));
    std::vector<std::byte> window(kScanBytes);
    Position run = from;  // where the present run of NULs began
    Position at = from;
    bool cut = false;
    while (at < hole && !cut) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), hole - at);
        TOPICFS_TRY_ASSIGN(const std::size_t have, head.read(at, std::span(window).first(want)));
        for (std::size_t i = 0; i < have && !cut; ++i) {
            const Position here = at + i;
            const bool sector_begins = (here - head.base()) % kSectorBytes == 0;
            // A run that reaches a boundary, and is not empty, may be a sector that was never written.
            cut = sector_begins && run < here;
            if (!cut && window[i] != std::byte{0}) {
                run = here + 1;
            }
        }
        at = at + have;
        if (have < want) {
            break;
        }
    }
    return std::min(run, hole);
}

}  // namespace topicfs
