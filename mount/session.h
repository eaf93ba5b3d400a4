// Serves one mount: answers what the kernel asks over a /dev/fuse descriptor, out of a Store.
//
// Mounting and unmounting are done elsewhere. The mount must have the options default_permissions (the kernel checks
// modes and owners, nothing here does) and allow_other, and no max_read. A test hands one end of a SOCK_SEQPACKET
// socketpair instead and speaks the protocol itself.
//
// Life: create() → serve() on one thread, which blocks → destructor. serve() ends when the kernel says that the mount
// is gone (ENODEV; end-of-file on a socket), or after stop(). The Store must outlive the Session.
//
// A clean end of a daemon (what a SIGTERM should lead to): while serve() still runs, unmount (umount2, or fusermount3
// -u); if that is refused as busy, wait a bounded time for open_handle_count() to reach 0 (the kernel sends RELEASE
// after close(2) has returned, so it may lag), try again, else detach; then stop(), and when serve() has returned close
// the Store. Whoever still waits for an answer when the Session goes gets ECONNABORTED from the kernel.
#pragma once

#include <topicfs/result.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "io/fd.h"

namespace topicfs {

class Store;

struct SessionOptions {
    // How many requests are worked on at the same time. A sync occupies one for as long as the disk takes.
    unsigned threads = 8;
    // So long requests for what a group's reader still has wait for its close, before they get EBUSY.
    std::chrono::milliseconds busy_patience{500};
    // How log lines call the mount.
    std::string mount_point;
    // statfs(2) of the mount answers with the space of the file system that this directory is on.
    std::string data_directory;
    // An ordinary file on the file system that heads are on, to try passthrough with (passthrough.h); empty: all
    // appends come to the daemon.
    std::string probe_file;
    // Called once, by a serving thread, when the kernel's INIT was answered: from then on the mount answers. It is told
    // why appends do not go past the daemon; nothing where they do. Must not throw.
    std::function<void(const std::string& no_passthrough)> on_ready;
};

// create() and serve(): one thread. stop() and open_handle_count(): any thread; stop() in signal handlers too.
class Session {
public:
    // Takes the descriptor and makes it non-blocking. kSystem, kInvalid (no threads).
    static Result<std::unique_ptr<Session>> create(Store& store, Fd device, SessionOptions options);

    // Not while serve() runs. Closes the descriptor; where it was the last one, that ends the mount's connection.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Blocks. The threads it starts block all signals but those of faults, so handlers run on the caller's threads.
    // Success: unmounted or stopped. An error: the device could not be read, or the kernel's protocol is not ours.
    Result<void> serve();

    // serve() ends soon: requests that are being worked on are answered, others are not read any more.
    // Async-signal-safe.
    void stop() noexcept;

    // Reads that wait for a log to grow (+follow) get end-of-file, those that wait and those that come. So that whoever
    // follows lets go of the mount before it is taken away.
    void end_follows();

    // Files and directories that are open through the mount, as far as their RELEASE has not come.
    std::size_t open_handle_count() const;

    // Whether INIT was answered.
    bool ready() const;

private:
    class Impl;
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace topicfs
