#include "mount/request_counts.h"

#include <linux/fuse.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "base/json.h"
#include "base/metrics_text.h"

namespace topicfs {

namespace {

struct KindName {
    std::uint32_t opcode;
    const char* name;
};

constexpr KindName kKinds[] = {
    {FUSE_LOOKUP, "LOOKUP"},
    {FUSE_FORGET, "FORGET"},
    {FUSE_GETATTR, "GETATTR"},
    {FUSE_SETATTR, "SETATTR"},
    {FUSE_MKNOD, "MKNOD"},
    {FUSE_MKDIR, "MKDIR"},
    {FUSE_UNLINK, "UNLINK"},
    {FUSE_RMDIR, "RMDIR"},
    {FUSE_RENAME, "RENAME"},
    {FUSE_RENAME2, "RENAME2"},
    {FUSE_LINK, "LINK"},
    {FUSE_SYMLINK, "SYMLINK"},
    {FUSE_OPEN, "OPEN"},
    {FUSE_READ, "READ"},
    {FUSE_WRITE, "WRITE"},
    {FUSE_STATFS, "STATFS"},
    {FUSE_RELEASE, "RELEASE"},
    {FUSE_FSYNC, "FSYNC"},
    {FUSE_GETXATTR, "GETXATTR"},
    {FUSE_LISTXATTR, "LISTXATTR"},
    {FUSE_FLUSH, "FLUSH"},
    {FUSE_INIT, "INIT"},
    {FUSE_OPENDIR, "OPENDIR"},
    {FUSE_READDIR, "READDIR"},
    {FUSE_RELEASEDIR, "RELEASEDIR"},
    {FUSE_FSYNCDIR, "FSYNCDIR"},
    {FUSE_ACCESS, "ACCESS"},
    {FUSE_DESTROY, "DESTROY"},
    {FUSE_GETLK, "GETLK"},
    {FUSE_SETLK, "SETLK"},
    {FUSE_SETLKW, "SETLKW"},
    {FUSE_CREATE, "CREATE"},
    {FUSE_INTERRUPT, "INTERRUPT"},
    {FUSE_IOCTL, "IOCTL"},
    {FUSE_POLL, "POLL"},
    {FUSE_BATCH_FORGET, "BATCH_FORGET"},
    {FUSE_FALLOCATE, "FALLOCATE"},
    {FUSE_LSEEK, "LSEEK"},
    {FUSE_COPY_FILE_RANGE, "COPY_FILE_RANGE"},
    {FUSE_SETXATTR, "SETXATTR"},
    {FUSE_REMOVEXATTR, "REMOVEXATTR"},
    {0, "OTHER"},  // of none of these kinds, and kinds of later kernels
};

// What every request begins with (fuse_in_header): its length, its kind, its number.
constexpr std::size_t kOpcodeAt = 4;
constexpr std::size_t kUniqueAt = 8;

bool has_no_answer(std::uint32_t opcode) {
    return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

std::int64_t steady_ns() {
    timespec now = {};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The request that this thread has read last, until its time is known.
struct Current {
    std::uint64_t unique = 0;
    std::uint32_t opcode = 0;
    std::int64_t began_ns = 0;
    bool is_timed = false;
};
thread_local Current current;

std::string seconds_text(std::uint32_t microseconds) {
    std::array<char, 32> text{};
    const double seconds = static_cast<double>(microseconds) / 1e6;
    return {text.data(), std::to_chars(text.data(), text.data() + text.size(), seconds).ptr};
}

// As in errno(3), but for 0 and what is no error of Linux.
std::string errno_name(std::size_t number) {
    const char* const name = number == 0 ? nullptr : ::strerrorname_np(static_cast<int>(number));
    return name != nullptr ? name : "other";
}

}  // namespace

void RequestCounts::begin(std::span<const std::byte> request) {
    if (request.size() < kUniqueAt + sizeof current.unique) {
        return;
    }
    std::memcpy(&current.opcode, request.data() + kOpcodeAt, sizeof current.opcode);
    std::memcpy(&current.unique, request.data() + kUniqueAt, sizeof current.unique);
    current.opcode = current.opcode < kOpcodesMax ? current.opcode : 0;
    current.began_ns = steady_ns();
    current.is_timed = true;
    kinds_[current.opcode].count.fetch_add(1, std::memory_order_relaxed);
}

void RequestCounts::note_time() {
    if (!std::exchange(current.is_timed, false)) {
        return;
    }
    Kind& kind = kinds_[current.opcode];
    const auto took_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, steady_ns() - current.began_ns));
    const auto bucket = std::lower_bound(kBucketsMicroseconds.begin(), kBucketsMicroseconds.end(), took_ns,
                                         [](std::uint64_t bound_us, std::uint64_t ns) { return bound_us * 1000 < ns; });
    kind.times[static_cast<std::size_t>(bucket - kBucketsMicroseconds.begin())].fetch_add(1, std::memory_order_relaxed);
    kind.nanoseconds.fetch_add(took_ns, std::memory_order_relaxed);
}

void RequestCounts::answers(std::uint64_t unique, int system_errno) {
    if (unique != 0 && system_errno != 0) {
        const auto number = static_cast<std::size_t>(system_errno);
        errors_[number < kErrnosMax ? number : 0].fetch_add(1, std::memory_order_relaxed);
    }
}

void RequestCounts::answered(std::uint64_t unique) {
    if (unique != 0 && unique == current.unique) {
        note_time();
    }
}

void RequestCounts::end() {
    if (has_no_answer(current.opcode)) {
        note_time();
    }
    current = {};
}

std::array<std::uint64_t, RequestCounts::kBucketsMicroseconds.size() + 1> RequestCounts::times_of(
    std::uint32_t opcode) const {
    std::array<std::uint64_t, kBucketsMicroseconds.size() + 1> times{};
    std::transform(kinds_.at(opcode).times.begin(), kinds_.at(opcode).times.end(), times.begin(),
                   [](const auto& count) { return count.load(std::memory_order_relaxed); });
    return times;
}

std::uint64_t RequestCounts::errors_of(int system_errno) const {
    return errors_.at(static_cast<std::size_t>(system_errno)).load(std::memory_order_relaxed);
}

std::string RequestCounts::to_json() const {
    JsonWriter json(JsonWriter::Style::kCompact);
    json.begin_object();
    for (const KindName& kind : kKinds) {
        if (const std::uint64_t count = of(kind.opcode); count > 0) {
            json.member(kind.name, count);
        }
    }
    json.end_object();
    return json.text();
}

std::string RequestCounts::errors_to_json() const {
    JsonWriter json(JsonWriter::Style::kCompact);
    json.begin_object();
    for (std::size_t number = 0; number < kErrnosMax; ++number) {
        if (const std::uint64_t count = errors_[number].load(std::memory_order_relaxed); count > 0) {
            json.member(errno_name(number), count);
        }
    }
    json.end_object();
    return json.text();
}

void RequestCounts::write(MetricsText& text) const {
    using Type = MetricsText::Type;
    text.family("topicfs_fuse_requests_total", Type::kCounter, "Requests of the kernel, by the protocol's names.");
    for (const KindName& kind : kKinds) {
        if (const std::uint64_t count = of(kind.opcode); count > 0) {
            text.sample(MetricsText::labels({{"kind", kind.name}}), count);
        }
    }
    text.family("topicfs_fuse_request_duration_seconds", Type::kHistogram,
                "Time until the answer, of requests that did not wait for others.");
    for (const KindName& kind : kKinds) {
        if (of(kind.opcode) == 0) {
            continue;
        }
        const auto times = times_of(kind.opcode);
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < times.size(); ++i) {
            count += times[i];
            const std::string bound = i < kBucketsMicroseconds.size() ? seconds_text(kBucketsMicroseconds[i]) : "+Inf";
            text.sample(MetricsText::labels({{"kind", kind.name}, {"le", bound}}), count, "_bucket");
        }
        const std::string labels = MetricsText::labels({{"kind", kind.name}});
        const std::uint64_t nanoseconds = kinds_.at(kind.opcode).nanoseconds.load(std::memory_order_relaxed);
        text.sample(labels, static_cast<double>(nanoseconds) / 1e9, "_sum").sample(labels, count, "_count");
    }
    text.family("topicfs_fuse_errors_total", Type::kCounter,
                "Requests that were answered with an error; ENOENT of a name that is not there too.");
    for (std::size_t number = 0; number < kErrnosMax; ++number) {
        if (const std::uint64_t count = errors_[number].load(std::memory_order_relaxed); count > 0) {
            text.sample(MetricsText::labels({{"errno", errno_name(number)}}), count);
        }
    }
}

}  // namespace topicfs
