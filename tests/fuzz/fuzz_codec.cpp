// The payload's frame alone: what decodes to the expected size must do so again, and nothing may be touched beside it.
#include "codec/codec.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

namespace {

constexpr std::uint32_t kRawBytesMax = 64u << 10;

Decompressor& decompressor_of(Codec codec) {
    static const std::unique_ptr<Decompressor> lz4 = make_decompressor(Codec::kLz4);
    static const std::unique_ptr<Decompressor> zstd = make_decompressor(Codec::kZstd);
    return codec == Codec::kZstd ? *zstd : *lz4;
}

// The header that a frame of `content_bytes` begins with, before its first block.
std::vector<std::byte> frame_header(Codec codec, std::size_t content_bytes) {
    std::vector<std::byte> header;
    if (codec == Codec::kZstd) {
        // RFC 8878: magic; single segment, four bytes of content size; that size.
        header.resize(9);
        store_le<std::uint32_t>(header.data(), 0xFD2FB528);
        header[4] = std::byte{0xA0};
        store_le<std::uint32_t>(header.data() + 5, static_cast<std::uint32_t>(content_bytes));
        return header;
    }
    static const std::unique_ptr<Compressor> none = make_compressor(Codec::kNone, 0);
    static_cast<void>(none->compress(std::vector<std::byte>(content_bytes), header));
    header.resize(std::min(header.size(), kNoneFrameHeaderBytes));
    return header;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    const Codec codec = (choice & 1) != 0 ? Codec::kZstd : Codec::kLz4;
    const std::size_t content_bytes = input.take_number() % kRawBytesMax + 1;
    std::vector<std::byte> frame;
    if ((choice & 2) != 0) {
        frame = frame_header(codec, content_bytes);
    }
    const std::vector<std::byte> rest = input.take_rest();
    frame.insert(frame.end(), rest.begin(), rest.end());
    frame.shrink_to_fit();
    std::vector<std::byte> out(content_bytes);
    if (!decompressor_of(codec).decompress(frame, out).has_value()) {
        return 0;
    }
    std::vector<std::byte> again(content_bytes, std::byte{0x55});
    fuzz::require(decompressor_of(codec).decompress(frame, again).has_value(), "what decoded decodes again");
    fuzz::require(again == out, "every byte is written, and the same one each time");
    return 0;
}
