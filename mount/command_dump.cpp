#include "command.h"
#include "dump_report.h"
#include "format/batch.h"
#include "format/commit_slot.h"
#include "format/head_header.h"
#include "format/index_entry.h"
#include "format/recovery_point.h"
#include "format/text_file.h"
#include "format/times_entry.h"
#include "format/unfinished_line.h"
#include "io/file_system.h"
#include "log/layout.h"
#include "log/segment_scan.h"
#include "mount_table.h"

#include <topicfs/store.h>

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topicfs {

const CommandSpec kDumpSpec = {
    "dump",
    "Show what a file of the store holds",
    {{"FILE", "a segment, head, index, times, recovery or text file, a group's commits, or one\nof `unfinished`"}},
    {{"json", 0, nullptr, "one JSON object in place of a table; times in Unix milliseconds"}},
    "What kind of file it is, its name tells, else its content. Damage is shown in its\n"
    "place, and the exit status is then 1.\n",
    "  topicfs dump /var/lib/topicfs/topics/orders/0/00000000000000000000.log.lz4\n"
    "  topicfs dump --json /var/lib/topicfs/topics/orders/0/recovery\n",
};

namespace {

constexpr unsigned kTextVersionMax = 1;
constexpr std::size_t kTimesFileBytesMax = kTimesSlots * kTimesEntryBytes;

struct Dumped {
    FileSystem& fs;
    const File& file;
    std::uint64_t size;
};

Result<std::vector<std::byte>> read_front(const Dumped& what, std::size_t bytes_max) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(std::min<std::uint64_t>(what.size, bytes_max)));
    TOPICFS_TRY_ASSIGN(const std::size_t got, read_at(what.fs, what.file, bytes, 0));
    bytes.resize(got);
    return bytes;
}

DumpTime shown(TimestampMs time) {
    return {time.value};
}

Result<DumpReport> dump_segment(const Dumped& what) {
    DumpReport report;
    report.kind = "segment";
    report.rows_name = "batches";
    report.columns = {"file_offset", "header_bytes",  "stored_bytes", "codec",      "base_offset",
                      "records",     "base_position", "raw_bytes",    "first_time", "last_time"};
    SegmentScanOptions options;
    options.check_payload_crc = true;
    options.decode_payload = true;
    options.file_end = what.size;
    std::uint64_t records = 0;
    std::uint64_t raw_bytes = 0;
    const auto add = [&](const ScannedBatch& batch) {
        const BatchHeader& header = batch.header;
        report.row(batch.file_offset, batch.file_offset + header.batch_bytes(),
                   {batch.file_offset, std::uint64_t{header.header_bytes}, std::uint64_t{header.stored_bytes},
                    codec_name(header.codec), header.base_offset.value, std::uint64_t{header.record_count},
                    header.base_position.value, std::uint64_t{header.raw_bytes}, shown(header.times.front().time),
                    shown(header.times.back().time)});
        report.rows.back().damage = batch.payload_error;
        report.damaged = report.damaged || !batch.payload_error.empty();
        records += header.record_count;
        raw_bytes += header.raw_bytes;
        return true;
    };
    TOPICFS_TRY_ASSIGN(const SegmentScan scan, scan_segment(what.fs, what.file, options, add));
    for (const ScanGap& gap : scan.gaps) {
        report.damage(gap.file_from, gap.file_to, gap.reason);
    }
    std::stable_sort(report.rows.begin(), report.rows.end(),
                     [](const DumpRow& a, const DumpRow& b) { return a.at < b.at; });
    report.fact("size", what.size);
    if (scan.given_back) {
        report.fact("given_back_bytes", scan.given_back->file_end);
        report.fact("given_back_to_position", scan.given_back->end.value);
    }
    report.fact("records", records);
    report.fact("raw_bytes", raw_bytes);
    return report;
}

