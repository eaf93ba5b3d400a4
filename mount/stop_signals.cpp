#include "stop_signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace topicfs {

Result<StopSignals> StopSignals::catch_them() {
    StopSignals signals;
    sigset_t stops;
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    if (::sigprocmask(SIG_BLOCK, &stops, &signals.blocked_before_) != 0) {
        return system_error(errno, "sigprocmask", "");
    }
    signals.fd_ = Fd(::signalfd(-1, &stops, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals.fd_) {
        return system_error(errno, "signalfd", "");
    }
    return signals;
}

unsigned StopSignals::count() {
    signalfd_siginfo one;
    while (::read(fd_.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one)) {
        ++count_;
    }
    return count_;
}

}  // namespace topicfs
