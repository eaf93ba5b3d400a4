// What a partition holds after its process died or power was cut, state by state.
#include "log/recovery.h"

#include "unit/log/partition_fixture.h"

using namespace topicfs;
using namespace topicfs::test;

namespace {

TopicSettings small() {
    TopicSettings settings;
    settings.compression_type = Codec::kNone;
    settings.seal_bytes = 100'000;
    return settings;
}

// `count` lines of ten bytes.
std::string lines(std::size_t count, char fill = 'x') {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
        text += std::string(9, fill) + "\n";
    }
    return text;
}

std::uint64_t records(const std::string& text) {
    return static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

void check_whole(PartitionFixture& fixture, const std::string& text) {
    CHECK((fixture.all() == text));
    const PartitionStatus status = fixture.status();
    CHECK(status.end.value == text.size());
    CHECK(status.end_offset.value == records(text));
    CHECK(status.damaged.empty());
}

// What is appended behind a recovery goes where it belongs, in segments too.
void check_goes_on(PartitionFixture& fixture, const std::string& text) {
    fixture.append("more\n");
    fixture.seal_and_checkpoint();
    fixture.restart();
    check_whole(fixture, text + "more\n");
    CHECK(fixture.log->find_offset(Offset{records(text)})->position.value == text.rfind('\n') + 1);
}

}  // namespace

TEST_CASE("Recovery: appended bytes outlive the process at every stage of sealing") {
    PartitionFixture fixture(small());
    const std::string a = lines(30, 'a');
    const std::string b = lines(900, 'b');
    fixture.append(a);
    fixture.restart();
    check_whole(fixture, a);
    fixture.seal();
    fixture.restart();
    check_whole(fixture, a);
    fixture.seal_and_checkpoint();
    fixture.restart();
    check_whole(fixture, a);
    fixture.append(b);
    fixture.seal();
    fixture.append("unfinished");
    fixture.restart();
    check_whole(fixture, a + b + "unfinished");
    fixture.append("\n");
    check_goes_on(fixture, a + b + "unfinished\n");
}

TEST_CASE("Recovery: what was sealed behind the recovery point is dropped and sealed again") {
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10), lines(10)});
    REQUIRE(fixture.log->checkpoint());
    const auto synced = std::filesystem::file_size(fixture.segment_path(0));
    fixture.append_batches({lines(10)});
    REQUIRE(std::filesystem::file_size(fixture.segment_path(0)) > synced);
    fixture.restart();
    CHECK(std::filesystem::file_size(fixture.segment_path(0)) == synced);
    check_whole(fixture, lines(30));
    check_goes_on(fixture, lines(30));
}

TEST_CASE("Recovery: segments that were begun behind the recovery point go") {
    TopicSettings settings = small();
    settings.segment_bytes = 1;
    PartitionFixture fixture(settings);
    fixture.append_batches({lines(10)});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(10), lines(10)});
    write_file(fixture.segment_path(300), "");  // being begun
    fixture.restart();
    CHECK(std::filesystem::exists(fixture.segment_path(0)));
    CHECK_FALSE(std::filesystem::exists(fixture.segment_path(100)));
    CHECK_FALSE(std::filesystem::exists(fixture.segment_path(300)));
    check_whole(fixture, lines(30));
    check_goes_on(fixture, lines(30));
}

TEST_CASE("Recovery: a torn batch behind the recovery point is sealed again from head") {
    const bool power_was_cut = GENERATE(false, true);
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10)});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(10, 'b')});
    REQUIRE(fixture.log->sync());
    fixture.kill();
    const auto bytes = std::filesystem::file_size(fixture.segment_path(0));
    std::filesystem::resize_file(fixture.segment_path(0), bytes - GENERATE(1u, 50u, 150u));
    fixture.open(power_was_cut);
    check_whole(fixture, lines(10) + lines(10, 'b'));
    check_goes_on(fixture, lines(10) + lines(10, 'b'));
}

TEST_CASE("Recovery: a batch whose payload was not written is sealed again from head") {
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10)});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(10, 'b'), lines(10, 'c')});
    REQUIRE(fixture.log->sync());
    fixture.kill();
    const std::string segment = read_file(fixture.segment_path(0));
    overwrite(fixture.segment_path(0), segment.find("bbbb"), std::string(80, '\0'));
    const std::string text = lines(10) + lines(10, 'b') + lines(10, 'c');
    fixture.open(true);
    check_whole(fixture, text);
    CHECK(fixture.log->find_offset(Offset{25})->position.value == 250);
    check_goes_on(fixture, text);
}

