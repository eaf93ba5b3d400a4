#include "store/status.h"

#include "base/json.h"
#include "base/log.h"
#include "store/group.h"

#include <iterator>
#include <utility>

namespace topicfs {

namespace {

// Each member of PartitionCounts, by its name in the figures.
struct CountName {
    const char* name;
    std::uint64_t PartitionCounts::*count;
};
constexpr CountName kCounts[] = {
    {"appended_bytes", &PartitionCounts::appended_bytes},
    {"appended_records", &PartitionCounts::appended_records},
    {"read_bytes", &PartitionCounts::read_bytes},
    {"read_records", &PartitionCounts::read_records},
    {"sealed_bytes", &PartitionCounts::sealed_bytes},
    {"sealed_stored_bytes", &PartitionCounts::sealed_stored_bytes},
    {"sealed_batches", &PartitionCounts::sealed_batches},
    {"seal_failures", &PartitionCounts::seal_failures},
    {"checkpoint_failures", &PartitionCounts::checkpoint_failures},
    {"look_failures", &PartitionCounts::look_failures},
    {"times_failures", &PartitionCounts::times_failures},
    {"new_head_failures", &PartitionCounts::new_head_failures},
    {"retention_failures", &PartitionCounts::retention_failures},
};
static_assert(sizeof(PartitionCounts) == std::size(kCounts) * sizeof(std::uint64_t), "each of them is shown");

void write_counts(JsonWriter& json, const PartitionCounts& counts) {
    json.key("since_open").begin_object();
    for (const CountName& one : kCounts) {
        json.member(one.name, counts.*one.count);
    }
    json.end_object();
}

void write_sums(JsonWriter& json, const TopicFigures& figures) {
    json.member("records", figures.records)
        .member("raw_bytes", figures.raw_bytes)
        .member("stored_bytes", figures.stored_bytes)
        .member("disk_bytes", figures.disk_bytes);
    write_counts(json, figures.counts);
}

void write_partition(JsonWriter& json, std::uint64_t number, const PartitionStatus& status) {
    json.begin_object()
        .member("partition", number)
        .member("start_offset", status.start_offset.value)
        .member("end_offset", status.end_offset.value)
        .member("start_position", status.start.value)
        .member("end_position", status.end.value)
        .member("sealed_position", status.sealed_end.value)
        .member("durable_sealed_position", status.durable_sealed_end.value)
        .member("raw_bytes", status.raw_bytes())
        .member("stored_bytes", status.stored_bytes())
        .member("head_disk_bytes", status.head_disk_bytes)
        .member("books_disk_bytes", status.books_disk_bytes)
        .member("disk_bytes", status.disk_bytes())
        .member("seal_lag_bytes", status.seal.lag_bytes)
        .member("seal_lag_ms", status.seal.lag_ms)
        .member("seal_level", std::int64_t{status.seal.level})
        .member("seal_cheaper_batches", status.seal.cheaper_batches)
        .member("segments", std::uint64_t{status.segments.size()})
        .member("last_append_ms", status.last_append.value);
    write_counts(json, status.counts);
    if (!status.failed.empty()) {
        json.member("failed", std::string_view(status.failed));
    }
    if (!status.unreadable.empty()) {
        json.member("unreadable", std::string_view(status.unreadable));
    }
    json.key("damaged").begin_array();
    for (const DamagedRange& range : status.damaged) {
        json.begin_object()
            .member("from_position", range.from.value)
            .member("to_position", range.to.value)
            .member("reason", std::string_view(range.reason))
            .end_object();
    }
    json.end_array().end_object();
}

void write_group(JsonWriter& json, StoredGroup& group) {
    const auto looked_up = group.status();
    const std::vector<GroupPartitionStatus> partitions = looked_up ? *looked_up : group.known_status();
    std::uint64_t lag = 0;
    json.begin_object().member("group", std::string_view(group.name()));
    json.key("partitions").begin_array();
    for (const GroupPartitionStatus& partition : partitions) {
        lag += partition.lag;
        json.begin_object()
            .member("partition", partition.partition)
            .member("committed_offset", partition.committed.value)
            .member("end_offset", partition.end_offset.value)
            .member("lag", partition.lag)
            .member("missed", partition.missed)
            .member("has_reader", partition.has_reader)
            .end_object();
    }
    json.end_array().member("lag", lag).end_object();
}

void write_removal(JsonWriter& json, const StoredTopic& topic) {
    if (const auto removal = topic.removal()) {
        json.member("removed_name", std::string_view(removal->name)).member("removed_ms", removal->time.value);
    }
}

}  // namespace

void TopicFigures::add(const TopicFigures& other) {
    records += other.records;
    raw_bytes += other.raw_bytes;
    stored_bytes += other.stored_bytes;
    disk_bytes += other.disk_bytes;
    for (const CountName& one : kCounts) {
        counts.*one.count += other.counts.*one.count;
    }
}

Result<TopicFigures> figures_of(const StoredTopic& topic) {
    TopicFigures figures;
    figures.disk_bytes = topic.other_disk_bytes();
    const auto partitions = topic.partitions();
    figures.partitions.reserve(partitions.size());
    for (const auto& partition : partitions) {
        TOPICFS_TRY_ASSIGN(PartitionStatus status, partition->log()->status());
        figures.add({{},
                     status.end_offset - status.start_offset,
                     status.raw_bytes(),
                     status.stored_bytes(),
                     status.disk_bytes(),
                     status.counts});
        figures.partitions.push_back(std::move(status));
    }
    return figures;
}

namespace {

Result<void> write_topics(JsonWriter& json, const std::vector<std::shared_ptr<StoredTopic>>& topics,
                          TopicFigures& sums) {
    json.begin_array();
    for (const auto& topic : topics) {
        TOPICFS_TRY_ASSIGN(const TopicFigures figures, figures_of(*topic));
        sums.add(figures);
        json.begin_object()
            .member("topic", std::string_view(topic->name()))
            .member("partitions", std::uint64_t{figures.partitions.size()});
        write_removal(json, *topic);
        write_sums(json, figures);
        json.end_object();
    }
    json.end_array();
    return {};
}

}  // namespace

Result<std::string> topic_status_json(const StoredTopic& topic) {
    JsonWriter json(JsonWriter::Style::kIndented);
    TOPICFS_TRY_ASSIGN(const TopicFigures figures, figures_of(topic));
    json.begin_object().member("topic", std::string_view(topic.name()));
    write_removal(json, topic);
    json.key("partitions").begin_array();
    for (std::size_t number = 0; number < figures.partitions.size(); ++number) {
        write_partition(json, number, figures.partitions[number]);
    }
    json.end_array();
    json.key("groups").begin_array();
    for (const auto& group : topic.groups()) {
        write_group(json, *group);
    }
    json.end_array();
    write_sums(json, figures);
    json.end_object();
    return json.text() + "\n";
}

Result<std::string> store_status_json(const StoreFacts& facts, std::span<const StatusFact> more) {
    JsonWriter json(JsonWriter::Style::kIndented);
    TopicFigures sums;
    sums.disk_bytes = facts.other_disk_bytes;
    json.begin_object()
        .member("store", std::string_view(facts.id))
        .member("version", TOPICFS_VERSION)
        .member("format_version", std::uint64_t{facts.format_version})
        .member("directory", std::string_view(facts.directory))
        .member("free_bytes", facts.space.blocks_available * facts.space.block_bytes)
        .member("size_bytes", facts.space.blocks * facts.space.block_bytes);
    if (facts.room_bytes) {
        json.member("room_bytes", *facts.room_bytes);
    }
    json.member("full", facts.is_full).member("pressure_removed_bytes", facts.pressure_removed_bytes);
    json.key("read_cache")
        .begin_object()
        .member("hits", facts.cache.hits)
        .member("misses", facts.cache.misses)
        .member("bytes", facts.cache_bytes)
        .member("bytes_max", facts.cache_bytes_max)
        .end_object();
    json.key("messages")
        .begin_object()
        .member("warning", log_count(LogLevel::kWarning))
        .member("error", log_count(LogLevel::kError))
        .end_object();
    for (const StatusFact& fact : more) {
        json.key(fact.key).raw(fact.json);
    }
    json.key("topics");
    TOPICFS_TRY(write_topics(json, facts.topics, sums));
    json.key("trash");
    TOPICFS_TRY(write_topics(json, facts.trash, sums));
    write_sums(json, sums);
    json.end_object();
    return json.text() + "\n";
}

}  // namespace topicfs
