#include "mount/bench/topic_mount.h"

#include "base/text.h"
#include "io/fd.h"
#include "mount/bench/bench.h"
#include "mount/bench/stop.h"
#include "mount/mount_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>

namespace topicfs::bench {

namespace {

constexpr Seconds kStartMax{60};
constexpr Seconds kEndMax{30};
constexpr Seconds kSettleMax{10};
constexpr std::chrono::milliseconds kPoll{2};

Result<std::string> read_all(const std::string& path) {
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return system_error(errno, "open", path);
    }
    std::string text;
    std::vector<char> piece(1u << 20);
    for (;;) {
        const ssize_t count = ::read(file.get(), piece.data(), piece.size());
        if (count < 0) {
            return system_error(errno, "read", path);
        }
        if (count == 0) {
            return text;
        }
        text.append(piece.data(), static_cast<std::size_t>(count));
    }
}

// The sum of all members of that name; our own status has them one a line, so nothing needs to be parsed.
std::uint64_t sum_of_members(std::string_view json, const std::string& name) {
    const std::string wanted = "\"" + name + "\":";
    std::uint64_t sum = 0;
    for (std::size_t at = json.find(wanted); at != std::string_view::npos; at = json.find(wanted, at)) {
        at += wanted.size();
        const std::size_t end = json.find_first_of(",\n}", at);
        sum += parse_unsigned(trim(json.substr(at, end - at))).value_or(0);
    }
    return sum;
}

Result<void> write_setting(const std::string& path, const std::string& value) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), value.data(), value.size()) < 0) {
        return system_error(errno, "set", path);
    }
    return {};
}

}  // namespace

Result<TopicMount> TopicMount::begin(const std::string& scratch, const std::string& name) {
    const std::string store = scratch + "/" + name;
    const std::string mount_point = scratch + "/mnt";
    const std::string log_file = scratch + "/daemon.log";
    if (::mkdir(mount_point.c_str(), 0700) != 0 && errno != EEXIST) {
        return system_error(errno, "make a folder", mount_point);
    }
    TOPICFS_TRY_ASSIGN(
        Process daemon,
        Process::run_self({"mount", "--foreground", "--log-level", "warning", store, mount_point}, log_file));
    return TopicMount(std::move(daemon), store, mount_point, log_file);
}

Result<TopicMount> TopicMount::start(const std::string& scratch, const std::string& name) {
    TOPICFS_TRY_ASSIGN(TopicMount mount, begin(scratch, name));
    TOPICFS_TRY(mount.wait_until_ready());
    return mount;
}

TopicMount::~TopicMount() {
    if (!daemon_ && !killed_) {
        return;
    }
    // The mount first: the daemon ends with it.
    take_mount_away(mount_point_);
    daemon_.send(SIGTERM);
    if (!daemon_.wait_regardless(kEndMax)) {
        daemon_.kill_and_reap();
    }
    // It can have mounted after we had looked.
    take_mount_away(mount_point_);
    if (!keep_store_) {
        std::error_code ignored;
        std::filesystem::remove_all(store_, ignored);
    }
}

Error TopicMount::died() const {
    std::ifstream log(log_file_);
    const std::string text{std::istreambuf_iterator<char>(log), std::istreambuf_iterator<char>()};
    const auto lines = split_lines(text);
    return not_measurable("the mount failed: " + (lines.empty() ? "" : std::string(lines.back())));
}

Result<void> TopicMount::wait_until_ready() {
    const auto deadline = std::chrono::steady_clock::now() + kStartMax;
    for (;;) {
        TOPICFS_TRY_ASSIGN(const auto table, read_mount_table());
        if (find_mount(table, mount_point_)) {
            break;
        }
        TOPICFS_TRY(pause_for(kPoll));
        if (daemon_.wait_regardless(Seconds(0)) || std::chrono::steady_clock::now() > deadline) {
            return died();
        }
    }
    // A name that costs nothing to look up, however much there is in the store.
    TOPICFS_TRY(run_client([&](ClientReport&) -> Result<void> {
        const std::string path = mount_point_ + "/.config";
        return ::access(path.c_str(), F_OK) == 0 ? Result<void>() : system_error(errno, "look up", path);
    }));
    return {};
}

