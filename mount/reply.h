// The one way in which requests are answered: exactly once, whatever happens in between.
//
// answer() wraps every callback. An Error that comes out of it becomes an errno (positive; libfuse turns the sign), an
// exception EIO or ENOMEM and a log line, and a body that forgot to answer EIO. One thread a Reply.
#pragma once

#include <topicfs/byte_view.h>
#include <topicfs/result.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>

#include "mount/fuse_api.h"

namespace topicfs {

class Reply {
public:
    Reply(fuse_req_t request, const char* operation) : request_(request), operation_(operation) {}
    ~Reply();
    Reply(const Reply&) = delete;
    Reply& operator=(const Reply&) = delete;

    // Whose request it is; only before it is answered.
    const fuse_ctx& caller() const { return *fuse_req_ctx(request_); }
    std::uint32_t thread() const { return static_cast<std::uint32_t>(caller().pid); }

    // The answers. Each may be given once, and after it nothing else. Those that give the kernel something to give back
    // later (a look-up, an open) return whether it took it: it does not where the caller was interrupted meanwhile.
    void error(int system_errno);
    void error(const Error& error);
    void done();
    [[nodiscard]] bool entry(const fuse_entry_param& entry);
    [[nodiscard]] bool opened(const fuse_file_info& info);
    [[nodiscard]] bool created(const fuse_entry_param& entry, const fuse_file_info& info);
    void attributes(const struct stat& attributes, double timeout_seconds);
    void data(std::span<const std::byte> bytes);
    void data(const ByteView& view);  // EIO where the kernel cannot read a part (see Session)
    void end_of_file();
    void poll(unsigned events);
    void written(std::size_t bytes);
    void space(const struct statvfs& space);
    void lock(const struct flock& lock);
    void position(off_t offset);
    void controlled(std::span<const std::byte> out);  // an ioctl
    void nothing();                                   // to FORGET, which has no answer

    bool answered() const { return request_ == nullptr; }
    fuse_req_t request() const { return request_; }
    // From here on somebody else answers.
    fuse_req_t hand_over();

    // What answer() calls with the exception that came.
    void failed(const std::exception& exception) noexcept;
    void failed_unknown() noexcept;

private:
    fuse_req_t take();
    // Whether libfuse's return code says that the kernel took the answer.
    bool delivered(int code) const;

    fuse_req_t request_;
    const char* operation_;
};

// An Error that means exactly this errno. For what the file system refuses itself.
Error refused(int system_errno, const char* why);

template <typename Body>
void answer(fuse_req_t request, const char* operation, Body&& body) noexcept {
    Reply reply(request, operation);
    try {
        if (const Result<void> result = body(reply); !result) {
            reply.error(result.error());
        }
    } catch (const std::exception& exception) {
        reply.failed(exception);
    } catch (...) {
        reply.failed_unknown();
    }
}

}  // namespace topicfs
