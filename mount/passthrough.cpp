#include "mount/passthrough.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "io/fd.h"

namespace topicfs {

namespace {

// struct fuse_in_header: length, opcode, unique, …; struct fuse_init_in behind it.
constexpr std::size_t kInHeaderBytes = 40;
constexpr std::size_t kInOpcodeAt = 4;
constexpr std::size_t kInUniqueAt = 8;
constexpr std::size_t kInitInFlagsAt = kInHeaderBytes + 12;
constexpr std::size_t kInitInFlags2At = kInHeaderBytes + 16;
// struct fuse_out_header: length, error, unique.
constexpr std::size_t kOutHeaderBytes = 16;
constexpr std::size_t kOutErrorAt = 4;
constexpr std::size_t kOutUniqueAt = 8;
// struct fuse_init_out.
constexpr std::size_t kInitOutBytes = 64;
constexpr std::size_t kInitOutFlagsAt = kOutHeaderBytes + 12;
constexpr std::size_t kInitOutFlags2At = kOutHeaderBytes + 32;
constexpr std::size_t kInitOutStackDepthAt = kOutHeaderBytes + 36;
// struct fuse_open_out, which ends the answers to OPEN and CREATE.
constexpr std::size_t kOpenOutBytes = 16;
constexpr std::size_t kOpenOutFlagsAt = 8;
constexpr std::size_t kOpenOutBackingAt = 12;

constexpr std::uint32_t kOpcodeInit = 26;
constexpr std::uint32_t kInitExt = 1u << 30;         // in flags: flags2 counts
constexpr std::uint32_t kInitPassthrough = 1u << 5;  // in flags2
constexpr std::uint32_t kStackDepth = 1;  // the backing file's file system lies on a disk, not on another one
constexpr std::uint32_t kOpenPassthrough = 1u << 7;

struct BackingMap {
    std::int32_t fd;
    std::uint32_t flags;
    std::uint64_t padding;
};
constexpr unsigned kFuseMagic = 229;
constexpr unsigned long kBackingOpen = _IOW(kFuseMagic, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(kFuseMagic, 2, std::uint32_t);

constexpr std::int32_t kNone = 0;  // the kernel numbers them from 1
thread_local std::int32_t attached_backing = kNone;

template <typename T>
T get(std::span<const std::byte> from, std::size_t at) {
    T value;
    std::memcpy(&value, from.data() + at, sizeof value);
    return value;
}

template <typename T>
void put(std::span<std::byte> to, std::size_t at, T value) {
    std::memcpy(to.data() + at, &value, sizeof value);
}

std::vector<std::byte> joined(std::span<const iovec> parts) {
    std::vector<std::byte> all;
    for (const iovec& part : parts) {
        const auto* bytes = static_cast<const std::byte*>(part.iov_base);
        all.insert(all.end(), bytes, bytes + part.iov_len);
    }
    return all;
}

std::string reason_of(const Error& error) {
    switch (error.system_errno) {
        case EPERM:
            return "it takes root with CAP_SYS_ADMIN";
        case ELOOP:
            return "the data directory is on a file system that lies on another one (overlayfs)";
        case ENOTTY:
        case EINVAL:
            return "the kernel's FUSE does not know it";
        default:
            return error.message();
    }
}

}  // namespace

void Passthrough::initialise([[maybe_unused]] fuse_conn_info& connection) {
#ifdef FUSE_CAP_PASSTHROUGH  // libfuse 3.17
    if ((connection.capable & FUSE_CAP_PASSTHROUGH) != 0) {
        connection.want |= FUSE_CAP_PASSTHROUGH;
        connection.max_backing_stack_depth = kStackDepth;
    }
#endif
}

void Passthrough::attach([[maybe_unused]] fuse_file_info& info, std::int32_t backing_id) {
#ifdef FUSE_CAP_PASSTHROUGH
    info.backing_id = backing_id;
#else
    attached_backing = backing_id;
#endif
}

void Passthrough::detach() {
    attached_backing = kNone;
}

void Passthrough::on_request(std::span<const std::byte> request) {
    if (request.size() < kInHeaderBytes || get<std::uint32_t>(request, kInOpcodeAt) != kOpcodeInit) {
        return;
    }
    if (request.size() >= kInitInFlags2At + sizeof(std::uint32_t)) {
        const bool has_flags2 = (get<std::uint32_t>(request, kInitInFlagsAt) & kInitExt) != 0;
        offered_ = has_flags2 && (get<std::uint32_t>(request, kInitInFlags2At) & kInitPassthrough) != 0;
    }
    init_request_ = get<std::uint64_t>(request, kInUniqueAt);
}

std::optional<std::vector<std::byte>> Passthrough::on_answer(std::span<const iovec> parts) const {
    const std::int32_t backing = attached_backing;
    const bool may_be_init = !available_ && offered_ && init_request_ != 0;
    if ((backing == kNone && !may_be_init) || parts.empty() || parts[0].iov_len < kOutHeaderBytes) {
        return std::nullopt;
    }
    const std::span header(static_cast<const std::byte*>(parts[0].iov_base), kOutHeaderBytes);
    if (get<std::int32_t>(header, kOutErrorAt) != 0) {
        return std::nullopt;
    }
    if (backing == kNone && get<std::uint64_t>(header, kOutUniqueAt) != init_request_) {
        return std::nullopt;
    }
    std::vector<std::byte> answer = joined(parts);
    if (backing != kNone) {
        const std::span open_out = std::span(answer).last(kOpenOutBytes);
        put(open_out, kOpenOutFlagsAt, get<std::uint32_t>(open_out, kOpenOutFlagsAt) | kOpenPassthrough);
        put(open_out, kOpenOutBackingAt, backing);
    } else if (answer.size() >= kOutHeaderBytes + kInitOutBytes) {
        put(std::span(answer), kInitOutFlagsAt, get<std::uint32_t>(answer, kInitOutFlagsAt) | kInitExt);
        put(std::span(answer), kInitOutFlags2At, get<std::uint32_t>(answer, kInitOutFlags2At) | kInitPassthrough);
        put(std::span(answer), kInitOutStackDepthAt, kStackDepth);
    }
    return answer;
}

Result<std::int32_t> Passthrough::add(int file) const {
    BackingMap map = {file, 0, 0};
    const int id = ::ioctl(device_, kBackingOpen, &map);
    if (id <= 0) {
        return system_error(id < 0 ? errno : EIO, "name a backing file", "the FUSE device");
    }
    return id;
}

void Passthrough::remove(std::int32_t backing_id) const {
    const auto number = static_cast<std::uint32_t>(backing_id);
    ::ioctl(device_, kBackingClose, &number);
}

void Passthrough::try_out(int device, const std::string& probe_file) {
    device_ = device;
    if (probe_file.empty()) {
        return refuse("there is no data directory to try it with");
    }
    if (!offered_) {
        return refuse("the kernel's FUSE does not offer it (Linux 6.9 and later do)");
    }
    const Fd file(::open(probe_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!file) {
        return refuse(system_error(errno, "open", probe_file).message());
    }
    // By leases it is told whether a writer is still there (AppendFile in topicfs/store.h).
    ::fcntl(file.get(), F_SETSIG, SIGURG);
    if (::fcntl(file.get(), F_SETLEASE, F_RDLCK) != 0 && errno != EAGAIN) {
        return refuse("the data directory's file system has no leases (F_SETLEASE)");
    }
    ::fcntl(file.get(), F_SETLEASE, F_UNLCK);
    const auto added = add(file.get());
    if (!added) {
        return refuse(reason_of(added.error()));
    }
    remove(*added);
    const std::lock_guard lock(mutex_);
    refusal_.clear();
    available_ = true;
}

void Passthrough::refuse(std::string why) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(why);
}

std::string Passthrough::refusal() const {
    const std::lock_guard lock(mutex_);
    return refusal_;
}

}  // namespace topicfs
