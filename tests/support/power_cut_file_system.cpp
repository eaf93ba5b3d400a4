#include "support/power_cut_file_system.h"

#include "support/temporary_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace topicfs::test {
namespace {

constexpr std::uint64_t kBlock = PowerCutFileSystem::kBlockBytes;

std::uint64_t blocks_of(std::uint64_t bytes) {
    return (bytes + kBlock - 1) / kBlock;
}

bool is_below(const std::string& path, const std::string& directory) {
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

void PowerCutFileSystem::Content::resize(std::uint64_t size) {
    const std::uint64_t before = bytes.size();
    bytes.resize(size, '\0');
    if (size > before || size < before) {
        stored.resize(blocks_of(size), false);
    }
}

void PowerCutFileSystem::Content::put(std::uint64_t at, std::string_view from) {
    if (bytes.size() < at + from.size()) {
        resize(at + from.size());
    }
    bytes.replace(at, from.size(), from);
    for (std::uint64_t block = at / kBlock; block < blocks_of(at + from.size()); ++block) {
        stored[block] = true;
    }
}

void PowerCutFileSystem::Content::punch(std::uint64_t at, std::uint64_t length) {
    const std::uint64_t end = std::min<std::uint64_t>(at + length, bytes.size());
    if (at >= end) {
        return;
    }
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    for (std::uint64_t block = blocks_of(at); block < end / kBlock; ++block) {
        stored[block] = false;
    }
}

PowerCutFileSystem::PowerCutFileSystem(const std::filesystem::path& directory) {
    auto opened = open_file_system(directory.string());
    if (!opened) {
        throw std::runtime_error(opened.error().message());
    }
    inner_ = std::move(opened).value();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        const std::string path = entry.path().lexically_relative(directory).string();
        if (entry.is_directory()) {
            durable_names_[path] = nullptr;
            continue;
        }
        auto inode = std::make_shared<Inode>();
        inode->durable.bytes = read_file(entry.path());
        inode->durable.stored.assign(blocks_of(inode->durable.bytes.size()), false);
        auto file = inner_->open(path, O_RDONLY);
        if (!file) {
            throw std::runtime_error(file.error().message());
        }
        for (std::uint64_t block = 0; block < inode->durable.stored.size(); ++block) {
            const auto hole = inner_->seek_hole(*file, block * kBlock);
            inode->durable.stored[block] = hole.has_value() && *hole > block * kBlock;
        }
        const auto found = inner_->info(*file);
        inodes_[found ? found->inode : 0] = inode;
        durable_names_[path] = std::move(inode);
    }
}

PowerCutFileSystem::~PowerCutFileSystem() = default;

void PowerCutFileSystem::freeze() {
    const std::scoped_lock lock(mutex_);
    frozen_ = true;
}

void PowerCutFileSystem::freeze_before(std::uint64_t number) {
    const std::scoped_lock lock(mutex_);
    freeze_before_ = number;
}

bool PowerCutFileSystem::is_frozen() const {
    const std::scoped_lock lock(mutex_);
    return frozen_;
}

std::uint64_t PowerCutFileSystem::changes() const {
    const std::scoped_lock lock(mutex_);
    return changes_;
}

Result<void> PowerCutFileSystem::check_frozen(const char* operation, const std::string& path) const {
    return is_frozen() ? Result<void>(system_error(EIO, operation, path)) : Result<void>{};
}

Result<std::uint64_t> PowerCutFileSystem::begin_change(const char* operation, const std::string& path) {
    const std::scoped_lock lock(mutex_);
    if (!frozen_ && changes_ + 1 == freeze_before_) {
        frozen_ = true;
    }
    if (frozen_) {
        return system_error(EIO, operation, path);
    }
    return ++changes_;
}

PowerCutFileSystem::InodePointer PowerCutFileSystem::inode_of(const File& file) {
    const auto found = inner_->info(file);
    const auto known = inodes_.find(found ? found->inode : 0);
    return known == inodes_.end() ? std::make_shared<Inode>() : known->second;
}

void PowerCutFileSystem::note_change(const File& file, std::uint64_t number,
                                     std::variant<Write, Truncate, Punch> what) {
    const std::scoped_lock lock(mutex_);
    inode_of(file)->unsynced.push_back({number, std::move(what)});
}

void PowerCutFileSystem::note_name(std::uint64_t number, std::function<void(Tree&)> apply) {
    const std::scoped_lock lock(mutex_);
    names_.push_back({number, std::move(apply)});
}

void PowerCutFileSystem::commit_names() {
    for (const NameChange& change : names_) {
        change.apply(durable_names_);
    }
    names_.clear();
    committed_ = changes_;
}

void PowerCutFileSystem::apply_all(Inode& inode) {
    for (const Change& change : inode.unsynced) {
        if (const auto* write = std::get_if<Write>(&change.what)) {
            inode.durable.put(write->at, write->bytes);
        } else if (const auto* truncate = std::get_if<Truncate>(&change.what)) {
            inode.durable.resize(truncate->size);
        } else if (const auto* punch = std::get_if<Punch>(&change.what)) {
            inode.durable.punch(punch->at, punch->length);
        }
    }
    inode.unsynced.clear();
}

// What is on disk of a file: each block as it was at a moment of its own, the size somewhere between.
PowerCutFileSystem::Content PowerCutFileSystem::left_of(const Inode& inode, std::uint64_t journal_end, Random& random) {
    Content content = inode.durable;
    if (inode.unsynced.empty()) {
        return content;
    }
    const std::uint64_t first = inode.unsynced.front().number;
    const std::uint64_t last = inode.unsynced.back().number;
    const std::uint64_t manner = random.between(0, 3);  // nothing, all, or block by block
    std::map<std::uint64_t, std::uint64_t> written_at;
    const auto moment = [&](std::uint64_t block) {
        if (manner < 2) {
            return manner == 0 ? first - 1 : last;
        }
        const auto [found, is_new] = written_at.emplace(block, 0);
        if (is_new) {
            found->second = random.one_in(3) ? last : random.one_in(2) ? first - 1 : random.between(first - 1, last);
        }
        return found->second;
    };
    std::uint64_t recorded_size = content.bytes.size();
    for (const Change& change : inode.unsynced) {
        if (const auto* write = std::get_if<Write>(&change.what)) {
            std::uint64_t done = 0;
            while (done < write->bytes.size()) {
                const std::uint64_t at = write->at + done;
                const std::uint64_t piece = std::min(write->bytes.size() - done, kBlock - at % kBlock);
                if (change.number <= moment(at / kBlock)) {
                    content.put(at, std::string_view(write->bytes).substr(done, piece));
                }
                done += piece;
            }
            recorded_size = std::max<std::uint64_t>(recorded_size, write->at + write->bytes.size());
        } else if (const auto* truncate = std::get_if<Truncate>(&change.what)) {
            if (change.number <= journal_end) {
                content.resize(truncate->size);
                recorded_size = truncate->size;
            }
        } else if (const auto* punch = std::get_if<Punch>(&change.what)) {
            if (change.number <= journal_end) {
                content.punch(punch->at, punch->length);
            }
        }
    }
    if (recorded_size > content.bytes.size() && !random.one_in(3)) {
        content.resize(random.one_in(2) ? recorded_size : random.between(content.bytes.size(), recorded_size));
    }
    return content;
}

void PowerCutFileSystem::store(const std::filesystem::path& path, const Content& content, Random& random) {
    write_file(path, "");
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    const bool show_holes = random.one_in(2);
    for (std::uint64_t block = 0; block < content.stored.size(); ++block) {
        const std::uint64_t at = block * kBlock;
        const std::uint64_t length = std::min<std::uint64_t>(kBlock, content.bytes.size() - at);
        if ((content.stored[block] || !show_holes) &&
            ::pwrite(fd.get(), content.bytes.data() + at, length, static_cast<off_t>(at)) !=
                static_cast<ssize_t>(length)) {
            throw std::runtime_error("cannot write " + path.string());
        }
    }
    if (::ftruncate(fd.get(), static_cast<off_t>(content.bytes.size())) != 0) {
        throw std::runtime_error("cannot set the size of " + path.string());
    }
}

void PowerCutFileSystem::materialize(const std::filesystem::path& directory, Random& random) const {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t journal_end = random.one_in(3)   ? changes_
                                      : random.one_in(3) ? committed_
                                                         : random.between(committed_, changes_);
    Tree names = durable_names_;
    for (const NameChange& change : names_) {
        if (change.number <= journal_end) {
            change.apply(names);
        }
    }
    for (const auto& [path, inode] : names) {  // directories come before what is in them
        if (!inode) {
            std::filesystem::create_directory(directory / path);
        } else {
            store(directory / path, left_of(*inode, journal_end, random), random);
        }
    }
}

Result<File> PowerCutFileSystem::open(const std::string& path, int flags, unsigned mode) {
    TOPICFS_TRY(check_frozen("open", path));
    const auto before = inner_->info(path);
    const bool creates = (flags & O_CREAT) != 0 && !before;
    const bool cuts = (flags & O_TRUNC) != 0 && before && before->size > 0;
    std::uint64_t number = 0;
    if (creates || cuts) {
        TOPICFS_TRY_ASSIGN(number, begin_change("open", path));
    }
    TOPICFS_TRY_ASSIGN(File file, inner_->open(path, flags, mode));
    if (creates) {
        auto inode = std::make_shared<Inode>();
        TOPICFS_TRY_ASSIGN(const FileInfo found, inner_->info(file));
        {
            const std::scoped_lock lock(mutex_);
            inodes_[found.inode] = inode;
        }
        note_name(number, [path, inode](Tree& tree) { tree[path] = inode; });
    } else if (cuts) {
        note_change(file, number, Truncate{0});
    }
    return file;
}

Result<void> PowerCutFileSystem::close(File file) {
    return inner_->close(std::move(file));
}

Result<std::size_t> PowerCutFileSystem::pread(const File& file, std::span<std::byte> into, std::uint64_t at) {
    TOPICFS_TRY(check_frozen("read", file.path));
    return inner_->pread(file, into, at);
}

Result<Mapping> PowerCutFileSystem::map(const File& file, std::uint64_t at, std::size_t length) {
    TOPICFS_TRY(check_frozen("map", file.path));
    return inner_->map(file, at, length);
}

Result<std::size_t> PowerCutFileSystem::pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("write", file.path));
    TOPICFS_TRY_ASSIGN(const std::size_t written, inner_->pwrite(file, from, at));
    note_change(file, number, Write{at, to_text(from.first(written))});
    return written;
}

