// file_locker KIND TYPE MODE FILE [FIRST LENGTH]: takes a lock, says "locked", and keeps it until SIGUSR1 comes;
// then it unlocks and ends.
//
// KIND  flock, fcntl or ofd (fcntl's locks of an open file); with "try-" in front it does not wait: "busy", exit status
// 1 TYPE  shared or exclusive MODE  how FILE is opened: read, append (write only) or both FIRST LENGTH  the bytes, for
// fcntl and ofd; without them all A SIGUSR1 that comes while it waits ends it with "interrupted" and exit status 3. 2
// is wrong use, or another error.
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

volatile std::sig_atomic_t told_to_end = 0;

int take_flock(int fd, bool exclusive, bool wait) {
    return ::flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | (wait ? 0 : LOCK_NB));
}

int change_range(int fd, int type, bool wait, bool open_file, off_t first, off_t length) {
    struct flock range = {};
    range.l_type = static_cast<short>(type);
    range.l_whence = SEEK_SET;
    range.l_start = first;
    range.l_len = length;
    const int command = open_file ? (wait ? F_OFD_SETLKW : F_OFD_SETLK) : (wait ? F_SETLKW : F_SETLK);
    return ::fcntl(fd, command, &range);
}

void say(const char* word) {
    std::puts(word);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5 && argc != 7) {
        std::fprintf(stderr, "usage: file_locker KIND TYPE MODE FILE [FIRST LENGTH]\n");
        return 2;
    }
    std::string_view kind = argv[1];
    const bool wait = !kind.starts_with("try-");
    kind.remove_prefix(wait ? 0 : 4);
    const bool exclusive = std::string_view(argv[2]) == "exclusive";
    const std::string_view mode = argv[3];
    const int flags = mode == "read" ? O_RDONLY : mode == "append" ? O_WRONLY | O_APPEND : O_RDWR | O_APPEND;
    const int fd = ::open(argv[4], flags | O_CLOEXEC);
    if (fd < 0) {
        std::perror(argv[4]);
        return 2;
    }
    struct sigaction action = {};
    action.sa_handler = [](int) { told_to_end = 1; };  // without SA_RESTART: the waiting call ends
    ::sigaction(SIGUSR1, &action, nullptr);
    const off_t first = argc == 7 ? std::atoll(argv[5]) : 0;
    const off_t length = argc == 7 ? std::atoll(argv[6]) : 0;
    const bool by_range = kind != "flock";
    const int type = exclusive ? F_WRLCK : F_RDLCK;
    const int taken =
        by_range ? change_range(fd, type, wait, kind == "ofd", first, length) : take_flock(fd, exclusive, wait);
    if (taken != 0) {
        const int error = errno;
        if (error == EINTR) {
            say("interrupted");
            return 3;
        }
        if (error == EWOULDBLOCK || error == EACCES) {
            say("busy");
            return 1;
        }
        std::perror("lock");
        return 2;
    }
    say("locked");
    if (!wait) {
        return 0;
    }
    sigset_t usr1;
    sigset_t before;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &usr1, &before);
    while (told_to_end == 0) {
        ::sigsuspend(&before);
    }
    const int freed = by_range ? change_range(fd, F_UNLCK, false, kind == "ofd", first, length) : ::flock(fd, LOCK_UN);
    if (freed != 0) {
        std::perror("unlock");
        return 2;
    }
    say("unlocked");
    return 0;
}
