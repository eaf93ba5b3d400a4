// The file system that is measured: a store in the scratch folder, mounted by running our own executable as a user
// would.
//
// The destructor takes the mount away and ends the daemon. Whatever touches the mount does so in a child process, so
// that a daemon that hangs cannot hang us. One thread.
#pragma once

#include "mount/bench/clients.h"
#include "mount/bench/process.h"

#include <topicfs/result.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace topicfs::bench {

using TopicSettingsText = std::vector<std::pair<std::string, std::string>>;  // names and values

class TopicMount {
public:
    // `name` is that of the store below the scratch folder; it is made where it is missing. Returns when the mount
    // answers.
    static Result<TopicMount> start(const std::string& scratch, const std::string& name);
    // Begins to mount and returns at once.
    static Result<TopicMount> begin(const std::string& scratch, const std::string& name);
    TopicMount(TopicMount&&) noexcept = default;
    TopicMount& operator=(TopicMount&&) = delete;
    // Also removes the store, unless keep_store() was called.
    ~TopicMount();

    // The store stays for another mount of it.
    void keep_store() { keep_store_ = true; }
    // A topic with so many partitions and these settings. Where the mount lacks one of them, its name is in the error;
    // `write.path` may be missing where it asks for what is the only way.
    Result<void> make_topic(const std::string& topic, const TopicSettingsText& settings = {},
                            unsigned partitions = 1) const;
    // A consumer group; the path of its stream of partition 0.
    Result<std::string> make_group(const std::string& topic, const std::string& group) const;
    std::string file(const std::string& topic, unsigned partition = 0) const {
        return mount_point_ + "/" + topic + "/" + std::to_string(partition);
    }
    // "passthrough" or "daemon": the way that appends take.
    Result<std::string> write_path() const;
    // An error with the reason where appends do not pass through.
    Result<void> need_passthrough() const;
    // Waits, at most some seconds, until no more than so many bytes of the topic are unsealed (of one partition: less
    // than a batch), so that the sealer is not at work while something else is measured.
    static constexpr std::uint64_t kLessThanABatch = (1u << 20) - 1;
    Result<void> settle(const std::string& topic, std::uint64_t unsealed_max = kLessThanABatch) const;

    pid_t pid() const { return daemon_.pid(); }
    Result<void> wait_until_ready();
    // By SIGKILL; the dead mount stays.
    Result<void> kill_daemon();
    // Unmounts, and waits until the store is closed.
    Result<void> stop();

private:
    TopicMount(Process daemon, std::string store, std::string mount_point, std::string log_file)
        : daemon_(std::move(daemon)),
          store_(std::move(store)),
          mount_point_(std::move(mount_point)),
          log_file_(std::move(log_file)) {}
    Result<std::string> read_text(const std::string& path) const;
    Error died() const;

    Process daemon_;
    std::string store_;
    std::string mount_point_;
    std::string log_file_;
    bool keep_store_ = false;
    bool killed_ = false;  // the daemon is gone, its mount is not
};

}  // namespace topicfs::bench