Result<DumpReport> dump_head(const Dumped& what) {
    DumpReport report;
    report.kind = "head";
    report.fact("size", what.size);
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, kHeadHeaderBytes));
    const auto header = decode_head_header(bytes);
    if (!header) {
        report.damage(0, bytes.size(), header.error().message());
        return report;
    }
    report.fact("base_position", header->base.value);
    report.fact("data_at", header->data_at);
    report.fact("end_position", head_end(*header, what.size).value);
    report.fact("created", shown(header->created));
    TOPICFS_TRY_ASSIGN(const FileInfo info, what.fs.info(what.file));
    report.fact("disk_bytes", info.disk_bytes);
    return report;
}

Result<DumpReport> dump_index(const Dumped& what) {
    DumpReport report;
    report.kind = "index";
    report.rows_name = "entries";
    report.columns = {"file_offset",   "batch_bytes", "base_offset", "records",
                      "base_position", "raw_bytes",   "first_time",  "last_time"};
    report.fact("size", what.size);
    std::vector<std::byte> bytes(std::max(kIndexHeaderBytes, kIndexEntryBytes));
    TOPICFS_TRY_ASSIGN(std::size_t got, read_at(what.fs, what.file, std::span(bytes).first(kIndexHeaderBytes), 0));
    const auto header = decode_index_header(std::span(bytes).first(got));
    if (header) {
        report.fact("segment_base", header->segment_base.value);
    } else {
        report.damage(0, got, header.error().message());
    }
    for (std::uint64_t at = kIndexHeaderBytes; at < what.size; at += kIndexEntryBytes) {
        TOPICFS_TRY_ASSIGN(got, read_at(what.fs, what.file, std::span(bytes).first(kIndexEntryBytes), at));
        const auto entry = decode_index_entry(std::span(bytes).first(got));
        if (!entry) {
            report.damage(at, at + got, entry.error().message());
            continue;
        }
        report.row(at, at + kIndexEntryBytes,
                   {entry->file_offset, std::uint64_t{entry->batch_bytes}, entry->base_offset.value,
                    std::uint64_t{entry->record_count}, entry->base_position.value, std::uint64_t{entry->raw_bytes},
                    shown(entry->first_time), shown(entry->last_time)});
    }
    return report;
}

Result<DumpReport> dump_times(const Dumped& what) {
    DumpReport report;
    report.kind = "times";
    report.rows_name = "entries";
    report.columns = {"sequence", "position", "time"};
    report.fact("size", what.size);
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, kTimesFileBytesMax));
    for (const TimesEntry& entry : decode_times_file(bytes)) {
        const std::uint64_t at = times_file_offset(entry.sequence);
        report.row(at, at + kTimesEntryBytes, {entry.sequence, entry.position.value, shown(entry.time)});
    }
    for (std::size_t at = 0; at + kTimesEntryBytes <= bytes.size(); at += kTimesEntryBytes) {
        const auto slot = std::span(bytes).subspan(at, kTimesEntryBytes);
        const bool empty = std::all_of(slot.begin(), slot.end(), [](std::byte b) { return b == std::byte{0}; });
        if (!empty && !decode_times_entry(slot)) {
            report.damage(at, at + kTimesEntryBytes, "the entry does not pass its checksum");
        }
    }
    return report;
}

Result<DumpReport> dump_recovery(const Dumped& what) {
    DumpReport report;
    report.kind = "recovery";
    report.rows_name = "slots";
    report.columns = {"sequence",    "log_start",   "log_start_offset", "sealed_end",    "sealed_end_offset",
                      "durable_end", "punched_end", "segment_base",     "segment_bytes", "last_time"};
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, kRecoveryFileBytes));
    report.fact("size", what.size);
    const auto choice = choose_recovery_point(bytes);
    report.fact("slot_in_force", choice ? DumpValue(std::uint64_t{choice->slot}) : DumpValue("none"));
    report.damaged = !choice;
    for (std::size_t at = 0; at + kRecoverySlotBytes <= bytes.size(); at += kRecoverySlotStrideBytes) {
        const auto slot = std::span(bytes).subspan(at, kRecoverySlotBytes);
        if (std::all_of(slot.begin(), slot.end(), [](std::byte b) { return b == std::byte{0}; })) {
            continue;
        }
        const auto point = decode_recovery_slot(slot);
        if (!point) {
            report.damage(at, at + kRecoverySlotBytes, point.error().message());
            continue;
        }
        report.row(at, at + kRecoverySlotBytes,
                   {point->sequence, point->log_start.value, point->log_start_offset.value, point->sealed_end.value,
                    point->sealed_end_offset.value, point->durable_end.value, point->punched_end.value,
                    point->segment_base.value, point->segment_bytes, shown(point->last_time)});
    }
    return report;
}

