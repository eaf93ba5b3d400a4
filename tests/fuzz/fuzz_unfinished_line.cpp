// The file of an unfinished line: a chain of frames. What decodes must come back when it is encoded again, and a whole
// file never gives more bytes than it has.
#include "format/unfinished_line.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

namespace {

// Magic and version, then the checksum, of each frame as its length says.
void fix_chain(std::span<std::byte> file) {
    constexpr std::size_t kDataBytesAt = 44;
    constexpr std::size_t kCrcAt = 4;
    const auto good = encode_unfinished_frame({});
    while (file.size() >= kUnfinishedFrameHeaderBytes) {
        std::copy_n(good.begin(), 12, file.begin());
        const std::size_t data = load_le<std::uint32_t>(file.data() + kDataBytesAt) & 63;
        store_le<std::uint32_t>(file.data() + kDataBytesAt, static_cast<std::uint32_t>(data));
        const std::size_t bytes = std::min(file.size(), kUnfinishedFrameHeaderBytes + data);
        fuzz::fix_crc(file.first(bytes), kCrcAt);
        file = file.subspan(bytes);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    std::vector<std::byte> bytes = input.take_rest();
    if ((choice & 1) != 0) {
        fix_chain(bytes);
    }
    if (const auto frame = decode_unfinished_frame(bytes)) {
        const auto again = encode_unfinished_frame(*frame);
        const auto second = decode_unfinished_frame(again);
        fuzz::require(second.has_value(), "encoding gives what decodes");
        fuzz::require(second->kind == frame->kind && second->partition == frame->partition &&
                          second->log_end == frame->log_end && second->placed == frame->placed,
                      "encoding gives it back");
        fuzz::require(std::equal(second->data.begin(), second->data.end(), frame->data.begin(), frame->data.end()),
                      "encoding gives its data back");
    }
    for (const bool power_was_cut : {false, true}) {
        if (const auto line = decode_unfinished_file(bytes, power_was_cut)) {
            fuzz::require(line->bytes.size() <= bytes.size(), "no more bytes than the file has");
            fuzz::require(line->placed <= line->bytes.size(), "no more is placed than is there");
            fuzz::require(line->placed == 0 || line->partition, "what was placed has its place");
            fuzz::require(!power_was_cut || line->synced || !line->is_there(), "only what was synced");
        }
    }
    return 0;
}
