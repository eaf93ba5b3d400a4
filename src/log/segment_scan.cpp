#include "log/segment_scan.h"

#include "base/crc32c.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

namespace topicfs {

namespace {

constexpr std::size_t kHeaderGuessBytes = 4096;  // most headers are far smaller
constexpr std::size_t kSearchBytes = 1u << 20;   // a step of the search behind damage

class Scanner {
public:
    Scanner(FileSystem& fs, const File& file, const SegmentScanOptions& options,
            const std::function<bool(const ScannedBatch&)>& visit)
        : fs_(fs), file_(file), options_(options), visit_(visit) {}

    Result<SegmentScan> run();

private:
    Result<void> begin();
    Result<bool> step();  // false at the end
    Result<bool> pass_damage(const std::string& reason, bool torn);
    Result<std::optional<std::uint64_t>> find_batch(std::uint64_t from);
    Result<std::string> check_payload(const BatchHeader& header);

    FileSystem& fs_;
    const File& file_;
    const SegmentScanOptions& options_;
    const std::function<bool(const ScannedBatch&)>& visit_;
    std::uint64_t at_ = 0;
    std::uint64_t file_end_ = 0;
    SegmentScan scan_;
    std::vector<std::byte> frame_;
    std::vector<std::byte> raw_;
};

Result<SegmentScan> Scanner::run() {
    TOPICFS_TRY_ASSIGN(const FileInfo info, fs_.info(file_));
    file_end_ = std::min(info.size, options_.file_end.value_or(std::numeric_limits<std::uint64_t>::max()));
    at_ = options_.from;
    scan_.valid_end = at_;
    scan_.end = options_.expected;
    TOPICFS_TRY(begin());
    for (;;) {
        TOPICFS_TRY_ASSIGN(const bool more, step());
        if (!more) {
            return std::move(scan_);
        }
    }
}

// Passes over what was given back.
Result<void> Scanner::begin() {
    if (at_ != 0) {
        return {};
    }
    auto front = read_given_back(fs_, file_, file_end_);
    if (!front) {
        // What is damaged step() finds too.
        return front.error().code == ErrorCode::kDamaged ? Result<void>() : Result<void>(std::move(front).error());
    }
    if (*front) {
        scan_.given_back = **front;
        at_ = (*front)->file_end;
        scan_.valid_end = at_;
        scan_.end = std::max(scan_.end, (*front)->end);
        scan_.end_offset = (*front)->end_offset;
    }
    return {};
}

Result<bool> Scanner::step() {
    if (at_ >= file_end_) {
        return false;
    }
    TOPICFS_TRY_ASSIGN(const BatchDecoded decoded, read_batch_header(fs_, file_, at_, file_end_));
    switch (decoded.outcome) {
        case BatchOutcome::kEnd:
            return false;
        case BatchOutcome::kNewer:
            return make_error(ErrorCode::kNewerFormat, "read", file_.path, "a batch is of a later format version");
        case BatchOutcome::kTorn:
            return pass_damage("the file ends inside a batch", true);
        case BatchOutcome::kDamaged:
            return pass_damage("no valid batch header", false);
        case BatchOutcome::kBatch:
            break;
    }
    const BatchHeader& header = decoded.header;
    if (header.base_position < scan_.end) {
        return pass_damage("a batch of an earlier position", false);
    }
    if (at_ + header.batch_bytes() > file_end_) {
        return pass_damage("the file ends inside a batch", true);
    }
    TOPICFS_TRY_ASSIGN(std::string payload_error, check_payload(header));
    if (!payload_error.empty() && options_.stop_at_damage) {
        return pass_damage(payload_error, at_ + header.batch_bytes() == file_end_);
    }
    const bool go_on = visit_({header, at_, std::move(payload_error)});
    at_ += header.batch_bytes();
    scan_.valid_end = at_;
    scan_.end = header.end_position();
    scan_.end_offset = header.end_offset();
    return go_on;
}

Result<std::string> Scanner::check_payload(const BatchHeader& header) {
    if (!options_.check_payload_crc && !options_.decode_payload) {
        return std::string();
    }
    frame_.resize(header.stored_bytes);
    auto checked = read_frame(fs_, file_, header, at_, frame_);
    if (checked && options_.decode_payload) {
        raw_.resize(header.raw_bytes);
        checked = decode_frame(file_, header, frame_, raw_);
    }
    if (checked) {
        return std::string();
    }
    if (checked.error().code == ErrorCode::kDamaged) {
        return checked.error().detail;
    }
    return std::move(checked).error();
}

// Notes the gap at at_ and goes to the next batch behind it, if there is one.
Result<bool> Scanner::pass_damage(const std::string& reason, bool torn) {
    ScanGap gap{at_, file_end_, scan_.end, std::nullopt, reason};
    if (options_.stop_at_damage) {
        scan_.torn = torn;
        scan_.gaps.push_back(std::move(gap));
        return false;
    }
    TOPICFS_TRY_ASSIGN(const std::optional<std::uint64_t> next, find_batch(at_ + 1));
    if (next) {
        TOPICFS_TRY_ASSIGN(const BatchDecoded decoded, read_batch_header(fs_, file_, *next, file_end_));
        gap.file_to = *next;
        gap.position_to = decoded.header.base_position;
        at_ = *next;
    }
    scan_.torn = torn && !next;
    scan_.gaps.push_back(std::move(gap));
    return next.has_value();
}

Result<std::optional<std::uint64_t>> Scanner::find_batch(std::uint64_t from) {
    std::vector<std::byte> window(kSearchBytes);
    // Windows overlap by the fixed header, so that no magic number is cut.
    while (from < file_end_) {
        const std::size_t want = std::min<std::uint64_t>(window.size(), file_end_ - from);
        TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs_, file_, std::span(window).first(want), from));
        const auto bytes = std::span<const std::byte>(window).first(have);
        for (std::size_t i = find_batch_magic(bytes, 0); i < have; i = find_batch_magic(bytes, i + 1)) {
            TOPICFS_TRY_ASSIGN(const BatchDecoded decoded, read_batch_header(fs_, file_, from + i, file_end_));
            if (decoded.outcome == BatchOutcome::kBatch && decoded.header.base_position >= scan_.end) {
                return std::optional(from + i);
            }
        }
        if (have <= kBatchHeaderFixedBytes || have < want) {
            break;
        }
        from += have - kBatchHeaderFixedBytes;
        if (file_end_ - from <= kBatchHeaderFixedBytes) {
            break;
        }
    }
    return std::optional<std::uint64_t>();
}

}  // namespace

