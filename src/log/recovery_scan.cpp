// The steps of recovery that look for the verified end of what is in segments.
#include "base/log.h"
#include "log/layout.h"
#include "log/recovery_run.h"

#include <fcntl.h>

#include <algorithm>

namespace topicfs {

Result<void> Recovery::scan_segments() {
    const RecoveryPoint point = out_.point;
    for (std::size_t i = 0; i < out_.segments.size(); ++i) {
        if (listed_[i].base < point.segment_base) {
            continue;
        }
        if (listed_[i].base > sealed_end_) {
            // The segment before it lacks its last batches.
            TOPICFS_TRY_ASSIGN(const bool in_head, head_has(sealed_end_));
            if (in_head) {
                return drop_segments_from(i);
            }
            note_damage(sealed_end_, listed_[i].base, "no segment holds these bytes");
        }
        const bool from_point = listed_[i].base == point.segment_base;
        const std::size_t before = out_.segments.size();
        TOPICFS_TRY_ASSIGN(const bool cut, scan_one(i, from_point ? point.segment_bytes : 0));
        if (cut || out_.segments.size() != before) {
            return {};
        }
    }
    if (sealed_end_ < point.sealed_end) {
        // Segments that the recovery point vouches for are short or gone.
        TOPICFS_TRY_ASSIGN(const bool in_head, head_has(sealed_end_));
        if (!in_head) {
            note_damage(sealed_end_, point.sealed_end, "sealed bytes are missing");
            sealed_end_ = point.sealed_end;
            sealed_end_offset_ = std::max(sealed_end_offset_, point.sealed_end_offset);
            out_.new_segment = true;
        }
    }
    return {};
}

// A segment that is scanned from its start on: the log end before it.
Result<void> Recovery::begin_at_segment(std::size_t number) {
    sealed_end_ = listed_[number].base;
    sealed_end_offset_ = out_.point.log_start_offset;
    if (number > 0) {
        TOPICFS_TRY_ASSIGN(const auto last, out_.segments[number - 1]->last_entry());
        if (last) {
            sealed_end_offset_ = last->base_offset + last->record_count;
        }
    }
    return {};
}

// Scans segment `number` from `from` on. True where it was cut, as the log goes on from head or ends.
Result<bool> Recovery::scan_one(std::size_t number, std::uint64_t from) {
    const Listed& listed = listed_[number];
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, path(segment_file_name(listed.base, listed.codec)), O_RDONLY));
    if (from > listed.bytes) {
        from = 0;  // It is shorter than the recovery point says: what is left of it is looked at as a whole.
        out_.new_segment = true;
        TOPICFS_TRY(begin_at_segment(number));
    }
    SegmentScanOptions scan_options;
    scan_options.stop_at_damage = true;
    scan_options.from = from;
    scan_options.expected = from == 0 ? listed.base : sealed_end_;
    for (;;) {
        TOPICFS_TRY_ASSIGN(const SegmentScan scan,
                           scan_segment(fs_, file, scan_options, [&](const ScannedBatch& batch) {
                               take_batch(batch.header);
                               return true;
                           }));
        from = scan.valid_end;
        if (scan.given_back && scan.end > sealed_end_) {  // and no batch behind
            sealed_end_ = scan.end;
            sealed_end_offset_ = scan.end_offset;
        }
        if (scan.gaps.empty()) {
            break;
        }
        TOPICFS_TRY_ASSIGN(const bool in_head, head_has(scan.end));
        if (in_head) {
            sealed_end_ = scan.end;
            TOPICFS_TRY(cut_at(number, scan.valid_end));
            TOPICFS_TRY(drop_segments_from(number + 1));
            return true;
        }
        out_.new_segment = true;
        TOPICFS_TRY_ASSIGN(const bool more, pass_damage(file, scan, scan_options));
        if (!more) {
            break;
        }
    }
    if (from != listed.bytes) {
        const auto access = options_.read_only ? Segment::Access::kRead : Segment::Access::kReadWrite;
        out_.segments[number] =
            std::make_shared<Segment>(fs_, directory_, listed.base, listed.codec, from, listed.disk_bytes, access);
    }
    return false;
}

