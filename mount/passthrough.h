// FUSE passthrough: opens for append whose writes stay in the kernel, which writes them to a file of ours (a backing
// file). Linux 6.9 and later have it, for a daemon with CAP_SYS_ADMIN.
//
// libfuse knows it from 3.17 on. Before that the two answers that it takes are changed on their way to the kernel:
// INIT's says that we want it, OPEN's names the backing file. The layouts are those of the kernel's
// include/uapi/linux/fuse.h (7.40); backing files are named to the kernel by ioctl on our descriptor, whatever libfuse
// there is.
//
// Threads: initialise() and the two hooks from the threads that serve; the rest from any.
#pragma once

#include <topicfs/result.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/uio.h>

#include "mount/fuse_api.h"

namespace topicfs {

class Passthrough {
public:
    // Tries it once INIT was answered, with `probe_file`, an ordinary file beside those that are to be backing files.
    // From then on available() or refusal() says what came out. `device` is the FUSE connection.
    void try_out(int device, const std::string& probe_file);

    bool available() const { return available_; }
    // Why it is not; empty where it is.
    std::string refusal() const;

    // Names `file` (a descriptor that may be closed afterwards) to the kernel as a backing file. kSystem.
    Result<std::int32_t> add(int file) const;
    void remove(std::int32_t backing_id) const;

    // The answer to an OPEN or CREATE that this thread gives next hands out that backing file.
    static void attach(fuse_file_info& info, std::int32_t backing_id);
    // After that answer.
    static void detach();

    // The connection ends now, and with it the kernel lets go of all backing files.
    void device_closes() { device_ = -1; }

    // For libfuse's init callback.
    void initialise(fuse_conn_info& connection);
    // What the kernel sent, as it was read.
    void on_request(std::span<const std::byte> request);
    // What goes to the kernel: where it is to be changed, what to send in its place.
    std::optional<std::vector<std::byte>> on_answer(std::span<const iovec> parts) const;

private:
    void refuse(std::string why);

    std::atomic<bool> available_ = false;
    std::atomic<int> device_ = -1;
    std::atomic<std::uint64_t> init_request_ = 0;  // its `unique`; 0 before it came
    std::atomic<bool> offered_ = false;            // by the kernel, in INIT
    mutable std::mutex mutex_;
    std::string refusal_ = "it was not tried yet";  // by mutex_
};

}  // namespace topicfs
