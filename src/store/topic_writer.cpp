#include "store/topic_writer.h"

#include "base/log.h"
#include "store/line_search.h"
#include "store/partitioner.h"
#include "store/topic.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_map>

namespace topicfs {

namespace {

// A writer goes on to another partition for what has no key when so much went to the one it has, and when it was quiet
// for longer than times are apart: so reading by time gives its lines in their order.
constexpr std::uint64_t kStickyBytes = 1u << 20;
constexpr std::int64_t kStickyQuietMs = 20;
constexpr std::size_t kScratchBytesKept = 1u << 20;

// Behind the last delimiter.
std::size_t end_of_lines(std::span<const std::byte> bytes, std::byte delimiter) {
    const void* const last = ::memrchr(bytes.data(), std::to_integer<int>(delimiter), bytes.size());
    return last == nullptr ? 0 : static_cast<std::size_t>(static_cast<const std::byte*>(last) - bytes.data()) + 1;
}

// Behind the first one, or all.
std::size_t end_of_line(std::span<const std::byte> bytes, std::byte delimiter) {
    const void* const first =
        bytes.empty() ? nullptr : std::memchr(bytes.data(), std::to_integer<int>(delimiter), bytes.size());
    return first == nullptr ? bytes.size()
                            : static_cast<std::size_t>(static_cast<const std::byte*>(first) - bytes.data()) + 1;
}

// Up to the first line that is too long.
std::size_t end_of_fitting(std::span<const std::byte> lines, std::byte delimiter) {
    std::size_t end = 0;
    while (end < lines.size()) {
        const std::size_t line = end_of_line(lines.subspan(end), delimiter);
        if (line > kLineBytesMax) {
            break;
        }
        end += line;
    }
    return end;
}

Error too_long(const std::string& shown) {
    Error error = system_error(EFBIG, "append to", shown);
    error.detail = "a line has at most " + std::to_string(kLineBytesMax) + " bytes";
    return error;
}

}  // namespace

Error no_lines(std::string topic) {
    return make_error(ErrorCode::kNotPermitted, "append to", std::move(topic),
                      "record.delimiter is none, so there are no lines to spread; append to a partition");
}

StoredTopicWriter::StoredTopicWriter(FileSystem& fs, const Clock& clock, std::shared_ptr<StoredTopic> topic,
                                     std::string directory, std::uint64_t number)
    : clock_(clock),
      topic_(std::move(topic)),
      shown_(topic_->name() + "/all"),
      unfinished_(fs, std::move(directory), number) {}

StoredTopicWriter::~StoredTopicWriter() {
    if (!closed_) {
        topic_->writer_gone();  // What it has kept is written at the next start.
    }
}

// With the topic's use held.
Result<std::byte> StoredTopicWriter::check_usable() const {
    if (!failure_.empty()) {
        return make_error(ErrorCode::kReadOnly, "append to", shown_, failure_);
    }
    TOPICFS_TRY(topic_->check_appends("append to"));
    const std::optional<std::uint8_t> delimiter = topic_->settings().record_delimiter;
    if (!delimiter) {
        return no_lines(shown_);
    }
    return std::byte{*delimiter};
}

void StoredTopicWriter::note(const Error& error) {
    if (!may_be_tried_again(error) && failure_.empty()) {
        failure_ = error.message();
        log_error(shown_ + ": a writer takes no more appends: " + failure_);
    }
}

Result<std::size_t> StoredTopicWriter::append(std::span<const std::byte> bytes) {
    const std::scoped_lock lock(mutex_);
    const auto use = topic_->use();
    if (closed_) {
        return make_error(ErrorCode::kInvalid, "append to", shown_, "the writer is closed");
    }
    TOPICFS_TRY_ASSIGN(const std::byte delimiter, check_usable());
    if (bytes.empty()) {
        return std::size_t{0};
    }
    // Here only: the rest of a line that was taken is owed, whatever room there is.
    if (!topic_->room()->take(bytes.size())) {
        return topic_->room()->refusal("append to", shown_);
    }
    auto stored = append_locked(bytes, delimiter);
    last_append_ms_ = clock_.monotonic_ms();
    if (scratch_.capacity() > kScratchBytesKept) {
        scratch_ = {};
    }
    if (stored && topic_->settings().flush_messages == 1) {
        if (auto synced = unfinished_.sync(); !synced) {
            note(synced.error());
            return std::move(synced).error();
        }
    }
    return stored;
}

Result<std::size_t> StoredTopicWriter::append_locked(std::span<const std::byte> bytes, std::byte delimiter) {
    const std::size_t lines_end = end_of_lines(bytes, delimiter);
    if (lines_end > 0) {
        TOPICFS_TRY_ASSIGN(const std::size_t stored, append_lines(bytes.first(lines_end), delimiter));
        if (stored < lines_end) {
            return stored;
        }
    }
    const std::span<const std::byte> tail = bytes.subspan(lines_end);
    if (auto kept = keep(tail, lines_end > 0); !kept) {
        note(kept.error());
        return lines_end > 0 ? Result<std::size_t>(lines_end) : Result<std::size_t>(std::move(kept).error());
    }
    return bytes.size();
}

// Behind lines that were appended, or goes on with the line that is there.
Result<void> StoredTopicWriter::keep(std::span<const std::byte> tail, bool begins) {
    const std::uint64_t before = begins ? 0 : unfinished_.bytes();
    const bool fits = before + tail.size() < kLineBytesMax;
    if (begins || !unfinished_.is_there()) {
        if (unfinished_.is_there() || (fits && !tail.empty())) {
            TOPICFS_TRY(unfinished_.begin(fits ? tail : std::span<const std::byte>()));
        }
    } else if (fits) {
        TOPICFS_TRY(unfinished_.more(tail));
    }
    return fits ? Result<void>{} : Result<void>(too_long(shown_));
}

// Whole lines, of which the first goes on with the one that is there. With no lines that one is whole already. What is
// kept of it stays so until keep().
Result<std::size_t> StoredTopicWriter::append_lines(std::span<const std::byte> lines, std::byte delimiter) {
    FirstLine first;
    first.was_there = unfinished_.is_there();
    if (first.was_there) {
        auto front = unfinished_.unplaced();
        if (!front) {
            note(front.error());
            return std::move(front).error();
        }
        first.front = std::move(front).value();
    }
    first.rest = lines.first(end_of_line(lines, delimiter));
    if (unfinished_.bytes() + first.rest.size() > kLineBytesMax) {
        return too_long(shown_);
    }
    const std::size_t wanted = lines.size();
    if (wanted > kLineBytesMax) {
        lines = lines.first(end_of_fitting(lines, delimiter));
    }
    const std::vector<Group> groups = group(lines, first, delimiter);
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const FirstLine* const begins_with = i == 0 && first.was_there ? &first : nullptr;
        Stored stored = append_group(groups[i], begins_with, delimiter);
        if (!stored.is_whole) {
            return settle(lines, groups, i, first, std::move(stored), delimiter);
        }
    }
    if (lines.size() < wanted) {
        forget_line();
    }
    return lines.size();
}

