#include "io/fd.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace topicfs {
namespace {

Fd open_null() {
    return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) != -1;
}

TEST_CASE("Fd: an empty one holds nothing, and closing it succeeds") {
    Fd fd;
    CHECK_FALSE(static_cast<bool>(fd));
    CHECK(fd.close().has_value());
}

TEST_CASE("Fd: closes at the end of its scope") {
    int number = -1;
    {
        const Fd fd = open_null();
        number = fd.get();
        REQUIRE(is_open(number));
    }
    CHECK_FALSE(is_open(number));
}

TEST_CASE("Fd: moving leaves the source empty and the descriptor open") {
    Fd first = open_null();
    const int number = first.get();
    Fd second = std::move(first);
    CHECK_FALSE(static_cast<bool>(first));  // NOLINT(bugprone-use-after-move): this is what is promised.
    CHECK(second.get() == number);
    CHECK(is_open(number));
}

TEST_CASE("Fd: what is assigned to closes what it had") {
    Fd first = open_null();
    Fd second = open_null();
    const int replaced = first.get();
    const int kept = second.get();
    first = std::move(second);
    CHECK_FALSE(is_open(replaced));
    CHECK(first.get() == kept);
    CHECK(is_open(kept));
}

TEST_CASE("Fd: moving into itself keeps it") {
    Fd fd = open_null();
    const int number = fd.get();
    Fd& same = fd;
    fd = std::move(same);
    CHECK(fd.get() == number);
    CHECK(is_open(number));
}

TEST_CASE("Fd: release hands the descriptor over") {
    Fd fd = open_null();
    const int number = fd.release();
    CHECK_FALSE(static_cast<bool>(fd));
    REQUIRE(is_open(number));
    ::close(number);
}

TEST_CASE("Fd: close reports a failure, and the member is empty all the same") {
    const Fd open = open_null();
    const int free_number = ::dup(open.get());
    REQUIRE(::close(free_number) == 0);
    Fd fd(free_number);
    const Result<void> closed = fd.close();
    REQUIRE_FALSE(closed.has_value());
    CHECK(closed.error().system_errno == EBADF);
    CHECK_FALSE(static_cast<bool>(fd));
}

}  // namespace
}  // namespace topicfs
