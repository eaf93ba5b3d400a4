// The other side of a mount, without one: speaks the FUSE protocol over a socketpair with a Session on a FakeStore.
//
// Every request has one answer: receive() fails where there is none, finish() where there was one too many. Nothing
// waits by sleeping; what does not come within kPatience is a failure.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "edge/fake_store.h"
#include "mount/session.h"
#include "support/temporary_directory.h"

namespace topicfs::test {

inline constexpr std::chrono::seconds kPatience{20};

using Bytes = std::vector<std::byte>;
Bytes to_bytes(std::string_view text);
std::string to_text(const Bytes& bytes);

// The parts of a request in a row: protocol structs, and names with their closing 0.
template <typename T>
void add(Bytes& to, const T& part) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&part);
    to.insert(to.end(), bytes, bytes + sizeof part);
}
inline void add(Bytes& to, std::string_view name) {
    const Bytes bytes = to_bytes(name);
    to.insert(to.end(), bytes.begin(), bytes.end());
    to.push_back(std::byte{0});
}
template <typename... Parts>
Bytes body(const Parts&... parts) {
    Bytes bytes;
    (add(bytes, parts), ...);
    return bytes;
}

struct Answer {
    int error = 0;  // positive
    Bytes body;

    // The struct at `offset` of the body; an answer that is too short for it is a failure.
    template <typename T>
    T as(std::size_t offset = 0) const {
        if (error != 0 || body.size() < offset + sizeof(T)) {
            throw std::runtime_error("the answer is errno " + std::to_string(error) + ", " +
                                     std::to_string(body.size()) + " bytes");
        }
        T value;
        std::memcpy(&value, body.data() + offset, sizeof value);
        return value;
    }
    std::string text() const { return to_text(body); }
};

struct Caller {
    std::uint32_t uid = 1000;
    std::uint32_t gid = 1000;
    std::uint32_t thread = 77;
};

struct OpenFile {
    std::uint64_t node = 0;
    std::uint64_t handle = 0;
    std::uint32_t open_flags = 0;
};

struct Listed {
    std::string name;
    std::uint64_t inode = 0;
    std::uint64_t next = 0;
    std::uint32_t type = 0;
};

class PretendKernel {
public:
    // Starts serving and sends INIT, unless told not to.
    enum class Start { kInitialised, kSilent, kPassthrough };  // the last offers passthrough
    explicit PretendKernel(Start start = Start::kInitialised, std::string data_directory = {},
                           std::chrono::milliseconds busy_patience = SessionOptions().busy_patience);
    ~PretendKernel();
    PretendKernel(const PretendKernel&) = delete;
    PretendKernel& operator=(const PretendKernel&) = delete;

    FakeStore& store() { return store_; }
    Session& session() { return *session_; }
    // Whether packets of a megabyte fit; that takes privilege, or a system that allows it.
    bool has_room_for_large_requests() const { return large_; }

    std::uint64_t send(std::uint32_t opcode, std::uint64_t node, const Bytes& body, const Caller& caller = {});
    // Bytes as they are.
    void send_raw(const Bytes& message);
    Answer receive(std::uint64_t unique);
    // INTERRUPT for a request; has no answer, or EAGAIN where libfuse found no such request (it may be on its way
    // still).
    void interrupt(std::uint64_t unique);
    // Waits for a notification that a file can be read (FUSE_NOTIFY_POLL); the number that the POLL gave it.
    std::uint64_t receive_poll_notice();
    // Those that have come by now and were not received.
    std::size_t poll_notices();
    // Why there is no passthrough; known once it was announced.
    const std::string& no_passthrough() const { return no_passthrough_; }
    // Whether the answer has come by now.
    bool answered(std::uint64_t unique);
    Answer call(std::uint32_t opcode, std::uint64_t node, const Bytes& body, const Caller& caller = {}) {
        return receive(send(opcode, node, body, caller));
    }
    // Answers that nobody has received; to be 0. Ends the session and waits for it; what serve() said is in result().
    std::size_t finish();
    // Hangs up, as an unmount does, and waits for the end.
    const Result<void>& unmount();
    const Result<void>& result() const { return *result_; }
    // Ends the session and destroys it.
    void destroy_session();
    // Whether the session has closed its end, or does so in that time.
    bool is_hung_up(std::chrono::milliseconds within) const;
    bool announced() const { return announced_future_.wait_for(kPatience) == std::future_status::ready; }

    Answer initialise(std::uint32_t major = FUSE_KERNEL_VERSION, std::uint32_t more_flags = 0);
    Answer look_up(std::uint64_t parent, std::string_view name, const Caller& caller = {});
    // Throws where there is no such name.
    std::uint64_t node(std::uint64_t parent, std::string_view name, const Caller& caller = {});
    std::uint64_t node_of_path(std::string_view path);
    Answer make_directory(std::uint64_t parent, std::string_view name, std::uint32_t mode = 0755,
                          const Caller& caller = {}, std::uint32_t mask = 0);
    Answer open(std::uint64_t node, int flags, const Caller& caller = {});
    // `flags`: FUSE_IOCTL_DIR for a directory. Of a `command` whose argument goes in and comes out.
    Answer control(const OpenFile& file, std::uint32_t command, const Bytes& argument,
                   std::optional<std::uint32_t> out_bytes = {}, std::uint32_t flags = 0, const Caller& caller = {});
    // As at FS_IOC_GETFLAGS: by the kernel itself, not by open(2).
    Answer open_for_ioctl(std::uint64_t node);
    // Opens as the kernel does: after ESTALE it walks the path again.
    OpenFile open_path(std::string_view path, int flags, const Caller& caller = {});
    Answer create(std::uint64_t parent, std::string_view name, int flags, std::uint32_t mode = 0644,
                  const Caller& caller = {}, std::uint32_t mask = 0);
    Answer write(const OpenFile& file, std::string_view text, std::uint64_t offset = 0, int flags = O_WRONLY);
    Answer read(const OpenFile& file, std::uint32_t size = 4096, std::uint64_t offset = 0);
    std::uint64_t send_read(const OpenFile& file, std::uint32_t size = 4096, std::uint64_t offset = 0, int flags = 0);
    std::string read_path(std::string_view path);
    Answer flush(const OpenFile& file, const Caller& caller = {});
    Answer release(const OpenFile& file, std::uint64_t flock_owner = 0);
    std::uint64_t send_open(std::uint64_t node, int flags, const Caller& caller = {});
    Answer attributes(std::uint64_t node);
    fuse_attr attributes_of(std::string_view path);
    Answer set_attributes(std::uint64_t node, const fuse_setattr_in& change);
    std::vector<Listed> list(const OpenFile& directory, std::uint64_t cookie = 0, std::uint32_t size = 4096);
    OpenFile open_directory(std::uint64_t node);

private:
    // libfuse keeps an INTERRUPT that came after its request's answer for the next request, and leaks it where none
    // comes before the session's end.
    void flush_interrupts();
    void receive_one();
    void receive_what_came();

    FakeStore store_;
    std::unique_ptr<TemporaryDirectory> probe_directory_;
    Fd kernel_end_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Result<void>> result_;
    std::promise<void> announced_promise_;
    std::shared_future<void> announced_future_ = announced_promise_.get_future().share();
    std::thread server_;
    std::uint64_t next_unique_ = 2;
    std::map<std::uint64_t, Answer> answers_;
    std::set<std::uint64_t> interrupts_;
    std::deque<std::uint64_t> poll_notices_;
    std::string no_passthrough_;
    Bytes message_;
    bool large_ = false;
};

}  // namespace topicfs::test