Result<std::string> TopicMount::read_text(const std::string& path) const {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return system_error(errno, "pipe", "");
    }
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    // The default size of a pipe: what is longer is cut, as what is looked for stands in the beginning.
    constexpr std::size_t kTextBytesMax = 60'000;
    TOPICFS_TRY(run_client([&](ClientReport&) -> Result<void> {
        TOPICFS_TRY_ASSIGN(const std::string text, read_all(path));
        const std::string_view kept = std::string_view(text).substr(0, kTextBytesMax);
        if (::write(in.get(), kept.data(), kept.size()) < 0) {
            return system_error(errno, "write", "a pipe");
        }
        return {};
    }));
    std::string text(kTextBytesMax, '\0');
    const ssize_t count = ::read(out.get(), text.data(), text.size());
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
}

Result<void> TopicMount::make_topic(const std::string& topic, const TopicSettingsText& settings,
                                    unsigned partitions) const {
    const auto make = [&](ClientReport&) -> Result<void> {
        const std::string directory = mount_point_ + "/" + topic;
        const std::string configuration = directory + "/.config/";
        // As what new topics begin with: all are made durable together then, and one by one if they come later.
        TOPICFS_TRY(write_setting(mount_point_ + "/.config/num.partitions", std::to_string(partitions)));
        if (::mkdir(directory.c_str(), 0755) != 0) {
            return system_error(errno, "make", directory);
        }
        for (const auto& [name, value] : settings) {
            std::string path = configuration;
            path += name;
            const Result<void> set = write_setting(path, value);
            const bool only_way = name == "write.path" && value != "passthrough";
            if (!set && !(only_way && set.error().system_errno == ENOENT)) {
                return set.error();
            }
        }
        return {};
    };
    TOPICFS_TRY(run_client(make));
    return {};
}

Result<std::string> TopicMount::make_group(const std::string& topic, const std::string& group) const {
    const std::string directory = mount_point_ + "/" + topic + "/.groups/" + group;
    const auto make = [&](ClientReport&) -> Result<void> {
        if (::mkdir(directory.c_str(), 0755) != 0) {
            return system_error(errno, "make", directory);
        }
        return {};
    };
    TOPICFS_TRY(run_client(make));
    return directory + "/0";
}

Result<std::string> TopicMount::write_path() const {
    TOPICFS_TRY_ASSIGN(const std::string status, read_text(mount_point_ + "/.status"));
    const bool passes = status.find("\"write_path\": \"passthrough\"") != std::string::npos;
    return std::string(passes ? "passthrough" : "daemon");
}

Result<void> TopicMount::need_passthrough() const {
    TOPICFS_TRY_ASSIGN(const std::string path, write_path());
    if (path != "passthrough") {
        return not_measurable("appends do not pass through here: .status does not say write_path passthrough");
    }
    return {};
}

Result<void> TopicMount::settle(const std::string& topic, std::uint64_t unsealed_max) const {
    const auto wait = [&](ClientReport&) -> Result<void> {
        const auto deadline = std::chrono::steady_clock::now() + kSettleMax;
        while (std::chrono::steady_clock::now() < deadline) {
            TOPICFS_TRY_ASSIGN(const std::string status, read_all(mount_point_ + "/" + topic + "/.status"));
            if (sum_of_members(status, "end_position") - sum_of_members(status, "sealed_position") <= unsealed_max) {
                return {};
            }
            TOPICFS_TRY(pause_for(std::chrono::milliseconds(10)));
        }
        return {};
    };
    TOPICFS_TRY(run_client(wait, kSettleMax * 2));
    return {};
}

Result<void> TopicMount::kill_daemon() {
    daemon_.send(SIGKILL);
    TOPICFS_TRY_ASSIGN(const bool ended, daemon_.wait(kEndMax));
    if (!ended) {
        return not_measurable("the killed daemon did not end");
    }
    killed_ = true;
    return {};
}

Result<void> TopicMount::stop() {
    take_mount_away(mount_point_);
    TOPICFS_TRY_ASSIGN(const bool ended, daemon_.wait(kEndMax));
    if (!ended) {
        return not_measurable("the daemon did not end after its mount was taken away");
    }
    return {};
}

}  // namespace topicfs::bench
