// The log start passes a reader that is open.
#include "unit/store/group_fixture.h"

#include <array>

namespace topicfs::test {

namespace {

const std::array<std::string, 6> kRecords = {"zero\n", "one\n", "two\n", "three\n", "four\n", "five\n"};

Found begin_of(std::size_t record) {
    Found found;
    for (std::size_t i = 0; i < record; ++i) {
        found.position = found.position + kRecords[i].size();
        found.offset = found.offset + 1;
    }
    return found;
}
std::string records(std::size_t from, std::size_t to) {
    std::string text;
    for (std::size_t i = from; i < to; ++i) {
        text += kRecords[i];
    }
    return text;
}

class Passed : public Groups {
public:
    explicit Passed(bool sealed) {
        append_seconds({{0, kRecords[0]}, {0, kRecords[1]}, {0, kRecords[2]}});
        append_seconds({{0, kRecords[3]}, {0, kRecords[4]}, {0, kRecords[5]}});
        if (sealed) {
            seal();
        }
    }
    // Records before this one are gone.
    void pass(std::size_t record) {
        const auto partition = *topic->partition(0);
        REQUIRE(dynamic_cast<StoredPartition&>(*partition).log()->advance_start(begin_of(record)));
    }
    std::uint64_t missed() {
        const auto status = group()->status();
        REQUIRE(status);
        return (*status)[0].missed;
    }
};

}  // namespace

TEST_CASE("Group log start: a reader that was passed goes on by auto.offset.reset, wherever both are") {
    const bool sealed = GENERATE(false, true);
    const bool latest = GENERATE(false, true);
    const bool asks = GENERATE(false, true);  // as one that waits does before it reads
    for (std::size_t read = 0; read <= kRecords.size(); ++read) {
        for (std::size_t start = 0; start <= kRecords.size(); ++start) {
            INFO(read << " records were read, " << start << " are gone");
            Passed groups(sealed);
            REQUIRE(groups.group()->reset(0, Offset{0}));
            REQUIRE(groups.group()->set("auto.offset.reset", latest ? "latest" : "earliest"));
            Reading reading = groups.open_reader(0);
            CHECK((read == 0 || reading.read(begin_of(read).position.value) == records(0, read)));
            REQUIRE(reading.reader->fetch(reading.at, 0));  // It has come back for them.
            CHECK(groups.committed(0) == read);
            groups.pass(start);
            const std::size_t next = start <= read ? read : latest ? kRecords.size() : start;
            CHECK(groups.committed(0) == next);
            CHECK(groups.missed() == next - read);
            CHECK((!asks || reading.reader->readiness()->is_ready == (next < kRecords.size())));
            CHECK(reading.read() == records(next, kRecords.size()));
            CHECK(reading.read().empty());
            CHECK(groups.committed(0) == kRecords.size());
            CHECK(groups.missed() == next - read);
            groups.append(0, "new\n");
            CHECK(reading.reader->readiness()->is_ready);
            CHECK(reading.read() == "new\n");
            CHECK(reading.read().empty());
            CHECK(groups.committed(0) == kRecords.size() + 1);
            reading.close();
            CHECK(groups.missed() == next - read);
        }
    }
}

TEST_CASE("Group log start: in the middle of a record a reader is told, and does not get another one's rest for it") {
    const bool sealed = GENERATE(false, true);
    const bool asks = GENERATE(false, true);
    Passed groups(sealed);
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(4) == "zero");
    groups.pass(3);
    CHECK((!asks || reading.reader->readiness()->is_ready));
    CHECK(code_of(reading.try_read()) == ErrorCode::kDamaged);
    CHECK((!asks || reading.reader->readiness()->is_ready));
    CHECK(reading.read() == "three\nfour\nfive\n");
    CHECK(reading.read().empty());
    CHECK(groups.committed(0) == 6);
    CHECK(groups.missed() == 3);
}

TEST_CASE("Group log start: commits and descriptions of what was given before stay right") {
    const bool sealed = GENERATE(false, true);
    Passed groups(sealed);
    REQUIRE(groups.group()->set("enable.auto.commit", "false"));
    Reading reading = groups.open_reader(0);
    CHECK(reading.read(13) == "zero\none\ntwo\n");
    const auto described = [&](std::uint64_t at) {
        const auto chunks = reading.reader->describe(at, 10);
        INFO((chunks ? std::string() : chunks.error().message()));
        REQUIRE(chunks);
        std::string text;
        for (const auto& chunk : *chunks) {
            text += std::to_string(chunk.position.value) + "+" + std::to_string(chunk.bytes) + "@" +
                    (chunk.time ? std::to_string(*chunk.time - groups.begin) : "-") + " ";
        }
        return text;
    };
    CHECK(described(0) == "0+5@0 5+4@1000 9+4@2000 ");
    SECTION("of which a part is gone") {
        groups.pass(2);
        CHECK(described(0) == "0+9@- 9+4@2000 ");
        CHECK(described(7) == "7+2@- 9+4@2000 ");
        REQUIRE(reading.reader->commit(9));
        CHECK(groups.committed(0) == 2);
        CHECK(described(9) == "9+4@2000 ");
        REQUIRE(reading.reader->commit(13));
        CHECK(groups.committed(0) == 3);
        CHECK(reading.read() == "three\nfour\nfive\n");
        CHECK(described(13) == "13+6@3000 19+5@4000 24+5@5000 ");
    }
    SECTION("of which all is gone") {
        groups.pass(4);
        CHECK(described(0) == "0+13@- ");
        REQUIRE(reading.reader->commit(5));
        CHECK(groups.committed(0) == 4);
        CHECK(reading.read() == "four\nfive\n");
        REQUIRE(reading.reader->commit(13));
        CHECK(groups.committed(0) == 4);
        CHECK(described(13) == "19+5@4000 24+5@5000 ");
        REQUIRE(reading.reader->commit(18));
        CHECK(groups.committed(0) == 5);
        groups.pass(5);
        REQUIRE(reading.reader->commit(23));
        CHECK(groups.committed(0) == 6);
    }
    SECTION("and is not given again as something else") {
        groups.pass(1);
        for (const std::uint64_t at : {0u, 2u}) {
            const auto again = reading.reader->fetch(at, 100);
            CHECK(
                (again ? Merged::text(*again) == records(0, 3).substr(at) : again.error().code == ErrorCode::kDamaged));
        }
        CHECK(Merged::text(*reading.reader->fetch(5, 100)) == "one\ntwo\n");
        CHECK(Merged::text(*reading.reader->fetch(13, 6)) == "three\n");
    }
    reading.close();
}

}  // namespace topicfs::test
