#include "store/verify_segment.h"

#include "format/index_entry.h"
#include "log/layout.h"
#include "log/recovery_file.h"
#include "log/segment_index.h"
#include "log/segment_scan.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace topicfs {

namespace {

constexpr int kLooksMax = 1000;  // at a segment that grows, or is given back, while it is read

std::string batch_text(const char* what, std::uint64_t is, std::uint64_t should_be) {
    return std::string(what) + std::to_string(is) + ", it should be " + std::to_string(should_be);
}

// A position where a segment goes on, behind positions that no batch of it holds.
struct Jump {
    std::uint64_t file_offset;
    Position from;
    Position to;
};

class SegmentCheck {
public:
    SegmentCheck(VerifyContext& context, const SegmentToCheck& segment, SegmentChain& chain)
        : context_(context),
          segment_(segment),
          chain_(chain),
          path_(segment.directory + "/" + segment.name),
          index_path_(segment.directory + "/" + index_file_name(segment.base)) {}

    Result<void> run();
    // Whether more of the segment was given back since run() began, or all of it.
    Result<bool> was_removed_meanwhile() const;

private:
    Result<void> read_index();
    Result<void> walk(const File& file);
    Result<void> pass_given_back(const File& file);
    bool check_batch(const File& file, const ScannedBatch& batch);
    void check_order(const BatchHeader& header, std::uint64_t at);
    void check_content(const File& file, const BatchHeader& header, std::uint64_t at);
    void report_gap(const ScanGap& gap, bool at_end);
    bool is_in_head(Position position, bool is_tail) const;
    void note_unfinished(std::uint64_t from, std::uint64_t to);
    void report_jumps(const std::vector<ScanGap>& gaps);
    void compare_index();
    void damage(std::uint64_t from, std::uint64_t to, std::optional<Extent> positions, std::string what) {
        context_.damage({Finding::Kind::kDamage, path_, Extent{from, to}, positions, std::move(what)});
    }

