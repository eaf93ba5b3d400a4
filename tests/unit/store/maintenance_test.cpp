// The threads behind a store, with the real clock; waiting is for conditions, observed at the seam to the file system.
#include "store/maintenance.h"

#include "support/fault_file_system.h"
#include "unit/store/store_fixture.h"

#include <chrono>
#include <condition_variable>
#include <functional>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// Tells whoever waits of each system call.
class Watched {
public:
    Watched() : posix_(std::move(*open_file_system(directory_.string()))) {
        StoreEnvironment environment;
        auto fs = std::make_unique<FaultFileSystem>(*posix_);
        fs->observe([this](std::string_view name, const std::string& path) {
            const std::scoped_lock lock(mutex_);
            const std::size_t suffix = path.rfind('.');
            ++calls_[std::string(name) + (suffix == std::string::npos ? std::string() : path.substr(suffix))];
            changed_.notify_all();
        });
        environment.fs = std::move(fs);
        environment.boot_id = "boot-1";
        environment.directory = directory_.string();
        auto opened = LocalStore::open(std::move(environment), {});
        REQUIRE(opened);
        store_ = std::move(opened).value();
        auto made = store_->create_topic("t", Attributes{});
        REQUIRE(made);
        topic_ = *made;
    }

    Topic& topic() { return *topic_; }
    // A call's name and the suffix of its file: "fdatasync.head".
    std::uint64_t calls(const std::string& what) {
        const std::scoped_lock lock(mutex_);
        return calls_[what];
    }
    bool wait_for(const std::string& what, std::uint64_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return calls_[what] >= count; });
    }

private:
    TemporaryDirectory directory_;
    std::unique_ptr<FileSystem> posix_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, std::uint64_t> calls_;
    std::unique_ptr<LocalStore> store_;
    std::shared_ptr<Topic> topic_;
};

}  // namespace

TEST_CASE("Maintenance: what is seal.ms old is sealed, with no more appends") {
    Watched store;
    REQUIRE(store.topic().set("seal.ms", "5"));
    append(store.topic(), 0, "one line\n");
    CHECK(store.wait_for("pwrite.lz4", 1));
    CHECK(read_all(store.topic(), 0) == "one line\n");
}

TEST_CASE("Maintenance: seal.bytes are sealed at once, less are not") {
    Watched store;
    REQUIRE(store.topic().set("seal.bytes", "1000"));
    append(store.topic(), 0, std::string(1000, 'a'));
    append(store.topic(), 0, std::string(1500, 'b'));
    CHECK(store.wait_for("pwrite.lz4", 2));
    CHECK(store.calls("pwrite.lz4") == 2);
    CHECK(read_all(store.topic(), 0) == std::string(1000, 'a') + std::string(1500, 'b'));
}

TEST_CASE("Maintenance: flush.ms bounds the time that a record stays unsynced") {
    Watched store;
    append(store.topic(), 0, "before\n");
    CHECK(store.calls("fdatasync.head") == 0);
    REQUIRE(store.topic().set("flush.ms", "5"));
    append(store.topic(), 0, "after\n");
    CHECK(store.wait_for("fdatasync.head", 1));
}

TEST_CASE("flush.messages: every so many records head is synced before the append is answered") {
    Watched store;
    REQUIRE(store.topic().set("flush.messages", "3"));
    append(store.topic(), 0, "1\n2\n");
    CHECK(store.calls("fdatasync.head") == 0);
    append(store.topic(), 0, "3\n");
    CHECK(store.calls("fdatasync.head") == 1);
    append(store.topic(), 0, "4\n5\n6\n7\n");
    CHECK(store.calls("fdatasync.head") == 2);
    REQUIRE(store.topic().set("flush.messages", "1"));
    append(store.topic(), 0, "no end of a record");
    CHECK(store.calls("fdatasync.head") == 3);
    REQUIRE(store.topic().set("flush.messages", "off"));
    append(store.topic(), 0, "\n");
    CHECK(store.calls("fdatasync.head") == 3);
}
