// Walks the batches of a segment file one by one, with nothing but the file itself: for recovery, for rebuilding an
// index, for `topicfs verify` and `dump`.
//
// Three outcomes are kept apart: the end of the data, a torn tail (the file ends inside its last batch) and damage
// (bytes that are no batch). Behind damage the walk looks for the next batch by its magic numbers and its header's CRC.
#pragma once

#include "format/batch.h"
#include "format/given_back.h"
#include "io/file_system.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace topicfs {

struct ScannedBatch {
    const BatchHeader& header;
    std::uint64_t file_offset;
    std::string payload_error;  // empty where the payload is good, or was not to be checked
};

struct SegmentScanOptions {
    std::uint64_t from = 0;  // file offset of a batch; 0 is where one, or what was given back, begins
    Position expected{0};    // its base position
    bool check_payload_crc = true;
    bool decode_payload = false;            // decompress too, and compare the number of bytes
    bool stop_at_damage = false;            // recovery: the valid prefix only
    std::optional<std::uint64_t> file_end;  // look no further than this; the file's size where it says nothing
};

// A range of the file that holds no batch.
struct ScanGap {
    std::uint64_t file_from = 0;
    std::uint64_t file_to = 0;
    Position position_from;               // where the batch before it ended
    std::optional<Position> position_to;  // where the next one begins; nothing where none comes
    std::string reason;
};

struct SegmentScan {
    std::optional<GivenBack> given_back;  // what stands before the first batch
    std::uint64_t valid_end = 0;          // file offset behind the last good batch
    Position end;                         // position behind it
    Offset end_offset;
    bool torn = false;  // the last gap is a batch that the file ends in
    std::vector<ScanGap> gaps;
};

// Calls `visit` for each batch whose header is good; it returns false to end the walk. Errors: of the file system, and
// kNewerFormat.
Result<SegmentScan> scan_segment(FileSystem& fs, const File& file, const SegmentScanOptions& options,
                                 const std::function<bool(const ScannedBatch&)>& visit);

// Reads the payload behind `header`, which stands at `file_offset`, into `frame`, which has header.stored_bytes, and
// checks its CRC. kDamaged where that fails.
Result<void> read_frame(FileSystem& fs, const File& file, const BatchHeader& header, std::uint64_t file_offset,
                        std::span<std::byte> frame);

// Decodes that payload into `raw`, which has header.raw_bytes. kDamaged where that fails.
Result<void> decode_frame(const File& file, const BatchHeader& header, std::span<const std::byte> frame,
                          std::span<std::byte> raw);

// What the front of a segment, of which the file has `file_end` bytes, says was given back; nothing where nothing was.
// kDamaged, also where the file ends inside of it; kNewerFormat.
Result<std::optional<GivenBack>> read_given_back(FileSystem& fs, const File& file, std::uint64_t file_end);

// Reads and decodes the header at `file_offset`.
Result<BatchDecoded> read_batch_header(FileSystem& fs, const File& file, std::uint64_t file_offset,
                                       std::uint64_t file_end);

}  // namespace topicfs
