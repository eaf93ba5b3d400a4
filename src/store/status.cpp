#include "store/status.h"

#include "base/json.h"
#include "store/group.h"

namespace topicfs {

std::uint64_t PartitionStatus::stored_bytes() const {
    std::uint64_t sum = 0;
    for (const SegmentStatus& segment : segments) {
        sum += segment.stored_bytes;
    }
    return sum;
}

std::uint64_t PartitionStatus::disk_bytes() const {
    std::uint64_t sum = head_disk_bytes;
    for (const SegmentStatus& segment : segments) {
        sum += segment.disk_bytes;
    }
    return sum;
}

namespace {

struct Totals {
    std::uint64_t records = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t stored_bytes = 0;
    std::uint64_t disk_bytes = 0;

    void add(const PartitionStatus& status) {
        records += status.end_offset - status.start_offset;
        raw_bytes += status.raw_bytes();
        stored_bytes += status.stored_bytes();
        disk_bytes += status.disk_bytes();
    }
    void write(JsonWriter& json) const {
        json.member("records", records)
            .member("raw_bytes", raw_bytes)
            .member("stored_bytes", stored_bytes)
            .member("disk_bytes", disk_bytes);
    }
};

void write_partition(JsonWriter& json, std::uint32_t number, const PartitionStatus& status) {
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
        .member("disk_bytes", status.disk_bytes())
        .member("seal_lag_bytes", status.seal.lag_bytes)
        .member("seal_level", std::int64_t{status.seal.level})
        .member("seal_cheaper_batches", status.seal.cheaper_batches)
        .member("segments", std::uint64_t{status.segments.size()})
        .member("last_append_ms", status.last_append.value);
    if (!status.failed.empty()) {
        json.member("failed", std::string_view(status.failed));
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

Result<void> write_group(JsonWriter& json, StoredGroup& group) {
    TOPICFS_TRY_ASSIGN(const std::vector<GroupPartitionStatus> partitions, group.status());
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
    return {};
}

}  // namespace

Result<std::string> topic_status_json(const StoredTopic& topic) {
    JsonWriter json(JsonWriter::Style::kIndented);
    Totals totals;
    json.begin_object().member("topic", std::string_view(topic.name()));
    json.key("partitions").begin_array();
    for (const auto& partition : topic.partitions()) {
        TOPICFS_TRY_ASSIGN(const PartitionStatus status, partition->log()->status());
        totals.add(status);
        write_partition(json, partition->number(), status);
    }
    json.end_array();
    json.key("groups").begin_array();
    for (const auto& group : topic.groups()) {
        TOPICFS_TRY(write_group(json, *group));
    }
    json.end_array();
    totals.write(json);
    json.end_object();
    return json.text() + "\n";
}

Result<std::string> store_status_json(const StoreFacts& facts, std::span<const StatusFact> more) {
    JsonWriter json(JsonWriter::Style::kIndented);
    Totals totals;
    json.begin_object()
        .member("store", std::string_view(facts.id))
        .member("version", TOPICFS_VERSION)
        .member("format_version", std::uint64_t{facts.format_version})
        .member("directory", std::string_view(facts.directory))
        .member("free_bytes", facts.space.blocks_available * facts.space.block_bytes);
    for (const StatusFact& fact : more) {
        json.key(fact.key).raw(fact.json);
    }
    json.key("topics").begin_array();
    for (const auto& topic : facts.topics) {
        Totals of_topic;
        const auto partitions = topic->partitions();
        for (const auto& partition : partitions) {
            TOPICFS_TRY_ASSIGN(const PartitionStatus status, partition->log()->status());
            of_topic.add(status);
            totals.add(status);
        }
        json.begin_object()
            .member("topic", std::string_view(topic->name()))
            .member("partitions", std::uint64_t{partitions.size()});
        of_topic.write(json);
        json.end_object();
    }
    json.end_array();
    totals.write(json);
    json.end_object();
    return json.text() + "\n";
}

}  // namespace topicfs
