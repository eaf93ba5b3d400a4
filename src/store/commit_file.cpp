#include "store/commit_file.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

namespace topicfs {

namespace {

// Of 100,000 partitions; what is longer is no commit file of ours.
constexpr std::size_t kFileBytesMax = commit_file_bytes(100000);

}  // namespace

Result<void> CommitFile::create(FileSystem& fs, const std::string& path, std::uint32_t partitions) {
    TOPICFS_TRY_ASSIGN(const File file, open_file(fs, path, O_RDWR | O_CREAT | O_EXCL));
    // Blocks of its own, not a hole: a commit must not fail on a full disk.
    const std::vector<std::byte> empty(commit_file_bytes(partitions));
    TOPICFS_TRY(write_at(fs, file, empty, 0));
    return fs.fsync(file);
}

Result<CommitFile::Loaded> CommitFile::load() {
    const std::scoped_lock lock(mutex_);
    Loaded loaded;
    slots_.clear();
    is_new_ = true;
    failure_.clear();
    const auto content = read_small_file(fs_, path_, kFileBytesMax);
    if (!content) {
        if (is_errno(content.error(), ENOENT)) {
            loaded.is_short = true;
            return loaded;
        }
        return content.error();
    }
    const auto bytes = std::as_bytes(std::span(*content));
    loaded.is_short = bytes.size() < commit_file_bytes(1);
    for (std::uint32_t partition = 0; commit_slot_at(partition, 0) < bytes.size(); ++partition) {
        auto choice = choose_commit(bytes, partition);
        if (!choice) {
            choice.error().path = path_;
            return std::move(choice).error();
        }
        if (choice->damaged > 0) {
            loaded.damaged.push_back(partition);
        }
        Slots slots;
        if (choice->slot) {
            is_new_ = false;
            slots.sequence = choice->slot->sequence;
            slots.durable = choice->index;
            slots.target = (choice->index + 1) % kCommitSlots;
        }
        loaded.slots.push_back(choice->slot);
        slots_.push_back(slots);
    }
    return loaded;
}

Result<std::shared_ptr<File>> CommitFile::open_locked() {
    if (!failure_.empty()) {
        Error error = system_error(EIO, "commit to", path_);
        error.detail = failure_;
        return error;
    }
    if (!file_) {
        TOPICFS_TRY_ASSIGN(File file, open_file(fs_, path_, O_RDWR | O_CREAT));
        // One that was lost or cut is as long again as one is, so that the next that is cut is seen.
        TOPICFS_TRY_ASSIGN(const FileInfo info, fs_.info(file));
        TOPICFS_TRY(info.size < commit_file_bytes(1) ? fs_.truncate(file, commit_file_bytes(1)) : Result<void>{});
        file_ = std::make_shared<File>(std::move(file));
    }
    return file_;
}

Error CommitFile::note_locked(Error error) {
    if (!may_be_tried_again(error)) {
        failure_ = error.message();
    }
    return error;
}

Result<void> CommitFile::write(CommitSlot& slot) {
    const std::scoped_lock lock(mutex_);
    TOPICFS_TRY_ASSIGN(const std::shared_ptr<File> file, open_locked());
    if (!is_new_) {
        // What was loaded was in the page cache, and is known to be durable from here on only.
        if (auto synced = fs_.fdatasync(*file); !synced) {
            failure_ = synced.error().message();
            return synced;
        }
        is_new_ = true;
    }
    if (slots_.size() <= slot.partition) {
        slots_.resize(slot.partition + 1);
    }
    Slots& slots = slots_[slot.partition];
    CommitSlot next = slot;
    next.sequence = slots.sequence + 1;
    if (auto written = write_at(fs_, *file, encode_commit_slot(next), commit_slot_at(next.partition, slots.target));
        !written) {
        return note_locked(std::move(written).error());
    }
    slots.sequence = next.sequence;
    slots.written = true;
    slot = next;
    return {};
}

Result<void> CommitFile::sync() {
    const std::scoped_lock one(sync_mutex_);
    std::shared_ptr<File> file;
    std::vector<std::pair<std::uint32_t, unsigned>> written;  // partition and slot
    {
        const std::scoped_lock lock(mutex_);
        TOPICFS_TRY_ASSIGN(file, open_locked());
        for (std::uint32_t partition = 0; partition < slots_.size(); ++partition) {
            Slots& slots = slots_[partition];
            if (std::exchange(slots.written, false)) {
                written.emplace_back(partition, slots.target);
                slots.target = kCommitSlots - slots.durable - slots.target;  // the third one
            }
        }
    }
    auto synced = fs_.fdatasync(*file);
    const std::scoped_lock lock(mutex_);
    if (!synced) {
        failure_ = synced.error().message();
        return synced;
    }
    for (const auto& [partition, slot] : written) {
        slots_[partition].durable = slot;
    }
    return {};
}

void CommitFile::close() {
    const std::scoped_lock lock(mutex_);
    file_.reset();
}

}  // namespace topicfs
