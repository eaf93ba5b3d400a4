// LZ4 frames, as doc/lz4_Frame_format.md of the lz4 project (version 1.6.x) defines them.
#include "base/byte_order.h"
#include "codec/frames.h"

#include <lz4.h>
#include <lz4frame.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

namespace topicfs {
namespace {

struct FreeCompression {
    void operator()(LZ4F_cctx* context) const { LZ4F_freeCompressionContext(context); }
};
struct FreeDecompression {
    void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Error library_error(LZ4F_errorCode_t code) {
    // The library tells its errors apart by name only, in the part of its interface that is stable.
    const std::string name = LZ4F_getErrorName(code);
    if (name == "ERROR_allocation_failed") {
        return system_error(ENOMEM, "compress", "");
    }
    assert(false && "LZ4F refused a call of ours");
    return make_error(ErrorCode::kInvalid, "compress", "", name);
}

class Lz4Compressor final : public Compressor {
public:
    explicit Lz4Compressor(int level) : level_(level) {
        LZ4F_cctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createCompressionContext(&context, LZ4F_VERSION)) != 0) {
            throw std::bad_alloc();
        }
        context_.reset(context);
    }

    std::size_t frame_bytes_max(std::size_t raw_bytes) const override {
        const LZ4F_preferences_t preferences = preferences_for(raw_bytes);
        return LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(raw_bytes, &preferences);
    }
    Result<std::size_t> compress_into(std::span<const std::byte> raw, std::span<std::byte> room) override;

private:
    LZ4F_preferences_t preferences_for(std::size_t raw_bytes) const {
        LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
        preferences.frameInfo.blockSizeID = LZ4F_max4MB;
        // Nearly every batch is one block, so linking blocks would gain nothing, and reading history costs.
        preferences.frameInfo.blockMode = LZ4F_blockIndependent;
        preferences.frameInfo.contentSize = raw_bytes;
        preferences.compressionLevel = level_;
        preferences.autoFlush = 1;  // Compresses out of `raw` itself, with no buffer between.
        return preferences;
    }

    int level_;
    std::unique_ptr<LZ4F_cctx, FreeCompression> context_;
};

Result<std::size_t> Lz4Compressor::compress_into(std::span<const std::byte> raw, std::span<std::byte> room) {
    const LZ4F_preferences_t preferences = preferences_for(raw.size());
    LZ4F_compressOptions_t options{};
    options.stableSrc = 1;
    std::size_t used = 0;
    std::size_t step = LZ4F_compressBegin(context_.get(), room.data(), room.size(), &preferences);
    if (LZ4F_isError(step) != 0) {
        return library_error(step);
    }
    used += step;
    if (!raw.empty()) {
        step = LZ4F_compressUpdate(context_.get(), room.data() + used, room.size() - used, raw.data(), raw.size(),
                                   &options);
        if (LZ4F_isError(step) != 0) {
            return library_error(step);
        }
        used += step;
    }
    step = LZ4F_compressEnd(context_.get(), room.data() + used, room.size() - used, &options);
    if (LZ4F_isError(step) != 0) {
        return library_error(step);
    }
    return used + step;
}

constexpr std::uint32_t kLz4FrameMagic = 0x184D2204;
constexpr std::uint32_t kBlockIsStored = 0x80000000;
constexpr std::size_t kBlockHeaderBytes = 4;
constexpr std::size_t kHistoryBytesMax = 64u << 10;  // How far back a linked block can refer.

std::size_t block_bytes_max(LZ4F_blockSizeID_t id) {
    switch (id) {
        case LZ4F_default:
        case LZ4F_max64KB:
            return 64u << 10;
        case LZ4F_max256KB:
            return 256u << 10;
        case LZ4F_max1MB:
            return 1u << 20;
        case LZ4F_max4MB:
            return 4u << 20;
    }
    return 0;
}

// Only the frame's header is read by LZ4F, which checks its checksum; the blocks are walked here, so that they decode
// straight into the caller's memory with no buffer and no copy between, and every length is checked in one place.
class Lz4Decompressor final : public Decompressor {
public:
    Lz4Decompressor() {
        LZ4F_dctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0) {
            throw std::bad_alloc();
        }
        context_.reset(context);
    }

    Result<void> decompress(std::span<const std::byte> frame, std::span<std::byte> out) override;

private:
    struct Blocks {
        std::span<const std::byte> bytes;  // what follows on the frame's header
        std::size_t block_bytes_max;
        bool linked;
    };

    Result<Blocks> read_header(std::span<const std::byte> frame, std::size_t content_bytes);
    static Result<std::size_t> decode_block(const Blocks& blocks, std::uint32_t block_header,
                                            std::span<const std::byte> block, std::span<std::byte> out,
                                            std::size_t filled);

