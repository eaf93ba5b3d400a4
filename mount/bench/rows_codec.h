// What is measured of the codecs: how fast sealing and decoding are beside the codec alone, and what is stored.
#pragma once

#include "mount/bench/bench.h"

#include <topicfs/types.h>

namespace topicfs::bench {

// The rows about sealing and about bytes on disk.
Result<void> bench_sealing(Bench& bench);

// Bytes a second that the codec alone decodes of 1 MiB blocks, with a process for each core.
Result<double> decode_speed(const Bench& bench, Codec codec);

}  // namespace topicfs::bench
