// topicfs groups and topicfs lag: the same figures, of whole groups or of each of their partitions.
#include "base/json.h"
#include "command.h"
#include "group_lag.h"
#include "text_table.h"

#include <cstdint>
#include <string>
#include <vector>

namespace topicfs {

const CommandSpec kGroupsSpec = {
    "groups",
    "List the consumer groups of a topic, or of all topics of a mount",
    {{"PATH", "a topic, or the root of a mount"}},
    {{"json", 0, nullptr, "a JSON object in place of the table"}},
    "READERS is how many partitions have one now, LAG how many records the group has not\n"
    "committed.\n",
    "  topicfs groups /mnt/topics\n"
    "  topicfs groups /mnt/topics/orders --json\n",
};

const CommandSpec kLagSpec = {
    "lag",
    "Show how far the consumer groups of a topic, or of all topics of a mount, are behind",
    {{"PATH", "a topic, or the root of a mount"}},
    {{"json", 0, nullptr, "a JSON object in place of the table"}},
    "A row for each group and partition: COMMITTED is the offset of the next record that the\n"
    "group is to get, END that of the next record to be appended, LAG what is between. MISSED is\n"
    "how many records it has gone past as retention was faster: those removed, and with\n"
    "auto.offset.reset=latest those after them too. READER is whether it has one now.\n",
    "  topicfs lag /mnt/topics/orders\n"
    "  topicfs lag /mnt/topics --json | jq '[.groups[].lag] | add'\n",
};

namespace {

std::string as_json(const std::vector<GroupLag>& groups, bool with_partitions) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("groups").begin_array();
    for (const GroupLag& group : groups) {
        json.begin_object()
            .member("topic", std::string_view(group.topic))
            .member("group", std::string_view(group.group))
            .member("lag", group.lag())
            .member("readers", group.readers());
        json.key("partitions");
        if (!with_partitions) {
            json.value(std::uint64_t{group.partitions.size()}).end_object();
            continue;
        }
        json.begin_array();
        for (const PartitionLag& one : group.partitions) {
            json.begin_object()
                .member("partition", one.partition)
                .member("committed_offset", one.committed)
                .member("end_offset", one.end)
                .member("lag", one.lag)
                .member("missed", one.missed)
                .member("has_reader", one.has_reader)
                .end_object();
        }
        json.end_array().end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string groups_table(const std::vector<GroupLag>& groups) {
    TextTable table({"TOPIC", "GROUP", ">PARTITIONS", ">READERS", ">LAG"});
    for (const GroupLag& group : groups) {
        table.add({group.topic, group.group, std::to_string(group.partitions.size()), std::to_string(group.readers()),
                   std::to_string(group.lag())});
    }
    return table.text();
}

std::string lag_table(const std::vector<GroupLag>& groups) {
    TextTable table({"TOPIC", "GROUP", ">PARTITION", ">COMMITTED", ">END", ">LAG", ">MISSED", "READER"});
    for (const GroupLag& group : groups) {
        for (const PartitionLag& one : group.partitions) {
            table.add({group.topic, group.group, std::to_string(one.partition), std::to_string(one.committed),
                       std::to_string(one.end), std::to_string(one.lag), std::to_string(one.missed),
                       one.has_reader ? "yes" : "no"});
        }
    }
    return table.text();
}

int show(const CommandLine& line, bool with_partitions) {
    const auto groups = read_group_lags(line.argument(0));
    if (!groups) {
        return fail(groups.error());
    }
    const std::string text = line.has("json")  ? as_json(*groups, with_partitions)
                             : with_partitions ? lag_table(*groups)
                                               : groups_table(*groups);
    return print(text) ? kExitDone : kExitFailed;
}

}  // namespace

int run_groups(const CommandLine& line) {
    return show(line, false);
}

int run_lag(const CommandLine& line) {
    return show(line, true);
}

}  // namespace topicfs