TEST_CASE("Recovery: a whole batch that was never written, before a segment that was, is sealed again from head") {
    TopicSettings settings = small();
    settings.segment_bytes = 400;
    PartitionFixture fixture(settings);
    fixture.append_batches({lines(10)});
    REQUIRE(fixture.log->checkpoint());
    const auto synced = std::filesystem::file_size(fixture.segment_path(0));
    fixture.settings.segment_bytes = 4096;
    fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
    fixture.append_batches({lines(10, 'b')});
    fixture.settings.segment_bytes = 1;
    fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
    fixture.append_batches({lines(10, 'c')});
    REQUIRE(std::filesystem::exists(fixture.segment_path(200)));
    REQUIRE(fixture.log->sync());
    fixture.kill();
    std::filesystem::resize_file(fixture.segment_path(0), synced);
    const std::string text = lines(10) + lines(10, 'b') + lines(10, 'c');
    fixture.open(true);
    check_whole(fixture, text);
    check_goes_on(fixture, text);
}

TEST_CASE("Recovery: one slot of the recovery file may be damaged, or both") {
    const int damaged_slots = GENERATE(1, 2, 3);  // one bit a slot; 3: both
    const bool power_was_cut = GENERATE(false, true);
    PartitionFixture fixture(small());
    fixture.append_batches({lines(500)});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(500, 'b')});
    REQUIRE(fixture.log->checkpoint());
    fixture.append(lines(10, 'c'));
    REQUIRE(fixture.log->sync());
    fixture.kill();
    for (const unsigned slot : {0u, 1u}) {
        if ((damaged_slots & (1 << slot)) != 0) {
            overwrite(fixture.recovery_path(), slot * kRecoverySlotStrideBytes + 50, "damage");
        }
    }
    fixture.open(power_was_cut);
    check_whole(fixture, lines(500) + lines(500, 'b') + lines(10, 'c'));
    check_goes_on(fixture, lines(500) + lines(500, 'b') + lines(10, 'c'));
}

TEST_CASE("Recovery: a missing recovery file is made anew") {
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10), lines(10)});
    fixture.append("tail\n");
    fixture.kill();
    std::filesystem::remove(fixture.recovery_path());
    fixture.open();
    CHECK(std::filesystem::file_size(fixture.recovery_path()) == kRecoveryFileBytes);
    check_whole(fixture, lines(20) + "tail\n");
    check_goes_on(fixture, lines(20) + "tail\n");
}

TEST_CASE("Recovery: a damaged head header is written anew, the bytes stay") {
    PartitionFixture fixture(small());
    fixture.append(lines(30));
    fixture.kill();
    overwrite(fixture.head_path(), 3, "damage");
    fixture.open();
    check_whole(fixture, lines(30));
    fixture.restart();
    check_goes_on(fixture, lines(30));
}

TEST_CASE("Recovery: a head of version 1 is gone on with, its header damaged or not") {
    PartitionFixture fixture(small());
    fixture.append(lines(30));
    fixture.kill();
    const auto header = encode_head_header({Position{0}, TimestampMs{1}, kHeadDataAtOfVersion1});
    const std::string block(reinterpret_cast<const char*>(header.data()), header.size());
    write_file(fixture.head_path(), block + lines(30));
    if (GENERATE(false, true)) {
        overwrite(fixture.head_path(), 3, "damage");
    }
    fixture.open();
    check_whole(fixture, lines(30));
    fixture.append("more\n");
    CHECK(read_file(fixture.head_path()).substr(kHeadDataAtOfVersion1) == lines(30) + "more\n");
    fixture.restart();
    check_goes_on(fixture, lines(30) + "more\n");
}

TEST_CASE("Recovery: a head that is missing is begun again where the segments end") {
    const bool power_was_cut = GENERATE(false, true);
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10), lines(10)});
    if (GENERATE(false, true)) {
        REQUIRE(fixture.log->checkpoint());
    }
    fixture.kill();
    std::filesystem::remove(fixture.head_path());
    fixture.open(power_was_cut);
    check_whole(fixture, lines(20));
    check_goes_on(fixture, lines(20));
}

