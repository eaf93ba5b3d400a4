#include "base/text.h"
#include "command.h"
#include "consumer.h"
#include "dead_letters.h"
#include "filter_command.h"
#include "group_lag.h"
#include "new_directory.h"
#include "record_file.h"
#include "stop_signals.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topicfs {

const CommandSpec kConsumeSpec = {
    "consume",
    "Give the records of a topic to a command, batch by batch, as a consumer group",
    {{"PATH", "a topic (shared with the group's other readers of it), or a\npartition, in a mount"},
     {"COMMAND", "a program and its arguments; no shell", false, true}},
    {{"group", 0, "GROUP", "the consumer group; made where it is missing (required)"},
     {"batch", 0, "N", "give the command up to so many records at once (100)"},
     {"retries", 0, "N", "try a batch again so many times where the command fails (3)"},
     {"dead-letter", 0, "TOPIC",
      "what a record that still fails is written to, as a line of\nJSON: a topic's name, or its path; made where it is "
      "missing"},
     {"max-messages", 0, "N", "end after so many records"},
     {"until-end", 0, nullptr,
      "end when there is nothing more, in place of waiting; what\nother readers have is theirs, after a wait of 2 s"}},
    "COMMAND has the records of a batch on its standard input, as they are in the log; all of\n"
    "one partition. When it exits with 0 they are committed, so they are not given again. When\n"
    "it does not, it is run again after 0.1 s, 0.2 s and so on up to 10 s. A batch that fails\n"
    "for good ends consume with status 1, and the next run begins with it; with --dead-letter\n"
    "the batch is tried in halves down to the records that fail, and only those go there. Each\n"
    "record is given at least once. SIGTERM and SIGINT end consume after the batch in hand, with\n"
    "status 1 where that has failed; a second one kills COMMAND. In the environment of COMMAND:\n"
    "TOPICFS_TOPIC, TOPICFS_GROUP, TOPICFS_PARTITION, TOPICFS_OFFSET (of the first record) and\n"
    "TOPICFS_COUNT.\n",
    "  topicfs consume /mnt/topics/orders --group billing -- ./bill\n"
    "  topicfs consume /mnt/topics/orders --group billing --batch 1 --dead-letter orders-dead \\\n"
    "      -- curl --fail --data-binary @- https://billing.example.org/orders\n"
    "  topicfs consume /mnt/topics/orders/0 --group count --until-end -- sh -c 'wc -l >> counts'\n",
};