std::vector<StoredTopicWriter::Group> StoredTopicWriter::group(std::span<const std::byte> lines, const FirstLine& first,
                                                               std::byte delimiter) {
    const std::uint32_t count = topic_->partition_count();
    const std::string separator = topic_->settings().key_separator;
    std::vector<Group> groups;
    std::unordered_map<std::uint32_t, std::size_t> places;
    const auto add = [&](std::uint32_t partition, std::span<const std::byte> run) {
        const auto [place, is_new] = places.try_emplace(partition, groups.size());
        if (is_new) {
            groups.push_back({partition, {}});
        }
        auto& runs = groups[place->second].runs;
        if (!runs.empty() && runs.back().data() + runs.back().size() == run.data()) {
            runs.back() = {runs.back().data(), runs.back().size() + run.size()};
        } else if (!run.empty()) {
            runs.push_back(run);
        }
    };
    const auto partition_of = [&](std::span<const std::byte> line) {
        const auto key = key_of_line(line, separator);
        return key ? partition_of_key(*key, count) : sticky_partition(count);
    };
    if (first.was_there) {
        if (unfinished_.partition()) {
            add(*unfinished_.partition(), first.rest);
        } else {
            scratch_ = first.front;
            scratch_.insert(scratch_.end(), first.rest.begin(), first.rest.end());
            add(partition_of(scratch_), first.rest);
        }
        lines = lines.subspan(first.rest.size());
    }
    while (!lines.empty()) {
        // Without keys they all go to one.
        const std::size_t end = separator.empty() ? lines.size() : end_of_line(lines, delimiter);
        add(partition_of(lines.first(end)), lines.first(end));
        lines = lines.subspan(end);
    }
    return groups;
}

