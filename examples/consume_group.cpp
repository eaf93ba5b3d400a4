// Consumes a topic as a group by reading the group's file itself: no library of topicfs is linked, only the kernel's
// interface is used.
//
//     consume_group FILE       e.g. /mnt/topics/orders/.groups/billing/all+follow
//
// What is read is committed by the next read(2): so each record is handled before that, and when this program dies the
// ones in hand are given again. SIGTERM ends it between two reads, and then they are committed by the ioctl.
#include <topicfs/ioctl.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

volatile std::sig_atomic_t stopped = 0;

// Here is the work.
void handle(std::string_view record) {
    std::cout << record.size() << ' ' << record << '\n';
}

// Handles the whole records at the front of `bytes`, and leaves the rest: a record can be longer than one read.
void handle_records(std::string& bytes, char delimiter) {
    std::size_t from = 0;
    for (std::size_t to = 0; (to = bytes.find(delimiter, from)) != std::string::npos; from = to + 1) {
        handle(std::string_view(bytes).substr(from, to - from));
    }
    std::cout.flush();
    bytes.erase(0, from);
}

int consume(int file) {
    topicfs_topic topic = {};
    if (ioctl(file, TOPICFS_IOC_TOPIC, &topic) != 0 || topic.delimiter < 0) {
        std::cerr << "no stream of records\n";
        return 2;
    }
    std::vector<char> buffer(1 << 20);
    std::string bytes;
    std::uint64_t read_bytes = 0;
    while (stopped == 0) {
        const ssize_t got = read(file, buffer.data(), buffer.size());
        if (got == 0) {
            return 0;  // nothing more, or with +follow: the topic, the group or the mount has gone
        }
        if (got < 0 && errno != EINTR) {
            std::cerr << "read: " << std::strerror(errno) << '\n';
            return 2;
        }
        if (got > 0) {
            read_bytes += static_cast<std::uint64_t>(got);
            bytes.append(buffer.data(), static_cast<std::size_t>(got));
            handle_records(bytes, static_cast<char>(topic.delimiter));
        }
    }
    topicfs_commit commit = {read_bytes};
    return ioctl(file, TOPICFS_IOC_COMMIT, &commit) == 0 ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: consume_group FILE\n";
        return 2;
    }
    // Without SA_RESTART, so that it ends a read that waits.
    struct sigaction action = {};
    action.sa_handler = [](int) { stopped = 1; };
    sigaction(SIGTERM, &action, nullptr);

    const int file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        std::cerr << argv[1] << ": " << std::strerror(errno) << '\n';
        return errno == EBUSY ? 1 : 2;
    }
    const int status = consume(file);
    close(file);
    return status;
}
