// The settings of a topic and of a store, with Kafka's names and meanings where Kafka has them.
//
// A TopicSettings or StoreSettings is a value. Text goes in and out through set_setting and get_setting, which know
// every setting's range; what they refuse leaves the value as it was.
#pragma once

#include <topicfs/result.h>
#include <topicfs/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace topicfs {

struct TopicSettings {
    std::uint32_t num_partitions = 1;                    // of a new topic; raising it adds partitions
    std::uint32_t segment_bytes = 1u << 30;              // stored bytes at which a new segment is begun
    std::uint64_t segment_ms = 7ull * 24 * 3600 * 1000;  // age at which a new segment is begun
    Codec compression_type = Codec::kLz4;
    int compression_lz4_level = 1;
    int compression_zstd_level = 1;
    std::uint32_t seal_bytes = 1u << 20;                  // unsealed bytes at which head becomes a batch
    std::uint64_t seal_ms = 15000;                        // age of the oldest unsealed byte at which it does
    std::optional<std::uint64_t> flush_messages;          // records after which head is synced; off
    std::optional<std::uint64_t> flush_ms;                // age of the oldest unsynced record at which head is; off
    std::optional<std::uint8_t> record_delimiter = '\n';  // the last byte of a record; none makes a byte log
    std::string key_separator;  // of a line that is appended to the whole topic: before it stands the key; empty: off

    WritePath write_path = WritePath::kAuto;

    // How long a record is kept, and how many stored bytes of a partition; nothing: for ever.
    std::optional<std::uint64_t> retention_ms = 7ull * 24 * 3600 * 1000;
    std::optional<std::uint64_t> retention_bytes;
    std::uint64_t file_delete_delay_ms = 60000;  // for how long files already open can read what was removed

    int compression_level() const {
        return compression_type == Codec::kZstd ? compression_zstd_level : compression_lz4_level;
    }
    friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
};

// Settings of a consumer group.
struct GroupSettings {
    // Where a group begins that has no commit yet, and goes on that has fallen behind the log start.
    enum class Reset { kEarliest, kLatest };
    Reset auto_offset_reset = Reset::kEarliest;
    bool enable_auto_commit = true;                     // a read commits what the ones before it gave
    std::optional<std::uint64_t> max_poll_interval_ms;  // a reader that does not come back for so long has gone; off
    std::uint64_t fetch_min_bytes = 1;                  // a waiting read waits for so many,
    std::uint64_t fetch_max_wait_ms = 500;              // or for so long once there are any

    friend bool operator==(const GroupSettings&, const GroupSettings&) = default;
};

// Settings of a whole store.
struct StoreSettings {
    std::uint64_t read_cache_bytes = 32u << 20;       // memory for decoded batches, those that were decoded ahead too
    std::uint64_t offsets_retention_minutes = 10080;  // a group that nobody used for so long is dropped
    std::uint64_t log_retention_check_interval_ms = 300000;
    std::optional<std::uint64_t> store_bytes_max;  // on the disk, of all that the store has there; off
    std::optional<std::uint64_t> disk_free_min;    // bytes that stay free for others; nothing: see disk_free_min_of()
    DiskPressure disk_pressure = DiskPressure::kRefuse;
    std::uint64_t trash_retention_ms = 24ull * 3600 * 1000;  // a removed topic can be brought back for so long

    // What is to stay free on a file system of so many bytes: as set, or 5 % of it, at most 4 GiB.
    std::uint64_t disk_free_min_of(std::uint64_t file_system_bytes) const;

    friend bool operator==(const StoreSettings&, const StoreSettings&) = default;
};

struct SettingInfo {
    const char* key;
    const char* meaning;  // one sentence
    const char* range;    // for people: "4096 to 2147483647 bytes"
};

// Every setting of a topic, in the order in which they are shown.
std::span<const SettingInfo> topic_setting_infos();

// Those of a store; see Store::store_setting.
std::span<const SettingInfo> store_setting_infos();

// Those of a consumer group; see Group::set.
std::span<const SettingInfo> group_setting_infos();

// The value as text, in base units (milliseconds, minutes or bytes, as the key and the range say). kNotFound where
// there is no such setting.
Result<std::string> get_setting(const TopicSettings& settings, std::string_view key);
Result<std::string> get_setting(const StoreSettings& settings, std::string_view key);
Result<std::string> get_setting(const GroupSettings& settings, std::string_view key);

// Parses and checks. A time may be written as 500ms, 90s, 15m, 1h or 7d, a size as 64KiB, 64MiB or 1GiB (also 64K;
// 64KB is 64000). kNotFound where there is no such setting; kInvalid, with the value, its unit and its range in the
// message, where it does not parse or is out of range. White space around the value is ignored.
Result<void> set_setting(TopicSettings& settings, std::string_view key, std::string_view value);
Result<void> set_setting(StoreSettings& settings, std::string_view key, std::string_view value);
Result<void> set_setting(GroupSettings& settings, std::string_view key, std::string_view value);

}  // namespace topicfs
