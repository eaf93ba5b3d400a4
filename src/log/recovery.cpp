#include "log/recovery_run.h"

#include "base/log.h"
#include "log/layout.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace topicfs {

Result<Recovered> Recovery::run() {
    // The point first: beside a daemon at work what is listed afterwards can only be more than it vouches for.
    TOPICFS_TRY_ASSIGN(out_.choice, RecoveryFile::load(fs_, path(kRecoveryFileName)));
    TOPICFS_TRY(list_files());
    TOPICFS_TRY(open_head());
    TOPICFS_TRY(load_point());
    const auto access = options_.read_only ? Segment::Access::kRead : Segment::Access::kReadWrite;
    for (const Listed& segment : listed_) {
        out_.segments.push_back(std::make_shared<Segment>(fs_, directory_, segment.base, segment.codec, segment.bytes,
                                                          segment.disk_bytes, access));
    }
    bool trust_head = out_.choice.has_value() && !options_.power_was_cut;
    if (trust_head) {
        TOPICFS_TRY_ASSIGN(trust_head, head_holds_all());
    }
    if (trust_head) {
        TOPICFS_TRY(keep_to_point());
    } else {
        scanned_ = true;
        scanned_from_ = out_.point.segment_base;
        TOPICFS_TRY(scan_segments());
    }
    TOPICFS_TRY(settle_head());
    if (!options_.read_only) {
        TOPICFS_TRY(store_decision());
        TOPICFS_TRY(remove_other_heads());
        remove_lone_indexes();
    }
    return std::move(out_);
}

Result<void> Recovery::list_files() {
    TOPICFS_TRY_ASSIGN(const std::vector<DirectoryEntry> entries, fs_.list(directory_));
    for (const DirectoryEntry& entry : entries) {
        const auto name = parse_partition_file_name(entry.name);
        if (!name || !entry.is_regular) {
            if (entry.is_regular && entry.name.ends_with(kTemporarySuffix) && !options_.read_only) {
                TOPICFS_TRY(fs_.unlink(path(entry.name)));  // of a replacement that was never finished
            }
            continue;
        }
        if (name->kind == PartitionFile::kHead) {
            heads_.push_back(name->base);
        } else if (name->kind == PartitionFile::kTimes) {
            times_.push_back(name->base);
        } else if (name->kind == PartitionFile::kIndex) {
            indexes_.push_back(name->base);
        } else if (name->kind == PartitionFile::kSegment) {
            const auto found = fs_.info(path(entry.name));
            if (!found && options_.read_only && is_errno(found.error(), ENOENT)) {
                continue;  // A daemon at work has removed it since.
            }
            TOPICFS_TRY(found);
            const FileInfo& info = *found;
            std::uint64_t disk_bytes = info.disk_bytes;
            if (const auto index = fs_.info(path(index_file_name(name->base)))) {
                disk_bytes += index->disk_bytes;
            }
            listed_.push_back({name->base, name->codec, info.size, disk_bytes});
        }
    }
    std::sort(listed_.begin(), listed_.end(),
              [](const Listed& a, const Listed& b) { return std::pair(a.base, a.bytes) < std::pair(b.base, b.bytes); });
    std::sort(heads_.begin(), heads_.end());
    return {};
}

Result<void> Recovery::open_head() {
    if (heads_.empty()) {
        return {};
    }
    const auto access = options_.read_only ? Head::Access::kRead : Head::Access::kReadAppend;
    auto head = Head::open(fs_, directory_, heads_.back(), access);
    if (!head && head.error().code == ErrorCode::kDamaged) {
        if (!options_.read_only) {
            log_warning(head.error().message() + "; it is written anew from the file's name");
        }
        head = Head::open_without_header(fs_, directory_, heads_.back(), options_.now, access);
    }
    if (!head) {
        return std::move(head).error();
    }
    out_.head = std::move(head).value();
    TOPICFS_TRY_ASSIGN(head_end_, out_.head->end());
    return {};
}

Result<void> Recovery::load_point() {
    if (out_.choice) {
        out_.point = out_.choice->point;
    } else {
        log_warning(path(kRecoveryFileName) + ": no valid recovery point; all segments are read instead");
        TOPICFS_TRY_ASSIGN(out_.point, point_without_file());
    }
    sealed_end_ = out_.point.sealed_end;
    sealed_end_offset_ = out_.point.sealed_end_offset;
    return {};
}

