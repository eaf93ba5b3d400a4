// The parts of the codecs that codec.cpp chooses from, one pair a kind of frame.
//
// Inside codec/ only. lz4.h and zstd.h are included in lz4_codec.cpp, none_codec.cpp and zstd_codec.cpp only.
#pragma once

#include "codec/codec.h"

namespace topicfs {

std::unique_ptr<Compressor> make_none_compressor();
std::unique_ptr<Compressor> make_lz4_compressor(int level);
std::unique_ptr<Compressor> make_zstd_compressor(int level);

// One for `none` and `lz4`, as both make LZ4 frames.
std::unique_ptr<Decompressor> make_lz4_decompressor();
std::unique_ptr<Decompressor> make_zstd_decompressor();

// The error of a frame that is not what it must be.
Error damaged_frame(const char* why);

}  // namespace topicfs
