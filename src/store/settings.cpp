#include <topicfs/settings.h>

#include "base/text.h"
#include "base/units.h"
#include "codec/codec.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <utility>

namespace topicfs {

namespace {

constexpr std::size_t kShownBytesMax = 64;                                              // of a value that is refused
constexpr std::uint64_t kMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;  // as nanoseconds it still fits
constexpr std::uint64_t kBytesMax = std::numeric_limits<std::int64_t>::max();           // what off_t can say
constexpr std::size_t kKeySeparatorBytesMax = 16;
constexpr const char* kOff = "off";
constexpr const char* kForever = "-1";
constexpr const char* kAuto = "auto";

// What is wrong with a value, as what follows on it ("is no time"); nothing where it was taken.
using Problem = std::optional<std::string>;

constexpr const char* kNotAllowed = "is not allowed";
constexpr const char* kOutOfRange = "is out of range";

template <typename S>
struct Setting {
    SettingInfo info;
    std::function<std::string(const S&)> get;
    std::function<Problem(S&, std::string_view)> set;  // what is refused may have been changed
    Unit unit = Unit::kNone;
};

template <typename T, typename S>
Setting<S> number(SettingInfo info, T S::*member, std::uint64_t low, std::uint64_t high, Unit unit) {
    return {info, [member](const S& settings) { return std::to_string(settings.*member); },
            [member, low, high, unit](S& settings, std::string_view text) -> Problem {
                const Result<std::uint64_t> value = parse_amount(text, unit);
                if (!value) {
                    return value.error().detail;
                }
                if (*value < low || *value > high) {
                    return kOutOfRange;
                }
                settings.*member = static_cast<T>(*value);
                return {};
            },
            unit};
}

// As number(), where nothing is a value too and is written as `none`.
template <typename S>
Setting<S> number_or(const char* none, SettingInfo info, std::optional<std::uint64_t> S::*member, std::uint64_t low,
                     std::uint64_t high, Unit unit) {
    return {info,
            [member, none](const S& settings) {
                return settings.*member ? std::to_string(*(settings.*member)) : std::string(none);
            },
            [member, none, low, high, unit](S& settings, std::string_view text) -> Problem {
                if (text == none) {
                    (settings.*member).reset();
                    return {};
                }
                const Result<std::uint64_t> value = parse_amount(text, unit);
                if (!value) {
                    return value.error().detail;
                }
                if (*value < low || *value > high) {
                    return kOutOfRange;
                }
                settings.*member = *value;
                return {};
            },
            unit};
}

// The effort of a codec, from the least to the most.
Setting<TopicSettings> level(SettingInfo info, int TopicSettings::*member, int low, int high) {
    return {info, [member](const TopicSettings& settings) { return std::to_string(settings.*member); },
            [member, low, high](TopicSettings& settings, std::string_view text) -> Problem {
                const std::optional<std::int64_t> value = parse_signed(text);
                if (!value) {
                    return "is no whole number";
                }
                if (*value < low || *value > high) {
                    return kOutOfRange;
                }
                // To zstd it means its own default, which is another level.
                if (*value == 0) {
                    return kNotAllowed;
                }
                settings.*member = static_cast<int>(*value);
                return {};
            }};
}

// One of some words.
template <typename S, typename E, std::size_t N>
Setting<S> word(SettingInfo info, E S::*member, const std::array<std::pair<const char*, E>, N>& words) {
    return {info,
            [member, words](const S& settings) {
                const auto found = std::find_if(words.begin(), words.end(),
                                                [&](const auto& one) { return one.second == settings.*member; });
                return std::string(found->first);
            },
            [member, words](S& settings, std::string_view text) -> Problem {
                const auto found =
                    std::find_if(words.begin(), words.end(), [&](const auto& one) { return one.first == text; });
                if (found == words.end()) {
                    return kNotAllowed;
                }
                settings.*member = found->second;
                return {};
            }};
}

std::string codec_text(const TopicSettings& settings) {
    return codec_name(settings.compression_type);
}

Problem set_codec(TopicSettings& settings, std::string_view text) {
    const auto codec = parse_codec(text);
    if (!codec) {
        return kNotAllowed;
    }
    settings.compression_type = *codec;
    return {};
}

std::string byte_text(std::uint8_t byte) {
    if (byte == '\n') {
        return "\\n";
    }
    if (byte == 0) {
        return "\\0";
    }
    if (byte > ' ' && byte < 0x7f && byte != '\\') {
        return std::string(1, static_cast<char>(byte));
    }
    constexpr const char* kHex = "0123456789abcdef";
    return {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

std::string delimiter_text(const TopicSettings& settings) {
    return settings.record_delimiter ? byte_text(*settings.record_delimiter) : "none";
}

std::optional<std::uint8_t> hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return static_cast<std::uint8_t>(c - '0');
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? std::optional(static_cast<std::uint8_t>(lower - 'a' + 10)) : std::nullopt;
}

// Takes a byte, as byte_text() writes it or as \t, \r or \xNN, off the front of `text`.
std::optional<std::uint8_t> take_byte(std::string_view& text) {
    std::optional<std::uint8_t> byte;
    std::size_t used = 2;
    if (text.starts_with("\\n") || text.starts_with("\\0") || text.starts_with("\\t") || text.starts_with("\\r")) {
        byte = text[1] == 'n' ? '\n' : text[1] == 't' ? '\t' : text[1] == 'r' ? '\r' : '\0';
    } else if (!text.empty() && text[0] > ' ' && text[0] < 0x7f && text[0] != '\\') {
        byte = static_cast<std::uint8_t>(text[0]);
        used = 1;
    } else if (text.size() >= 4 && text.starts_with("\\x") && hex_digit(text[2]) && hex_digit(text[3])) {
        byte = static_cast<std::uint8_t>(*hex_digit(text[2]) << 4 | *hex_digit(text[3]));
        used = 4;
    }
    if (byte) {
        text.remove_prefix(used);
    }
    return byte;
}

Problem set_delimiter(TopicSettings& settings, std::string_view text) {
    if (text == "none") {
        settings.record_delimiter.reset();
        return {};
    }
    const std::optional<std::uint8_t> byte = take_byte(text);
    if (!byte || !text.empty()) {
        return kNotAllowed;
    }
    settings.record_delimiter = byte;
    return {};
}

std::string separator_text(const TopicSettings& settings) {
    std::string text = settings.key_separator.empty() ? kOff : "";
    for (const char c : settings.key_separator) {
        text += byte_text(static_cast<std::uint8_t>(c));
    }
    // The three letters as a separator: written so that they are not taken for "off".
    return settings.key_separator == kOff ? "\\x6fff" : text;
}

Problem set_separator(TopicSettings& settings, std::string_view text) {
    std::string separator;
    if (text != kOff) {
        do {
            const std::optional<std::uint8_t> byte = take_byte(text);
            if (!byte || separator.size() == kKeySeparatorBytesMax) {
                return kNotAllowed;
            }
            separator += static_cast<char>(*byte);
        } while (!text.empty());
    }
    settings.key_separator = std::move(separator);
    return {};
}

const auto& table_of(const TopicSettings* /*which*/) {
    static const std::array<Setting<TopicSettings>, 16> table{{
        number<std::uint32_t>(
            {"num.partitions", "Partitions of a new topic; later, raise it to add some.", "1 to 100000"},
            &TopicSettings::num_partitions, 1, 100000, Unit::kNone),
        number<std::uint32_t>(
            {"segment.bytes", "Stored bytes at which a new segment is begun.", "4096 to 2147483647 bytes"},
            &TopicSettings::segment_bytes, 4096, 2147483647, Unit::kBytes),
        number<std::uint64_t>({"segment.ms", "Age at which a new segment is begun.", "1 to 9223372036854 milliseconds"},
                              &TopicSettings::segment_ms, 1, kMsMax, Unit::kMilliseconds),
        number_or<TopicSettings>(
            kForever,
            {"retention.ms", "Age at which records are removed.", "-1 (never), or 1 to 9223372036854 milliseconds"},
            &TopicSettings::retention_ms, 1, kMsMax, Unit::kMilliseconds),
        number_or<TopicSettings>(
            kForever,
            {"retention.bytes", "Stored bytes of a partition; where there are more, its oldest records are removed.",
             "-1 (no limit), or 1 to 9223372036854775807 bytes"},
            &TopicSettings::retention_bytes, 1, kBytesMax, Unit::kBytes),
        {{"compression.type", "How batches are compressed.", "none, lz4 or zstd"}, codec_text, set_codec},
        level({"compression.lz4.level", "Effort of lz4: 1 is fastest.", "1 to 12"},
              &TopicSettings::compression_lz4_level, kLz4LevelMin, kLz4LevelMax),
        level({"compression.zstd.level", "Effort of zstd: less is faster.", "-7 to 22, but not 0"},
              &TopicSettings::compression_zstd_level, kZstdLevelMin, kZstdLevelMax),
        number<std::uint32_t>({"seal.bytes", "Unsealed bytes at which head becomes a batch.", "1 to 16777216 bytes"},
                              &TopicSettings::seal_bytes, 1, 16777216, Unit::kBytes),
        number<std::uint64_t>({"seal.ms", "Age of the oldest unsealed byte at which head becomes a batch.",
                               "1 to 9223372036854 milliseconds"},
                              &TopicSettings::seal_ms, 1, kMsMax, Unit::kMilliseconds),
        number_or<TopicSettings>(
            kOff,
            {"flush.messages", "Records after which the log is synced; 1: before each append is answered.",
             "off, or 1 to 9223372036854775807 records"},
            &TopicSettings::flush_messages, 1, std::numeric_limits<std::int64_t>::max(), Unit::kNone),
        number_or<TopicSettings>(kOff,
                                 {"flush.ms", "Age of the oldest unsynced record at which the log is synced.",
                                  "off, or 1 to 9223372036854 milliseconds"},
                                 &TopicSettings::flush_ms, 1, kMsMax, Unit::kMilliseconds),
        {{"record.delimiter", "The byte that ends a record; none makes a byte log. Only while a topic is empty.",
          "\\n, \\0, \\t, \\r, \\xNN, one printable character, or none"},
         delimiter_text,
         set_delimiter},
        {{"key.separator",
          "In a line that is appended to the whole topic, what stands before this is the key that picks its partition.",
          "off, or 1 to 16 bytes: \\n, \\0, \\t, \\r, \\xNN, printable characters"},
         separator_text,
         set_separator},
        number<std::uint64_t>(
            {"file.delete.delay.ms", "For so long files that are open already can read what was removed.",
             "0 to 9223372036854 milliseconds"},
            &TopicSettings::file_delete_delay_ms, 0, kMsMax, Unit::kMilliseconds),
        word<TopicSettings, WritePath, 3>(
            {"write.path",
             "How appends reach the log: past the daemon where the mount can (auto, passthrough), or always through "
             "it. A change counts once nobody has the partition open for writing.",
             "auto, passthrough or daemon"},
            &TopicSettings::write_path,
            {{{"auto", WritePath::kAuto}, {"passthrough", WritePath::kPassthrough}, {"daemon", WritePath::kDaemon}}}),
    }};
    return table;
}

const auto& table_of(const GroupSettings* /*which*/) {
    static const std::array<Setting<GroupSettings>, 5> table{{
        word<GroupSettings, GroupSettings::Reset, 2>(
            {"auto.offset.reset",
             "Where a group begins that has no commit, and goes on that has fallen behind the log start.",
             "earliest or latest"},
            &GroupSettings::auto_offset_reset,
            {{{"earliest", GroupSettings::Reset::kEarliest}, {"latest", GroupSettings::Reset::kLatest}}}),
        word<GroupSettings, bool, 2>(
            {"enable.auto.commit", "A read commits what the reads before it gave; else only writing an offset does.",
             "true or false"},
            &GroupSettings::enable_auto_commit, {{{"true", true}, {"false", false}}}),
        number_or<GroupSettings>(
            kOff,
            {"max.poll.interval.ms", "A reader that does not come back for so long loses its partitions.",
             "off, or 1 to 9223372036854 milliseconds"},
            &GroupSettings::max_poll_interval_ms, 1, kMsMax, Unit::kMilliseconds),
        number<std::uint64_t>(
            {"fetch.min.bytes", "A waiting read waits until there are so many bytes.", "1 to 1073741824 bytes"},
            &GroupSettings::fetch_min_bytes, 1, 1u << 30, Unit::kBytes),
        number<std::uint64_t>(
            {"fetch.max.wait.ms", "How long it waits for these once there are any.", "0 to 9223372036854 milliseconds"},
            &GroupSettings::fetch_max_wait_ms, 0, kMsMax, Unit::kMilliseconds),
    }};
    return table;
}

constexpr std::uint64_t kReadCacheBytesMax = 1ull << 40;

const auto& table_of(const StoreSettings* /*which*/) {
    static const std::array<Setting<StoreSettings>, 7> table{{
        number<std::uint64_t>(
            {"read.cache.bytes", "Memory for decoded batches, of all topics; 0: none are decoded ahead.",
             "0 to 1099511627776 bytes"},
            &StoreSettings::read_cache_bytes, 0, kReadCacheBytesMax, Unit::kBytes),
        number<std::uint64_t>(
            {"offsets.retention.minutes", "Groups that nobody used for so long are dropped.", "1 to 153722867 minutes"},
            &StoreSettings::offsets_retention_minutes, 1, kMsMax / 60'000, Unit::kMinutes),
        number<std::uint64_t>(
            {"log.retention.check.interval.ms", "Time between two looks for records that are to be removed.",
             "1 to 9223372036854 milliseconds"},
            &StoreSettings::log_retention_check_interval_ms, 1, kMsMax, Unit::kMilliseconds),
        number_or<StoreSettings>(kOff,
                                 {"store.bytes.max", "Bytes that the whole store may take on the disk.",
                                  "off, or 1 to 9223372036854775807 bytes"},
                                 &StoreSettings::store_bytes_max, 1, kBytesMax, Unit::kBytes),
        number_or<StoreSettings>(kAuto,
                                 {"disk.free.min", "Bytes of the file system that are left free for others.",
                                  "auto (5 % of the file system, at most 4 GiB), or 0 to 9223372036854775807 bytes"},
                                 &StoreSettings::disk_free_min, 0, kBytesMax, Unit::kBytes),
        word<StoreSettings, DiskPressure, 2>(
            {"disk.pressure",
             "At these two limits: no more appends (refuse), or the oldest records of all topics are removed (delete).",
             "refuse or delete"},
            &StoreSettings::disk_pressure, {{{"refuse", DiskPressure::kRefuse}, {"delete", DiskPressure::kDelete}}}),
        number<std::uint64_t>({"trash.retention.ms", "For so long a removed topic can be brought back.",
                               "0 to 9223372036854 milliseconds"},
                              &StoreSettings::trash_retention_ms, 0, kMsMax, Unit::kMilliseconds),
    }};
    return table;
}

template <typename S>
std::span<const SettingInfo> infos_of() {
    static const auto infos = [] {
        const auto& table = table_of(static_cast<const S*>(nullptr));
        std::array<SettingInfo, std::tuple_size_v<std::decay_t<decltype(table)>>> all{};
        std::transform(table.begin(), table.end(), all.begin(), [](const auto& setting) { return setting.info; });
        return all;
    }();
    return infos;
}

template <typename S>
Result<const Setting<S>*> find_setting(std::string_view key) {
    for (const Setting<S>& setting : table_of(static_cast<const S*>(nullptr))) {
        if (key == setting.info.key) {
            return &setting;
        }
    }
    return make_error(ErrorCode::kNotFound, "find", std::string(key), "there is no such setting");
}

Error refused_value(const SettingInfo& info, Unit unit, std::string_view text, const std::string& problem) {
    const std::string examples = unit_examples(unit);
    return make_error(ErrorCode::kInvalid, "set", info.key,
                      "'" + std::string(text.substr(0, kShownBytesMax)) + "' " + problem + "; it takes " + info.range +
                          (examples.empty() ? "" : ", also as " + examples));
}

template <typename S>
Result<void> set_any(S& settings, std::string_view key, std::string_view value) {
    TOPICFS_TRY_ASSIGN(const Setting<S>* setting, find_setting<S>(key));
    const std::string_view text = trim(value);
    S changed = settings;
    if (const Problem problem = setting->set(changed, text)) {
        return refused_value(setting->info, setting->unit, text, *problem);
    }
    settings = std::move(changed);
    return {};
}

template <typename S>
Result<std::string> get_any(const S& settings, std::string_view key) {
    TOPICFS_TRY_ASSIGN(const Setting<S>* setting, find_setting<S>(key));
    return setting->get(settings);
}

}  // namespace

std::uint64_t StoreSettings::disk_free_min_of(std::uint64_t file_system_bytes) const {
    return disk_free_min.value_or(std::min(file_system_bytes / 20, std::uint64_t{4} << 30));
}

std::span<const SettingInfo> topic_setting_infos() {
    return infos_of<TopicSettings>();
}

std::span<const SettingInfo> store_setting_infos() {
    return infos_of<StoreSettings>();
}

std::span<const SettingInfo> group_setting_infos() {
    return infos_of<GroupSettings>();
}

Result<std::string> get_setting(const TopicSettings& settings, std::string_view key) {
    return get_any(settings, key);
}

Result<std::string> get_setting(const StoreSettings& settings, std::string_view key) {
    return get_any(settings, key);
}

Result<std::string> get_setting(const GroupSettings& settings, std::string_view key) {
    return get_any(settings, key);
}

Result<void> set_setting(TopicSettings& settings, std::string_view key, std::string_view value) {
    return set_any(settings, key, value);
}

Result<void> set_setting(StoreSettings& settings, std::string_view key, std::string_view value) {
    return set_any(settings, key, value);
}

Result<void> set_setting(GroupSettings& settings, std::string_view key, std::string_view value) {
    return set_any(settings, key, value);
}

}  // namespace topicfs
