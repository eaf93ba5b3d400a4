// To be preloaded (LD_PRELOAD) into the daemon: its wall clock runs as many milliseconds ahead of the real one as the
// file that CLOCK_SHIFT_FILE names says, 8 bytes of the machine's order, at each moment. Other clocks are left alone.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

// Mapped at the first call; where that fails nothing is shifted.
const std::atomic<std::int64_t>* map_shift() {
    static const std::atomic<std::int64_t> none{0};
    const char* const path = std::getenv("CLOCK_SHIFT_FILE");
    const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return &none;
    }
    void* const mapped = ::mmap(nullptr, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    return mapped == MAP_FAILED ? &none : static_cast<const std::atomic<std::int64_t>*>(mapped);
}

}  // namespace

extern "C" int clock_gettime(clockid_t which, timespec* time) noexcept {
    static const std::atomic<std::int64_t>* const shift_ms = map_shift();
    const auto result = static_cast<int>(::syscall(SYS_clock_gettime, which, time));
    if (result == 0 && which == CLOCK_REALTIME) {
        constexpr std::int64_t kNsPerSecond = 1'000'000'000;
        const std::int64_t ns = time->tv_sec * kNsPerSecond + time->tv_nsec + shift_ms->load() * 1'000'000;
        time->tv_sec = ns / kNsPerSecond;
        time->tv_nsec = ns % kNsPerSecond;
    }
    return result;
}
