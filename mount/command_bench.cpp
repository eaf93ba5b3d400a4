#include "base/json.h"
#include "base/text.h"
#include "bench/bench.h"
#include "bench/stop.h"
#include "command.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs {

const CommandSpec kBenchSpec = {
    "bench",
    "Measure topicfs on this machine, each figure beside its limit",
    {{"WHAT", "append, read, follow, restart, lookup, consumers, groups or partitions; all\nwhere none is given",
      true}},
    {{"dir", 0, "DIR",
      "where a scratch folder is made (default: $TMPDIR, else /var/tmp); the\nfigures are about that file system"},
     {"pairs", 0, "N", "measurements of each side, in turns (default: 5)"},
     {"seconds", 0, "S", "of one measurement (default: 0.5)"},
     {"bytes", 0, "N", "that one measurement writes at most, and of the partition that is\nread (default: 256M)"},
     {"data", 0, "N", "of restart and lookup; compared with a tenth of it (default: 1G)"},
     {"payload-file", 0, "FILE", "write the lines of FILE in place of generated ones of 100 B"},
     {"json", 0, nullptr, "one JSON object in place of text, when all is measured"},
     {"quick", 0, nullptr, "sizes so small that figures say nothing: to try whether it works"}},
    "Every figure is a ratio of two things that are measured in turns, as absolute times do not\n"
    "hold on a shared machine: the median of the pairs, and in brackets the lowest and the\n"
    "highest. An aim that is missed does not change the exit status. What cannot be measured\n"
    "here is shown with the reason. It needs room for some gigabytes, which is given back, and\n"
    "some minutes. K, M and G behind a number are powers of 1024.\n",
    "  topicfs bench\n"
    "  topicfs bench append read --dir /var/lib --pairs 9\n"
    "  topicfs bench lookup --data 10G --json\n",
};

