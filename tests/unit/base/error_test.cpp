#include <topicfs/error.h>
#include <topicfs/result.h>

#include <catch2/catch.hpp>

#include <cerrno>
#include <memory>
#include <set>
#include <string>

namespace topicfs {
namespace {

constexpr ErrorCode kAllCodes[] = {
    ErrorCode::kSystem,       ErrorCode::kInvalid,     ErrorCode::kNotFound, ErrorCode::kExists,   ErrorCode::kNotEmpty,
    ErrorCode::kNotPermitted, ErrorCode::kNameTooLong, ErrorCode::kBusy,     ErrorCode::kReadOnly, ErrorCode::kDamaged,
    ErrorCode::kNotOurs,      ErrorCode::kNewerFormat, ErrorCode::kTooLarge};

TEST_CASE("Error: every code has a name of its own and an errno above 0") {
    std::set<std::string> names;
    for (const ErrorCode code : kAllCodes) {
        names.insert(error_code_name(code));
        CHECK(to_errno(make_error(code, "open", "orders", "")) > 0);
    }
    CHECK(names.size() == std::size(kAllCodes));
}

TEST_CASE("to_errno: a failed system call keeps its errno") {
    CHECK(to_errno(system_error(ENOSPC, "append", "orders/0")) == ENOSPC);
    CHECK(to_errno(system_error(EINTR, "append", "orders/0")) == EINTR);
}

TEST_CASE("to_errno: a failed system call without an errno is EIO") {
    Error error;
    CHECK(to_errno(error) == EIO);
    error.system_errno = -ENOSPC;  // Nobody may tell the kernel a negative one.
    CHECK(to_errno(error) == EIO);
}

TEST_CASE("to_errno: every other code has the errno that its comment names") {
    const auto errno_of = [](ErrorCode code) { return to_errno(make_error(code, "", "", "")); };
    CHECK(errno_of(ErrorCode::kInvalid) == EINVAL);
    CHECK(errno_of(ErrorCode::kNotFound) == ENOENT);
    CHECK(errno_of(ErrorCode::kExists) == EEXIST);
    CHECK(errno_of(ErrorCode::kNotEmpty) == ENOTEMPTY);
    CHECK(errno_of(ErrorCode::kNotPermitted) == EPERM);
    CHECK(errno_of(ErrorCode::kNameTooLong) == ENAMETOOLONG);
    CHECK(errno_of(ErrorCode::kBusy) == EBUSY);
    CHECK(errno_of(ErrorCode::kReadOnly) == EROFS);
    CHECK(errno_of(ErrorCode::kDamaged) == EIO);
}

TEST_CASE("to_errno: an errno that stands beside another code does not count") {
    Error error = make_error(ErrorCode::kBusy, "open", "orders", "");
    error.system_errno = ENOSPC;
    CHECK(to_errno(error) == EBUSY);
}

TEST_CASE("Error: the message of a failed system call names the thing, what was done, and the reason") {
    CHECK(system_error(ENOSPC, "append", "orders/0").message() == "orders/0: cannot append: No space left on device");
}

TEST_CASE("Error: the message names the place where there is one") {
    Error error = make_error(ErrorCode::kDamaged, "read", "orders/0", "the batch does not match its checksum");
    error.position = 4096;
    CHECK(error.message() == "orders/0, byte 4096: cannot read: the batch does not match its checksum");
    error.path.clear();
    CHECK(error.message() == "at byte 4096: cannot read: the batch does not match its checksum");
}

TEST_CASE("Error: the message of a bad value is the thing and the reason") {
    const Error error = make_error(ErrorCode::kInvalid, "", "retention.ms", "'7d' is not a number of milliseconds");
    CHECK(error.message() == "retention.ms: '7d' is not a number of milliseconds");
}

TEST_CASE("Error: a message without detail says what its code means") {
    CHECK_THAT(make_error(ErrorCode::kBusy, "open", "data", "").message(),
               Catch::StartsWith("data: cannot open: ") && Catch::Contains("using it"));
}

TEST_CASE("Error: a message with detail and errno shows both") {
    Error error = system_error(EIO, "sync", "orders/0");
    error.detail = "the partition is read-only now";
    CHECK(error.message() == "orders/0: cannot sync: the partition is read-only now: Input/output error");
}

Result<int> half_of(int number) {
    if (number % 2 != 0) {
        return make_error(ErrorCode::kInvalid, "halve", "", "it is odd");
    }
    return number / 2;
}

Result<int> quarter_of(int number) {
    TOPICFS_TRY(half_of(number));
    TOPICFS_TRY_ASSIGN(const int half, half_of(number));
    return half_of(half);
}

TEST_CASE("Result: holds a value or an error") {
    CHECK(half_of(4).value() == 2);
    CHECK(half_of(4).value_or(7) == 2);
    CHECK(half_of(3).error().code == ErrorCode::kInvalid);
    CHECK(half_of(3).value_or(7) == 7);
}

TEST_CASE("Result: an error passes through the functions that try") {
    CHECK(quarter_of(8).value() == 2);
    CHECK_FALSE(quarter_of(6).has_value());
    CHECK_FALSE(quarter_of(3).has_value());
}

TEST_CASE("Result: a value that can only be moved is moved out") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
    const std::unique_ptr<int> taken = std::move(result).value();
    CHECK(*taken == 3);
}

TEST_CASE("Result: without a value it is good until it is given an error") {
    CHECK(Result<void>().has_value());
    CHECK_FALSE(Result<void>(system_error(EIO, "sync", "")).has_value());
}

}  // namespace
}  // namespace topicfs
