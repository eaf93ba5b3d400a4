// line_writer FILE LETTER SEED LINE_BYTES_MAX COUNT: appends the lines 0 to COUNT - 1 of that pattern, each by a single
// write(2). Ends early where a write fails.
//
// Prints "LINES BYTES ERRNO": how many lines were acknowledged whole, how many bytes of the next one (a write may be
// cut short), and what ended it, 0 where all is written. A file that cannot be opened is "0 0 ERRNO".
// Exit status 0, 2 for wrong use.
#include "line_pattern.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: line_writer FILE LETTER SEED LINE_BYTES_MAX COUNT\n");
        return 2;
    }
    const topicfs::test::LinePattern pattern(argv[2][0], std::strtoull(argv[3], nullptr, 10),
                                             std::strtoull(argv[4], nullptr, 10));
    const std::uint64_t count = std::strtoull(argv[5], nullptr, 10);
    const int fd = ::open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        std::printf("0 0 %d\n", errno);
        return 0;
    }
    std::uint64_t lines = 0;
    std::size_t bytes = 0;
    int error = 0;
    for (; lines < count; ++lines) {
        const std::string line = pattern.line(lines);
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
