// The header block of a head. What decodes must come back when it is encoded again.
#include "format/head_header.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kCrcAt = 4;
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    std::vector<std::byte> bytes = input.take_rest();
    if ((choice & 1) != 0) {
        // Most of a block is zeros, which are not worth a fuzzer's time.
        bytes.resize(kHeadHeaderBytes);
        fuzz::fix_crc(bytes, kCrcAt);
    }
    if ((choice & 2) != 0 && bytes.size() >= kHeadHeaderBytes) {
        const auto magic = encode_head_header({});
        std::copy_n(magic.begin(), 20, bytes.begin());  // magic, version, flags
        fuzz::fix_crc(std::span(bytes).first(kHeadHeaderBytes), kCrcAt);
    }
    const Result<HeadHeader> header = decode_head_header(bytes);
    if (header.has_value()) {
        fuzz::require(header->base.value <= kPositionMax, "the base is bounded");
        fuzz::require(decode_head_header(encode_head_header(*header)).value() == *header, "encoding gives it back");
    }
    return 0;
}
