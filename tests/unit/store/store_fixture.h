// A store in a directory of its own, with a clock that is moved by hand, a boot id that is given, and no threads.
#pragma once

#include "store/local_store.h"
#include "support/bytes.h"
#include "support/temporary_directory.h"

#include <catch2/catch.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace topicfs::test {

class StoreFixture {
public:
    Result<std::unique_ptr<LocalStore>> try_open(StoreOptions options = {}) {
        options.maintenance = false;
        StoreEnvironment environment;
        environment.fs = std::move(*open_file_system(directory.string()));
        if (wrap) {
            environment.fs = wrap(std::move(environment.fs));
        }
        environment.clock = &clock;
        environment.boot_id = boot_id;
        environment.directory = directory.string();
        return LocalStore::open(std::move(environment), options);
    }
    LocalStore& open(StoreOptions options = {}) {
        end();
        auto opened = try_open(options);
        INFO((opened ? std::string() : opened.error().message()));
        REQUIRE(opened);
        store = std::move(opened).value();
        return *store;
    }
    // Closes the store; what was handed out by it stays valid, as a store must be the last to go.
    void end() {
        if (store) {
            CHECK(store->close());
            ended_.push_back(std::move(store));
        }
    }
    std::unique_ptr<LocalStore> open_reader() {
        StoreOptions options;
        options.read_only = true;
        auto opened = try_open(options);
        INFO((opened ? std::string() : opened.error().message()));
        REQUIRE(opened);
        return std::move(opened).value();
    }
    // A copy of the data directory as it is now, as the death of the process would leave it, is opened from here on.
    void die() {
        TemporaryDirectory copy;
        std::filesystem::copy(directory.path(), copy / "store", std::filesystem::copy_options::recursive);
        end();
        std::filesystem::remove_all(directory.path());
        std::filesystem::copy(copy / "store", directory.path(), std::filesystem::copy_options::recursive);
    }

    // Every file with its content, every directory.
    std::map<std::string, std::string> content() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
            const bool is_file = entry.symlink_status().type() == std::filesystem::file_type::regular;
            all[entry.path().string()] = is_file ? read_file(entry.path()) : "";
        }
        return all;
    }
    std::filesystem::path path(const std::string& name) const { return directory / name; }

    TemporaryDirectory directory;
    ManualClock clock{TimestampMs{1'700'000'000'000}};
    std::string boot_id = "boot-1";
    // Puts something around the file system of what is opened from now on.
    std::function<std::unique_ptr<FileSystem>(std::unique_ptr<FileSystem>)> wrap;
    std::unique_ptr<LocalStore> store;

private:
    std::vector<std::unique_ptr<LocalStore>> ended_;
};

inline void append(Topic& topic, std::uint32_t partition, std::string_view bytes) {
    const auto opened = topic.partition(partition);
    REQUIRE(opened);
    const auto stored = (*opened)->append(std::as_bytes(std::span(bytes)));
    REQUIRE(stored);
    REQUIRE(*stored == bytes.size());
}

inline std::string read_all(Topic& topic, std::uint32_t partition) {
    const auto opened = topic.partition(partition);
    REQUIRE(opened);
    std::string text((*opened)->end()->value + 100, '?');
    const auto got = (*opened)->read(Position{0}, std::as_writable_bytes(std::span(text)));
    INFO((got ? std::string() : got.error().message()));
    REQUIRE(got);
    text.resize(*got);
    return text;
}

}  // namespace topicfs::test