// A point from which everything is looked at.
Result<RecoveryPoint> Recovery::point_without_file() {
    RecoveryPoint point;
    point.sequence = 1;
    if (!listed_.empty()) {
        const Listed& first = listed_.front();
        TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, path(segment_file_name(first.base, first.codec)), O_RDONLY));
        TOPICFS_TRY_ASSIGN(const BatchDecoded decoded, read_batch_header(fs_, file, 0, first.bytes));
        point.log_start = first.base;
        point.log_start_offset = decoded.header.base_offset;
        if (const auto front = read_given_back(fs_, file, first.bytes); front && *front) {
            point.log_start = (*front)->end;
            point.log_start_offset = (*front)->end_offset;
        }
    } else if (!heads_.empty()) {
        point.log_start = heads_.back();
    }
    point.sealed_end = point.log_start;
    point.sealed_end_offset = point.log_start_offset;
    point.segment_base = listed_.empty() ? point.log_start : listed_.front().base;
    return point;
}

// Whether the log can go on from head at `position`.
Result<bool> Recovery::head_has(Position position) const {
    if (!out_.head || position < out_.head->base()) {
        return false;
    }
    const RecoveryPoint& point = out_.point;
    if (out_.choice && options_.power_was_cut && position >= std::max(point.sealed_end, point.durable_end)) {
        return true;  // Nothing from here on was promised; settle_head() judges what the power cut left of head.
    }
    if (position >= head_end_) {
        return false;
    }
    if (out_.choice && position >= point.sealed_end) {
        return true;  // Never punched there.
    }
    // Before the sealed end head may be punched, or never have been written: only what is seen to be there counts.
    TOPICFS_TRY_ASSIGN(const Position trusted, trusted_end(*out_.head, position));
    return trusted > position && trusted >= point.sealed_end;
}

// Whether head alone has everything behind the recovery point, and the segments everything before it.
Result<bool> Recovery::head_holds_all() {
    const RecoveryPoint& point = out_.point;
    if (!out_.head || out_.head->base() > point.sealed_end || head_end_ < point.sealed_end ||
        head_end_ < point.durable_end) {
        return false;
    }
    for (const Listed& segment : listed_) {
        if (segment.base == point.segment_base && point.segment_bytes > 0 && segment.bytes < point.segment_bytes) {
            return false;
        }
        if (segment.base > head_end_) {
            return false;
        }
    }
    TOPICFS_TRY_ASSIGN(const Position hole, out_.head->first_hole(point.sealed_end));
    return hole >= head_end_;  // A reader's head may have grown meanwhile.
}

Result<void> Recovery::keep_to_point() {
    const RecoveryPoint& point = out_.point;
    for (std::size_t i = 0; i < out_.segments.size(); ++i) {
        const Listed& segment = listed_[i];
        const bool newest = point.segment_bytes > 0 && segment.base == point.segment_base;
        if (newest && segment.bytes > point.segment_bytes) {
            TOPICFS_TRY(cut_at(i, point.segment_bytes));
        }
        if (segment.base >= point.sealed_end || (segment.base > point.segment_base && point.segment_bytes > 0)) {
            return drop_segments_from(i);
        }
    }
    return {};
}

Result<void> Recovery::settle_head() {
    RecoveryPoint& point = out_.point;
    if (scanned_ && out_.head && head_end_ > sealed_end_) {
        TOPICFS_TRY(pass_hole());
    }
    out_.end = std::max(sealed_end_, head_end_);
    out_.times_unknown = scanned_ && options_.power_was_cut;
    if (scanned_ && out_.head && head_end_ > sealed_end_) {
        Position trusted = head_end_;
        const Position from = std::max(sealed_end_, std::min(point.durable_end, head_end_));
        if (options_.power_was_cut) {
            TOPICFS_TRY_ASSIGN(trusted, trusted_end(*out_.head, from));
        }
        if (trusted < head_end_) {
            log_info(directory_ + ": the power cut left head's bytes from position " + std::to_string(trusted.value) +
                     " to " + std::to_string(head_end_.value) + " unwritten; none of them was synced");
        }
        out_.end = trusted;
    }
    if (out_.end < point.durable_end) {
        note_damage(out_.end, point.durable_end, "synced bytes of head are missing");
        out_.lost_end = point.durable_end;
    }
    point.sealed_end = sealed_end_;
    point.sealed_end_offset = sealed_end_offset_;
    point.segment_base = out_.segments.empty() ? sealed_end_ : out_.segments.back()->base();
    point.segment_bytes = out_.segments.empty() ? 0 : out_.segments.back()->bytes();
    point.log_start = std::min(point.log_start, sealed_end_);
    return {};
}