namespace {

struct Group {
    const char* name;
    Result<void> (*run)(bench::Bench& bench);
};
constexpr std::array<Group, 8> kGroups = {{
    {"append", bench::bench_append},
    {"read", bench::bench_read},
    {"follow", bench::bench_follow},
    {"restart", bench::bench_restart},
    {"lookup", bench::bench_lookup},
    {"consumers", bench::bench_consumers},
    {"groups", bench::bench_consumer_groups},
    {"partitions", bench::bench_partitions},
}};

Error wrong(const std::string& option, const std::string& value, const char* takes) {
    return make_error(ErrorCode::kInvalid, "", "", "bench: " + option + " '" + value + "' is not " + takes);
}

Result<std::uint64_t> parse_bytes(const std::string& option, const std::string& text) {
    constexpr std::string_view kUnits = "KMG";
    std::string_view digits = text;
    unsigned shift = 0;
    if (const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
        unit != std::string_view::npos) {
        shift = 10 * (static_cast<unsigned>(unit) + 1);
        digits.remove_suffix(1);
    }
    constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 50;
    const auto number = parse_unsigned(digits);
    if (!number || *number == 0 || *number > kBytesMax >> shift) {
        return wrong(option, text, "a number of bytes, such as 256M");
    }
    return *number << shift;
}

Result<double> parse_seconds(const std::string& text) {
    double seconds = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr double kSecondsMax = 600;
    if (failure != std::errc() || end != text.data() + text.size() || !(seconds > 0 && seconds <= kSecondsMax)) {
        return wrong("--seconds", text, "a number of seconds above 0, at most 600");
    }
    return seconds;
}

bench::BenchOptions quick_options() {
    bench::BenchOptions options;
    options.pairs = 1;
    options.seconds = 0.02;
    options.bytes = 1u << 20;
    options.data_bytes = 10u << 20;
    options.partitions = 20;
    options.idle_partitions = 50;
    return options;
}

Result<bench::BenchOptions> parse_options(const CommandLine& line) {
    bench::BenchOptions options = line.has("quick") ? quick_options() : bench::BenchOptions{};
    const char* temporary = std::getenv("TMPDIR");
    options.directory = line.value("dir").value_or(temporary != nullptr && *temporary != '\0' ? temporary : "/var/tmp");
    options.payload_file = line.value("payload-file").value_or("");
    options.json = line.has("json");
    if (const auto text = line.value("pairs")) {
        constexpr std::uint64_t kPairsMax = 1000;
        const auto pairs = parse_unsigned(*text);
        if (!pairs || *pairs == 0 || *pairs > kPairsMax) {
            return wrong("--pairs", *text, "a number from 1 to 1000");
        }
        options.pairs = static_cast<unsigned>(*pairs);
    }
    if (const auto text = line.value("seconds")) {
        TOPICFS_TRY_ASSIGN(options.seconds, parse_seconds(*text));
    }
    if (const auto text = line.value("bytes")) {
        TOPICFS_TRY_ASSIGN(options.bytes, parse_bytes("--bytes", *text));
    }
    if (const auto text = line.value("data")) {
        TOPICFS_TRY_ASSIGN(options.data_bytes, parse_bytes("--data", *text));
    }
    return options;
}

// The groups asked for, in the order of the table.
Result<std::vector<Group>> parse_groups(const std::vector<std::string>& names) {
    const auto asked_for = [&](std::string_view name) {
        return names.empty() || std::any_of(names.begin(), names.end(),
                                            [&](const std::string& asked) { return asked == "all" || asked == name; });
    };
    for (const std::string& name : names) {
        if (name != "all" &&
            std::none_of(kGroups.begin(), kGroups.end(), [&](const Group& group) { return name == group.name; })) {
            return make_error(ErrorCode::kInvalid, "", "",
                              "bench: '" + name + "' cannot be measured (see topicfs bench --help)");
        }
    }
    std::vector<Group> groups;
    std::copy_if(kGroups.begin(), kGroups.end(), std::back_inserter(groups),
                 [&](const Group& group) { return asked_for(group.name); });
    return groups;
}

std::string kernel() {
    utsname names = {};
    return ::uname(&names) == 0 ? std::string(names.sysname) + " " + names.release : "an unknown kernel";
}

bool print_header(const bench::Bench& bench) {
    const bench::BenchOptions& options = bench.options();
    return print("topicfs " TOPICFS_VERSION ", " + kernel() + ", " + std::to_string(bench.cores()) + " cores, in " +
                 options.directory + "; " + bench.payload().description() + "; " + std::to_string(options.pairs) +
                 " pairs\n\n");
}

bool print_json(const bench::Bench& bench) {
    JsonWriter json(JsonWriter::Style::kIndented);
    const bench::BenchOptions& options = bench.options();
    json.begin_object().member("version", TOPICFS_VERSION).member("kernel", std::string_view(kernel()));
    json.member("cores", bench.cores()).member("directory", std::string_view(options.directory));
    json.member("payload", std::string_view(bench.payload().description()));
    json.member("pairs", options.pairs).member("seconds", options.seconds);
    json.member("bytes", options.bytes).member("data_bytes", options.data_bytes);
    json.key("rows").begin_array();
    for (const bench::Row& row : bench.results()) {
        row.write(json);
    }
    json.end_array().end_object();
    return print(json.text() + "\n");
}

Result<void> measure(bench::Bench& bench, const std::vector<Group>& groups) {
    for (const Group& group : groups) {
        TOPICFS_TRY(group.run(bench));
    }
    return {};
}

Result<int> run(const CommandLine& line) {
    TOPICFS_TRY_ASSIGN(const auto groups, parse_groups(line.arguments()));
    TOPICFS_TRY_ASSIGN(const bench::BenchOptions options, parse_options(line));
    TOPICFS_TRY_ASSIGN(bench::Payload payload, options.payload_file.empty()
                                                   ? Result<bench::Payload>(bench::Payload::generate())
                                                   : bench::Payload::load(options.payload_file));
    bench::catch_stop_signals();
    TOPICFS_TRY_ASSIGN(const bench::Scratch scratch, bench::Scratch::make(options.directory));
    bench::Bench bench(options, std::move(payload), scratch.path());
    if (!options.json && !print_header(bench)) {
        return kExitFailed;
    }
    TOPICFS_TRY(measure(bench, groups));
    return !options.json || print_json(bench) ? kExitDone : kExitFailed;
}

}  // namespace

int run_bench(const CommandLine& line) {
    const Result<int> status = run(line);
    if (const int number = bench::stop_signal(); number != 0) {
        // All is taken away by now. The caller is to see that a signal has ended us.
        bench::forget_stop_signals();
        ::raise(number);
    }
    return status ? *status : fail(status.error());
}

}  // namespace topicfs
