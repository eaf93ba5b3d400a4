#include "store/topic_writer.h"

#include "store/partitioner.h"
#include "store/verify.h"
#include "unit/store/store_fixture.h"

#include <algorithm>

using namespace topicfs;
using namespace topicfs::test;

namespace {

// A store with the topic T.
struct Writers : StoreFixture {
    Writers() { make(3); }

    void make(std::uint32_t partitions) {
        open();
        REQUIRE(store->set_default("num.partitions", std::to_string(partitions)));
        REQUIRE(static_cast<Store&>(*store).create_topic("T"));
    }
    std::shared_ptr<Topic> topic() { return *store->topic("T"); }
    std::shared_ptr<TopicWriter> writer() {
        auto opened = topic()->open_writer();
        REQUIRE(opened);
        return *opened;
    }
    static void write(TopicWriter& writer, std::string_view text) {
        const auto stored = writer.append(std::as_bytes(std::span(text)));
        INFO((stored ? std::string() : stored.error().message()));
        REQUIRE(stored);
        REQUIRE(*stored == text.size());
    }
    std::string in(std::uint32_t partition) { return read_all(*topic(), partition); }
    std::string all() { return in(0) + "|" + in(1) + "|" + in(2); }
    std::size_t files() const {
        const auto unfinished = path("topics/T/unfinished");
        return std::filesystem::exists(unfinished)
                   ? static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(unfinished), {}))
                   : 0;
    }
    static std::uint32_t partition_of(std::string_view key, std::uint32_t count) {
        return partition_of_key(std::as_bytes(std::span(key)), count);
    }
};

class AllFindings final : public VerifyObserver {
public:
    void found(const Finding& finding) override { text += finding.path + ": " + finding.what + "\n"; }
    void progress(std::uint64_t, std::uint64_t, const std::string&) override {}
    std::string text;
};

}  // namespace

TEST_CASE_METHOD(Writers, "TopicWriter: whole lines without a key go to the writer's own partition, in order") {
    const auto first = writer();
    const auto second = writer();
    write(*first, "a1\na2\n");
    write(*second, "b1\n");
    write(*first, "a3\n");
    CHECK(all() == "a1\na2\na3\n|b1\n|");
    CHECK(files() == 0);
    CHECK_FALSE(std::filesystem::exists(path("topics/T/unfinished")));
}

TEST_CASE_METHOD(Writers, "TopicWriter: a writer without whole lines takes no partition's turn") {
    const auto first = writer();
    write(*first, "a");
    write(*writer(), "b1\n");
    write(*first, "1\n");
    CHECK(all() == "b1\n|a1\n|");
}

TEST_CASE_METHOD(Writers, "TopicWriter: a line that is cut anywhere comes whole") {
    const std::string text = "one\n\ntwo, which is longer\nthree\n";
    for (std::size_t cut = 1; cut <= text.size(); ++cut) {
        const auto other = writer();
        const auto mine = writer();
        std::string expected;
        for (std::size_t at = 0; at < text.size(); at += cut) {
            write(*mine, std::string_view(text).substr(at, cut));
            write(*other, "other\n");
        }
        REQUIRE(mine->close());
        REQUIRE(other->close());
        const std::string stored = all();
        CHECK(stored.find("one\n\ntwo, which is longer\nthree\n") != std::string::npos);
    }
    CHECK(files() == 0);
}

TEST_CASE_METHOD(Writers,
                 "TopicWriter: with a key separator a line goes to its key's partition, also where the key is cut") {
    REQUIRE(topic()->set("key.separator", ";"));
    const auto mine = writer();
    std::map<std::uint32_t, std::string> expected;
    std::string text;
    for (int i = 0; i < 40; ++i) {
        const std::string key = "key" + std::to_string(i % 7);
        const std::string line = key + ";" + std::to_string(i) + "\n";
        text += line;
        expected[partition_of(key, 3)] += line;
    }
    for (std::size_t at = 0; at < text.size(); at += 5) {
        write(*mine, std::string_view(text).substr(at, 5));
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
        CHECK(in(i) == expected[i]);
    }
}

