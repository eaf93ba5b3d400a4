// A batch: header, then payload. What decodes must be within its bounds, and must come back when it is encoded again.
#include "codec/codec.h"
#include "format/batch.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

namespace {

constexpr std::size_t kCrcAt = 12;
// Larger contents are as good as these for finding faults, and slow.
constexpr std::uint32_t kRawBytesMax = 1u << 20;

// Makes magic numbers, sizes, version and checksum right, so that what is behind them is tried.
void fix_header(std::vector<std::byte>& bytes, std::size_t times_bytes) {
    constexpr std::uint32_t kFrameMagic = 0x184D2A5E;
    bytes.resize(std::max(bytes.size(), kBatchHeaderFixedBytes));
    times_bytes = std::min(times_bytes, bytes.size() - kBatchHeaderFixedBytes);
    const std::size_t header_bytes = kBatchHeaderFixedBytes + times_bytes;
    store_le<std::uint32_t>(bytes.data(), kFrameMagic);
    store_le<std::uint32_t>(bytes.data() + 4, static_cast<std::uint32_t>(header_bytes - 8));
    std::copy_n(reinterpret_cast<const std::byte*>("TFSB"), 4, bytes.begin() + 8);
    store_le<std::uint16_t>(bytes.data() + 16, 1);
    store_le<std::uint32_t>(bytes.data() + 20, 0);
    store_le<std::uint32_t>(bytes.data() + 80, static_cast<std::uint32_t>(times_bytes));
    fuzz::fix_crc(std::span(bytes).first(header_bytes), kCrcAt);
}

// A good batch of the input's choice, then some of its bytes changed, and the checksum right again: what is one step
// away from good.
std::vector<std::byte> nearly_good_batch(fuzz::Input& input) {
    BatchHeader header;
    header.codec = static_cast<Codec>(input.take_byte() % kCodecCount);
    std::vector<std::byte> raw(input.take_byte() + std::size_t{1}, std::byte{'x'});
    std::vector<std::byte> payload;
    static_cast<void>(make_compressor(header.codec, 1)->compress(raw, payload));
    header.raw_bytes = static_cast<std::uint32_t>(raw.size());
    header.stored_bytes = static_cast<std::uint32_t>(payload.size());
    header.record_count = input.take_byte() % (header.raw_bytes + 1);
    BatchTime time{0, TimestampMs{static_cast<std::int64_t>(input.take_number()) - 1000}};
    for (int left = input.take_byte() % 6; left >= 0; --left) {
        header.times.push_back(time);
        time.raw_offset = std::min(time.raw_offset + input.take_byte(), header.raw_bytes - 1);
        time.time.value += input.take_number() % 100'000;
    }
    std::vector<std::byte> bytes;
    encode_batch_header(header, bytes);
    for (int left = input.take_byte() % 4; left > 0; --left) {
        // Not the magic numbers and the size, which decide alone.
        const std::size_t at = 16 + input.take_byte() % (bytes.size() - 16);
        bytes[at] = static_cast<std::byte>(input.take_byte());
    }
    fuzz::fix_crc(bytes, kCrcAt);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    for (int left = input.take_byte() % 4; left > 0; --left) {
        const std::size_t at = bytes.size() - payload.size() + input.take_byte() % payload.size();
        bytes[at] = static_cast<std::byte>(input.take_byte());
    }
    return bytes;
}

void check_header(const BatchHeader& header, std::size_t available) {
    fuzz::require(header.header_bytes <= available, "the header ends within the data");
    fuzz::require(header.raw_bytes > 0 && header.raw_bytes <= kBatchRawBytesMax, "raw bytes are bounded");
    fuzz::require(header.stored_bytes <= batch_stored_bytes_max(header.raw_bytes), "stored bytes are bounded");
    fuzz::require(header.record_count <= header.raw_bytes, "records are bounded");
    fuzz::require(header.end_position().value <= kPositionMax, "positions are bounded");
    fuzz::require(!header.times.empty() && header.times.front().raw_offset == 0, "times begin with the batch");
    for (std::size_t i = 1; i < header.times.size(); ++i) {
        fuzz::require(header.times[i - 1].raw_offset <= header.times[i].raw_offset, "places in the batch never fall");
        fuzz::require(header.times[i - 1].time <= header.times[i].time, "times never fall");
    }
    fuzz::require(header.times.back().raw_offset < header.raw_bytes, "times lie within the batch");
    BatchHeader again = header;
    std::vector<std::byte> encoded;
    encode_batch_header(again, encoded);
    const BatchDecoded decoded = decode_batch_header(encoded);
    fuzz::require(decoded.outcome == BatchOutcome::kBatch && decoded.header == header, "encoding gives it back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    std::vector<std::byte> bytes;
    if ((choice & 1) != 0) {
        bytes = nearly_good_batch(input);
    } else {
        const std::size_t times_bytes = input.take_byte();
        bytes = input.take_rest();
        if ((choice & 2) != 0) {
            fix_header(bytes, times_bytes);
        }
    }
    bytes.shrink_to_fit();
    const BatchDecoded decoded = decode_batch_header(bytes);
    const std::size_t magic_at = find_batch_magic(bytes, choice);
    fuzz::require(magic_at <= std::max<std::size_t>(bytes.size(), choice), "the search ends at the end");
    if (decoded.outcome != BatchOutcome::kBatch) {
        return 0;
    }
    fuzz::require(find_batch_magic(bytes, 0) == 0, "a batch is found where it is");
    check_header(decoded.header, bytes.size());
    // As long as the header says, or what there is of it.
    auto payload = std::span(bytes).subspan(decoded.header.header_bytes);
    payload = payload.first(std::min<std::size_t>(payload.size(), decoded.header.stored_bytes));
    if (decoded.header.raw_bytes <= kRawBytesMax) {
        std::vector<std::byte> raw(decoded.header.raw_bytes);
        static_cast<void>(make_decompressor(decoded.header.codec)->decompress(payload, raw));
    }
    return 0;
}
