#include "base/log.h"

#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace topicfs {
namespace {

// Runs `work` with standard error going to a file, and returns what came there.
template <typename Work>
std::string stderr_of(const Work& work) {
    const test::TemporaryDirectory directory;
    const std::string path = directory / "stderr";
    std::fflush(stderr);
    const int saved = ::dup(STDERR_FILENO);
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    REQUIRE(saved >= 0);
    REQUIRE(file >= 0);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
    work();
    std::fflush(stderr);
    ::dup2(saved, STDERR_FILENO);
    ::close(saved);
    return test::read_file(path);
}

TEST_CASE("parse_log_level: knows the four levels and nothing else") {
    CHECK(parse_log_level("debug").value() == LogLevel::kDebug);
    CHECK(parse_log_level("info").value() == LogLevel::kInfo);
    CHECK(parse_log_level("warning").value() == LogLevel::kWarning);
    CHECK(parse_log_level("error").value() == LogLevel::kError);
    for (const char* const name : {"", "warn", "Debug", "error "}) {
        const Result<LogLevel> level = parse_log_level(name);
        REQUIRE_FALSE(level.has_value());
        CHECK(level.error().code == ErrorCode::kInvalid);
        CHECK_THAT(level.error().message(), Catch::Contains("'" + std::string(name) + "'"));
    }
}

TEST_CASE("log: shows messages of its level and above, with level and text, one a line") {
    const std::string text = stderr_of([] {
        log_open(LogTarget::kStderr, LogLevel::kInfo);
        log_debug("not this");
        log_info("the first");
        log_warning("the second");
        log_error("the third");
    });
    CHECK_FALSE(log_enabled(LogLevel::kDebug));
    CHECK(log_enabled(LogLevel::kInfo));
    CHECK_THAT(text, !Catch::Contains("not this"));
    CHECK_THAT(text, Catch::Contains(" info the first\n"));
    CHECK_THAT(text, Catch::Contains(" warning the second\n"));
    CHECK_THAT(text, Catch::Contains(" error the third\n"));
}

TEST_CASE("log: messages are counted by level, also those that are not shown") {
    const std::uint64_t debug = log_count(LogLevel::kDebug);
    const std::uint64_t errors = log_count(LogLevel::kError);
    log_open(LogTarget::kStderr, LogLevel::kError);
    const std::string shown = stderr_of([] {
        log_debug("hidden");
        log_debug("hidden");
        log_error("shown");
    });
    CHECK(shown.find("hidden") == std::string::npos);
    CHECK(log_count(LogLevel::kDebug) == debug + 2);
    CHECK(log_count(LogLevel::kError) == errors + 1);
}

TEST_CASE("log: a message cannot make a line of its own") {
    const std::string text = stderr_of([] {
        log_open(LogTarget::kStderr, LogLevel::kInfo);
        log_info("a name\n2026-11-21 error forged\x1b[2J {} %s");
    });
    CHECK_THAT(text, Catch::EndsWith("a name\\n2026-11-21 error forged\\x1b[2J {} %s\n"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
}

TEST_CASE("log: lines of many threads stay whole") {
    constexpr int kThreads = 4;
    constexpr int kLines = 200;
    const std::string text = stderr_of([] {
        log_open(LogTarget::kStderr, LogLevel::kInfo);
        std::vector<std::thread> threads;
        threads.reserve(kThreads);
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([] {
                for (int i = 0; i < kLines; ++i) {
                    log_info("the same words in every line");
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    });
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = text.find(" info the same words in every line\n", at)) != std::string::npos; ++at) {
        ++lines;
    }
    CHECK(lines == kThreads * kLines);
}

TEST_CASE("log: to syslog, nothing goes to standard error") {
    const std::string text = stderr_of([] {
        log_open(LogTarget::kSyslog, LogLevel::kInfo);
        log_info("a test of topicfs");
    });
    log_open(LogTarget::kStderr, LogLevel::kWarning);
    CHECK(text.empty());
}

}  // namespace
}  // namespace topicfs
