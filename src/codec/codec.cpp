#include "codec/codec.h"

#include "codec/frames.h"

#include <algorithm>
#include <cassert>
#include <string>

namespace topicfs {

const char* codec_name(Codec codec) {
    switch (codec) {
        case Codec::kNone:
            return "none";
        case Codec::kLz4:
            return "lz4";
        case Codec::kZstd:
            return "zstd";
    }
    assert(false && "a Codec that is none");
    return "unknown";
}

const char* codec_file_suffix(Codec codec) {
    return codec == Codec::kZstd ? ".log.zst" : ".log.lz4";
}

Result<Codec> parse_codec(std::string_view name) {
    for (std::uint8_t number = 0; number < kCodecCount; ++number) {
        const auto codec = static_cast<Codec>(number);
        if (name == codec_name(codec)) {
            return codec;
        }
    }
    return make_error(ErrorCode::kInvalid, "", "compression.type",
                      "'" + std::string(name) + "' is none of none, lz4, zstd");
}

Result<void> Compressor::compress(std::span<const std::byte> raw, std::vector<std::byte>& out) {
    const std::size_t before = out.size();
    out.resize(before + frame_bytes_max(raw.size()));
    const auto used = compress_into(raw, std::span(out).subspan(before));
    out.resize(before + (used ? *used : 0));
    return used ? Result<void>{} : used.error();
}

std::unique_ptr<Compressor> make_compressor(Codec codec, int level) {
    switch (codec) {
        case Codec::kNone:
            return make_none_compressor();
        case Codec::kLz4:
            return make_lz4_compressor(std::clamp(level, kLz4LevelFastest, kLz4LevelMax));
        case Codec::kZstd:
            return make_zstd_compressor(std::clamp(level, kZstdLevelFastest, kZstdLevelMax));
    }
    assert(false && "a Codec that is none");
    return nullptr;
}

std::unique_ptr<Decompressor> make_decompressor(Codec codec) {
    return codec == Codec::kZstd ? make_zstd_decompressor() : make_lz4_decompressor();
}

Error damaged_frame(const char* why) {
    return make_error(ErrorCode::kDamaged, "decompress", "", why);
}

}  // namespace topicfs
