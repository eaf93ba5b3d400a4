#include "mount/bench/filled_store.h"

#include "mount/bench/clients.h"
#include "store/local_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr std::size_t kBlockBytes = 1u << 20;
constexpr Seconds kFillMax{600};
constexpr std::uint64_t kBlocksBetweenSeals = 64;  // so that head does not grow to the whole
// Between two batches. As fast as they can be written many would have the same time, and a look-up of it would always
// end at the first of them.
constexpr std::int64_t kBatchMs = 1000;

Result<void> fill(const Payload& payload, const std::string& path, std::uint64_t blocks, TimestampMs first_time) {
    if (::mkdir(path.c_str(), 0700) != 0) {
        return system_error(errno, "make a folder", path);
    }
    ManualClock clock(first_time);
    StoreEnvironment environment;
    TOPICFS_TRY_ASSIGN(environment.fs, open_file_system(path));
    environment.clock = &clock;
    environment.directory = path;
    environment.boot_id = "none";  // without meaning after a clean end
    StoreOptions options;
    options.maintenance = false;
    TOPICFS_TRY_ASSIGN(const auto store, LocalStore::open(std::move(environment), options));
    TOPICFS_TRY_ASSIGN(const auto topic, static_cast<Store&>(*store).create_topic(kFilledTopic));
    TOPICFS_TRY_ASSIGN(const auto partition, topic->partition(0));
    for (std::uint64_t n = 0; n < blocks; ++n) {
        TOPICFS_TRY(partition->append(std::as_bytes(std::span(payload.block(n, kBlockBytes)))));
        clock.advance(kBatchMs);
        if (n % kBlocksBetweenSeals == kBlocksBetweenSeals - 1) {
            TOPICFS_TRY(store->maintain(true));
        }
    }
    TOPICFS_TRY(store->maintain(true));
    return store->close();
}

}  // namespace

Result<FilledStore> FilledStore::make(const Bench& bench, const std::string& name, std::uint64_t bytes) {
    const std::uint64_t blocks = std::max<std::uint64_t>(1, bytes / kBlockBytes);
    FilledStore store(name, bench.scratch() + "/" + name, blocks * kBlockBytes);
    store.last_time_ = system_clock().now();
    store.first_time_ = store.last_time_ + -kBatchMs * static_cast<std::int64_t>(blocks - 1);
    TOPICFS_TRY(run_client([&](ClientReport&) { return fill(bench.payload(), store.path_, blocks, store.first_time_); },
                           kFillMax));
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
