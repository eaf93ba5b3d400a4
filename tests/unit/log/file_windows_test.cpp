#include "log/file_windows.h"

#include "support/bytes.h"
#include "support/fault_file_system.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

using namespace topicfs;
using namespace topicfs::test;

namespace {

constexpr std::uint64_t kWindow = FileWindows::kWindowBytes;

// A sparse file with a mark around the begin of each window.
struct WindowsFixture {
    WindowsFixture() {
        auto opened = fs.open("f", O_RDWR | O_CREAT);
        REQUIRE(opened);
        file = std::move(*opened);
        REQUIRE(fs.truncate(file, 8 * kWindow));
        for (std::uint64_t i = 1; i < 8; ++i) {
            const std::string mark = "<" + std::to_string(i) + ">";
            REQUIRE(write_at(fs, file, std::as_bytes(std::span(mark)), i * kWindow - 1));
        }
    }
    // As the second reader of these bytes finds them.
    std::string at(std::uint64_t from, std::size_t bytes) {
        ByteView view;
        for (int window = 0; window < 2; ++window) {
            REQUIRE(windows.add(fs, file, from, bytes, view));
            view = ByteView();
        }
        const auto added = windows.add(fs, file, from, bytes, view);
        REQUIRE(added);
        REQUIRE(*added == view.size());
        std::string text;
        for (const auto part : view.parts()) {
            text += to_text(part);
        }
        return text;
    }
    TemporaryDirectory directory;
    std::unique_ptr<FileSystem> real = std::move(*open_file_system(directory.string()));
    FaultFileSystem fs{*real};
    File file;
    FileWindows windows;
};

}  // namespace

TEST_CASE("FileWindows: bytes are found inside of a window and across two") {
    WindowsFixture fixture;
    CHECK(fixture.at(kWindow, 2) == "1>");
    CHECK(fixture.at(kWindow - 1, 3) == "<1>");
    CHECK(fixture.at(5 * kWindow - 1, 3) == "<5>");
}

TEST_CASE("FileWindows: what is read once is left to be copied, what is read again is mapped") {
    WindowsFixture fixture;
    ByteView view;
    const std::uint64_t chunk = FileWindows::kChunkBytes;
    const auto add = [&](std::uint64_t from, std::size_t bytes) {
        const auto added = fixture.windows.add(fixture.fs, fixture.file, kWindow + from, bytes, view);
        REQUIRE(added);
        return *added;
    };
    CHECK(add(0, chunk) == 0);
    CHECK(add(chunk, chunk) == 0);
    CHECK(fixture.fs.calls("map") == 0);
    CHECK(add(0, chunk) == chunk);
    CHECK(add(chunk / 2, chunk) == chunk);
    CHECK(add(chunk, 2 * chunk) == 0);
    CHECK(add(chunk, 2 * chunk) == 2 * chunk);
    CHECK(view.size() == 4 * chunk);
    CHECK(fixture.fs.calls("map") == 1);
}

TEST_CASE("FileWindows: a window is mapped once, and only the last few are kept") {
    WindowsFixture fixture;
    for (int i = 0; i < 10; ++i) {
        CHECK(fixture.at(kWindow + 5, 3).size() == 3);
    }
    CHECK(fixture.fs.calls("map") == 1);
    for (std::uint64_t i = 1; i < 8; ++i) {
        CHECK(fixture.at(i * kWindow, 2) == std::to_string(i) + ">");
    }
    CHECK(fixture.windows.kept() == FileWindows::kKeptMax);
    const std::uint64_t maps = fixture.fs.calls("map");
    CHECK(fixture.at(7 * kWindow, 2) == "7>");
    CHECK(fixture.fs.calls("map") == maps);
    CHECK(fixture.at(kWindow, 2) == "1>");
    CHECK(fixture.fs.calls("map") == maps + 1);
}

TEST_CASE("FileWindows: a view stays valid when its window was dropped, and the file closed") {
    WindowsFixture fixture;
    ByteView view;
    {
        FileWindows windows;
        REQUIRE(windows.add(fixture.fs, fixture.file, kWindow, 2, view));
        CHECK(view.empty());
        REQUIRE(windows.add(fixture.fs, fixture.file, kWindow, 2, view));
    }
    REQUIRE(fixture.fs.close(std::move(fixture.file)));
    CHECK(to_text(view.parts().front()) == "1>");
}

TEST_CASE("FileWindows: what can be mapped is added, an error comes where nothing can") {
    WindowsFixture fixture;
    CHECK(fixture.at(0, 1).size() == 1);
    for (int window = 0; window < 2; ++window) {
        ByteView view;
        CHECK(*fixture.windows.add(fixture.fs, fixture.file, kWindow - 1, 3, view) == (window == 0 ? 0 : 1));
    }
    fixture.fs.set({.call = "map", .for_good = true, .system_errno = ENOMEM});
    ByteView view;
    const auto added = fixture.windows.add(fixture.fs, fixture.file, kWindow - 1, 3, view);
    REQUIRE(added);
    CHECK(*added == 1);
    CHECK(to_text(view.parts().front()) == "<");
    CHECK(is_errno(fixture.windows.add(fixture.fs, fixture.file, kWindow, 3, view).error(), ENOMEM));
    CHECK(view.size() == 1);
}
