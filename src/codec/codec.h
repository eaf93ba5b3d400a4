// The codecs behind one interface: what a batch's payload is turned into, and back.
//
// Every codec makes one standard frame: `none` an LZ4 frame of stored blocks (at most 4 MiB each, so that the payload
// lies raw in the file), `lz4` an LZ4 frame, `zstd` a zstd frame. The frames carry their content size and no checksum
// of their own; the batch header's CRC32C covers them. Stock lz4 and zstd decode them.
//
// A Compressor or Decompressor holds the library's working memory: one thread at a time each. The sizes that a frame
// declares are checked against what the caller expects before memory is taken.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace topicfs {

inline constexpr std::uint8_t kCodecCount = 3;  // of enum Codec in types.h

const char* codec_name(Codec codec);               // "none", "lz4", "zstd"
const char* codec_file_suffix(Codec codec);        // ".log.lz4" for none and lz4, ".log.zst" for zstd
Result<Codec> parse_codec(std::string_view name);  // kInvalid where it is no codec's name

// Levels: lz4 1..12 (1 and 2 are the fast compressor, 3 and up the high-compression one), zstd -7..22, where 0
// means its default; none ignores it. What lies outside is taken as the nearest,
// but for the fastest below.
inline constexpr int kLz4LevelMin = 1;
inline constexpr int kLz4LevelMax = 12;
// Below the levels that can be asked for there are faster ones, for a sealer that falls behind.
inline constexpr int kLz4LevelFastest = -63;
inline constexpr int kZstdLevelFastest = -50;
inline constexpr int kZstdLevelMin = -7;
inline constexpr int kZstdLevelMax = 22;

// The frame of `none`: a header of fixed length, then blocks of 4 MiB (the last may be shorter), each behind four
// bytes, then four bytes that end it. So where a byte of the content lies is known without decoding.
inline constexpr std::size_t kNoneFrameHeaderBytes = 15;
inline constexpr std::size_t kNoneBlockBytesMax = 4u << 20;
// Where byte `raw_offset` of the content is in the frame. It is in one piece with those up to its block's end.
inline constexpr std::size_t none_frame_offset(std::size_t raw_offset) {
    return kNoneFrameHeaderBytes + 4 * (raw_offset / kNoneBlockBytesMax + 1) + raw_offset;
}
// The length of the frame of `raw_bytes` (at least one).
inline constexpr std::size_t none_frame_bytes(std::size_t raw_bytes) {
    return kNoneFrameHeaderBytes + 4 * ((raw_bytes + kNoneBlockBytesMax - 1) / kNoneBlockBytesMax) + raw_bytes + 4;
}

// Whether `frame` is laid out so, block by block, and holds `raw_bytes`. (The frame of an LZ4 library may store blocks
// too, of other sizes.)
bool is_none_frame(std::span<const std::byte> frame, std::size_t raw_bytes);

class Compressor {
public:
    virtual ~Compressor() = default;
    // The room that compress_into() wants.
    virtual std::size_t frame_bytes_max(std::size_t raw_bytes) const = 0;
    // Writes the frame of `raw` to the begin of `room`, returns its length. kSystem with ENOMEM, else a bug.
    virtual Result<std::size_t> compress_into(std::span<const std::byte> raw, std::span<std::byte> room) = 0;
    // The same, behind what `out` holds; on an error that is as it was.
    Result<void> compress(std::span<const std::byte> raw, std::vector<std::byte>& out);
};

class Decompressor {
public:
    virtual ~Decompressor() = default;
    // Decodes the one frame that `frame` must be, all of it, into `out`, whose size must be exactly the content's.
    // kDamaged where it is not a whole frame, has bytes behind it, or holds another number of bytes.
    virtual Result<void> decompress(std::span<const std::byte> frame, std::span<std::byte> out) = 0;
};

std::unique_ptr<Compressor> make_compressor(Codec codec, int level);
std::unique_ptr<Decompressor> make_decompressor(Codec codec);

}  // namespace topicfs
