// The writers of a whole topic: opening them, and what they leave behind.
#include "base/log.h"
#include "base/text.h"
#include "store/topic.h"

#include <algorithm>
#include <vector>

namespace topicfs {

Result<void> StoredPartition::end_cut_line(std::byte delimiter) {
    if (is_ended_) {
        return {};
    }
    const auto alone = line_turns_.alone();
    if (is_ended_) {
        return {};
    }
    TOPICFS_TRY_ASSIGN(const Position log_end, end());
    if (log_end == opened_at_ && log_end != start()) {
        std::byte last = ~delimiter;  // Where it cannot be read, an empty line is better than one that is mixed.
        const auto got = read(Position{log_end.value - 1}, std::span(&last, 1));
        if (!got || last != delimiter) {
            const auto ended = log_->append(std::span(&delimiter, 1), log_end);
            if (!ended && ended.error().code != ErrorCode::kNotPermitted) {
                return ended.error();
            }
        }
    }
    is_ended_ = true;
    return {};
}

std::shared_ptr<StoredTopicWriter> StoredTopic::new_writer(std::uint64_t number) {
    ++writers_;
    return std::make_shared<StoredTopicWriter>(env_.fs, env_.clock, shared_from_this(), directory_, number);
}

Result<std::shared_ptr<TopicWriter>> StoredTopic::open_writer() {
    TOPICFS_TRY(check_room("open", name() + "/all"));
    const auto in_use = use();
    TOPICFS_TRY(check_changes("append to"));
    if (!settings().record_delimiter) {
        return no_lines(name() + "/all");
    }
    return std::shared_ptr<TopicWriter>(new_writer(next_writer_++));
}

void StoredTopic::write_unfinished_lines(bool power_was_cut) {
    const std::string directory = directory_ + "/" + kUnfinishedDirectory;
    const auto entries = env_.fs.list(directory);
    if (!entries) {
        if (!is_errno(entries.error(), ENOENT)) {
            log_error(entries.error().message() + "; unfinished lines in it are not written");
            has_leftovers_ = true;
        }
        return;
    }
    // All are looked at before the first is written: what is looked for must not be taken for another's.
    std::vector<std::shared_ptr<StoredTopicWriter>> writers;
    const auto left_alone = [&](const Error& error) {
        log_error(directory_ + ": an unfinished line is left to the next start: " + error.message());
        has_leftovers_ = true;
    };
    for (const DirectoryEntry& entry : *entries) {
        const auto number = parse_unsigned(entry.name);
        if (!number || !entry.is_regular || std::to_string(*number) != entry.name) {
            if (entry.is_regular && entry.name.ends_with(kTemporarySuffix)) {
                (void)env_.fs.unlink(directory + "/" + entry.name).has_value();
            }
            continue;
        }
        next_writer_ = std::max(next_writer_.load(), *number + 1);
        auto writer = new_writer(*number);
        if (const auto taken = writer->take_over(power_was_cut); taken) {
            writers.push_back(std::move(writer));
        } else {
            left_alone(taken.error());
        }
    }
    for (const auto& writer : writers) {
        if (const auto closed = writer->close(); !closed) {
            left_alone(closed.error());
        }
    }
}

Result<bool> StoredTopic::settle_writers() {
    if (next_writer_ > 1) {
        const auto synced = sync_directory(env_.fs, directory_ + "/" + kUnfinishedDirectory);
        if (!synced && !is_errno(synced.error(), ENOENT)) {
            return synced.error();
        }
    }
    return writers_ == 0;
}

}  // namespace topicfs