Result<std::size_t> PowerCutFileSystem::write(const File& file, std::span<const std::byte> from) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("append", file.path));
    TOPICFS_TRY_ASSIGN(const FileInfo before, inner_->info(file));
    TOPICFS_TRY_ASSIGN(const std::size_t written, inner_->write(file, from));
    note_change(file, number, Write{before.size, to_text(from.first(written))});
    return written;
}

Result<void> PowerCutFileSystem::fdatasync(const File& file) {
    return fsync(file);
}

Result<void> PowerCutFileSystem::fsync(const File& file) {
    TOPICFS_TRY(begin_change("sync", file.path));
    TOPICFS_TRY_ASSIGN(const FileInfo found, inner_->info(file));
    const std::scoped_lock lock(mutex_);
    if (found.is_directory) {
        commit_names();
    } else {
        apply_all(*inode_of(file));
    }
    return {};
}

Result<void> PowerCutFileSystem::syncfs(const File& file) {
    TOPICFS_TRY(begin_change("sync the file system", file.path));
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, inode] : inodes_) {
        apply_all(*inode);
    }
    commit_names();
    return {};
}

Result<void> PowerCutFileSystem::truncate(const File& file, std::uint64_t size) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("truncate", file.path));
    TOPICFS_TRY(inner_->truncate(file, size));
    note_change(file, number, Truncate{size});
    return {};
}

