// Files that are kept open only because they will be used again. Where descriptors are few, those that were opened
// first are closed; who has one opens it again when he needs it.
//
// Threads: any. SpareFiles calls let_go() under a mutex of its own, so that no call is under way once remove() has
// returned: let_go() must wait for no lock that add() or remove() is called under.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace topicfs {

class SpareFile {
public:
    enum class Effort {
        kClose,  // close what can be closed at once
        kSync,   // the disk may be waited for, where that must come before
    };
    // Closes the file unless it is in use; whether it was closed. Not to open anything.
    virtual bool let_go(Effort effort) = 0;

protected:
    explicit SpareFile(std::size_t descriptors = 1) : descriptors_(descriptors) {}
    ~SpareFile() = default;

private:
    friend class SpareFiles;
    const std::size_t descriptors_;
    std::uint64_t spare_number_ = 0;  // by the mutex of SpareFiles; 0: not in it
};

class SpareFiles {
public:
    // At once so many are closed, so that not each open that follows has to do it again.
    static constexpr std::size_t kLetGoAtOnce = 32;

    // `file` was opened; it must be taken out before it goes. Where spare files have three quarters of the descriptors
    // that the process may have, some are closed: the rest is for what is no file.
    void add(SpareFile& file);
    // It was closed by who has it; nothing where it is not there.
    void remove(SpareFile& file);
    // Closes some. Returns whether there is any descriptor more.
    bool let_go();
    std::size_t size() const;

private:
    bool let_go_locked();
    std::size_t let_go_locked(std::size_t count, SpareFile::Effort effort);

    mutable std::mutex mutex_;
    std::uint64_t next_number_ = 1;
    std::size_t descriptors_ = 0;
    std::map<std::uint64_t, SpareFile*> first_opened_first_;
};

}  // namespace topicfs
