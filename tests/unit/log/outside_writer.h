// Whoever appends to head by himself, as the kernel does for a writer of a mount (FUSE passthrough).
#pragma once

#include "io/fd.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string_view>

namespace topicfs::test {

class OutsideWriter {
public:
    explicit OutsideWriter(const std::filesystem::path& head)
        : fd_(::open(head.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC)) {
        REQUIRE(fd_);
    }
    void append(std::string_view bytes) {
        REQUIRE(::write(fd_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    }
    void close() { fd_ = Fd(); }

private:
    Fd fd_;
};

}  // namespace topicfs::test
