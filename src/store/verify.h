// Checks a whole store without writing to it and without its lock, so beside a running daemon too.
//
// What is checked: every batch (header, payload checksum, decoding, records, times, positions that follow one another),
// every index against its segment, heads, recovery files, commits of groups and text files. What lies in the data
// directory and is not part of a store is noted. One thread.
#pragma once

#include "io/file_system.h"

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace topicfs {

struct Extent {
    std::uint64_t from = 0;
    std::uint64_t to = 0;  // the first byte behind
    friend bool operator==(const Extent&, const Extent&) = default;
};

struct Finding {
    enum class Kind {
        kDamage,  // data, or what leads to data, is not as it was written
        kNote,    // worth knowing, nothing is lost: an index that will be rebuilt, a file that is not ours
    };
    Kind kind = Kind::kDamage;
    std::string path;                 // in the data directory
    std::optional<Extent> bytes;      // of the file
    std::optional<Extent> positions;  // of the partition: what a reader does not get
    std::string what;                 // a clause
};

struct VerifyTotals {
    std::uint64_t topics = 0;
    std::uint64_t partitions = 0;
    std::uint64_t segments = 0;
    std::uint64_t batches = 0;  // that are whole
    std::uint64_t records = 0;  // in them
    std::uint64_t raw_bytes = 0;
    std::uint64_t stored_bytes = 0;  // of segments, looked at
    std::uint64_t damages = 0;
    std::uint64_t notes = 0;
};

class VerifyObserver {
public:
    virtual ~VerifyObserver() = default;
    virtual void found(const Finding& finding) = 0;
    // After each batch: stored bytes of segments looked at, of all there are; `path` is being read.
    virtual void progress(std::uint64_t bytes_done, std::uint64_t bytes_total, const std::string& path) = 0;
};

// An error means that the store could not be checked: kNotOurs where it is none, kNewerFormat, kSystem where something
// may not be read. A read error of the disk is a finding.
Result<VerifyTotals> verify_store(FileSystem& fs, VerifyObserver& observer);

}  // namespace topicfs
