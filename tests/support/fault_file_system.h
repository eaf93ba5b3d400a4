// A FileSystem that forwards to another one, counts the calls, and makes one of them fail.
//
// To try every call of some work: run it once and ask matching_calls(); then for N from 1 on fail the N-th, until a run
// in which has_failed() stays false. Any thread.
#pragma once

#include "io/file_system.h"

#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace topicfs::test {

// Which call fails, and how.
struct Fault {
    std::string call = {};       // the member's name, "pwrite"; both of "info" have that name; empty: any call
    std::string path_part = {};  // only calls about a path that this is a part of; empty: any path
    std::uint64_t number = 1;    // of the matching calls, counted from 1 when the fault is set
    bool for_good = false;       // all matching ones behind it fail too
    int system_errno = EIO;      // a failing call does nothing but fail with this
    // Where set, that one call is not failed but moves at most so many bytes (pread, pwrite and write; others go
    // through). With for_good those behind it fail: so a disk is seen to get full.
    std::optional<std::size_t> short_bytes = std::nullopt;
};

class FaultFileSystem : public FileSystem {
public:
    // `inner` must live longer.
    explicit FaultFileSystem(FileSystem& inner) : inner_(inner) {}

    // Takes the place of an earlier fault; matching calls are counted from here on.
    void set(Fault fault);
    void clear();
    // Since the fault was set, or ever where none is: calls that match, and whether one was made to fail or cut short.
    std::uint64_t matching_calls() const;
    bool has_failed() const;
    // Of one name, since the beginning, failed ones too.
    std::uint64_t calls(const std::string& name) const;
    std::uint64_t all_calls() const;

    // Called before each call with its name and path, outside of any lock; not to be changed while calls are made.
    void observe(std::function<void(std::string_view name, const std::string& path)> observer) {
        observer_ = std::move(observer);
    }

    Result<File> open(const std::string& path, int flags, unsigned mode = 0600) override;
    // A failing close closes all the same.
    Result<void> close(File file) override;
    Result<std::size_t> pread(const File& file, std::span<std::byte> into, std::uint64_t at) override;
    Result<std::size_t> pwrite(const File& file, std::span<const std::byte> from, std::uint64_t at) override;
    Result<std::size_t> write(const File& file, std::span<const std::byte> from) override;
    Result<Mapping> map(const File& file, std::uint64_t at, std::size_t length) override;
    Result<void> fdatasync(const File& file) override;
    Result<void> fsync(const File& file) override;
    Result<void> syncfs(const File& file) override;
    Result<void> truncate(const File& file, std::uint64_t size) override;
    Result<void> punch_hole(const File& file, std::uint64_t at, std::uint64_t length) override;
    Result<std::uint64_t> seek_hole(const File& file, std::uint64_t at) override;
    Result<std::optional<std::uint64_t>> seek_data(const File& file, std::uint64_t at) override;
    Result<FileInfo> info(const File& file) override;
    Result<bool> try_lock(const File& file) override;
    Result<bool> has_writers(const File& file) override;
    Result<FileInfo> info(const std::string& path) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> exchange(const std::string& one, const std::string& other) override;
    Result<void> unlink(const std::string& path) override;
    Result<void> make_directory(const std::string& path, unsigned mode = 0700) override;
    Result<void> remove_directory(const std::string& path) override;
    Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
    Result<FileSystemSpace> space() override;

private:
    // What is to become of a call.
    struct Verdict {
        std::optional<Error> error;
        std::size_t bytes_max;
    };
    Verdict judge(const char* name, const std::string& path);
    std::optional<Error> failure(const char* name, const std::string& path) { return judge(name, path).error; }

    FileSystem& inner_;
    std::function<void(std::string_view, const std::string&)> observer_;
    mutable std::mutex mutex_;
    std::optional<Fault> fault_;
    std::uint64_t matching_calls_ = 0;
    bool has_failed_ = false;
    std::map<std::string, std::uint64_t> calls_;
};

// One that has what it forwards to.
class OwningFaultFileSystem final : public FaultFileSystem {
public:
    explicit OwningFaultFileSystem(std::unique_ptr<FileSystem> fs) : FaultFileSystem(*fs), inner_(std::move(fs)) {}

private:
    const std::unique_ptr<FileSystem> inner_;
};

}  // namespace topicfs::test
