// line_writer FILE LETTER SEED LINE_BYTES_MAX COUNT [append|read-write [BYTES_PER_SECOND]]: appends the lines 0 to
// COUNT - 1 of that pattern, each by a single write(2), to a file that is open for writing only or for reading too.
// Ends early where a write fails, and between two lines on SIGTERM: as if by EINTR.
//
// Prints "LINES BYTES ERRNO": how many lines were acknowledged whole, how many bytes of the next one (a write may be
// cut short), and what ended it, 0 where all is written. A file that cannot be opened is "0 0 ERRNO".
// Exit status 0, 2 for wrong use.
#include "line_pattern.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace {

volatile std::sig_atomic_t told_to_end = 0;

void on_terminate(int /*signal*/) {
    told_to_end = 1;
}

}  // namespace

int main(int argc, char** argv) {
    struct sigaction action = {};
    action.sa_handler = on_terminate;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGTERM, &action, nullptr);
    if (argc < 6 || argc > 8) {
        std::fprintf(
            stderr,
            "usage: line_writer FILE LETTER SEED LINE_BYTES_MAX COUNT [append|read-write [BYTES_PER_SECOND]]\n");
        return 2;
    }
    const topicfs::test::LinePattern pattern(argv[2][0], std::strtoull(argv[3], nullptr, 10),
                                             std::strtoull(argv[4], nullptr, 10));
    const std::uint64_t count = std::strtoull(argv[5], nullptr, 10);
    const int access = argc >= 7 && std::string_view(argv[6]) == "read-write" ? O_RDWR : O_WRONLY;
    const int fd = ::open(argv[1], access | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        std::printf("0 0 %d\n", errno);
        return 0;
    }
    const double bytes_per_second = argc == 8 ? std::strtod(argv[7], nullptr) : 0;
    double all_bytes = 0;
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t lines = 0;
    std::size_t bytes = 0;
    int error = 0;
    for (; lines < count; ++lines) {
        if (told_to_end != 0) {
            error = EINTR;
            break;
        }
        const std::string line = pattern.line(lines);
        if (bytes_per_second > 0) {
            // A writer past the daemon would fill the disk before the test has come to its point.
            std::this_thread::sleep_until(begin + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                      std::chrono::duration<double>(all_bytes / bytes_per_second)));
            all_bytes += static_cast<double>(line.size());
        }
        const ssize_t written = ::write(fd, line.data(), line.size());
        if (written != static_cast<ssize_t>(line.size())) {
            error = written < 0 ? errno : EIO;
            bytes = written < 0 ? 0 : static_cast<std::size_t>(written);
            break;
        }
    }
    std::printf("%llu %zu %d\n", static_cast<unsigned long long>(lines), bytes, error);
    return 0;
}
