#include "base/repeated_failure.h"

#include <topicfs/result.h>

#include <catch2/catch.hpp>

#include <cerrno>

using namespace topicfs;

TEST_CASE("RepeatedFailure: a failure is news once, until it is over") {
    RepeatedFailure failure;
    CHECK(failure.succeeded() == 0);
    CHECK(failure.failed(system_error(ENOSPC, "write", "a")));
    CHECK_FALSE(failure.failed(system_error(ENOSPC, "write", "a")));
    CHECK_FALSE(failure.failed(system_error(ENOSPC, "open", "b")));
    CHECK(failure.succeeded() == 3);
    CHECK(failure.succeeded() == 0);
    CHECK(failure.failed(system_error(ENOSPC, "write", "a")));
}

TEST_CASE("RepeatedFailure: another reason is news") {
    RepeatedFailure failure;
    CHECK(failure.failed(system_error(ENOSPC, "write", "a")));
    CHECK(failure.failed(system_error(EIO, "write", "a")));
    CHECK(failure.failed(make_error(ErrorCode::kDamaged, "read", "a", "it is damaged")));
    CHECK(failure.succeeded() == 3);
}