Result<void> PowerCutFileSystem::punch_hole(const File& file, std::uint64_t at, std::uint64_t length) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("punch a hole", file.path));
    TOPICFS_TRY(inner_->punch_hole(file, at, length));
    note_change(file, number, Punch{at, length});
    return {};
}

Result<std::uint64_t> PowerCutFileSystem::seek_hole(const File& file, std::uint64_t at) {
    TOPICFS_TRY(check_frozen("seek a hole", file.path));
    return inner_->seek_hole(file, at);
}

Result<std::optional<std::uint64_t>> PowerCutFileSystem::seek_data(const File& file, std::uint64_t at) {
    TOPICFS_TRY(check_frozen("seek data", file.path));
    return inner_->seek_data(file, at);
}

Result<FileInfo> PowerCutFileSystem::info(const File& file) {
    TOPICFS_TRY(check_frozen("stat", file.path));
    return inner_->info(file);
}

Result<bool> PowerCutFileSystem::try_lock(const File& file) {
    TOPICFS_TRY(check_frozen("lock", file.path));
    return inner_->try_lock(file);
}

Result<FileInfo> PowerCutFileSystem::info(const std::string& path) {
    TOPICFS_TRY(check_frozen("stat", path));
    return inner_->info(path);
}

Result<void> PowerCutFileSystem::rename(const std::string& from, const std::string& to) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("rename", from));
    TOPICFS_TRY(inner_->rename(from, to));
    note_name(number, [from, to](Tree& tree) {
        Tree moved;
        for (auto entry = tree.begin(); entry != tree.end();) {
            if (entry->first == from || is_below(entry->first, from)) {
                moved[to + entry->first.substr(from.size())] = entry->second;
                entry = tree.erase(entry);
            } else {
                ++entry;
            }
        }
        for (const auto& [path, inode] : moved) {
            tree[path] = inode;
        }
    });
    return {};
}

