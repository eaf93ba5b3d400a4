// Head: the raw, newest bytes of a partition behind one header block. File offset = header block + position - base.
//
// The file is the truth about the log end: end() asks the kernel each time, so that whoever else appends to the same
// file is seen at once. Appends go through O_APPEND and are never mixed: the kernel holds the inode's lock for each
// write(2).
//
// The descriptor is closed where others are needed more (io/spare_files.h), and opened again by the next call that
// needs it. An error of the write-back is not lost by that: what is dirty is synced before, and sync() says how that
// went.
//
// Threads: all members may be called from any thread. Durability: append() leaves bytes in the page cache (they outlive
// the process); sync() makes all that was appended before it durable.
#pragma once

#include "format/head_header.h"
#include "io/file_system.h"
#include "log/file_windows.h"

#include <topicfs/types.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace topicfs {

class Head final : public SpareFile {
public:
    enum class Access { kRead, kReadAppend };

    // Makes an empty head at `base` in `directory` by a temporary name; durable on return, with its name, where `sync`.
    static Result<void> create(FileSystem& fs, const std::string& directory, Position base, TimestampMs now,
                               bool sync = true);
    // Opens a head by what its name says and where its bytes lie, whatever its header has become. Not for writing where
    // `access` is kRead; else the header is written anew, durably.
    static Result<std::shared_ptr<Head>> open_without_header(FileSystem& fs, const std::string& directory,
                                                             Position base, TimestampMs now, Access access);
    // kDamaged where the header fails its check or names another base; kNewerFormat.
    static Result<std::shared_ptr<Head>> open(FileSystem& fs, const std::string& directory, Position base,
                                              Access access);

    // Of kRead the descriptor is kept: beside a daemon the name may soon be gone.
    Head(FileSystem& fs, File file, HeadHeader header, Access access);
    ~Head();
    Head(const Head&) = delete;
    Head& operator=(const Head&) = delete;

    Position base() const { return header_.base; }
    const HeadHeader& header() const { return header_; }
    // To be let go of soon: meanwhile the descriptor is kept.
    Result<std::shared_ptr<const File>> file() const;
    bool is_open() const;
    bool let_go(Effort effort) override;

    Result<Position> end() const;
    Result<FileInfo> info() const;

    // See append() of io/file_system.h for what a short count means.
    Result<std::size_t> append(std::span<const std::byte> bytes);
    // From `from` (at or above base) on; short at the end. What was punched reads as zeros: the caller knows what was.
    Result<std::size_t> read(Position from, std::span<std::byte> into) const;
    // Adds `bytes` from `from` on, which head has, to `view` as a mapping; returns how many (see FileWindows::add).
    Result<std::size_t> view(Position from, std::size_t bytes, ByteView& view);
    Result<void> sync();

    // Sets the log end. Growing leaves a hole, which must lie below the sealed end.
    Result<void> set_end(Position end);
    // Gives back whole blocks of [from, to).
    Result<void> punch(Position from, Position to);
    // The first position at or after `from` that no data is stored for; the end where all is.
    Result<Position> first_hole(Position from) const;
    // The first position at or after `from` that data is stored for; the end where there is none.
    Result<Position> first_data(Position from) const;

private:
    std::uint64_t file_offset(Position position) const { return header_.data_at + (position - header_.base); }

    struct OpenFile;
    void keep_locked(File file) const;

    FileSystem& fs_;
    const std::string path_;
    const HeadHeader header_;
    const bool is_spare_;
    mutable std::mutex file_mutex_;  // guards what follows
    mutable std::shared_ptr<const File> file_;
    std::uint64_t synced_size_ = 0;    // of the file, when it was synced before it was closed
    std::optional<Error> sync_error_;  // of that
    FileWindows windows_;
};

}  // namespace topicfs
