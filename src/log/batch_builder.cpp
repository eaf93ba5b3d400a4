#include "log/batch_builder.h"

#include "base/crc32c.h"

#include <algorithm>

namespace topicfs {

std::uint64_t count_records(std::span<const std::byte> bytes, std::optional<std::uint8_t> delimiter) {
    if (!delimiter) {
        return bytes.size();
    }
    return static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), std::byte{*delimiter}));
}

Result<BatchBuilder::Batch> BatchBuilder::build(BatchHeader header, Codec codec, int level,
                                                std::optional<std::uint8_t> delimiter) {
    if (!compressor_ || codec != codec_ || level != level_) {
        compressor_ = make_compressor(codec, level);
        codec_ = codec;
        level_ = level;
    }
    frame_.clear();
    TOPICFS_TRY(compressor_->compress(raw_, frame_));
    header.codec = codec;
    header.record_count = static_cast<std::uint32_t>(count_records(raw_, delimiter));
    header.raw_bytes = static_cast<std::uint32_t>(raw_.size());
    header.stored_bytes = static_cast<std::uint32_t>(frame_.size());
    header.payload_crc = crc32c(frame_);
    batch_.clear();
    encode_batch_header(header, batch_);
    batch_.insert(batch_.end(), frame_.begin(), frame_.end());
    return Batch{std::move(header), batch_};
}

}  // namespace topicfs