Result<void> PowerCutFileSystem::exchange(const std::string& one, const std::string& other) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("exchange", one));
    TOPICFS_TRY(inner_->exchange(one, other));
    note_name(number, [one, other](Tree& tree) { std::swap(tree[one], tree[other]); });
    return {};
}

Result<void> PowerCutFileSystem::unlink(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("unlink", path));
    TOPICFS_TRY(inner_->unlink(path));
    note_name(number, [path](Tree& tree) { tree.erase(path); });
    return {};
}

Result<void> PowerCutFileSystem::make_directory(const std::string& path, unsigned mode) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("make the directory", path));
    TOPICFS_TRY(inner_->make_directory(path, mode));
    note_name(number, [path](Tree& tree) { tree[path] = nullptr; });
    return {};
}

Result<void> PowerCutFileSystem::remove_directory(const std::string& path) {
    TOPICFS_TRY_ASSIGN(const std::uint64_t number, begin_change("remove the directory", path));
    TOPICFS_TRY(inner_->remove_directory(path));
    note_name(number, [path](Tree& tree) { tree.erase(path); });
    return {};
}

Result<std::vector<DirectoryEntry>> PowerCutFileSystem::list(const std::string& path) {
    TOPICFS_TRY(check_frozen("list", path));
    return inner_->list(path);
}

Result<FileSystemSpace> PowerCutFileSystem::space() {
    TOPICFS_TRY(check_frozen("measure the space", ""));
    return inner_->space();
}

}  // namespace topicfs::test