Result<DumpReport> dump_commits(const Dumped& what) {
    DumpReport report;
    report.kind = "commits";
    report.rows_name = "slots";
    report.columns = {"partition",    "slot",   "sequence", "position", "known_position",
                      "known_offset", "missed", "time",     "begun",    "in_force"};
    report.fact("size", what.size);
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, commit_file_bytes(kPartitionsMax)));
    if (bytes.size() < commit_file_bytes(1)) {
        report.damage(bytes.size(), commit_file_bytes(1), "the file is cut short");
    }
    for (std::uint32_t partition = 0; commit_slot_at(partition, 0) < bytes.size(); ++partition) {
        TOPICFS_TRY_ASSIGN(const CommitChoice choice, choose_commit(bytes, partition));
        for (unsigned index = 0; index < kCommitSlots; ++index) {
            const std::uint64_t at = commit_slot_at(partition, index);
            if (at >= bytes.size()) {
                continue;
            }
            const auto slot_bytes = std::span(bytes).subspan(at, std::min(kCommitSlotBytes, bytes.size() - at));
            if (std::all_of(slot_bytes.begin(), slot_bytes.end(), [](std::byte b) { return b == std::byte{0}; })) {
                continue;
            }
            const auto slot = decode_commit_slot(slot_bytes);
            if (!slot || slot->partition != partition) {
                report.damage(at, at + slot_bytes.size(),
                              slot ? "the slot is of another partition" : slot.error().message());
                continue;
            }
            report.row(at, at + kCommitSlotBytes,
                       {std::uint64_t{partition}, std::uint64_t{index}, slot->sequence, slot->position.value,
                        slot->known.value, slot->known_offset.value, slot->missed, shown(slot->time),
                        std::uint64_t{slot->begun}, std::uint64_t{choice.slot && choice.index == index}});
        }
    }
    return report;
}

// What stands behind the chain's end is of earlier chains, or was never acknowledged: no damage.
Result<DumpReport> dump_unfinished(const Dumped& what) {
    constexpr std::uint64_t kShownBytesMax = std::uint64_t{1} << 30;
    static constexpr std::array<const char*, 6> kKinds = {"", "begin", "more", "synced", "line", "placed"};
    DumpReport report;
    report.kind = "unfinished line";
    report.rows_name = "frames";
    report.columns = {"file_offset", "kind", "partition", "log_end", "placed", "data_bytes"};
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, kShownBytesMax));
    std::uint64_t generation = 0;
    std::uint64_t at = 0;
    for (std::uint32_t index = 0;; ++index) {
        const auto frame = decode_unfinished_frame(std::span(bytes).subspan(at));
        if (!frame || frame->index != index || (index > 0 && frame->generation != generation)) {
            break;
        }
        generation = frame->generation;
        report.row(at, at + frame->bytes(),
                   {at, kKinds[static_cast<std::size_t>(frame->kind)],
                    frame->partition ? DumpValue(std::uint64_t{*frame->partition}) : DumpValue("none"),
                    frame->log_end.value, frame->placed, std::uint64_t{frame->data.size()}});
        at += frame->bytes();
    }
    TOPICFS_TRY_ASSIGN(const UnfinishedLine line, decode_unfinished_file(bytes, false));
    report.fact("size", what.size);
    report.fact("line_bytes", std::uint64_t{line.bytes.size()});
    report.fact("placed_bytes", line.placed);
    return report;
}

// "topicfs-KIND VERSION" in the first line.
std::string text_kind(std::string_view content) {
    constexpr std::string_view kPrefix = "topicfs-";
    if (!content.starts_with(kPrefix)) {
        return {};
    }
    content.remove_prefix(kPrefix.size());
    return std::string(content.substr(0, content.find_first_of(" \n")));
}