std::uint32_t StoredTopicWriter::sticky_partition(std::uint32_t count) {
    const bool moves_on = sticky_bytes_ >= kStickyBytes && clock_.monotonic_ms() - last_append_ms_ >= kStickyQuietMs;
    if (!sticky_ || moves_on) {
        sticky_ = topic_->next_sticky() % count;
        sticky_bytes_ = 0;
    }
    return *sticky_;
}

StoredTopicWriter::Stored StoredTopicWriter::append_group(const Group& group, const FirstLine* first,
                                                          std::byte delimiter) {
    const auto partition = topic_->stored_partition(group.partition);
    std::span<const std::byte> bytes;
    if (first == nullptr && group.runs.size() == 1) {
        bytes = group.runs.front();
    } else {
        scratch_.clear();
        if (first != nullptr) {
            scratch_ = first->front;
        }
        for (const auto& run : group.runs) {
            scratch_.insert(scratch_.end(), run.begin(), run.end());
        }
        bytes = scratch_;
    }
    touched_.insert(group.partition);
    const bool goes_on_there = first != nullptr && unfinished_.partition();
    if (auto ended = goes_on_there ? Result<void>{} : partition->end_cut_line(delimiter); !ended) {
        return {0, false, false, std::move(ended).error()};
    }
    sticky_bytes_ += group.partition == sticky_ ? bytes.size() : 0;
    if (first != nullptr) {
        const auto alone = partition->line_turns().alone();
        return append_first(*partition, *first, bytes, delimiter);
    }
    const auto together = partition->line_turns().together();
    auto stored = partition->log()->append(bytes);
    if (!stored) {
        return {0, false, false, std::move(stored).error()};
    }
    return {*stored, *stored == bytes.size(), false, {}};
}

// Bytes that begin with the line that is there.
StoredTopicWriter::Stored StoredTopicWriter::append_first(StoredPartition& partition, const FirstLine& first,
                                                          std::span<const std::byte> bytes, std::byte delimiter) {
    const auto log_end = partition.end();
    if (!log_end) {
        return {0, false, false, log_end.error()};
    }
    if (auto told = unfinished_.line(first.rest, partition.number(), *log_end); !told) {
        note(told.error());
        return {0, false, false, std::move(told).error()};
    }
    Stored stored;
    if (auto appended = partition.log()->append(bytes)) {
        stored.bytes = *appended;
        stored.is_whole = stored.bytes == bytes.size();
    } else {
        stored.error = std::move(appended).error();
        const auto end = partition.end();
        if (!end || *end != *log_end) {
            // Something may be there.
            const auto line = bytes.first(first.front.size() + first.rest.size());
            const auto found = find_line(partition, line, delimiter, *log_end, unfinished_.partition().has_value());
            stored.is_unknown = !found;
            stored.bytes = found ? (found->whole ? line.size() : found->front_bytes) : 0;
        }
    }
    if (stored.bytes > 0 && unfinished_.is_synced()) {
        // What was durable stays so.
        if (auto synced = partition.sync(); !synced) {
            return {stored.bytes, false, true, std::move(synced).error()};
        }
    }
    return stored;
}

// After a group of which not all was stored: what of the call is stored without a gap is acknowledged. Where a line was
// cut, its rest must follow in the same partition.
Result<std::size_t> StoredTopicWriter::settle(std::span<const std::byte> lines, const std::vector<Group>& groups,
                                              std::size_t failed, const FirstLine& first, Stored stored,
                                              std::byte delimiter) {
    const Group& group = groups[failed];
    if (!stored.error) {
        stored.error = system_error(ENOSPC, "append to", shown_);
    }
    if (stored.is_unknown) {
        Error unknown = *stored.error;
        unknown.code = ErrorCode::kReadOnly;  // The next start finds out.
        note(unknown);
        return *stored.error;
    }
    std::size_t left = stored.bytes;
    if (failed == 0 && first.was_there) {
        if (left < first.front.size() || left == 0) {
            if (auto told = left == 0 ? unfinished_.drop_line() : unfinished_.place(group.partition, left); !told) {
                note(told.error());
            }
            return *stored.error;
        }
        left -= first.front.size();
    }
    const auto at = [&](const std::byte* byte) { return static_cast<std::size_t>(byte - lines.data()); };
    std::size_t stop = lines.size();
    bool is_cut = false;
    for (const auto& run : group.runs) {
        if (left < run.size()) {
            stop = at(run.data()) + left;
            is_cut = left > 0 ? run[left - 1] != delimiter : failed == 0 && first.was_there && stop == 0;
            break;
        }
        left -= run.size();
    }
    std::size_t acknowledged = stop;
    for (std::size_t later = failed + 1; later < groups.size(); ++later) {
        acknowledged = std::min(acknowledged, at(groups[later].runs.front().data()));
    }
    if (is_cut && acknowledged < stop) {
        log_warning(shown_ + ": the disk is full, and a line in partition " + std::to_string(group.partition) +
                    " is cut; it will be there again when its writer tries again");
        is_cut = false;
    }
    forget_line(is_cut ? std::optional(group.partition) : std::nullopt);
    return acknowledged > 0 ? Result<std::size_t>(acknowledged) : Result<std::size_t>(*stored.error);
}

