// zstd frames, as RFC 8878 defines them.
#include "base/byte_order.h"
#include "codec/frames.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <cassert>
#include <cerrno>
#include <new>

namespace topicfs {
namespace {

struct FreeCompression {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompression {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdCompressor final : public Compressor {
public:
    explicit ZstdCompressor(int level) : context_(ZSTD_createCCtx()) {
        if (context_ == nullptr) {
            throw std::bad_alloc();
        }
        set(ZSTD_c_compressionLevel, level);
        set(ZSTD_c_contentSizeFlag, 1);
        set(ZSTD_c_checksumFlag, 0);
    }

    std::size_t frame_bytes_max(std::size_t raw_bytes) const override { return ZSTD_compressBound(raw_bytes); }

    Result<std::size_t> compress_into(std::span<const std::byte> raw, std::span<std::byte> room) override {
        // The library knows the size beforehand, so the window that the frame declares is no larger than the content.
        const std::size_t used = ZSTD_compress2(context_.get(), room.data(), room.size(), raw.data(), raw.size());
        if (ZSTD_isError(used) != 0) {
            if (ZSTD_getErrorCode(used) == ZSTD_error_memory_allocation) {
                return system_error(ENOMEM, "compress", "");
            }
            assert(false && "zstd refused a call of ours");
            return make_error(ErrorCode::kInvalid, "compress", "", ZSTD_getErrorName(used));
        }
        return used;
    }

private:
    void set(ZSTD_cParameter parameter, int value) {
        [[maybe_unused]] const std::size_t result = ZSTD_CCtx_setParameter(context_.get(), parameter, value);
        assert(ZSTD_isError(result) == 0);
    }

    std::unique_ptr<ZSTD_CCtx, FreeCompression> context_;
};

class ZstdDecompressor final : public Decompressor {
public:
    ZstdDecompressor() : context_(ZSTD_createDCtx()) {
        if (context_ == nullptr) {
            throw std::bad_alloc();
        }
    }

    // One call decodes straight into `out`, which is all the window it needs: whatever window a frame declares, the
    // library takes no memory for it. (Its streaming calls would.)
    Result<void> decompress(std::span<const std::byte> frame, std::span<std::byte> out) override {
        // The library would also take skippable frames and those of its own older formats.
        if (frame.size() < sizeof(std::uint32_t) || load_le<std::uint32_t>(frame.data()) != ZSTD_MAGICNUMBER) {
            return damaged_frame("it is not a zstd frame");
        }
        const unsigned long long content_bytes = ZSTD_getFrameContentSize(frame.data(), frame.size());
        if (content_bytes != out.size()) {
            return damaged_frame("its zstd frame declares another size, or none");
        }
        // It would also decode one frame after another.
        const std::size_t frame_bytes = ZSTD_findFrameCompressedSize(frame.data(), frame.size());
        if (ZSTD_isError(frame_bytes) != 0) {
            return damaged_frame("the zstd frame ends too early, or is damaged");
        }
        if (frame_bytes != frame.size()) {
            return damaged_frame("bytes follow on the zstd frame");
        }
        const std::size_t decoded =
            ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), frame.data(), frame.size());
        if (ZSTD_isError(decoded) != 0) {
            return damaged_frame("the zstd frame is damaged");
        }
        if (decoded != out.size()) {
            return damaged_frame("the zstd frame holds less than it declares");
        }
        return {};
    }

private:
    std::unique_ptr<ZSTD_DCtx, FreeDecompression> context_;
};

}  // namespace

std::unique_ptr<Compressor> make_zstd_compressor(int level) {
    return std::make_unique<ZstdCompressor>(level);
}

std::unique_ptr<Decompressor> make_zstd_decompressor() {
    return std::make_unique<ZstdDecompressor>();
}

}  // namespace topicfs