Result<DumpReport> dump_text_file(const Dumped& what, const std::string& name) {
    DumpReport report;
    TOPICFS_TRY_ASSIGN(const auto bytes, read_front(what, kTextFileBytesMax));
    const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string kind = text_kind(content);
    report.kind = kind.empty() ? name : kind;
    const auto file = decode_text_file(content, report.kind, kTextVersionMax);
    if (!file) {
        report.damage(0, what.size, file.error().message());
        return report;
    }
    report.fact("version", std::uint64_t{file->version});
    report.values.insert(file->values.begin(), file->values.end());
    return report;
}

// By what stands at the front of the file; nothing where it is none of ours.
Result<std::optional<PartitionFile>> kind_by_content(const Dumped& what) {
    TOPICFS_TRY_ASSIGN(const auto front, read_front(what, kRecoveryFileBytes));
    std::optional<PartitionFile> kind;
    if (decode_batch_header(front).outcome == BatchOutcome::kBatch) {
        kind = PartitionFile::kSegment;
    } else if (decode_head_header(front)) {
        kind = PartitionFile::kHead;
    } else if (decode_index_header(front)) {
        kind = PartitionFile::kIndex;
    } else if (choose_recovery_point(front)) {
        kind = PartitionFile::kRecovery;
    } else if (!decode_times_file(front).empty()) {
        kind = PartitionFile::kTimes;
    }
    return kind;
}

Result<DumpReport> dump_kind(const Dumped& what, PartitionFile kind) {
    switch (kind) {
        case PartitionFile::kSegment:
            return dump_segment(what);
        case PartitionFile::kHead:
            return dump_head(what);
        case PartitionFile::kIndex:
            return dump_index(what);
        case PartitionFile::kTimes:
            return dump_times(what);
        case PartitionFile::kRecovery:
            return dump_recovery(what);
    }
    return make_error(ErrorCode::kInvalid, "dump", "", "an unknown kind of file");
}

Result<DumpReport> dump(const Dumped& what, const std::string& name) {
    if (const auto known = parse_partition_file_name(name)) {
        return dump_kind(what, known->kind);
    }
    TOPICFS_TRY_ASSIGN(const auto front, read_front(what, kHeadHeaderBytes));
    const std::string_view text(reinterpret_cast<const char*>(front.data()), front.size());
    if (!text_kind(text).empty() || name == "store" || name == "state" || name == "topic" || name == "group") {
        return dump_text_file(what, name);
    }
    if (name == "commits" || text.starts_with("TFSC")) {
        return dump_commits(what);
    }
    if (text.starts_with("TFSU")) {
        return dump_unfinished(what);
    }
    TOPICFS_TRY_ASSIGN(const auto kind, kind_by_content(what));
    if (!kind) {
        return make_error(ErrorCode::kInvalid, "dump", "", "neither its name nor its content is of a topicfs file");
    }
    return dump_kind(what, *kind);
}

Result<DumpReport> dump_path(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const std::string resolved, resolve_path(path));
    const std::size_t slash = resolved.rfind('/');
    const std::string name = resolved.substr(slash + 1);
    TOPICFS_TRY_ASSIGN(const auto fs, open_file_system(slash == 0 ? "/" : resolved.substr(0, slash)));
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs->info(name));
    if (!info.is_regular) {
        return make_error(ErrorCode::kInvalid, "dump", path, "it is not a file");
    }
    TOPICFS_TRY_ASSIGN(const File file, fs->open(name, O_RDONLY));
    auto report = dump({*fs, file, info.size}, name);
    if (!report) {
        report.error().path = path;
    }
    return report;
}

}  // namespace

int run_dump(const CommandLine& line) {
    const auto report = dump_path(line.argument(0));
    if (!report) {
        return fail(report.error());
    }
    if (!print(line.has("json") ? dump_json(*report) : dump_text(*report))) {
        return kExitFailed;
    }
    return report->damaged ? kExitNo : kExitDone;
}

}  // namespace topicfs
