// `none`: an LZ4 frame of stored blocks, so that the content lies in the file as it is.
#include "base/byte_order.h"
#include "codec/frames.h"

#include <lz4frame.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>

namespace topicfs {
namespace {

constexpr std::uint32_t kBlockIsStored = 0x80000000;

struct FreeCompression {
    void operator()(LZ4F_cctx* context) const { LZ4F_freeCompressionContext(context); }
};

using Context = std::unique_ptr<LZ4F_cctx, FreeCompression>;

Context make_context() {
    LZ4F_cctx* context = nullptr;
    if (LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) != 0) {
        throw std::bad_alloc();
    }
    return Context(context);
}

// LZ4F makes the header, as that ends with a checksum; the blocks it could make only where its own attempt to compress
// them fails.
// How many bytes of `header` it has; 0 on an error.
std::size_t make_frame_header(LZ4F_cctx& context, std::size_t raw_bytes,
                              std::array<std::byte, LZ4F_HEADER_SIZE_MAX>& header) {
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.blockSizeID = LZ4F_max4MB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.contentSize = raw_bytes;
    preferences.autoFlush = 1;  // Else the library takes a buffer of a block's size that is never used.
    const std::size_t header_bytes = LZ4F_compressBegin(&context, header.data(), header.size(), &preferences);
    if (LZ4F_isError(header_bytes) != 0) {
        return 0;
    }
    assert(raw_bytes == 0 || header_bytes == kNoneFrameHeaderBytes);
    return header_bytes;
}

class NoneCompressor final : public Compressor {
public:
    std::size_t frame_bytes_max(std::size_t raw_bytes) const override { return none_frame_bytes(raw_bytes); }

    Result<std::size_t> compress_into(std::span<const std::byte> raw, std::span<std::byte> room) override {
        std::array<std::byte, LZ4F_HEADER_SIZE_MAX> header{};
        const std::size_t header_bytes = make_frame_header(*context_, raw.size(), header);
        if (header_bytes == 0) {
            return system_error(ENOMEM, "compress", "");  // The one way in which beginning a frame fails.
        }
        std::copy_n(header.begin(), header_bytes, room.begin());
        std::size_t used = header_bytes;
        const auto put_u32 = [&](std::uint32_t value) {
            store_le(room.data() + used, value);
            used += sizeof value;
        };
        while (!raw.empty()) {
            const std::span<const std::byte> block = raw.first(std::min(raw.size(), kNoneBlockBytesMax));
            put_u32(static_cast<std::uint32_t>(block.size()) | kBlockIsStored);
            std::memcpy(room.data() + used, block.data(), block.size());
            used += block.size();
            raw = raw.subspan(block.size());
        }
        put_u32(0);  // The end mark.
        return used;
    }

private:
    const Context context_ = make_context();
};

}  // namespace

bool is_none_frame(std::span<const std::byte> frame, std::size_t raw_bytes) {
    if (raw_bytes == 0 || frame.size() != none_frame_bytes(raw_bytes)) {
        return false;
    }
    // Stock lz4 decodes the whole frame from the same header; its content size is the one that a batch's header has.
    thread_local const Context context = make_context();
    std::array<std::byte, LZ4F_HEADER_SIZE_MAX> expected{};
    const std::size_t header_bytes = make_frame_header(*context, raw_bytes, expected);
    if (header_bytes == 0 || !std::equal(frame.begin(), frame.begin() + kNoneFrameHeaderBytes, expected.begin())) {
        return false;
    }
    for (std::size_t at = 0; at < raw_bytes; at += kNoneBlockBytesMax) {
        const std::size_t block_bytes = std::min(raw_bytes - at, kNoneBlockBytesMax);
        const std::byte* const block_header = frame.data() + none_frame_offset(at) - sizeof(std::uint32_t);
        if (load_le<std::uint32_t>(block_header) != (static_cast<std::uint32_t>(block_bytes) | kBlockIsStored)) {
            return false;
        }
    }
    return load_le<std::uint32_t>(frame.data() + frame.size() - sizeof(std::uint32_t)) == 0;
}

std::unique_ptr<Compressor> make_none_compressor() {
    return std::make_unique<NoneCompressor>();
}

}  // namespace topicfs
