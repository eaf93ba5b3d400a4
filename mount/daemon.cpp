#include "daemon.h"

#include "command.h"
#include "session.h"

#include "store/local_store.h"

#include <topicfs/store.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace topicfs {

namespace {

// How long those who have files open are still served after a signal.
constexpr int kGraceMs = 5000;
// How long for the files to be closed by those who were told that it ends.
constexpr int kReleaseMs = 200;
constexpr int kReleasePollMs = 5;

// As many descriptors as we may have: each writer and each segment that is being read takes one.
void raise_descriptor_limit() {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// The signals that end the daemon, taken out of the way of every thread and put on a descriptor.
Result<Fd> take_signals() {
    std::signal(SIGHUP, SIG_IGN);
    sigset_t ends;
    ::sigemptyset(&ends);
    ::sigaddset(&ends, SIGTERM);
    ::sigaddset(&ends, SIGINT);
    if (const int failure = ::pthread_sigmask(SIG_BLOCK, &ends, nullptr); failure != 0) {
        return system_error(failure, "block signals", "");
    }
    Fd signals(::signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) {
        return system_error(errno, "signalfd", "");
    }
    return signals;
}

// A file with our process number; removed when the owner goes.
class PidFile {
public:
    PidFile() = default;
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;
    ~PidFile() { remove(); }

    Result<void> write(const std::string& path) {
        const Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
        if (!file) {
            return system_error(errno, "open", path);
        }
        path_ = path;
        const std::string text = std::to_string(::getpid()) + "\n";
        if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
            return system_error(errno == 0 ? EIO : errno, "write", path);
        }
        return {};
    }

    void remove() {
        if (!path_.empty()) {
            ::unlink(path_.c_str());
            path_.clear();
        }
    }

private:
    std::string path_;
};

// Waits for a signal, or for the end of serving, on a thread of its own.
class SignalWatch {
public:
    SignalWatch(Fd signals, Fd ended, Session& session, const MountEntry& mount)
        : signals_(std::move(signals)), ended_(std::move(ended)), session_(session), mount_(mount) {
        thread_ = std::thread([this] { run(); });
    }
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;
    ~SignalWatch() {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(ended_.get(), &one, sizeof one));
        thread_.join();
    }

private:
    enum class Woken { kSignal, kEnded, kTimeout, kMountsChanged };

    Woken wait(int timeout_ms) {
        while (true) {
            std::array<pollfd, 3> polled = {
                {{ended_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {mount_table_.get(), POLLPRI, 0}}};
            const int ready = ::poll(polled.data(), polled.size(), timeout_ms);
            if (polled[0].revents != 0) {
                return Woken::kEnded;
            }
            signalfd_siginfo info = {};
            if (ready > 0 && ::read(signals_.get(), &info, sizeof info) == sizeof info) {
                log_info(std::string("signal ") + strsignal(static_cast<int>(info.ssi_signo)) + ": ending");
                return Woken::kSignal;
            }
            if (ready == 0) {
                return Woken::kTimeout;
            }
            if (polled[2].revents != 0) {
                return Woken::kMountsChanged;
            }
        }
    }

    void run() {
        Woken woken = Woken::kMountsChanged;
        while ((woken = wait(-1)) == Woken::kMountsChanged) {
            if (!is_still_mounted(mount_)) {
                // Detached while in use: files that are open stay, but nobody is to wait in them for ever.
                session_.end_follows();
                mount_table_ = Fd();
            }
        }
        if (woken == Woken::kEnded) {
            return;
        }
        mount_table_ = Fd();
        session_.end_follows();
        if (!wait_for_releases()) {
            return;
        }
        if (is_still_mounted(mount_)) {
            take_mount_away();
        }
        // The kernel ends the session when the last file is closed.
        if (wait(kGraceMs) == Woken::kEnded) {
            return;
        }
        log_warning(mount_.mount_point + ": " + std::to_string(session_.open_handle_count()) +
                    " files are still open; reads get errors from now on");
        session_.stop();
    }

    // Whoever followed a log has got end-of-file; the kernel says that he has closed it a moment later. False where the
    // session has ended.
    bool wait_for_releases() {
        for (int waited_ms = 0; waited_ms < kReleaseMs && session_.open_handle_count() > 0;
             waited_ms += kReleasePollMs) {
            if (wait(kReleasePollMs) == Woken::kEnded) {
                return false;
            }
        }
        return true;
    }

    void take_mount_away() {
        auto done = unmount(mount_.mount_point, Unmount::kIfUnused);
        if (!done && done.error().code == ErrorCode::kBusy) {
            log_info(mount_.mount_point + ": in use; detached, and open files are served for some seconds more");
            done = unmount(mount_.mount_point, Unmount::kDetach);
        }
        if (!done) {
            log_error(done.error().message());
            session_.stop();
        }
    }

    Fd signals_;
    Fd ended_;
    Fd mount_table_{::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)};  // polled: it changes when mounts do
    Session& session_;
    const MountEntry& mount_;
    std::thread thread_;
};

