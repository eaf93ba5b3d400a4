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

void append_u32(std::vector<std::byte>& out, std::uint32_t value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof value);
    store_le(out.data() + at, value);
}

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
bool append_frame_header(LZ4F_cctx& context, std::size_t raw_bytes, std::vector<std::byte>& out) {
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.blockSizeID = LZ4F_max4MB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.contentSize = raw_bytes;
    preferences.autoFlush = 1;  // Else the library takes a buffer of a block's size that is never used.
    std::array<std::byte, LZ4F_HEADER_SIZE_MAX> header{};
    const std::size_t header_bytes = LZ4F_compressBegin(&context, header.data(), header.size(), &preferences);
    if (LZ4F_isError(header_bytes) != 0) {
        return false;
    }
    assert(raw_bytes == 0 || header_bytes == kNoneFrameHeaderBytes);
    out.insert(out.end(), header.begin(), header.begin() + static_cast<std::ptrdiff_t>(header_bytes));
    return true;
}

class NoneCompressor final : public Compressor {
public:
    Result<void> compress(std::span<const std::byte> raw, std::vector<std::byte>& out) override {
        out.reserve(out.size() + none_frame_bytes(raw.size()));
        if (!append_frame_header(*context_, raw.size(), out)) {
            return system_error(ENOMEM, "compress", "");  // The one way in which beginning a frame fails.
        }
        while (!raw.empty()) {
            const std::span<const std::byte> block = raw.first(std::min(raw.size(), kNoneBlockBytesMax));
            append_u32(out, static_cast<std::uint32_t>(block.size()) | kBlockIsStored);
            out.insert(out.end(), block.begin(), block.end());
            raw = raw.subspan(block.size());
        }
        append_u32(out, 0);  // The end mark.
        return {};
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
    std::vector<std::byte> expected_header;
    if (!append_frame_header(*context, raw_bytes, expected_header) ||
        !std::equal(expected_header.begin(), expected_header.end(), frame.begin())) {
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
