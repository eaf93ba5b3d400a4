#include "mount/bench/clients.h"

#include "mount/bench/stop.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <utility>

namespace topicfs::bench {

namespace {

using Gate = std::atomic<std::size_t>;  // how many clients are ready

// Memory that a parent and its children share.
template <typename T>
class SharedArray {
public:
    static Result<SharedArray> make(std::size_t count) {
        void* memory = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            return system_error(errno, "share memory", "");
        }
        return SharedArray(static_cast<T*>(memory), count);
    }
    SharedArray(SharedArray&& other) noexcept
        : first_(std::exchange(other.first_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    SharedArray& operator=(SharedArray&&) = delete;
    SharedArray(const SharedArray&) = delete;
    SharedArray& operator=(const SharedArray&) = delete;
    ~SharedArray() {
        if (first_ != nullptr) {
            ::munmap(first_, count_ * sizeof(T));
        }
    }
    T& operator[](std::size_t n) { return first_[n]; }

private:
    SharedArray(T* first, std::size_t count) : first_(first), count_(count) {
        std::uninitialized_default_construct_n(first_, count_);
    }
    T* first_;
    std::size_t count_;
};

void wait_at_gate(Gate& ready, std::size_t count) {
    ++ready;
    while (ready < count) {
        const timespec nap = {0, 200'000};
        nanosleep(&nap, nullptr);
    }
}

int run_work(const Client& client, ClientReport& report, Gate& ready, std::size_t count) {
    bool passed = false;
    ClientContext context{report, [&] {
                              passed = true;
                              wait_at_gate(ready, count);
                          }};
    const Result<void> outcome = client.work(context);
    if (!passed) {
        ++ready;  // One that failed on its way there must not hold up the others.
    }
    if (!outcome) {
        const std::string text = outcome.error().message();
        std::strncpy(report.failure.data(), text.c_str(), report.failure.size() - 1);
        return 1;
    }
    return 0;
}

Result<void> wait_for_end(Process& process, Seconds limit) {
    TOPICFS_TRY_ASSIGN(const bool ended, process.wait(limit));
    if (!ended) {
        Error error = system_error(ETIMEDOUT, "measure", "");
        error.detail = "a client did not end in time";
        return error;
    }
    return {};
}

Result<void> check_report(const ClientReport& report) {
    if (report.failure[0] == '\0') {
        return {};
    }
    return make_error(ErrorCode::kInvalid, "", "", report.failure.data());
}

Result<void> check(const Process& process, const ClientReport& report) {
    TOPICFS_TRY(check_report(report));
    if (process.status() != 0) {
        return make_error(ErrorCode::kInvalid, "measure", "", "a client ended by itself");
    }
    return {};
}

}  // namespace

Result<std::vector<ClientReport>> run_clients(const std::vector<Client>& clients, Seconds limit) {
    TOPICFS_TRY_ASSIGN(auto gate, SharedArray<Gate>::make(1));
    TOPICFS_TRY_ASSIGN(auto reports, SharedArray<ClientReport>::make(clients.size()));
    std::vector<Process> processes;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        TOPICFS_TRY_ASSIGN(Process process,
                           Process::fork([&] { return run_work(clients[i], reports[i], gate[0], clients.size()); }));
        processes.push_back(std::move(process));
    }
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (!clients[i].background) {
            TOPICFS_TRY(wait_for_end(processes[i], deadline - std::chrono::steady_clock::now()));
            TOPICFS_TRY(check(processes[i], reports[i]));
        }
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (clients[i].background) {
            processes[i].kill_and_reap();
            // A background client that failed has left the others without what they were to be measured beside.
            TOPICFS_TRY(check_report(reports[i]));
        }
    }
    std::vector<ClientReport> result;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        result.push_back(reports[i]);
    }
    return result;
}

Result<ClientReport> run_client(std::function<Result<void>(ClientReport&)> work, Seconds limit) {
    const Client client{[&](ClientContext& context) { return work(context.report); }};
    TOPICFS_TRY_ASSIGN(const auto reports, run_clients({client}, limit));
    return reports.front();
}

}  // namespace topicfs::bench