    VerifyContext& context_;
    const SegmentToCheck& segment_;
    SegmentChain& chain_;
    const std::string path_;
    const std::string index_path_;
    std::vector<IndexEntry> indexed_;  // what the index says
    bool index_usable_ = false;
    std::vector<IndexEntry> found_;  // what the segment says
    std::vector<Extent> gaps_;
    std::vector<Jump> jumps_;
    std::uint64_t file_end_ = 0;  // as far as the walk goes
    bool index_missing_ = false;
    std::uint64_t given_back_end_ = 0;  // where the batches begin
    std::vector<std::byte> frame_;
    std::vector<std::byte> raw_;
    std::optional<Error> failure_;  // of a call in the middle of the walk
};

Result<void> SegmentCheck::run() {
    if (segment_.is_empty) {
        return {};  // Begun, and nothing more: its index may be another segment's that begins there too.
    }
    // The index first: a daemon at work adds to the segment before it adds to the index.
    TOPICFS_TRY(read_index());
    auto file = context_.fs.open(path_, O_RDONLY);
    if (!file) {
        if (is_errno(file.error(), ENOENT)) {
            context_.note(path_, "it was removed while the store was checked");
            return {};
        }
        return std::move(file).error();
    }
    if (index_missing_) {
        context_.note(index_path_, "the index is missing; the next start of the daemon rebuilds it");
    }
    if (auto walked = walk(*file); !walked) {
        if (!is_disk_error(walked.error())) {
            return walked;
        }
        const std::uint64_t at = found_.empty() ? 0 : found_.back().file_end();
        const FileInfo info = context_.fs.info(*file).value_or(FileInfo{});
        damage(at, std::max(at, info.size), {}, "the disk cannot read it: " + walked.error().message());
        chain_.offset_known = false;
        return {};
    }
    compare_index();
    return {};
}

Result<void> SegmentCheck::read_index() {
    auto file = context_.fs.open(index_path_, O_RDONLY);
    if (!file) {
        if (!is_errno(file.error(), ENOENT)) {
            return std::move(file).error();
        }
        index_missing_ = true;
        return {};
    }
    TOPICFS_TRY_ASSIGN(const FileInfo info, context_.fs.info(*file));
    std::vector<std::byte> bytes(kIndexHeaderBytes);
    TOPICFS_TRY_ASSIGN(std::size_t got, read_at(context_.fs, *file, bytes, 0));
    const auto header = decode_index_header(std::span(bytes).first(got));
    if (!header || header->segment_base != segment_.base) {
        context_.damage({Finding::Kind::kDamage,
                         index_path_,
                         Extent{0, got},
                         {},
                         header ? "the index is of another segment" : "the header of the index is damaged"});
        return {};
    }
    bytes.resize(kIndexEntryBytes);
    for (std::uint64_t at = kIndexHeaderBytes; at + kIndexEntryBytes <= info.size; at += kIndexEntryBytes) {
        TOPICFS_TRY_ASSIGN(got, read_at(context_.fs, *file, bytes, at));
        const auto entry = decode_index_entry(std::span(bytes).first(got));
        if (!entry) {
            context_.damage({Finding::Kind::kDamage,
                             index_path_,
                             Extent{at, at + kIndexEntryBytes},
                             {},
                             "an entry of the index does not pass its checksum"});
            return {};
        }
        indexed_.push_back(*entry);
    }
    index_usable_ = true;
    return {};
}

Result<void> SegmentCheck::walk(const File& file) {
    SegmentScanOptions options;
    options.expected = segment_.base;
    options.check_payload_crc = false;  // check_content does it, with the bytes at hand
    for (int look = 0;; ++look) {
        TOPICFS_TRY_ASSIGN(const FileInfo info, context_.fs.info(file));
        options.file_end = info.size;
        file_end_ = info.size;
        if (options.from == 0) {
            TOPICFS_TRY(pass_given_back(file));
        }
        TOPICFS_TRY_ASSIGN(const SegmentScan scan, scan_segment(context_.fs, file, options, [&](const ScannedBatch& b) {
                               return check_batch(file, b);
                           }));
        if (failure_) {
            return std::move(*failure_);
        }
        TOPICFS_TRY_ASSIGN(const FileInfo now, context_.fs.info(file));
        const bool open_end = !scan.gaps.empty() && scan.gaps.back().file_to == info.size;
        if (segment_.is_newest && open_end && now.size != info.size && look < kLooksMax) {
            // The daemon was writing its last batch: from the beginning of that one on again.
            for (const ScanGap& gap : std::span(scan.gaps).first(scan.gaps.size() - 1)) {
                report_gap(gap, false);
            }
            options.from = scan.gaps.back().file_from;
            options.expected = scan.gaps.back().position_from;
            continue;
        }
        for (const ScanGap& gap : scan.gaps) {
            report_gap(gap, gap.file_to == info.size);
        }
        report_jumps(scan.gaps);
        context_.totals.stored_bytes += info.size;
        return {};
    }
}

// What is damaged there the walk tells.
Result<void> SegmentCheck::pass_given_back(const File& file) {
    const auto front = read_given_back(context_.fs, file, file_end_);
    if (!front) {
        return front.error().code == ErrorCode::kDamaged ? Result<void>() : Result<void>(front.error());
    }
    if (!*front) {
        return {};
    }
    given_back_end_ = (*front)->file_end;
    // A daemon at work may have moved the log start since it was looked at.
    Position log_start = segment_.log_start;
    if ((*front)->end > log_start) {
        const auto choice = RecoveryFile::load(context_.fs, segment_.directory + "/" + kRecoveryFileName);
        log_start = choice && *choice ? std::max(log_start, (*choice)->point.log_start) : log_start;
    }
    if ((*front)->end > log_start) {
        damage(0, given_back_end_, Extent{log_start.value, (*front)->end.value},
               "positions behind the log start were given back");
    }
    chain_.position = (*front)->end;
    chain_.offset = (*front)->end_offset;
    chain_.offset_known = true;
    return {};
}

bool SegmentCheck::check_batch(const File& file, const ScannedBatch& batch) {
    const BatchHeader& header = batch.header;
    check_order(header, batch.file_offset);
    check_content(file, header, batch.file_offset);
    chain_.position = header.end_position();
    chain_.offset = header.end_offset();
    chain_.offset_known = true;
    chain_.time = std::max(chain_.time, header.times.back().time);
    found_.push_back(index_entry_of(header, batch.file_offset));
    context_.observer.progress(context_.totals.stored_bytes + batch.file_offset + header.batch_bytes(),
                               context_.bytes_total, path_);
    return !failure_;
}

void SegmentCheck::check_order(const BatchHeader& header, std::uint64_t at) {
    const std::uint64_t end = at + header.header_bytes;
    if (header.base_position > chain_.position) {
        jumps_.push_back({at, chain_.position, header.base_position});
        chain_.offset_known = false;
    }
    if (chain_.offset_known && header.base_offset != chain_.offset) {
        damage(at, end, {},
               batch_text("the first record of the batch is ", header.base_offset.value, chain_.offset.value));
    }
    if (header.times.front().time < chain_.time) {
        damage(at, end, {}, "the times of the batch lie before those of the batch in front of it");
    }
    const bool named_zstd = segment_.codec == Codec::kZstd;
    if ((header.codec == Codec::kZstd) != named_zstd) {
        damage(
            at, end, {},
            std::string("the batch is compressed by ") + codec_name(header.codec) + ", the file's name says otherwise");
    }
}

void SegmentCheck::check_content(const File& file, const BatchHeader& header, std::uint64_t at) {
    frame_.resize(header.stored_bytes);
    raw_.resize(header.raw_bytes);
    auto payload = read_frame(context_.fs, file, header, at, frame_);
    if (payload) {
        payload = decode_frame(file, header, frame_, raw_);
    }
    if (!payload) {
        if (payload.error().code != ErrorCode::kDamaged && !is_disk_error(payload.error())) {
            failure_ = payload.error();
            return;
        }
        if (is_in_head(header.base_position, at + header.batch_bytes() >= file_end_)) {
            note_unfinished(at, at + header.batch_bytes());
            return;
        }
        const std::string why = payload.error().detail.empty() ? payload.error().message() : payload.error().detail;
        damage(at, at + header.batch_bytes(), Extent{header.base_position.value, header.end_position().value}, why);
        return;
    }
    std::uint64_t records = raw_.size();
    if (const auto delimiter = chain_.record_end.delimiter) {
        records = static_cast<std::uint64_t>(std::count(raw_.begin(), raw_.end(), std::byte{*delimiter}));
    }
    if (chain_.record_end.is_known && records != header.record_count) {
        damage(at, at + header.header_bytes, {},
               "the header counts " + std::to_string(header.record_count) + " records, the payload holds " +
                   std::to_string(records));
    }
    ++context_.totals.batches;
    context_.totals.records += header.record_count;
    context_.totals.raw_bytes += header.raw_bytes;
}

// Where the daemon died, or is at work, while a batch was written, or where the power went before it was on disk, its
// bytes are still in head, and the next start seals them again.
bool SegmentCheck::is_in_head(Position position, bool is_tail) const {
    const bool vouched_for = position < segment_.durable_end && !(segment_.is_newest && is_tail);
    return !vouched_for && segment_.head_from && *segment_.head_from <= position && position < segment_.head_end;
}

void SegmentCheck::note_unfinished(std::uint64_t from, std::uint64_t to) {
    context_.note(path_, "bytes " + std::to_string(from) + " to " + std::to_string(to) +
                             " are an unfinished batch; the head still has what belongs there");
}

void SegmentCheck::report_gap(const ScanGap& gap, bool at_end) {
    gaps_.push_back({gap.file_from, gap.file_to});
    if (is_in_head(gap.position_from, at_end && !gap.position_to)) {
        note_unfinished(gap.file_from, gap.file_to);
        return;
    }
    std::optional<Extent> positions;
    if (gap.position_to) {
        positions = Extent{gap.position_from.value, gap.position_to->value};
    }
    chain_.offset_known = chain_.offset_known && gap.position_to.has_value();
    damage(gap.file_from, gap.file_to, positions, gap.reason);
}

void SegmentCheck::report_jumps(const std::vector<ScanGap>& gaps) {
    for (const Jump& jump : jumps_) {
        const bool explained =
            std::any_of(gaps.begin(), gaps.end(), [&](const ScanGap& gap) { return gap.file_to == jump.file_offset; });
        if (!explained) {
            damage(jump.file_offset, jump.file_offset, Extent{jump.from.value, jump.to.value},
                   "no batch holds these positions");
        }
    }
}

void SegmentCheck::compare_index() {
    if (!index_usable_) {
        return;
    }
    std::size_t matched = 0;
    for (std::size_t number = 0; number < indexed_.size(); ++number) {
        const IndexEntry& entry = indexed_[number];
        if (entry.file_offset < given_back_end_) {
            continue;
        }
        const auto found =
            std::lower_bound(found_.begin(), found_.end(), entry.file_offset,
                             [](const IndexEntry& batch, std::uint64_t offset) { return batch.file_offset < offset; });
        if (found != found_.end() && *found == entry) {
            ++matched;
            continue;
        }
        const bool in_gap = std::any_of(gaps_.begin(), gaps_.end(), [&](const Extent& gap) {
            return gap.from <= entry.file_offset && entry.file_offset < gap.to;
        });
        const bool ahead = segment_.is_newest && found == found_.end();
        if (in_gap || ahead) {
            continue;  // Told as damage of the segment; or the power went before the segment was on disk.
        }
        const std::uint64_t at = kIndexHeaderBytes + number * kIndexEntryBytes;
        context_.damage({Finding::Kind::kDamage,
                         index_path_,
                         Extent{at, at + kIndexEntryBytes},
                         {},
                         "an entry of the index says something else than the segment"});
    }
    if (matched < found_.size() && !segment_.is_newest) {
        context_.note(index_path_, "the index lacks " + std::to_string(found_.size() - matched) +
                                       " batches; the next start of the daemon rebuilds it");
    }
}

// The frame that says so is written before anything is punched.
Result<bool> SegmentCheck::was_removed_meanwhile() const {
    auto file = context_.fs.open(path_, O_RDONLY);
    if (!file) {
        return is_errno(file.error(), ENOENT) ? Result<bool>(true) : Result<bool>(std::move(file).error());
    }
    TOPICFS_TRY_ASSIGN(const FileInfo info, context_.fs.info(*file));
    const auto front = read_given_back(context_.fs, *file, info.size);
    return front && *front && (*front)->file_end > given_back_end_;
}

// Keeps findings back until it is known that they are some.
class HeldFindings final : public VerifyObserver {
public:
    explicit HeldFindings(VerifyObserver& observer) : observer_(observer) {}
    void found(const Finding& finding) override { findings_.push_back(finding); }
    void progress(std::uint64_t bytes_done, std::uint64_t bytes_total, const std::string& path) override {
        observer_.progress(bytes_done, bytes_total, path);
    }
    void release() {
        for (const Finding& finding : findings_) {
            observer_.found(finding);
        }
    }

private:
    VerifyObserver& observer_;
    std::vector<Finding> findings_;
};

}  // namespace

Result<void> verify_segment(VerifyContext& context, const SegmentToCheck& segment, SegmentChain& chain) {
    for (int look = 1;; ++look) {
        HeldFindings held(context.observer);
        VerifyContext tried{context.fs, held, context.totals, context.bytes_total};
        SegmentChain tried_chain = chain;
        SegmentCheck check(tried, segment, tried_chain);
        TOPICFS_TRY(check.run());
        // Beside a daemon that gives back what is read here, what was not found is no damage.
        if (tried.totals.damages > context.totals.damages && look < kLooksMax) {
            TOPICFS_TRY_ASSIGN(const bool again, check.was_removed_meanwhile());
            if (again) {
                continue;
            }
        }
        held.release();
        context.totals = tried.totals;
        chain = tried_chain;
        return {};
    }
}

}  // namespace topicfs
