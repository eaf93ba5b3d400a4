#include "mount/bench/filled_store.h"

#include "mount/bench/clients.h"
#include "mount/bench/stop.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr std::size_t kBlockBytes = 1u << 20;
constexpr Seconds kFillMax{600};
constexpr std::uint64_t kUnsealedBytesMax = 64u << 20;  // so that head does not grow to the whole

Result<void> wait_until_sealed(Partition& partition, std::uint64_t unsealed_max) {
    for (;;) {
        TOPICFS_TRY_ASSIGN(const PartitionStatus status, partition.status());
        if (status.end - status.sealed_end <= unsealed_max) {
            return {};
        }
        TOPICFS_TRY(pause_for(std::chrono::milliseconds(5)));
    }
}

Result<void> fill(const Payload& payload, const std::string& path, std::uint64_t bytes) {
    TOPICFS_TRY_ASSIGN(const auto store, open_store(path));
    TOPICFS_TRY_ASSIGN(const auto topic, store->create_topic(kFilledTopic));
    TOPICFS_TRY_ASSIGN(const auto partition, topic->partition(0));
    for (std::uint64_t n = 0; n * kBlockBytes < bytes; ++n) {
        TOPICFS_TRY(partition->append(std::as_bytes(std::span(payload.block(n, kBlockBytes)))));
        if (n % (kUnsealedBytesMax / kBlockBytes) == 0) {
            TOPICFS_TRY(wait_until_sealed(*partition, kUnsealedBytesMax));
        }
    }
    TOPICFS_TRY(wait_until_sealed(*partition, kBlockBytes - 1));
    return store->close();
}

}  // namespace

Result<FilledStore> FilledStore::make(const Bench& bench, const std::string& name, std::uint64_t bytes) {
    const std::uint64_t whole = std::max<std::uint64_t>(1, bytes / kBlockBytes) * kBlockBytes;
    FilledStore store(name, bench.scratch() + "/" + name, whole);
    TOPICFS_TRY(run_client([&](ClientReport&) { return fill(bench.payload(), store.path_, whole); }, kFillMax));
    return store;
}

FilledStore::~FilledStore() {
    if (!path_.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
}

Result<StorePair> make_store_pair(const Bench& bench) {
    constexpr std::uint64_t kTimes = 10;
    TOPICFS_TRY_ASSIGN(FilledStore small, FilledStore::make(bench, "small", bench.options().data_bytes / kTimes));
    TOPICFS_TRY_ASSIGN(FilledStore large, FilledStore::make(bench, "large", small.bytes() * kTimes));
    return StorePair{std::move(large), std::move(small)};
}

std::string scale_note(const StorePair& stores) {
    return short_number(static_cast<double>(stores.large.bytes())) + "B of data against " +
           short_number(static_cast<double>(stores.small.bytes())) + "B (the aim is meant for 10 GB against 1 GB)";
}

}  // namespace topicfs::bench
