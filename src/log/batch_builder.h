// Makes batches out of raw bytes: counts records, compresses, checksums, encodes. Keeps the compressor and its buffers,
// so one a sealing thread.
#pragma once

#include "codec/codec.h"
#include "format/batch.h"
#include "log/buffer_pool.h"

#include <topicfs/result.h>

#include <array>
#include <cstddef>
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
    // Room for the raw bytes of the next batch, not cleared.
    std::span<std::byte> raw(std::size_t bytes);

    struct Batch {
        BatchHeader header;
        std::span<const std::byte> bytes;  // valid until the next build()
    };
    // A batch of the raw() bytes. The header's base offset and position and its times are taken from `header`.
    Result<Batch> build(BatchHeader header, Codec codec, int level, std::optional<std::uint8_t> delimiter);

private:
    // The compressor of a codec and level. The last two are kept, as one sealer goes from one partition to the next.
    Compressor& compressor(Codec codec, int level);
    struct Kept {
        std::unique_ptr<Compressor> compressor;
        Codec codec = Codec::kNone;
        int level = 0;
    };

    std::array<Kept, 2> compressors_;  // last used first
    Buffer raw_;
    std::size_t raw_bytes_ = 0;
    Buffer batch_;  // room for the largest header, then the frame: so neither is copied
    std::vector<std::byte> header_;
};

}  // namespace topicfs
