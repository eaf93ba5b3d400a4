#include "store/metrics.h"

#include "base/log.h"
#include "base/metrics_text.h"
#include "store/group.h"

#include <functional>
#include <string_view>
#include <utility>

namespace topicfs {

namespace {

using Type = MetricsText::Type;

// What there is to tell of a topic, with its labels written once.
struct SeenTopic {
    std::string labels;
    TopicFigures figures;
    std::vector<std::string> partitions;  // labels
};
struct SeenGroup {
    std::vector<std::pair<std::string, GroupPartitionStatus>> partitions;  // with their labels
};

Result<SeenTopic> look_at(const StoredTopic& topic) {
    SeenTopic seen;
    seen.labels = MetricsText::labels({{"topic", topic.name()}});
    TOPICFS_TRY_ASSIGN(seen.figures, figures_of(topic));
    seen.partitions.reserve(seen.figures.partitions.size());
    for (std::size_t number = 0; number < seen.figures.partitions.size(); ++number) {
        seen.partitions.push_back(
            MetricsText::labels({{"topic", topic.name()}, {"partition", std::to_string(number)}}));
    }
    return seen;
}

SeenGroup look_at(const StoredTopic& topic, StoredGroup& group) {
    SeenGroup seen;
    for (const GroupPartitionStatus& one : group.known_status()) {
        seen.partitions.emplace_back(
            MetricsText::labels(
                {{"topic", topic.name()}, {"group", group.name()}, {"partition", std::to_string(one.partition)}}),
            one);
    }
    return seen;
}

template <typename Value>
void write_topics(MetricsText& text, const std::vector<SeenTopic>& topics, Type type, std::string_view name,
                  std::string_view help, Value value) {
    text.family(name, type, help);
    for (const SeenTopic& topic : topics) {
        text.sample(topic.labels, value(topic.figures));
    }
}

void write_count(MetricsText& text, const std::vector<SeenTopic>& topics, std::string_view name,
                 std::uint64_t PartitionCounts::*count, std::string_view help) {
    write_topics(text, topics, Type::kCounter, name, help,
                 [&](const TopicFigures& figures) { return figures.counts.*count; });
}

template <typename Value>
void write_partitions(MetricsText& text, const std::vector<SeenTopic>& topics, std::string_view name,
                      std::string_view help, Value value) {
    text.family(name, Type::kGauge, help);
    for (const SeenTopic& topic : topics) {
        for (std::size_t number = 0; number < topic.partitions.size(); ++number) {
            text.sample(topic.partitions[number], value(topic.figures.partitions[number]));
        }
    }
}

template <typename Value>
void write_groups(MetricsText& text, const std::vector<SeenGroup>& groups, Type type, std::string_view name,
                  std::string_view help, Value value) {
    text.family(name, type, help);
    for (const SeenGroup& group : groups) {
        for (const auto& [labels, status] : group.partitions) {
            text.sample(labels, value(status));
        }
    }
}

void write_counts(MetricsText& text, const std::vector<SeenTopic>& topics) {
    write_count(text, topics, "topicfs_appended_bytes_total", &PartitionCounts::appended_bytes,
                "Bytes appended, past the daemon too once they were seen.");
    write_count(text, topics, "topicfs_appended_records_total", &PartitionCounts::appended_records,
                "Records appended, past the daemon too once they were seen.");
    write_count(text, topics, "topicfs_read_bytes_total", &PartitionCounts::read_bytes, "Bytes given to readers.");
    write_count(text, topics, "topicfs_read_records_total", &PartitionCounts::read_records,
                "Records given to readers, told from the bytes by the mean length of the log's records.");
    write_count(text, topics, "topicfs_sealed_bytes_total", &PartitionCounts::sealed_bytes,
                "Bytes that were sealed into batches, as they were appended.");
    write_count(text, topics, "topicfs_sealed_stored_bytes_total", &PartitionCounts::sealed_stored_bytes,
                "Bytes of the batches that were sealed, compressed and with their headers.");
    write_count(text, topics, "topicfs_sealed_batches_total", &PartitionCounts::sealed_batches,
                "Batches that were sealed.");
    write_topics(text, topics, Type::kGauge, "topicfs_topic_disk_bytes",
                 "What the topic takes on the disk, its groups and settings too.",
                 [](const TopicFigures& figures) { return figures.disk_bytes; });
}

void write_logs(MetricsText& text, const std::vector<SeenTopic>& topics) {
    using Status = const PartitionStatus&;
    write_partitions(text, topics, "topicfs_log_start_offset", "Offset of the oldest record that is kept.",
                     [](Status status) { return status.start_offset.value; });
    write_partitions(text, topics, "topicfs_log_end_offset", "Offset that the next record will have.",
                     [](Status status) { return status.end_offset.value; });
    write_partitions(text, topics, "topicfs_log_bytes", "Bytes from log start to log end, as they were appended.",
                     [](Status status) { return status.raw_bytes(); });
    write_partitions(text, topics, "topicfs_log_disk_bytes", "What the partition takes on the disk.",
                     [](Status status) { return status.disk_bytes(); });
    write_partitions(text, topics, "topicfs_log_segments", "Segments of the partition.",
                     [](Status status) { return std::uint64_t{status.segments.size()}; });
    write_partitions(text, topics, "topicfs_seal_lag_bytes", "Bytes that are not in a segment yet.",
                     [](Status status) { return status.seal.lag_bytes; });
    write_partitions(text, topics, "topicfs_seal_lag_seconds",
                     "How old the oldest byte is that is not in a segment yet; 0 where there is none.",
                     [](Status status) { return static_cast<double>(status.seal.lag_ms) / 1000; });
}

void write_errors(MetricsText& text, const std::vector<SeenTopic>& topics) {
    TopicFigures all;
    std::uint64_t failed = 0;
    std::uint64_t unreadable = 0;
    std::uint64_t damaged = 0;
    for (const SeenTopic& topic : topics) {
        all.add(topic.figures);
        for (const PartitionStatus& status : topic.figures.partitions) {
            failed += status.failed.empty() ? 0U : 1U;
            unreadable += status.unreadable.empty() ? 0U : 1U;
            damaged += status.damaged.size();
        }
    }
    text.family("topicfs_background_failures_total", Type::kCounter,
                "Work behind the appends that failed, each time it did; it is tried again.");
    text.sample("work=\"seal\"", all.counts.seal_failures)
        .sample("work=\"checkpoint\"", all.counts.checkpoint_failures)
        .sample("work=\"look\"", all.counts.look_failures)
        .sample("work=\"times\"", all.counts.times_failures)
        .sample("work=\"new_head\"", all.counts.new_head_failures)
        .sample("work=\"retention\"", all.counts.retention_failures);
    text.family("topicfs_failed_partitions", Type::kGauge, "Partitions that take no appends.").sample("", failed);
    text.family("topicfs_unreadable_partitions", Type::kGauge, "Partitions whose head cannot be read at present.");
    text.sample("", unreadable);
    text.family("topicfs_damaged_ranges", Type::kGauge, "Ranges that cannot be read, as far as they were met.");
    text.sample("", damaged);
    text.family("topicfs_messages_total", Type::kCounter, "Messages of the daemon's log.");
    text.sample("level=\"warning\"", log_count(LogLevel::kWarning))
        .sample("level=\"error\"", log_count(LogLevel::kError));
}

Result<void> write_store(MetricsText& text, const StoreFacts& facts, const std::vector<SeenTopic>& topics) {
    std::uint64_t disk_bytes = facts.other_disk_bytes;
    for (const auto& topic : facts.trash) {
        TOPICFS_TRY_ASSIGN(const TopicFigures figures, figures_of(*topic));
        disk_bytes += figures.disk_bytes;
    }
    for (const SeenTopic& topic : topics) {
        disk_bytes += topic.figures.disk_bytes;
    }
    const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
        text.family(name, Type::kGauge, help).sample("", value);
    };
    text.family("topicfs_build_info", Type::kGauge, "1, with the program's version.")
        .sample(MetricsText::labels({{"version", TOPICFS_VERSION}}), std::uint64_t{1});
    gauge("topicfs_topics", "Topics.", topics.size());
    gauge("topicfs_store_disk_bytes", "What the store's directory takes on the disk.", disk_bytes);
    gauge("topicfs_disk_free_bytes", "Room on the store's file system for who is not root.",
          facts.space.blocks_available * facts.space.block_bytes);
    gauge("topicfs_disk_size_bytes", "Size of the store's file system.", facts.space.blocks * facts.space.block_bytes);
    if (facts.room_bytes) {
        text.family("topicfs_room_bytes", Type::kGauge,
                    "What may still be stored until store.bytes.max or disk.free.min is met; below 0 behind it.")
            .sample("", static_cast<double>(*facts.room_bytes));
    }
    gauge("topicfs_full", "1 where appends find no room, else 0.", facts.is_full ? 1 : 0);
    text.family("topicfs_pressure_removed_bytes_total", Type::kCounter,
                "Room on the disk that was made by removing the oldest, or the trash, for disk.pressure.")
        .sample("", facts.pressure_removed_bytes);
    text.family("topicfs_read_cache_hits_total", Type::kCounter, "Batches that were asked for and lay decoded.")
        .sample("", facts.cache.hits);
    text.family("topicfs_read_cache_misses_total", Type::kCounter, "Batches that had to be decoded for who asked.")
        .sample("", facts.cache.misses);
    gauge("topicfs_read_cache_bytes", "What is kept of decoded batches.", facts.cache_bytes);
    gauge("topicfs_read_cache_max_bytes", "The setting read.cache.bytes.", facts.cache_bytes_max);
    return {};
}

void write_groups(MetricsText& text, const std::vector<SeenGroup>& groups) {
    using Status = const GroupPartitionStatus&;
    write_groups(text, groups, Type::kGauge, "topicfs_group_committed_offset",
                 "The next record's offset for the group, as of half a second ago at most.",
                 [](Status status) { return status.committed.value; });
    write_groups(text, groups, Type::kGauge, "topicfs_group_lag_records", "Whole records behind the committed offset.",
                 [](Status status) { return status.lag; });
    write_groups(text, groups, Type::kCounter, "topicfs_group_missed_records_total",
                 "Records that were removed before the group got them, ever.",
                 [](Status status) { return status.missed; });
    write_groups(text, groups, Type::kGauge, "topicfs_group_has_reader", "1 where the partition has a reader, else 0.",
                 [](Status status) { return std::uint64_t{status.has_reader ? 1U : 0U}; });
}

}  // namespace

Result<std::string> store_metrics_text(const StoreFacts& facts) {
    std::vector<SeenTopic> topics;
    std::vector<SeenGroup> groups;
    topics.reserve(facts.topics.size());
    for (const auto& topic : facts.topics) {
        TOPICFS_TRY_ASSIGN(SeenTopic seen, look_at(*topic));
        topics.push_back(std::move(seen));
        for (const auto& group : topic->groups()) {
            groups.push_back(look_at(*topic, *group));
        }
    }
    MetricsText text;
    TOPICFS_TRY(write_store(text, facts, topics));
    write_counts(text, topics);
    write_logs(text, topics);
    write_groups(text, groups);
    write_errors(text, topics);
    return std::move(text).text();
}

}  // namespace topicfs