// The line is in its partition; where another has begun there, its rest goes there too.
void StoredTopicWriter::forget_line(std::optional<std::uint32_t> begun_in) {
    if (!unfinished_.is_there() && !begun_in) {
        return;
    }
    if (auto begun = unfinished_.begin({}, begun_in); !begun) {
        note(begun.error());
    }
}

Result<void> StoredTopicWriter::sync() {
    const std::scoped_lock lock(mutex_);
    const auto use = topic_->use();
    if (!failure_.empty()) {
        Error error = system_error(EIO, "sync", shown_);
        error.detail = failure_;
        return error;
    }
    TOPICFS_TRY(topic_->check_appends("sync"));
    while (!touched_.empty()) {
        TOPICFS_TRY(topic_->stored_partition(*touched_.begin())->sync());
        touched_.erase(touched_.begin());
    }
    auto synced = unfinished_.sync();
    if (!synced) {
        note(synced.error());
    }
    return synced;
}

Result<void> StoredTopicWriter::close() {
    const std::scoped_lock lock(mutex_);
    const auto use = topic_->use();
    if (closed_) {
        return {};
    }
    closed_ = true;
    topic_->writer_gone();
    const auto delimiter = check_usable();
    if (!delimiter) {
        // Neither the topic nor the file's name need be ours any more.
        return unfinished_.is_there() ? Result<void>(delimiter.error()) : Result<void>{};
    }
    if (unfinished_.is_there()) {
        const std::span<const std::byte> rest(&*delimiter, unfinished_.ends_in(*delimiter) ? 0 : 1);
        TOPICFS_TRY(append_lines(rest, *delimiter));
    }
    if (const auto removed = unfinished_.remove(); !removed) {
        log_warning(removed.error().message() + "; it goes at the next start");
    }
    return {};
}

Result<void> StoredTopicWriter::take_over(bool power_was_cut) {
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY(unfinished_.load(power_was_cut));
    if (!unfinished_.is_there()) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const std::byte delimiter, check_usable());
    const auto& appended = unfinished_.appended();
    const std::optional<std::uint32_t> number = appended ? appended->partition : unfinished_.partition();
    if (!number) {
        return unfinished_.rewrite();
    }
    const auto partition = topic_->stored_partition(*number);
    if (!partition) {
        return make_error(ErrorCode::kDamaged, "read", shown_,
                          "an unfinished line is of partition " + std::to_string(*number) + ", which is not there");
    }
    TOPICFS_TRY_ASSIGN(const std::vector<std::byte> line, unfinished_.unplaced());
    LineFound found;
    if (appended) {
        TOPICFS_TRY_ASSIGN(
            found, find_line(*partition, line, delimiter, appended->log_end, unfinished_.partition().has_value()));
    } else if (line.empty()) {
        // All of it is there; somebody may have ended it meanwhile.
        TOPICFS_TRY_ASSIGN(const Found records_end, partition->records_end());
        TOPICFS_TRY_ASSIGN(const Position end, partition->end());
        found.whole = records_end.position == end;
    }
    if (found.whole) {
        return unfinished_.remove();
    }
    TOPICFS_TRY(unfinished_.rewrite(found.front_bytes));
    if (!unfinished_.partition()) {
        return {};
    }
    // Its front is there: the rest at once, before another's line comes between.
    const std::span<const std::byte> rest(&delimiter, unfinished_.ends_in(delimiter) ? 0 : 1);
    TOPICFS_TRY(append_lines(rest, delimiter));
    return unfinished_.remove();
}

}  // namespace topicfs
