#include "io/mapping.h"

#include "io/file_system.h"
#include "support/bytes.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

using namespace topicfs;
using namespace topicfs::test;

namespace {

struct MappedFile {
    explicit MappedFile(const std::string& content) {
        write_file(directory / "f", content);
        auto opened = fs->open("f", O_RDWR | O_APPEND);
        REQUIRE(opened);
        file = std::move(*opened);
    }
    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> fs = std::move(*open_file_system(directory.string()));
    File file;
};

}  // namespace

TEST_CASE("Mapping: shows the file's bytes, and what is appended to it later") {
    MappedFile mapped("abc");
    const auto mapping = mapped.fs->map(mapped.file, 0, kMappingAlignment);
    REQUIRE(mapping);
    CHECK(mapping->bytes().size() == kMappingAlignment);
    REQUIRE(mapping->populate(0, 3));
    CHECK(to_text(mapping->bytes().first(3)) == "abc");
    const std::string more = "def";
    REQUIRE(append(*mapped.fs, mapped.file, std::as_bytes(std::span(more))));
    REQUIRE(mapping->populate(1, 5));
    CHECK(to_text(mapping->bytes().first(6)) == "abcdef");
}

TEST_CASE("Mapping: what would raise SIGBUS is an error beforehand, and EFAULT where the kernel is given it") {
    MappedFile mapped(std::string(kMappingAlignment + 1, 'x'));
    const auto mapping = mapped.fs->map(mapped.file, 0, 2 * kMappingAlignment);
    REQUIRE(mapping);
    REQUIRE(mapping->populate(0, kMappingAlignment + 1));
    REQUIRE(mapped.fs->truncate(mapped.file, 10));
    CHECK(mapping->populate(0, 10));
    CHECK(is_errno(mapping->populate(kMappingAlignment, 1).error(), EFAULT));
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const Fd reading(ends[0]);
    const Fd writing(ends[1]);
    CHECK(::write(writing.get(), mapping->bytes().data(), 10) == 10);
    CHECK(::write(writing.get(), mapping->bytes().data() + kMappingAlignment, 1) == -1);
    CHECK(errno == EFAULT);
}

TEST_CASE("Mapping: what cannot be mapped is an error with errno and path") {
    MappedFile mapped("abc");
    const auto mapping = mapped.fs->map(mapped.file, 1, 100);
    REQUIRE_FALSE(mapping);
    CHECK(is_errno(mapping.error(), EINVAL));
    CHECK(mapping.error().path == "f");
}