    std::unique_ptr<LZ4F_dctx, FreeDecompression> context_;
};

Result<Lz4Decompressor::Blocks> Lz4Decompressor::read_header(std::span<const std::byte> frame,
                                                             std::size_t content_bytes) {
    // Skippable frames have other magic numbers; a batch's payload is none.
    if (frame.size() < LZ4F_HEADER_SIZE_MIN || load_le<std::uint32_t>(frame.data()) != kLz4FrameMagic) {
        return damaged_frame("it is not an LZ4 frame");
    }
    LZ4F_resetDecompressionContext(context_.get());
    LZ4F_frameInfo_t info = LZ4F_INIT_FRAMEINFO;
    std::size_t header_bytes = frame.size();
    const std::size_t result = LZ4F_getFrameInfo(context_.get(), &info, frame.data(), &header_bytes);
    if (LZ4F_isError(result) != 0) {
        return damaged_frame("its LZ4 frame header is damaged");
    }
    // A size of 0 and no size are told apart by nobody: both stand for no content.
    if (info.contentSize != content_bytes) {
        return damaged_frame("its LZ4 frame declares another size");
    }
    if (info.blockChecksumFlag != LZ4F_noBlockChecksum || info.contentChecksumFlag != LZ4F_noContentChecksum ||
        info.dictID != 0) {
        return damaged_frame("its LZ4 frame has parts that a batch's does not have");
    }
    return Blocks{frame.subspan(header_bytes), block_bytes_max(info.blockSizeID), info.blockMode == LZ4F_blockLinked};
}

// Returns how many bytes of `out` the block filled, from `filled` on.
Result<std::size_t> Lz4Decompressor::decode_block(const Blocks& blocks, std::uint32_t block_header,
                                                  std::span<const std::byte> block, std::span<std::byte> out,
                                                  std::size_t filled) {
    const std::size_t room = std::min(out.size() - filled, blocks.block_bytes_max);
    if ((block_header & kBlockIsStored) != 0) {
        if (block.size() > room) {
            return damaged_frame("an LZ4 block is longer than the content");
        }
        std::memcpy(out.data() + filled, block.data(), block.size());
        return block.size();
    }
    const std::size_t history_bytes = blocks.linked ? std::min(filled, kHistoryBytesMax) : 0;
    const auto* const from = reinterpret_cast<const char*>(block.data());
    auto* const to = reinterpret_cast<char*>(out.data()) + filled;
    // A block is at most 4 MiB, so both sizes fit an int.
    const int decoded = LZ4_decompress_safe_usingDict(from, to, static_cast<int>(block.size()), static_cast<int>(room),
                                                      to - history_bytes, static_cast<int>(history_bytes));
    if (decoded < 0) {
        return damaged_frame("an LZ4 block is damaged");
    }
    return static_cast<std::size_t>(decoded);
}

Result<void> Lz4Decompressor::decompress(std::span<const std::byte> frame, std::span<std::byte> out) {
    TOPICFS_TRY_ASSIGN(const Blocks blocks, read_header(frame, out.size()));
    std::span<const std::byte> rest = blocks.bytes;
    std::size_t filled = 0;
    for (;;) {
        if (rest.size() < kBlockHeaderBytes) {
            return damaged_frame("the LZ4 frame ends too early");
        }
        const auto block_header = load_le<std::uint32_t>(rest.data());
        rest = rest.subspan(kBlockHeaderBytes);
        if (block_header == 0) {  // The end mark.
            break;
        }
        const std::size_t block_bytes = block_header & ~kBlockIsStored;
        if (block_bytes > blocks.block_bytes_max || block_bytes > rest.size() || block_bytes == 0) {
            return damaged_frame("an LZ4 block has an impossible length");
        }
        TOPICFS_TRY_ASSIGN(const std::size_t decoded,
                           decode_block(blocks, block_header, rest.first(block_bytes), out, filled));
        filled += decoded;
        rest = rest.subspan(block_bytes);
    }
    if (filled != out.size()) {
        return damaged_frame("the LZ4 frame holds less than it declares");
    }
    if (!rest.empty()) {
        return damaged_frame("bytes follow on the LZ4 frame");
    }
    return {};
}

}  // namespace

std::unique_ptr<Compressor> make_lz4_compressor(int level) {
    return std::make_unique<Lz4Compressor>(level);
}

std::unique_ptr<Decompressor> make_lz4_decompressor() {
    return std::make_unique<Lz4Decompressor>();
}

}  // namespace topicfs
