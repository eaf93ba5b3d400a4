// Stores with some data in them, made through the engine's API in a child process, for what is to be measured without
// the way the data came in.
//
// One thread.
#pragma once

#include "mount/bench/bench.h"

#include <topicfs/types.h>

#include <cstdint>
#include <string>
#include <utility>

namespace topicfs::bench {

inline constexpr const char* kFilledTopic = "log";

// A store below the scratch folder with one partition of so many bytes (whole MiB, at least one), all sealed. Removed
// by the destructor.
class FilledStore {
public:
    static Result<FilledStore> make(const Bench& bench, const std::string& name, std::uint64_t bytes);
    FilledStore(FilledStore&& other) noexcept
        : name_(std::move(other.name_)),
          path_(std::exchange(other.path_, {})),
          bytes_(other.bytes_),
          first_time_(other.first_time_),
          last_time_(other.last_time_) {}
    FilledStore& operator=(FilledStore&&) = delete;
    ~FilledStore();

    const std::string& name() const { return name_; }
    const std::string& path() const { return path_; }
    std::uint64_t bytes() const { return bytes_; }
    // Of the first batch and of the last: they lie evenly between.
    TimestampMs first_time() const { return first_time_; }
    TimestampMs last_time() const { return last_time_; }

private:
    FilledStore(std::string name, std::string path, std::uint64_t bytes)
        : name_(std::move(name)), path_(std::move(path)), bytes_(bytes) {}
    std::string name_;
    std::string path_;
    std::uint64_t bytes_;
    TimestampMs first_time_;
    TimestampMs last_time_;
};

// The larger store and one of a tenth.
struct StorePair {
    FilledStore large;
    FilledStore small;
};
Result<StorePair> make_store_pair(const Bench& bench);
// "1.07 GB against 107 MB; …": the scale.
std::string scale_note(const StorePair& stores);

}  // namespace topicfs::bench
