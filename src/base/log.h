// The front of the log library: what is written goes to stderr or to syslog, one line a message.
//
// spdlog is included in log.cpp only, as it is slow to compile. Any thread may log; log_open is called once, at start,
// after daemonizing. Before log_open messages of level warning and above go to stderr.
#pragma once

#include <topicfs/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace topicfs {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogTarget { kStderr, kSyslog };

// "debug", "info", "warning", "error"; anything else is kInvalid.
Result<LogLevel> parse_log_level(std::string_view name);

void log_open(LogTarget target, LogLevel level);
bool log_enabled(LogLevel level);
void log_message(LogLevel level, const std::string& message);
// How many messages of that level there were, written or not.
std::uint64_t log_count(LogLevel level);

inline void log_debug(const std::string& message) {
    log_message(LogLevel::kDebug, message);
}
inline void log_info(const std::string& message) {
    log_message(LogLevel::kInfo, message);
}
inline void log_warning(const std::string& message) {
    log_message(LogLevel::kWarning, message);
}
inline void log_error(const std::string& message) {
    log_message(LogLevel::kError, message);
}

}  // namespace topicfs
