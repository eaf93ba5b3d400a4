#include "base/json.h"
#include "base/text.h"
#include "command.h"
#include "io/file_system.h"
#include "mount_table.h"
#include "store/verify.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace topicfs {

const CommandSpec kVerifySpec = {
    "verify",
    "Check every batch and index of a store; only reads",
    {{"DATA", "the data directory"}},
    {{"json", 0, nullptr, "one JSON object in place of text"}},
    "It may run while the store is mounted. Each finding is one line: damage with its\n"
    "place and extent, or a note on what costs nothing (an index that will be rebuilt,\n"
    "a file that is not topicfs's). Exit status 0: no damage; 1: damage; 2: it could not\n"
    "be checked.\n",
    "  topicfs verify /var/lib/topicfs\n"
    "  topicfs verify --json /var/lib/topicfs | jq .damages\n",
};

namespace {

std::string extent_text(const Extent& extent) {
    return std::to_string(extent.from) + " to " + std::to_string(extent.to);
}

// The progress line on a terminal, rewritten in place.
class ProgressLine {
public:
    void show(std::uint64_t done, std::uint64_t total, const std::string& path) {
        const std::uint64_t percent = total == 0 ? 100 : done >= total ? 100 : done * 100 / total;
        if (!terminal_ || percent == shown_) {
            return;
        }
        shown_ = percent;
        std::fprintf(stderr, "\r\033[K%3u %%  %s of %s  %s", static_cast<unsigned>(percent), human_bytes(done).c_str(),
                     human_bytes(total).c_str(), path.c_str());
        std::fflush(stderr);
    }
    void clear() {
        if (terminal_ && shown_ != kNothing) {
            std::fputs("\r\033[K", stderr);
            std::fflush(stderr);
            shown_ = kNothing;
        }
    }

private:
    static constexpr std::uint64_t kNothing = 101;
    const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    std::uint64_t shown_ = kNothing;
};

class Report final : public VerifyObserver {
public:
    explicit Report(bool json) : json_(json), writer_(JsonWriter::Style::kIndented) {
        writer_.begin_object().key("findings").begin_array();
    }

    void found(const Finding& finding) override {
        line_.clear();
        if (json_) {
            add_json(finding);
            return;
        }
        std::string text = finding.kind == Finding::Kind::kDamage ? "damage: " : "note: ";
        text += finding.path + ": ";
        if (finding.bytes) {
            text += "bytes " + extent_text(*finding.bytes) + ": ";
        }
        text += finding.what;
        if (finding.positions) {
            text += " (positions " + extent_text(*finding.positions) + ")";
        }
        printed_ = print(text + "\n") && printed_;
    }

    void progress(std::uint64_t done, std::uint64_t total, const std::string& path) override {
        line_.show(done, total, path);
    }

    // The last line. False where the report could not be written.
    bool finish(const VerifyTotals& totals) {
        line_.clear();
        return print(json_ ? json(totals) : text(totals)) && printed_;
    }
    void clear() { line_.clear(); }

private:
    void add_json(const Finding& finding) {
        writer_.begin_object();
        writer_.member("kind", finding.kind == Finding::Kind::kDamage ? "damage" : "note");
        writer_.member("path", finding.path);
        add_extent("bytes", finding.bytes);
        add_extent("positions", finding.positions);
        writer_.member("what", finding.what);
        writer_.end_object();
    }

    void add_extent(const char* name, const std::optional<Extent>& extent) {
        if (extent) {
            writer_.key(name).begin_object().member("from", extent->from).member("to", extent->to).end_object();
        }
    }

    std::string json(const VerifyTotals& totals) {
        writer_.end_array();
        writer_.member("topics", totals.topics).member("partitions", totals.partitions);
        writer_.member("segments", totals.segments).member("batches", totals.batches);
        writer_.member("records", totals.records).member("raw_bytes", totals.raw_bytes);
        writer_.member("stored_bytes", totals.stored_bytes);
        writer_.member("damages", totals.damages).member("notes", totals.notes);
        return writer_.end_object().text() + "\n";
    }

    static std::string text(const VerifyTotals& totals) {
        const auto count = [](std::uint64_t number, const std::string& thing) {
            return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
        };
        return (totals.damages == 0 ? std::string("no damage") : count(totals.damages, "damage")) + ", " +
               count(totals.notes, "note") + ": looked at " + count(totals.topics, "topic") + ", " +
               count(totals.partitions, "partition") + ", " + count(totals.segments, "segment") + " (" +
               human_bytes(totals.stored_bytes) + ") with " + std::to_string(totals.batches) + " good batches, " +
               count(totals.records, "record") + ", " + human_bytes(totals.raw_bytes) + "\n";
    }

    const bool json_;
    JsonWriter writer_;
    ProgressLine line_;
    bool printed_ = true;
};

}  // namespace

int run_verify(const CommandLine& line) {
    const std::string& directory = line.argument(0);
    const auto fs = open_file_system(directory);
    if (!fs) {
        return fail(fs.error());
    }
    Report report(line.has("json"));
    auto totals = verify_store(**fs, report);
    report.clear();
    if (!totals) {
        return fail(in_data_directory(std::move(totals).error(), directory));
    }
    if (!report.finish(*totals)) {
        return kExitFailed;
    }
    return totals->damages == 0 ? kExitDone : kExitNo;
}

}  // namespace topicfs