Result<void> Recovery::store_decision() {
    const Position base = out_.end;
    if (!out_.head || out_.head->base() > out_.end) {
        TOPICFS_TRY(Head::create(fs_, directory_, base, options_.now));
        TOPICFS_TRY_ASSIGN(out_.head, Head::open(fs_, directory_, base, Head::Access::kReadAppend));
    } else if (out_.end != head_end_) {
        TOPICFS_TRY(out_.head->set_end(out_.end));
    }
    if (!scanned_) {
        return {};
    }
    // What was kept is synced before it is called durable.
    TOPICFS_TRY(out_.head->sync());
    for (const auto& segment : out_.segments) {
        if (segment->base() >= scanned_from_) {
            TOPICFS_TRY(segment->sync(true));
        }
    }
    TOPICFS_TRY(sync_directory(fs_, directory_));
    out_.point.durable_end = std::max(out_.end, out_.lost_end);
    const std::string recovery_path = path(kRecoveryFileName);
    if (!out_.choice) {
        TOPICFS_TRY(RecoveryFile::create(fs_, recovery_path, out_.point));
        out_.choice = RecoveryChoice{out_.point, 0};
        return {};
    }
    RecoveryFile file(fs_, recovery_path, out_.choice);
    TOPICFS_TRY(file.commit([&](RecoveryPoint& point) { point = out_.point; }));
    out_.choice = RecoveryChoice{file.point(), out_.choice->slot ^ 1};
    out_.point = file.point();
    return {};
}

// A head is replaced by a newer one when all of it is in segments; whoever did that may have died before the old one
// was gone. Where something is damaged all is kept.
Result<void> Recovery::remove_other_heads() {
    std::vector<std::string> others;
    for (const Position base : heads_) {
        if (base != out_.head->base()) {
            others.push_back(head_file_name(base));
        }
    }
    for (const Position base : times_) {
        if (base != out_.head->base()) {
            others.push_back(times_file_name(base));
        }
    }
    if (others.empty() || !out_.damaged.empty()) {
        return {};
    }
    for (const std::string& name : others) {
        TOPICFS_TRY(fs_.unlink(path(name)));
    }
    return sync_directory(fs_, directory_);
}

// Whoever removed a segment may have died before its index was gone. One that stays is in nobody's way.
void Recovery::remove_lone_indexes() {
    if (!out_.damaged.empty()) {
        return;
    }
    for (const Position base : indexes_) {
        const bool has_segment =
            std::any_of(listed_.begin(), listed_.end(), [&](const Listed& segment) { return segment.base == base; });
        if (!has_segment) {
            (void)fs_.unlink(path(index_file_name(base))).has_value();
        }
    }
}

namespace {

void log_damage(const std::string& directory, const DamagedRange& range) {
    log_error(directory + ": positions " + std::to_string(range.from.value) + " to " + std::to_string(range.to.value) +
              ": " + range.reason + "; reading them is an input/output error");
}

}  // namespace

void Recovery::note_damage(Position from, Position to, const std::string& reason) {
    out_.damaged.push_back({from, to, reason});
    if (!options_.read_only) {  // else it is not known yet whether it is damage
        log_damage(directory_, out_.damaged.back());
    }
}

// Beside a daemon at work, which may seal, punch and remove between the looks at recovery point, segments and head:
// then it was no damage, and what was listed may be gone when it is opened.
Result<Recovered> recover_partition(FileSystem& fs, const std::string& directory, const RecoveryOptions& options) {
    if (!options.read_only) {
        return Recovery(fs, directory, options).run();
    }
    constexpr int kTries = 10;
    for (int tries = 1;; ++tries) {
        auto recovered = Recovery(fs, directory, options).run();
        const bool is_last = tries == kTries;
        if (!recovered && is_errno(recovered.error(), ENOENT) && !is_last) {
            continue;
        }
        TOPICFS_TRY(recovered);
        if (recovered->choice && !recovered->damaged.empty()) {
            TOPICFS_TRY_ASSIGN(const auto choice, RecoveryFile::load(fs, directory + "/" + kRecoveryFileName));
            if (choice && choice->point != recovered->choice->point) {
                if (!is_last) {
                    continue;
                }
                const Position removed = choice->point.log_start;
                std::erase_if(recovered->damaged, [&](const DamagedRange& range) { return range.to <= removed; });
            }
        }
        for (const DamagedRange& range : recovered->damaged) {
            log_damage(directory, range);
        }
        return recovered;
    }
}

}  // namespace topicfs
