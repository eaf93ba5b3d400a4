// topicfs list and topicfs describe: the topics of a mount, and one of them.
#include "base/json.h"
#include "base/text.h"
#include "command.h"
#include "config_files.h"
#include "group_lag.h"
#include "status_file.h"
#include "text_table.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

const CommandSpec kListSpec = {
    "list",
    "List the topics of a mount",
    {{"PATH", "the root of a mount"}},
    {{"json", 0, nullptr, "a JSON object in place of the table"}},
    "BYTES is what was appended and is still kept, DISK what it takes on the disk.\n",
    "  topicfs list /mnt/topics\n"
    "  topicfs list /mnt/topics --json | jq -r '.topics[] | select(.records == 0) | .topic'\n",
};

const CommandSpec kDescribeSpec = {
    "describe",
    "Show a topic: its partitions, the settings that are not the default, its consumer groups",
    {{"PATH", "a topic"}},
    {{"json", 0, nullptr, "a JSON object in place of the tables"}},
    "START and END are the offsets of the oldest record and of the next one to be appended, the\n"
    "same as positions in bytes beside them. BYTES is what lies between, STORED the length of the\n"
    "segments it is compressed into, UNSEALED what is in none of them yet, DISK what all takes on\n"
    "the disk. LAG is how many records a group has not committed.\n",
    "  topicfs describe /mnt/topics/orders\n"
    "  topicfs describe /mnt/topics/orders --json | jq '[.partitions[].end_offset] | add'\n",
};

namespace {

std::string decimal(const JsonValue& of, std::string_view key) {
    return std::to_string(of.number(key));
}

std::string bytes(const JsonValue& of, std::string_view key) {
    return human_bytes(of.number(key));
}

void copy_numbers(JsonWriter& json, const JsonValue& from, std::initializer_list<std::string_view> keys) {
    for (const std::string_view key : keys) {
        json.member(key, from.number(key));
    }
}

std::string list_json(const JsonValue& status) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("topics").begin_array();
    for (const JsonValue& topic : status.items("topics")) {
        json.begin_object().member("topic", topic.text("topic"));
        copy_numbers(json, topic, {"partitions", "records", "raw_bytes", "stored_bytes", "disk_bytes"});
        json.end_object();
    }
    json.end_array();
    copy_numbers(json, status, {"records", "raw_bytes", "stored_bytes", "disk_bytes"});
    json.end_object();
    return json.text() + "\n";
}

std::string list_table(const JsonValue& status) {
    TextTable table({"TOPIC", ">PARTITIONS", ">RECORDS", ">BYTES", ">DISK"});
    for (const JsonValue& topic : status.items("topics")) {
        table.add({std::string(topic.text("topic")), decimal(topic, "partitions"), decimal(topic, "records"),
                   bytes(topic, "raw_bytes"), bytes(topic, "disk_bytes")});
    }
    return table.text();
}

struct Described {
    JsonValue status;
    std::vector<SettingValue> changed;  // settings that are not the default
    std::vector<GroupLag> groups;
};

Result<Described> read_topic(const std::string& path) {
    Described topic;
    TOPICFS_TRY_ASSIGN(topic.status, read_topic_status(path));
    topic.groups = group_lags_of(topic.status);
    TOPICFS_TRY_ASSIGN(const ConfigFiles files, ConfigFiles::open(path));
    TOPICFS_TRY_ASSIGN(std::vector<SettingValue> settings, files.read_all());
    for (SettingValue& setting : settings) {
        if (setting.value != setting.default_value) {
            topic.changed.push_back(std::move(setting));
        }
    }
    return topic;
}

std::string describe_json(const Described& topic) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().member("topic", topic.status.text("topic"));
    copy_numbers(json, topic.status, {"records", "raw_bytes", "stored_bytes", "disk_bytes"});
    json.key("partitions").begin_array();
    for (const JsonValue& partition : topic.status.items("partitions")) {
        json.begin_object();
        copy_numbers(json, partition,
                     {"partition", "start_offset", "end_offset", "start_position", "end_position", "raw_bytes",
                      "stored_bytes", "disk_bytes", "segments", "seal_lag_bytes", "last_append_ms"});
        if (partition.find("failed") != nullptr) {
            json.member("failed", partition.text("failed"));
        }
        json.member("damaged", std::uint64_t{partition.items("damaged").size()}).end_object();
    }
    json.end_array().key("settings").begin_array();
    for (const SettingValue& setting : topic.changed) {
        json.begin_object()
            .member("key", setting.info.key)
            .member("value", std::string_view(setting.value))
            .member("default", std::string_view(setting.default_value))
            .end_object();
    }
    json.end_array().key("groups").begin_array();
    for (const GroupLag& group : topic.groups) {
        json.begin_object()
            .member("group", std::string_view(group.group))
            .member("lag", group.lag())
            .member("missed", group.missed())
            .member("readers", group.readers())
            .end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string partitions_table(const JsonValue& status) {
    TextTable table({">PARTITION", ">START", ">END", ">START-POSITION", ">END-POSITION", ">BYTES", ">STORED",
                     ">UNSEALED", ">SEGMENTS", ">DISK"});
    std::string notes;
    for (const JsonValue& partition : status.items("partitions")) {
        const std::string number = decimal(partition, "partition");
        table.add({number, decimal(partition, "start_offset"), decimal(partition, "end_offset"),
                   decimal(partition, "start_position"), decimal(partition, "end_position"),
                   bytes(partition, "raw_bytes"), bytes(partition, "stored_bytes"), bytes(partition, "seal_lag_bytes"),
                   decimal(partition, "segments"), bytes(partition, "disk_bytes")});
        if (partition.find("failed") != nullptr) {
            notes += "Partition " + number + " takes no appends: " + std::string(partition.text("failed")) + "\n";
        }
        for (const JsonValue& damaged : partition.items("damaged")) {
            notes += "Partition " + number + " cannot be read from position " + decimal(damaged, "from_position") +
                     " to " + decimal(damaged, "to_position") + ": " + std::string(damaged.text("reason")) + "\n";
        }
    }
    return table.text() + notes;
}

std::string describe_tables(const Described& topic) {
    std::string text = partitions_table(topic.status);
    if (!topic.changed.empty()) {
        TextTable table({"SETTING", "VALUE", "DEFAULT"});
        for (const SettingValue& setting : topic.changed) {
            table.add({setting.info.key, setting.value, setting.default_value});
        }
        text += "\n" + table.text();
    }
    if (!topic.groups.empty()) {
        TextTable table({"GROUP", ">LAG", ">MISSED", ">READERS"});
        for (const GroupLag& group : topic.groups) {
            table.add({group.group, std::to_string(group.lag()), std::to_string(group.missed()),
                       std::to_string(group.readers())});
        }
        text += "\n" + table.text();
    }
    return text;
}

}  // namespace

int run_list(const CommandLine& line) {
    const auto status = read_store_status(line.argument(0));
    if (!status) {
        return fail(status.error());
    }
    return print(line.has("json") ? list_json(*status) : list_table(*status)) ? kExitDone : kExitFailed;
}

int run_describe(const CommandLine& line) {
    const auto topic = read_topic(line.argument(0));
    if (!topic) {
        return fail(topic.error());
    }
    return print(line.has("json") ? describe_json(*topic) : describe_tables(*topic)) ? kExitDone : kExitFailed;
}

}  // namespace topicfs