TEST_CASE("Recovery: a head that is shorter than what was sealed is extended, and no position is given out twice") {
    const bool power_was_cut = GENERATE(false, true);
    PartitionFixture fixture(small());
    fixture.append_batches({lines(1000), lines(10, 'b')});
    REQUIRE(fixture.log->checkpoint());
    fixture.kill();
    std::filesystem::resize_file(fixture.head_path(), GENERATE(kHeadDataAt, kHeadDataAt + 7'000));
    fixture.open(power_was_cut);
    check_whole(fixture, lines(1000) + lines(10, 'b'));
    check_goes_on(fixture, lines(1000) + lines(10, 'b'));
}

TEST_CASE("Recovery: synced bytes of head that are gone are damage, and their positions are not given out again") {
    PartitionFixture fixture(small());
    const std::string synced = lines(10) + std::string("\0\0\n", 3);
    fixture.append(synced);
    REQUIRE(fixture.log->sync());
    fixture.kill();
    std::filesystem::resize_file(fixture.head_path(), kHeadDataAt + 50);
    fixture.open(true);
    CHECK(fixture.log->end()->value == synced.size());
    CHECK((fixture.read(0, 1000) == lines(5)));
    CHECK(fixture.read_error(50) == ErrorCode::kDamaged);
    REQUIRE(fixture.status().damaged.size() >= 1);
    fixture.append("new\n");
    CHECK((fixture.read(synced.size(), 100) == "new\n"));
    fixture.restart();
    CHECK(fixture.read_error(50) == ErrorCode::kDamaged);
    CHECK((fixture.read(synced.size(), 100) == "new\n"));
    fixture.seal_and_checkpoint();
    fixture.restart(true);
    CHECK(fixture.read_error(70) == ErrorCode::kDamaged);
    CHECK((fixture.read(0, 1000) == lines(5)));
    CHECK((fixture.read(synced.size(), 100) == "new\n"));
}

TEST_CASE("Recovery: NULs that a power cut left at head's end are cut, those that were synced stay") {
    PartitionFixture fixture(small());
    const bool was_synced = GENERATE(false, true);
    const std::string kept = lines(3);
    const std::string nuls(2000, '\0');
    fixture.append(kept);
    REQUIRE(fixture.log->sync());
    fixture.append(nuls);
    if (was_synced) {
        REQUIRE(fixture.log->sync());
    }
    SECTION("after a power cut") {
        fixture.restart(true);
        check_whole(fixture, was_synced ? kept + nuls : kept);
        check_goes_on(fixture, was_synced ? kept + nuls : kept);
    }
    SECTION("the death of the process leaves them all") {
        fixture.restart(false);
        check_whole(fixture, kept + nuls);
    }
}

TEST_CASE("Recovery: a hole at head's end is cut after a power cut") {
    PartitionFixture fixture(small());
    fixture.append(lines(800));
    if (GENERATE(false, true)) {
        fixture.seal_and_checkpoint();
    }
    REQUIRE(fixture.log->sync());
    fixture.kill();
    std::filesystem::resize_file(fixture.head_path(), kHeadDataAt + 8000 + 20'000);
    fixture.open(true);
    check_whole(fixture, lines(800));
    check_goes_on(fixture, lines(800));
}

TEST_CASE("Recovery: a hole at the beginning of a log that was never synced leaves it empty") {
    PartitionFixture fixture(small());
    fixture.kill();
    std::filesystem::resize_file(fixture.head_path(), kHeadDataAt + 10'000);
    fixture.open(true);
    check_whole(fixture, "");
    check_goes_on(fixture, "");
}

TEST_CASE("Recovery: a second run changes nothing") {
    TopicSettings settings = small();
    settings.segment_bytes = 700;
    PartitionFixture fixture(settings);
    fixture.append_batches({lines(10), lines(20, 'b'), lines(30, 'c')});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(10, 'd'), lines(20, 'e')});
    fixture.append(lines(10, 'f'));
    REQUIRE(fixture.log->sync());
    fixture.append(std::string(3000, '\0'));
    fixture.restart(true);
    const std::string text = fixture.all();
    const auto files = fixture.file_names();
    const std::string head = read_file(fixture.head_path());
    const auto before = RecoveryFile::load(fixture.fs, std::string(kPartitionDirectory) + "/recovery");
    for (const bool power_was_cut : {true, false}) {
        fixture.restart(power_was_cut);
        CHECK((fixture.all() == text));
        CHECK(fixture.file_names() == files);
        CHECK((read_file(fixture.head_path()) == head));
        auto after = RecoveryFile::load(fixture.fs, std::string(kPartitionDirectory) + "/recovery");
        (*after)->point.sequence = (*before)->point.sequence;
        CHECK((*after)->point == (*before)->point);
    }
    CHECK((text == lines(10) + lines(20, 'b') + lines(30, 'c') + lines(10, 'd') + lines(20, 'e') + lines(10, 'f')));
}

TEST_CASE("Recovery: a segment that is shorter than the recovery point says is sealed again where head still has it") {
    // Under a block of head nothing is punched.
    const bool power_was_cut = GENERATE(false, true);
    const bool is_emptied = GENERATE(false, true);
    TopicSettings settings = small();
    settings.segment_bytes = GENERATE(1u, 100'000u);
    PartitionFixture fixture(settings);
    fixture.append_batches({lines(10), lines(10, 'b')});
    REQUIRE(fixture.log->checkpoint());
    fixture.kill();
    const auto path = settings.segment_bytes == 1 ? fixture.segment_path(100) : fixture.segment_path(0);
    std::filesystem::resize_file(path, is_emptied ? 0 : std::filesystem::file_size(path) - 1);
    fixture.open(power_was_cut);
    check_whole(fixture, lines(10) + lines(10, 'b'));
    CHECK(fixture.log->find_offset(Offset{15})->position.value == 150);
    check_goes_on(fixture, lines(10) + lines(10, 'b'));
}

TEST_CASE("Recovery: a reader beside the files writes nothing, whatever it finds") {
    PartitionFixture fixture(small());
    fixture.append_batches({lines(10)});
    REQUIRE(fixture.log->checkpoint());
    fixture.append_batches({lines(10, 'b')});
    fixture.append(lines(3, 'c'));
    fixture.kill();
    std::filesystem::resize_file(fixture.segment_path(0), std::filesystem::file_size(fixture.segment_path(0)) - 3);
    switch (GENERATE(0, 1, 2, 3)) {
        case 1:
            std::filesystem::remove(fixture.recovery_path());
            break;
        case 2:
            overwrite(fixture.head_path(), 0, "damage");
            break;
        case 3:
            std::filesystem::remove(fixture.index_path(0));
            break;
        default:
            break;
    }
    std::vector<std::string> before;
    for (const std::string& name : fixture.file_names()) {
        before.push_back(name + read_file(fixture.path(name)));
    }
    const auto reader = fixture.try_open(GENERATE(false, true), true);
    REQUIRE(reader);
    CHECK((*PartitionFixture::read(**reader, Position{0}, 1000) == lines(10) + lines(10, 'b') + lines(3, 'c')));
    const std::byte byte{'x'};
    CHECK((*reader)->append(std::span(&byte, 1)).error().code == ErrorCode::kReadOnly);
    std::vector<std::string> after;
    for (const std::string& name : fixture.file_names()) {
        after.push_back(name + read_file(fixture.path(name)));
    }
    CHECK(before == after);
}

TEST_CASE("Recovery: a reader takes nothing for damage that the writer seals and punches under its eyes") {
    TopicSettings settings = small();
    settings.seal_bytes = 20'000;
    PartitionFixture writer(settings);
    writer.append(lines(2000));
    writer.seal_and_checkpoint();
    writer.append(lines(3900, 'b'));
    PowerCutFileSystem beside(*writer.real, writer.directory.path());
    int looks = 0;
    beside.observe([&](std::string_view call, const std::string&) {
        if (call == "seek_hole" && ++looks <= 2) {
            REQUIRE(writer.log->seal_due(writer.builder, looks == 2));
            REQUIRE(writer.log->checkpoint());
        }
    });
    const PartitionEnvironment environment{beside, writer.clock, writer.cache, nullptr, true};
    const auto reader =
        PartitionLog::open(environment, kPartitionDirectory, std::make_shared<TopicSettings>(settings), false);
    REQUIRE(reader);
    CHECK(looks >= 2);
    CHECK((*reader)->status()->damaged.empty());
    CHECK((*PartitionFixture::read(**reader, Position{0}, 100'000) == lines(2000) + lines(3900, 'b')));
}
