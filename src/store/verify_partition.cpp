#include "store/verify_partition.h"

#include "format/head_header.h"
#include "format/recovery_point.h"
#include "format/times_entry.h"
#include "log/layout.h"
#include "log/recovery_file.h"
#include "log/segment_index.h"
#include "log/segment_scan.h"
#include "store/verify_segment.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace topicfs {

void VerifyContext::damage(Finding finding) {
    finding.kind = Finding::Kind::kDamage;
    ++totals.damages;
    observer.found(finding);
}

void VerifyContext::note(std::string path, std::string what) {
    ++totals.notes;
    observer.found({Finding::Kind::kNote, std::move(path), {}, {}, std::move(what)});
}

bool is_disk_error(const Error& error) {
    return error.code == ErrorCode::kSystem && (error.system_errno == EIO || error.system_errno == EUCLEAN);
}

namespace {

struct SegmentFile {
    std::string name;
    Position base;
    Codec codec = Codec::kNone;
    std::uint64_t size = 0;
};

class PartitionCheck {
public:
    PartitionCheck(VerifyContext& context, const std::string& directory, const RecordEnd& record_end)
        : context_(context), directory_(directory), record_end_(record_end) {}

    Result<void> run();

private:
    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    Result<void> list_files();
    Result<void> check_recovery();
    Result<void> check_head(Position base);
    void check_missing(Position from, Position to, const std::string& what);
    Result<void> check_segments();
    void check_ends();
    // From where on head still has its bytes: what is below was given back. Nothing where there is no good head.
    std::optional<Position> head_from() const {
        return head_base_ && point_ ? std::max(*head_base_, point_->punched_end) : head_base_;
    }

