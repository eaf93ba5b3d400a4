// Makes batches out of raw bytes: counts records, compresses, checksums, encodes. Keeps the compressor and its buffers,
// so one a sealing thread.
#pragma once

#include "codec/codec.h"
#include "format/batch.h"

#include <topicfs/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace topicfs {

// How many bytes of `bytes` are `delimiter`; 0 where there is none. With no delimiter every byte is a record of its
// own.
std::uint64_t count_records(std::span<const std::byte> bytes, std::optional<std::uint8_t> delimiter);

class BatchBuilder {
public:
    // Room for the raw bytes of the next batch.
    std::span<std::byte> raw(std::size_t bytes) {
        raw_.resize(bytes);
        return raw_;
    }

    struct Batch {
        BatchHeader header;
        std::span<const std::byte> bytes;  // valid until the next build()
    };
    // A batch of the raw() bytes. The header's base offset and position and its times are taken from `header`.
    Result<Batch> build(BatchHeader header, Codec codec, int level, std::optional<std::uint8_t> delimiter);

private:
    std::unique_ptr<Compressor> compressor_;
    Codec codec_ = Codec::kNone;
    int level_ = 0;
    std::vector<std::byte> raw_;
    std::vector<std::byte> frame_;
    std::vector<std::byte> batch_;
};

}  // namespace topicfs