void Recovery::take_batch(const BatchHeader& header) {
    if (header.end_position() >= sealed_end_) {
        sealed_end_ = header.end_position();
        sealed_end_offset_ = header.end_offset();
    }
    out_.point.last_time = std::max(out_.point.last_time, header.times.back().time);
}

// Notes the damage that `scan` stopped at and lets `next` begin behind it; false where no batch comes behind.
Result<bool> Recovery::pass_damage(const File& file, const SegmentScan& scan, SegmentScanOptions& next) {
    SegmentScanOptions search = next;
    search.stop_at_damage = false;
    search.from = scan.valid_end;
    search.expected = scan.end;
    bool found = false;
    TOPICFS_TRY(scan_segment(fs_, file, search, [&](const ScannedBatch& batch) {
        found = true;
        const BatchHeader& header = batch.header;
        const bool only_payload = batch.file_offset == scan.valid_end;
        note_damage(scan.end, only_payload ? header.end_position() : header.base_position, scan.gaps.front().reason);
        if (only_payload) {
            take_batch(header);
        }
        next.from = batch.file_offset + (only_payload ? header.batch_bytes() : 0);
        next.expected = only_payload ? header.end_position() : header.base_position;
        return false;
    }));
    return found;
}

// The segment ends at `file_offset` from now on.
Result<void> Recovery::cut_at(std::size_t number, std::uint64_t file_offset) {
    const Listed& listed = listed_[number];
    const std::string name = path(segment_file_name(listed.base, listed.codec));
    if (!options_.read_only) {
        log_info(name + ": what lies behind byte " + std::to_string(file_offset) + " is sealed again from head");
        TOPICFS_TRY_ASSIGN(const File file, open_file(fs_, name, O_RDWR));
        TOPICFS_TRY(fs_.truncate(file, file_offset));
        TOPICFS_TRY(fs_.fsync(file));
    }
    const auto access = options_.read_only ? Segment::Access::kRead : Segment::Access::kReadWrite;
    out_.segments[number] =
        std::make_shared<Segment>(fs_, directory_, listed.base, listed.codec, file_offset, listed.disk_bytes, access);
    return {};
}

// Head has all that they hold.
Result<void> Recovery::drop_segments_from(std::size_t number) {
    if (!options_.read_only) {
        for (std::size_t i = number; i < listed_.size(); ++i) {
            log_info(path(segment_file_name(listed_[i].base, listed_[i].codec)) + ": is sealed again from head");
            TOPICFS_TRY(fs_.unlink(path(segment_file_name(listed_[i].base, listed_[i].codec))));
            auto gone = fs_.unlink(path(index_file_name(listed_[i].base)));
            if (!gone && !is_errno(gone.error(), ENOENT)) {
                return std::move(gone).error();
            }
        }
    }
    out_.segments.resize(number);
    return {};
}

// Bytes between the segments' end and the first that head really holds are lost.
Result<void> Recovery::pass_hole() {
    Position from = std::max(sealed_end_, out_.head->base());
    if (from == sealed_end_ && options_.power_was_cut &&
        from >= std::max(out_.point.durable_end, out_.point.sealed_end)) {
        return {};  // Nothing behind it was synced: trusted_end() cuts it.
    }
    TOPICFS_TRY_ASSIGN(const Position hole, out_.head->first_hole(from));
    if (hole == from && hole < head_end_) {
        TOPICFS_TRY_ASSIGN(from, out_.head->first_data(hole));
    }
    if (from > sealed_end_) {
        note_damage(sealed_end_, from, "neither a segment nor head holds these bytes");
        sealed_end_ = from;
        out_.new_segment = true;
    }
    return {};
}

}  // namespace topicfs
