// The kernel's side of naming backing files (mount/passthrough.h): the program is linked with --wrap=ioctl, so that
// these ioctls come here, whatever descriptor they are made on. All others go through.
//
// Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <set>

namespace topicfs::test {

class FakeBackingFiles {
public:
    static FakeBackingFiles& instance();

    // As at the begin: nothing is named, nothing refused; numbers go on.
    void reset();
    // The errno of all that come from now on; none: they are taken.
    void refuse(std::optional<int> system_errno);
    // The ids that were given out and not taken back.
    std::set<std::int32_t> named() const;

    // The two ioctls, as ioctl(2) answers them.
    int add(int file);
    int remove(std::uint32_t id);

private:
    mutable std::mutex mutex_;
    std::int32_t next_id_ = 1;
    std::optional<int> refused_;
    std::set<std::int32_t> named_;
};

}  // namespace topicfs::test
