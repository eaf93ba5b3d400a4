#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

#include <syslog.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace topicfs {
namespace {

std::array<std::atomic<std::uint64_t>, 4> message_counts{};  // by LogLevel

constexpr char kIdent[] = "topicfs";
constexpr char kStderrPattern[] = "%Y-%m-%dT%H:%M:%S.%e%z %l %v";

spdlog::level::level_enum to_spdlog(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug:
            return spdlog::level::debug;
        case LogLevel::kInfo:
            return spdlog::level::info;
        case LogLevel::kWarning:
            return spdlog::level::warn;
        case LogLevel::kError:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

std::unique_ptr<spdlog::logger> make_logger(LogTarget target, LogLevel level) {
    std::unique_ptr<spdlog::logger> logger;
    if (target == LogTarget::kSyslog) {
        auto sink = std::make_shared<spdlog::sinks::syslog_sink_mt>(kIdent, LOG_PID, LOG_DAEMON, false);
        logger = std::make_unique<spdlog::logger>(kIdent, std::move(sink));
    } else {
        logger = std::make_unique<spdlog::logger>(kIdent, std::make_shared<spdlog::sinks::stderr_sink_mt>());
        logger->set_pattern(kStderrPattern);
    }
    logger->set_level(to_spdlog(level));
    return logger;
}

// The logger in use. Those before it live on, and all of them beyond the end of main, as any thread may still be in a
// call; that is why both are never destroyed.
class CurrentLogger {
public:
    CurrentLogger() { set(make_logger(LogTarget::kStderr, LogLevel::kWarning)); }

    spdlog::logger& get() const { return *current_.load(std::memory_order_acquire); }

    void set(std::unique_ptr<spdlog::logger> logger) {
        const std::lock_guard lock(mutex_);
        current_.store(logger.get(), std::memory_order_release);
        loggers_.push_back(std::move(logger));
    }

private:
    std::atomic<spdlog::logger*> current_{nullptr};
    std::mutex mutex_;
    std::vector<std::unique_ptr<spdlog::logger>> loggers_;
};

CurrentLogger& current_logger() {
    static CurrentLogger& current = *new CurrentLogger;
    return current;
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

// A message can quote what somebody typed; it must not be able to make lines of its own.
std::string on_one_line(const std::string& message) {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string line;
    line.reserve(message.size());
    for (const char c : message) {
        if (!is_control(c)) {
            line += c;
        } else if (c == '\n') {
            line += "\\n";
        } else {
            const auto byte = static_cast<unsigned char>(c);
            line += "\\x";
            line += kDigits[byte >> 4];
            line += kDigits[byte & 0xF];
        }
    }
    return line;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view name) {
    if (name == "debug") {
        return LogLevel::kDebug;
    }
    if (name == "info") {
        return LogLevel::kInfo;
    }
    if (name == "warning") {
        return LogLevel::kWarning;
    }
    if (name == "error") {
        return LogLevel::kError;
    }
    return make_error(ErrorCode::kInvalid, "", "log level",
                      "'" + std::string(name) + "' is none of debug, info, warning, error");
}

void log_open(LogTarget target, LogLevel level) {
    current_logger().set(make_logger(target, level));
}

bool log_enabled(LogLevel level) {
    return current_logger().get().should_log(to_spdlog(level));
}

std::uint64_t log_count(LogLevel level) {
    return message_counts[static_cast<std::size_t>(level)].load(std::memory_order_relaxed);
}

void log_message(LogLevel level, const std::string& message) {
    message_counts[static_cast<std::size_t>(level)].fetch_add(1, std::memory_order_relaxed);
    spdlog::logger& logger = current_logger().get();
    const spdlog::level::level_enum spdlog_level = to_spdlog(level);
    if (logger.should_log(spdlog_level)) {
        logger.log(spdlog_level, on_one_line(message));
    }
}

}  // namespace topicfs
