#include "base/json.h"
#include "command.h"
#include "config_files.h"
#include "text_table.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topicfs {

const CommandSpec kConfigSpec = {
    "config",
    "Show and change the settings of a topic, of a consumer group or of the store",
    {{"PATH", "a topic, a group (TOPIC/.groups/GROUP) or the root of a mount"},
     {"KEY[=VALUE]", "a setting to print, or settings to change; none: all are listed", true}},
    {{"json", 0, nullptr, "a JSON object in place of the table, or of the value"}},
    "The root of a mount has the settings of the store and those that new topics start with.\n"
    "\n"
    "A time may be given as 500ms, 90s, 15m, 1h or 7d, a size as 64KiB, 64MiB or 1GiB (64K is\n"
    "64KiB, 64KB is 64000 bytes); they are kept and shown in the unit that the range names. All\n"
    "that is given is checked before anything is changed. What is changed counts at once, and is\n"
    "kept. Values that are text, as \\n or \\x1e, are given as they are shown: quote them.\n",
    "  topicfs config /mnt/topics/orders\n"
    "  topicfs config /mnt/topics/orders retention.ms\n"
    "  topicfs config /mnt/topics/orders retention.ms=7d retention.bytes=10GiB\n"
    "  topicfs config /mnt/topics/orders/.groups/billing auto.offset.reset=latest\n"
    "  topicfs config /mnt/topics --json | jq -r '.settings[] | select(.value != .default) | .key'\n",
};

namespace {

Error wrong_use(const std::string& what) {
    return make_error(ErrorCode::kInvalid, "", "", what);
}

const char* owner_name(ConfigOf of) {
    switch (of) {
        case ConfigOf::kGroup:
            return "group";
        case ConfigOf::kStore:
            return "store";
        case ConfigOf::kNewTopics:
            return "new topics";
        case ConfigOf::kTopic:
            break;
    }
    return "topic";
}

void write_setting(JsonWriter& json, const SettingValue& setting) {
    json.begin_object()
        .member("key", setting.info.key)
        .member("of", owner_name(setting.of))
        .member("value", std::string_view(setting.value))
        .member("default", std::string_view(setting.default_value))
        .member("range", setting.info.range)
        .member("meaning", setting.info.meaning)
        .end_object();
}

std::string as_json(const std::vector<SettingValue>& settings) {
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("settings").begin_array();
    for (const SettingValue& setting : settings) {
        write_setting(json, setting);
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

std::string table_of(const std::vector<SettingValue>& settings, ConfigOf of) {
    constexpr std::size_t kMeaningColumns = 64;
    TextTable table({"SETTING", "VALUE", "DEFAULT", "MEANING"});
    for (const SettingValue& setting : settings) {
        if (setting.of != of) {
            continue;
        }
        std::vector<std::string> first = {setting.info.key, setting.value, setting.default_value};
        for (const std::string& line : wrap_text(setting.info.meaning, kMeaningColumns)) {
            first.push_back(line);
            table.add(std::exchange(first, {"", "", ""}));
        }
        for (const std::string& line : wrap_text(std::string("Takes ") + setting.info.range + ".", kMeaningColumns)) {
            table.add({"", "", "", line});
        }
    }
    return table.text();
}

std::string as_table(const std::vector<SettingValue>& settings) {
    const ConfigOf first = settings.front().of;
    if (first != ConfigOf::kStore) {
        return table_of(settings, first);
    }
    return "Of the store:\n" + table_of(settings, ConfigOf::kStore) + "\nOf new topics:\n" +
           table_of(settings, ConfigOf::kNewTopics);
}

std::string changes_text(const std::vector<SettingChange>& changes, bool is_json) {
    if (!is_json) {
        TextTable table({"SETTING", "BEFORE", "AFTER"});
        for (const SettingChange& change : changes) {
            table.add({change.key, change.before, change.after});
        }
        return table.text();
    }
    JsonWriter json(JsonWriter::Style::kIndented);
    json.begin_object().key("settings").begin_array();
    for (const SettingChange& change : changes) {
        json.begin_object()
            .member("key", std::string_view(change.key))
            .member("before", std::string_view(change.before))
            .member("after", std::string_view(change.after))
            .end_object();
    }
    json.end_array().end_object();
    return json.text() + "\n";
}

// The KEY=VALUEs; none where one KEY is to be shown.
Result<std::vector<KeyValue>> wanted_of(const std::vector<std::string>& words) {
    std::vector<KeyValue> wanted;
    if (words.size() == 1 && words.front().find('=') == std::string::npos) {
        return wanted;
    }
    for (const std::string& word : words) {
        TOPICFS_TRY_ASSIGN(KeyValue one, parse_key_value(word));
        if (std::any_of(wanted.begin(), wanted.end(), [&](const KeyValue& other) { return other.key == one.key; })) {
            return wrong_use("'" + one.key + "' is given twice");
        }
        wanted.push_back(std::move(one));
    }
    return wanted;
}

Result<std::string> config(const CommandLine& line) {
    const std::vector<std::string> words(line.arguments().begin() + 1, line.arguments().end());
    TOPICFS_TRY_ASSIGN(const std::vector<KeyValue> wanted, wanted_of(words));
    TOPICFS_TRY_ASSIGN(const ConfigFiles files, ConfigFiles::open(line.argument(0)));
    const bool is_json = line.has("json");
    if (!wanted.empty()) {
        TOPICFS_TRY_ASSIGN(const auto changes, files.set(wanted));
        return changes_text(changes, is_json);
    }
    if (words.empty()) {
        TOPICFS_TRY_ASSIGN(const auto settings, files.read_all());
        return is_json ? as_json(settings) : as_table(settings);
    }
    TOPICFS_TRY_ASSIGN(const SettingValue setting, files.read(words.front()));
    JsonWriter json(JsonWriter::Style::kIndented);
    write_setting(json, setting);
    return (is_json ? json.text() : setting.value) + "\n";
}

}  // namespace

int run_config(const CommandLine& line) {
    const auto text = config(line);
    if (!text) {
        return fail(text.error().path.empty() ? "config: " + text.error().detail : text.error().message());
    }
    return print(*text) ? kExitDone : kExitFailed;
}

}  // namespace topicfs