Result<SegmentScan> scan_segment(FileSystem& fs, const File& file, const SegmentScanOptions& options,
                                 const std::function<bool(const ScannedBatch&)>& visit) {
    return Scanner(fs, file, options, visit).run();
}

Result<std::optional<GivenBack>> read_given_back(FileSystem& fs, const File& file, std::uint64_t file_end) {
    std::array<std::byte, kGivenBackStoredBytes> bytes;
    const std::size_t want = std::min<std::uint64_t>(bytes.size(), file_end);
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs, file, std::span(bytes).first(want), 0));
    auto front = decode_given_back(std::span<const std::byte>(bytes).first(have));
    if (front && *front && (*front)->file_end > file_end) {
        front = make_error(ErrorCode::kDamaged, "read", "", "the file ends inside of what was given back");
    }
    if (!front) {
        front.error().path = file.path;
    }
    return front;
}

Result<BatchDecoded> read_batch_header(FileSystem& fs, const File& file, std::uint64_t file_offset,
                                       std::uint64_t file_end) {
    std::array<std::byte, kHeaderGuessBytes> guess;
    const std::uint64_t left = file_end - file_offset;
    const std::size_t first = std::min<std::uint64_t>(guess.size(), left);
    TOPICFS_TRY_ASSIGN(std::size_t have, read_at(fs, file, std::span(guess).first(first), file_offset));
    BatchDecoded decoded = decode_batch_header(std::span<const std::byte>(guess).first(have));
    if (decoded.outcome != BatchOutcome::kTorn || left <= guess.size()) {
        return decoded;
    }
    std::vector<std::byte> whole(std::min<std::uint64_t>(kBatchHeaderBytesMax, left));
    TOPICFS_TRY_ASSIGN(have, read_at(fs, file, whole, file_offset));
    return decode_batch_header(std::span<const std::byte>(whole).first(have));
}

Result<void> read_frame(FileSystem& fs, const File& file, const BatchHeader& header, std::uint64_t file_offset,
                        std::span<std::byte> frame) {
    TOPICFS_TRY_ASSIGN(const std::size_t have, read_at(fs, file, frame, file_offset + header.header_bytes));
    if (have != frame.size()) {
        return make_error(ErrorCode::kDamaged, "read", file.path, "the payload is cut short");
    }
    if (crc32c(frame) != header.payload_crc) {
        return make_error(ErrorCode::kDamaged, "read", file.path, "the payload fails its CRC");
    }
    return {};
}

Result<void> decode_frame(const File& file, const BatchHeader& header, std::span<const std::byte> frame,
                          std::span<std::byte> raw) {
    // A thread decodes many batches, and the working memory of zstd is large.
    thread_local std::array<std::unique_ptr<Decompressor>, kCodecCount> decompressors;
    std::unique_ptr<Decompressor>& decompressor = decompressors.at(static_cast<std::size_t>(header.codec));
    if (!decompressor) {
        decompressor = make_decompressor(header.codec);
    }
    auto decoded = decompressor->decompress(frame, raw);
    if (!decoded && decoded.error().code == ErrorCode::kDamaged) {
        decoded.error().path = file.path;
    }
    return decoded;
}

}  // namespace topicfs