namespace {

// What is consumed.
struct Source {
    std::string topic_directory;  // absolute
    std::string stream;           // the name of the group's file
};

Result<Source> source_of(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
    struct stat found = {};
    if (!real || ::stat(real.get(), &found) != 0) {
        return system_error(errno, "", path);
    }
    Source source = {real.get(), "all"};
    if (!S_ISDIR(found.st_mode)) {
        const std::size_t slash = source.topic_directory.rfind('/');
        source.stream = source.topic_directory.substr(slash + 1);
        source.topic_directory.resize(slash);
        if (source.stream != "all" && !parse_unsigned(source.stream)) {
            return make_error(ErrorCode::kInvalid, "", path, "neither topic nor partition");
        }
    }
    return source;
}

// Only where there are groups: elsewhere what is made would be an ordinary directory.
Result<void> check(const Source& source) {
    const std::string& directory = source.topic_directory;
    struct stat found = {};
    if (::stat((directory + "/.groups").c_str(), &found) != 0) {
        return make_error(ErrorCode::kInvalid, "", directory, "no topic of a mounted topicfs");
    }
    struct statvfs mount = {};
    if (::statvfs(directory.c_str(), &mount) == 0 && (mount.f_flag & ST_RDONLY) != 0) {
        return make_error(ErrorCode::kReadOnly, "", directory,
                          "mounted read-only, and to consume is to move the group on");
    }
    const std::string view = source.stream == "all" ? "/all" : "/" + source.stream + "@end";
    TOPICFS_TRY_ASSIGN(const RecordFile records, RecordFile::open(directory + view, 0, "there is no such partition"));
    if (!records.delimiter()) {
        return make_error(ErrorCode::kInvalid, "", directory,
                          "a byte log (record.delimiter is none) has no records to give one by one");
    }
    return {};
}

Result<RecordFile> open_stream(const Source& source, const std::string& group, bool follow, NewDirectory& made) {
    const std::string directory = source.topic_directory + "/.groups/" + group;
    TOPICFS_TRY(made.make(directory, 0777));
    return RecordFile::open(directory + "/" + source.stream + (follow ? "+follow" : ""), O_NONBLOCK,
                            "there is no such group or partition");
}

// The value of an option that is a number of at least `min`; `number` stays where it is not there.
Result<void> take_number(const CommandLine& line, const char* option, std::uint64_t min, std::uint64_t& number) {
    const auto text = line.value(option);
    if (!text) {
        return {};
    }
    const auto parsed = parse_unsigned(*text);
    if (!parsed || *parsed < min) {
        return make_error(
            ErrorCode::kInvalid, "", "",
            "--" + std::string(option) + ": '" + *text + "' is no number of at least " + std::to_string(min));
    }
    number = *parsed;
    return {};
}

Result<Consumer::Options> options_of(const CommandLine& line) {
    Consumer::Options options;
    options.group = line.value("group").value_or("");
    if (options.group.empty() || options.group.find('/') != std::string::npos) {
        return make_error(ErrorCode::kInvalid, "", "", "--group is missing, or is no name");
    }
    TOPICFS_TRY(take_number(line, "batch", 1, options.batch_records_max));
    TOPICFS_TRY(take_number(line, "retries", 0, options.retries));
    if (line.has("max-messages")) {
        TOPICFS_TRY(take_number(line, "max-messages", 1, options.records_max.emplace()));
    }
    return options;
}

Result<bool> has_lag(const Source& source, const std::string& group) {
    TOPICFS_TRY_ASSIGN(const std::vector<GroupLag> lags, read_group_lags(source.topic_directory));
    for (const GroupLag& one : lags) {
        if (one.group == group) {
            return one.lag() > 0;
        }
    }
    return false;
}

Result<int> consume(const CommandLine& line) {
    TOPICFS_TRY_ASSIGN(Consumer::Options options, options_of(line));
    TOPICFS_TRY_ASSIGN(const Source source, source_of(line.argument(0)));
    TOPICFS_TRY(check(source));
    TOPICFS_TRY_ASSIGN(StopSignals stop, StopSignals::catch_them());
    FilterCommand command({line.arguments().begin() + 1, line.arguments().end()}, stop);
    TOPICFS_TRY(command.check());
    NewDirectory new_topic;
    NewDirectory new_group;
    std::optional<DeadLetters> dead_letters;
    if (const auto topic = line.value("dead-letter")) {
        TOPICFS_TRY_ASSIGN(dead_letters, DeadLetters::open(*topic, source.topic_directory, new_topic));
    }
    const bool follow = !line.has("until-end");
    if (!follow && source.stream == "all") {
        options.others_have_more = [&source, group = options.group] { return has_lag(source, group); };
    }
    TOPICFS_TRY_ASSIGN(RecordFile stream, open_stream(source, options.group, follow, new_group));
    if (!stream.delimiter()) {
        return make_error(ErrorCode::kInvalid, "", line.argument(0), "its record.delimiter was changed");
    }
    new_topic.keep();
    new_group.keep();
    Consumer consumer(stream, command, stop, dead_letters, options);
    TOPICFS_TRY_ASSIGN(const Consumer::End end, consumer.run());
    switch (end) {
        case Consumer::End::kStopped:
            return kExitDone;
        case Consumer::End::kAbandoned:
        case Consumer::End::kFailed:
            return kExitNo;
        case Consumer::End::kDone:
            break;
    }
    if (follow && !consumer.has_reached_max()) {
        return fail("consume: the topic, its group or the mount has gone");
    }
    return kExitDone;
}

}  // namespace

int run_consume(const CommandLine& line) {
    const auto status = consume(line);
    if (!status) {
        const bool is_use = status.error().path.empty() && status.error().operation.empty();
        fail(is_use ? "consume: " + status.error().detail : status.error().message());
        return status.error().code == ErrorCode::kBusy ? kExitNo : kExitFailed;
    }
    return *status;
}

}  // namespace topicfs
