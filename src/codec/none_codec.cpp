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

class NoneCompressor final : public Compressor {
public:
    NoneCompressor() {
        LZ4F_cctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) != 0) {
            throw std::bad_alloc();
        }
        context_.reset(context);
    }

    Result<void> compress(std::span<const std::byte> raw, std::vector<std::byte>& out) override {
        LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
        preferences.frameInfo.blockSizeID = LZ4F_max4MB;
        preferences.frameInfo.blockMode = LZ4F_blockIndependent;
        preferences.frameInfo.contentSize = raw.size();
        preferences.autoFlush = 1;  // Else the library takes a buffer of a block's size that is never used.
        std::array<std::byte, LZ4F_HEADER_SIZE_MAX> header{};
        // LZ4F makes the header, as that ends with a checksum; the blocks it could make only where its own attempt to
        // compress them fails.
        const std::size_t header_bytes = LZ4F_compressBegin(context_.get(), header.data(), header.size(), &preferences);
        if (LZ4F_isError(header_bytes) != 0) {
            return system_error(ENOMEM, "compress", "");  // The one way in which beginning a frame fails.
        }
        assert(raw.empty() || header_bytes == kNoneFrameHeaderBytes);
        out.reserve(out.size() + none_frame_bytes(raw.size()));
        out.insert(out.end(), header.begin(), header.begin() + static_cast<std::ptrdiff_t>(header_bytes));
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
    std::unique_ptr<LZ4F_cctx, FreeCompression> context_;
};

}  // namespace

std::unique_ptr<Compressor> make_none_compressor() {
    return std::make_unique<NoneCompressor>();
}

}  // namespace topicfs