// Closes the store, which is where what is not sealed is sealed and synced.
Result<void> close_store(std::unique_ptr<Store> store, const std::string& data_directory) {
    const auto start = std::chrono::steady_clock::now();
    TOPICFS_TRY(store->close());
    const auto took = std::chrono::steady_clock::now() - start;
    log_info(data_directory + ": closed in " +
             std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()) + " ms");
    return {};
}

Result<void> serve(const DaemonOptions& options, Store& store, Fd signals, StartReport* report) {
    TOPICFS_TRY_ASSIGN(Mounted mounted, mount_fuse(options.mount));
    const MountEntry mount = mounted.entry;
    PidFile pid_file;
    Fd ended(::eventfd(0, EFD_CLOEXEC));
    SessionOptions session_options;
    session_options.mount_point = mount.mount_point;
    session_options.data_directory = options.mount.source;
    session_options.probe_file = options.mount.source + "/" + kStoreFileName;
    session_options.on_ready = [&mount, report](const std::string& no_passthrough) {
        const std::string path = no_passthrough.empty() ? "appends stay in the kernel (passthrough)"
                                                        : "appends go through the daemon: " + no_passthrough;
        log_info(mount.source + " is mounted at " + mount.mount_point + "; " + path);
        if (report != nullptr) {
            report->ready(path);
        }
    };
    Result<void> outcome;
    if (!options.pid_file.empty()) {
        outcome = pid_file.write(options.pid_file);
    }
    if (outcome && !ended) {
        outcome = system_error(errno, "eventfd", "");
    }
    if (outcome) {
        auto session = Session::create(store, std::move(mounted.device), std::move(session_options));
        if (!session) {
            outcome = std::move(session).error();
        } else {
            const SignalWatch watch(std::move(signals), std::move(ended), **session, mount);
            outcome = (*session)->serve();
        }
    }
    mounted.device = Fd();
    // Whatever ended it, nobody may find a dead mount there.
    if (is_still_mounted(mount)) {
        if (const auto detached = unmount(mount.mount_point, Unmount::kDetach); !detached) {
            log_error(detached.error().message());
        }
    }
    return outcome;
}

// A daemon that was killed holds its lock until the kernel has taken its last thread away, which can be later than its
// mount is seen to be dead. So where no mount shows the data, a lock on them is given some time to go.
Result<std::unique_ptr<Store>> open_store_in_turn(const std::string& data_directory, const StoreOptions& options) {
    constexpr std::chrono::seconds kWaitMax(2);
    constexpr std::chrono::milliseconds kPoll(10);
    const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
    for (;;) {
        auto store = open_store(data_directory, options);
        if (store || store.error().code != ErrorCode::kBusy || std::chrono::steady_clock::now() >= deadline) {
            return store;
        }
        TOPICFS_TRY_ASSIGN(const auto table, read_mount_table());
        for (const MountEntry& mount : table) {
            if (mount.type == kFileSystemType && mount.source == data_directory) {
                return store;
            }
        }
        std::this_thread::sleep_for(kPoll);
    }
}

Result<void> run(const DaemonOptions& options, StartReport* report) {
    raise_descriptor_limit();
    TOPICFS_TRY_ASSIGN(Fd signals, take_signals());
    const bool to_stderr = options.foreground || !options.log_file.empty();
    log_open(to_stderr ? LogTarget::kStderr : LogTarget::kSyslog, options.log_level);
    // The kernel keeps writers from a read-only mount; that nothing else is written is the store's affair.
    StoreOptions store_options;
    store_options.read_only = store_options.alone = options.mount.options.read_only;
    auto store = open_store_in_turn(options.mount.source, store_options);
    if (!store) {
        return in_data_directory(std::move(store).error(), options.mount.source);
    }
    auto served = serve(options, **store, std::move(signals), report);
    TOPICFS_TRY(close_store(std::move(*store), options.mount.source));
    return served;
}

}  // namespace

int run_daemon(const DaemonOptions& options, StartReport* report) {
    const auto outcome = run(options, report);
    if (outcome) {
        return kExitDone;
    }
    if (report == nullptr) {
        return fail(outcome.error());
    }
    log_error(outcome.error().message());
    // Without effect where the start had been told to be good.
    report->failed(kExitFailed, outcome.error().message());
    return kExitFailed;
}

}  // namespace topicfs