TEST_CASE_METHOD(Writers,
                 "TopicWriter: a line without the separator is sticky, one that begins with it has the empty key") {
    REQUIRE(topic()->set("key.separator", ";"));
    const auto mine = writer();
    write(*mine, "no key\n;empty\nno key either\n");
    const std::uint32_t empty = partition_of("", 3);
    CHECK(in(empty).find(";empty\n") != std::string::npos);
    CHECK(in(0) == (empty == 0 ? "no key\n;empty\nno key either\n" : "no key\nno key either\n"));
}

TEST_CASE_METHOD(Writers, "TopicWriter: lines count the partitions that the topic has when they are whole") {
    REQUIRE(topic()->set("key.separator", ";"));
    const auto mine = writer();
    std::string key;
    for (int i = 0; key.empty() || partition_of(key, 4) != 3 || partition_of(key, 3) == 0; ++i) {
        key = "key" + std::to_string(i);
    }
    write(*mine, key + ";1\n" + key + ";");
    REQUIRE(topic()->add_partition(3, {}));
    write(*mine, "2\n");
    CHECK(in(partition_of(key, 3)) == key + ";1\n");
    CHECK(in(3) == key + ";2\n");
}

TEST_CASE_METHOD(Writers, "TopicWriter: after much, and a pause, a writer goes on to another partition") {
    const auto mine = writer();
    const std::string line = std::string(99'999, 'x') + "\n";
    for (int i = 0; i < 11; ++i) {
        clock.advance(5);
        write(*mine, line);
    }
    clock.advance(5);
    write(*mine, "no pause\n");
    clock.advance(30);
    write(*mine, "begin");
    write(*mine, "ning\n");
    CHECK(in(0).ends_with("no pause\nbeginning\n"));
    CHECK(in(1).empty());
    clock.advance(30);
    write(*mine, "after a pause\n");
    CHECK(in(1) == "after a pause\n");
}

TEST_CASE_METHOD(Writers, "TopicWriter: close writes an unfinished line with a delimiter, and removes the file") {
    const auto mine = writer();
    write(*mine, "whole\nunfinished");
    CHECK(files() == 1);
    CHECK(in(0) == "whole\n");
    REQUIRE(mine->close());
    CHECK(in(0) == "whole\nunfinished\n");
    CHECK(files() == 0);
    CHECK(mine->close());
    CHECK_FALSE(mine->append(std::as_bytes(std::span(std::string_view("more\n")))));
    CHECK(in(0) == "whole\nunfinished\n");
}

TEST_CASE_METHOD(Writers, "TopicWriter: an unfinished line outlives the process and is written once") {
    REQUIRE(topic()->set("key.separator", ";"));
    const auto keyed = writer();
    const auto plain = writer();
    write(*keyed, "k;whole\nk;unfin");
    write(*keyed, "ished");
    write(*plain, "pl");
    const std::uint32_t partition = partition_of("k", 3);
    die();
    open();
    CHECK(in(partition).starts_with("k;whole\nk;unfinished\n"));
    CHECK((all() + "|").find("pl\n") != std::string::npos);
    CHECK(all().size() == std::string("k;whole\nk;unfinished\npl\n||").size());
    CHECK(files() == 0);
    const std::string before = all();
    open();
    CHECK(all() == before);
}

TEST_CASE_METHOD(Writers, "TopicWriter: what is kept when the store is closed is written at the next start") {
    const auto mine = writer();
    write(*mine, "unfinished");
    open();
    CHECK(in(0) == "unfinished\n");
    CHECK_FALSE(mine->append(std::as_bytes(std::span(std::string_view("more\n")))));
    CHECK_FALSE(mine->close());
    CHECK(in(0) == "unfinished\n");
    // A writer of the next store may have a file of the same name.
    const auto next = writer();
    write(*next, "next");
    CHECK(files() == 1);
}

TEST_CASE_METHOD(Writers, "TopicWriter: after a power cut an unfinished line counts where it was synced") {
    const auto synced = writer();
    const auto unsynced = writer();
    write(*synced, "synced");
    REQUIRE(synced->sync());
    write(*synced, " not");
    write(*unsynced, "unsynced");
    boot_id = "boot-2";
    die();
    open();
    CHECK(all() == "synced\n||");
    CHECK(files() == 0);
}

TEST_CASE_METHOD(Writers, "TopicWriter: a long line is kept in the file, whatever the pieces") {
    const auto mine = writer();
    std::string line;
    for (int i = 0; i < 3000; ++i) {
        const std::string piece(static_cast<std::size_t>(i % 331), static_cast<char>('a' + i % 26));
        line += piece;
        write(*mine, piece);
    }
    const auto bytes = [&] { return std::filesystem::file_size(path("topics/T/unfinished/1")); };
    CHECK(bytes() < 5 * line.size() + 100'000);
    write(*mine, "\n");
    CHECK(in(0) == line + "\n");
    for (int i = 0; i < 20'000; ++i) {
        write(*mine, "x");
    }
    CHECK(bytes() < 5 * 20'000 + 100'000);
    REQUIRE(mine->close());
    CHECK(in(0) == line + "\n" + std::string(20'000, 'x') + "\n");
}

TEST_CASE_METHOD(Writers, "TopicWriter: a line over the limit is EFBIG, what comes before it is stored") {
    const auto mine = writer();
    const std::string most(kLineBytesMax - 1, 'x');
    write(*mine, most);
    const auto append = [&](std::string_view text) { return mine->append(std::as_bytes(std::span(text))); };
    const auto refused = append("x");
    REQUIRE_FALSE(refused);
    CHECK(to_errno(refused.error()) == EFBIG);
    CHECK_FALSE(append("x\nsecond\n"));
    CHECK(append("\nsecond\n" + most + "xx").value() == 8);
    CHECK(append("third\n" + most + "x\n").value() == 6);
    REQUIRE(mine->close());
    const std::string stored = in(0);
    CHECK(stored.size() == most.size() + 1 + 7 + 6);
    CHECK(stored.ends_with("x\nsecond\nthird\n"));
}

TEST_CASE_METHOD(Writers, "TopicWriter: a byte log has no lines, so it has no writer") {
    REQUIRE(topic()->set("record.delimiter", "none"));
    const auto refused = topic()->open_writer();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kNotPermitted);
}

TEST_CASE_METHOD(Writers, "TopicWriter: a topic with a writer is not removed") {
    auto mine = writer();
    write(*mine, "unfinished");
    const auto refused = store->remove_topic("T");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kBusy);
    write(*mine, " line\n");
    CHECK(in(0) == "unfinished line\n");
    REQUIRE(static_cast<Store&>(*store).create_topic("U"));
    auto other = (*store->topic("U"))->open_writer();
    REQUIRE(other);
    CHECK(store->remove_topic("U").error().code == ErrorCode::kBusy);
    REQUIRE((*other)->close());
    CHECK(store->remove_topic("U"));
}

TEST_CASE_METHOD(Writers,
                 "TopicWriter: the front of a line that was there at the start is ended before the first line") {
    append(*topic(), 0, "whole\nhalf");
    append(*topic(), 1, "ha");
    open();
    CHECK(in(0) == "whole\nhalf");
    append(*topic(), 1, "lf\nand more");  // Its writer is still there.
    std::vector<std::shared_ptr<TopicWriter>> writers;
    for (int i = 0; i < 3; ++i) {
        writers.push_back(writer());
        write(*writers.back(), "line " + std::to_string(i) + "\n");
    }
    CHECK(all() == "whole\nhalf\nline 0\n|half\nand moreline 1\n|line 2\n");
    write(*writers[0], "next\n");
    CHECK(in(0) == "whole\nhalf\nline 0\nnext\n");
    writers.clear();
    open();
    write(*writer(), "later\n");
    CHECK(in(0) == "whole\nhalf\nline 0\nnext\nlater\n");
}

TEST_CASE_METHOD(Writers, "TopicWriter: a store that is read only has no writer, and verify knows the file") {
    const auto mine = writer();
    write(*mine, "unfinished");
    const auto reader = open_reader();
    const auto topic = *reader->topic("T");
    CHECK(topic->open_writer().error().code == ErrorCode::kReadOnly);
    CHECK(read_all(*topic, 0).empty());
    REQUIRE(files() == 1);
    const auto fs = open_file_system(directory.string());
    REQUIRE(fs);
    AllFindings seen;
    const auto verified = verify_store(**fs, seen);
    REQUIRE(verified);
    CHECK(verified->topics == 1);
    CHECK(seen.text.empty());
}
