// A directory of the mount (a topic, a group) that a command makes where it is missing, and takes away again where it
// is refused before it has begun.
//
// One thread.
#pragma once

#include <topicfs/result.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace topicfs {

class NewDirectory {
public:
    NewDirectory() = default;
    NewDirectory(const NewDirectory&) = delete;
    NewDirectory& operator=(const NewDirectory&) = delete;
    // What was made and is not kept goes; only where nobody uses it by then.
    ~NewDirectory() {
        if (!made_.empty()) {
            ::rmdir(made_.c_str());
        }
    }

    // Nothing is done where it is there already. The umask counts.
    Result<void> make(const std::string& path, mode_t mode) {
        if (::mkdir(path.c_str(), mode) == 0) {
            made_ = path;
            return {};
        }
        return errno == EEXIST ? Result<void>{} : system_error(errno, "make", path);
    }
    void keep() { made_.clear(); }

private:
    std::string made_;
};

}  // namespace topicfs