    VerifyContext& context_;
    const std::string& directory_;
    const RecordEnd& record_end_;
    std::vector<SegmentFile> segments_;  // by base
    std::vector<Position> heads_;
    std::vector<Position> indexes_;
    std::optional<RecoveryPoint> point_;
    std::optional<Position> head_base_;  // of the heads whose header is good: the lowest
    Position head_end_;                  // and the end of the furthest
    bool head_damaged_ = false;
    Position sealed_;  // behind the last batch looked at
};

Result<void> PartitionCheck::run() {
    ++context_.totals.partitions;
    // In this order a daemon that seals meanwhile can only add to what is looked at later: recovery, heads, segments.
    TOPICFS_TRY(check_recovery());
    TOPICFS_TRY(list_files());
    for (const Position base : heads_) {
        TOPICFS_TRY(check_head(base));
    }
    TOPICFS_TRY(check_segments());
    check_ends();
    return {};
}

Result<void> PartitionCheck::list_files() {
    TOPICFS_TRY_ASSIGN(auto entries, context_.fs.list(directory_));
    std::sort(entries.begin(), entries.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_partition_file_name(entry.name);
        if (!name || !entry.is_regular) {
            context_.note(path(entry.name), "not part of a partition; topicfs leaves it alone");
        } else if (name->kind == PartitionFile::kSegment) {
            const auto info = context_.fs.info(path(entry.name));
            segments_.push_back({entry.name, name->base, name->codec, info ? info->size : 0});
        } else if (name->kind == PartitionFile::kHead) {
            heads_.push_back(name->base);
        } else if (name->kind == PartitionFile::kIndex) {
            indexes_.push_back(name->base);
        }
    }
    // Two can have one base: one that was begun, and the next after compression.type was changed.
    std::sort(segments_.begin(), segments_.end(), [](const SegmentFile& a, const SegmentFile& b) {
        return std::pair(a.base, a.size) < std::pair(b.base, b.size);
    });
    return {};
}

Result<void> PartitionCheck::check_recovery() {
    const std::string name = path(kRecoveryFileName);
    auto content = read_small_file(context_.fs, name, kRecoveryFileBytes);
    if (!content) {
        if (is_errno(content.error(), ENOENT)) {
            return {};  // Whether it should be there is known when the segments are.
        }
        if (content.error().code == ErrorCode::kTooLarge || is_disk_error(content.error())) {
            context_.damage({Finding::Kind::kDamage, name, {}, {}, content.error().message()});
            return {};
        }
        return std::move(content).error();
    }
    const auto bytes = std::as_bytes(std::span(*content));
    const auto choice = choose_recovery_point(bytes);
    if (!choice) {
        const bool empty = std::all_of(content->begin(), content->end(), [](char c) { return c == '\0'; });
        if (!empty) {
            context_.damage({Finding::Kind::kDamage,
                             name,
                             Extent{0, content->size()},
                             {},
                             "neither of its two slots passes its checksum"});
        }
        return {};
    }
    point_ = choice->point;
    const std::size_t other = choice->slot == 0 ? kRecoverySlotStrideBytes : 0;
    if (bytes.size() >= other + kRecoverySlotBytes) {
        const auto slot = bytes.subspan(other, kRecoverySlotBytes);
        const bool empty = std::all_of(slot.begin(), slot.end(), [](std::byte b) { return b == std::byte{0}; });
        if (!empty && !decode_recovery_slot(slot)) {
            context_.note(name, "one of its two slots does not pass its checksum; the other one is used");
        }
    }
    return {};
}

Result<void> PartitionCheck::check_head(Position base) {
    const std::string name = path(head_file_name(base));
    auto file = context_.fs.open(name, O_RDONLY);
    if (!file) {
        // A daemon at work may have replaced it.
        return is_errno(file.error(), ENOENT) ? Result<void>() : Result<void>(std::move(file).error());
    }
    TOPICFS_TRY_ASSIGN(const FileInfo info, context_.fs.info(*file));
    if (info.size == 0) {
        context_.note(name, "an empty head: its making was cut off");
        return {};
    }
    std::vector<std::byte> block(kHeadHeaderBytes);
    const auto got = read_at(context_.fs, *file, block, 0);
    if (!got && !is_disk_error(got.error())) {
        return got.error();
    }
    block.resize(got.value_or(0));
    const auto header = decode_head_header(block);
    if (!header && header.error().code == ErrorCode::kNewerFormat) {
        return header.error();
    }
    if (!header || header->base != base) {
        head_damaged_ = true;
        context_.damage({Finding::Kind::kDamage,
                         name,
                         Extent{0, std::min<std::uint64_t>(info.size, kHeadHeaderBytes)},
                         {},
                         header ? "its header names another position than its name" : "its header is damaged"});
        return {};
    }
    head_base_ = head_base_ ? std::min(*head_base_, base) : base;
    head_end_ = std::max(head_end_, head_end(*header, info.size));
    return {};
}

void PartitionCheck::check_missing(Position from, Position to, const std::string& what) {
    if (point_) {
        from = std::max(from, point_->log_start);
    }
    // A daemon at work may have moved the log start since it was looked at.
    if (from < to) {
        const auto choice = RecoveryFile::load(context_.fs, path(kRecoveryFileName));
        from = choice && *choice ? std::max(from, (*choice)->point.log_start) : from;
    }
    if (from < to) {
        context_.damage({Finding::Kind::kDamage, directory_, {}, Extent{from.value, to.value}, what});
    }
}

Result<void> PartitionCheck::check_segments() {
    SegmentChain chain;
    chain.record_end = record_end_;
    chain.position = point_ ? point_->log_start : (segments_.empty() ? Position{} : segments_.front().base);
    for (std::size_t i = 0; i < segments_.size(); ++i) {
        const SegmentFile& segment = segments_[i];
        if (i == 0 && segment.base <= chain.position) {
            chain.position = segment.base;  // What lies before the log start is still checked.
        }
        if (segment.base < chain.position) {
            context_.damage(
                {Finding::Kind::kDamage, path(segment.name), {}, {}, "it begins inside the segment before it"});
        }
        check_missing(chain.position, segment.base, "no segment holds these positions");
        chain.offset_known = chain.offset_known && chain.position == segment.base;
        chain.position = segment.base;
        const SegmentToCheck what{directory_,
                                  segment.name,
                                  segment.base,
                                  segment.codec,
                                  segment.size == 0,
                                  i + 1 == segments_.size(),
                                  head_from(),
                                  head_end_,
                                  point_ ? point_->log_start : Position{},
                                  point_ ? point_->sealed_end : Position{}};
        TOPICFS_TRY(verify_segment(context_, what, chain));
        ++context_.totals.segments;
    }
    sealed_ = chain.position;
    for (const Position base : indexes_) {
        const bool has_segment = std::any_of(segments_.begin(), segments_.end(),
                                             [&](const SegmentFile& segment) { return segment.base == base; });
        if (!has_segment) {
            context_.note(path(index_file_name(base)), "an index without its segment");
        }
    }
    return {};
}

void PartitionCheck::check_ends() {
    if (!point_) {
        if (!segments_.empty()) {
            context_.damage({Finding::Kind::kDamage,
                             path(kRecoveryFileName),
                             {},
                             {},
                             "there is no valid recovery point, although there are segments"});
        }
        return;
    }
    // What was once durable must be somewhere: sealed, or in head.
    const Position durable = std::max(point_->sealed_end, point_->durable_end);
    if (head_damaged_) {
        check_missing(sealed_, durable, "these positions were in the head, which is damaged");
    } else if (const auto from = head_from(); from && *from <= sealed_) {
        check_missing(std::max(sealed_, head_end_), durable, "the head is shorter than what was once durable");
    } else {
        check_missing(sealed_, from ? *from : durable, "neither a segment nor the head holds these positions");
    }
    if (!head_base_ && !head_damaged_) {
        context_.damage(
            {Finding::Kind::kDamage, directory_, {}, {}, "the head is missing: what was not sealed is lost"});
    } else if (head_base_ && head_end_ < point_->sealed_end) {
        // A power cut can leave it so, and then nothing that was synced is lost.
        context_.note(path(head_file_name(heads_.back())),
                      "the head ends before the sealed end: what was not sealed, if there was any, is lost");
    }
}

}  // namespace

Result<void> verify_partition(VerifyContext& context, const std::string& directory, const RecordEnd& record_end) {
    return PartitionCheck(context, directory, record_end).run();
}

}  // namespace topicfs
