// Views of a partition's bytes: the same bytes as read() gives, and right for as long as they are held.
#include "support/random_content.h"
#include "unit/log/partition_fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using namespace topicfs;
using namespace topicfs::test;

namespace {

std::string filled(std::size_t bytes, char with) {
    return std::string(bytes - 1, with) + "\n";
}

TopicSettings with(Codec codec) {
    TopicSettings settings;
    settings.compression_type = codec;
    return settings;
}

std::uint64_t stored_bytes_of_file(const std::filesystem::path& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

}  // namespace

TEST_CASE("PartitionLog: a view shows what a read shows, across batches, segments and head") {
    PartitionFixture fixture(with(GENERATE(Codec::kNone, Codec::kLz4, Codec::kZstd)));
    fixture.settings.segment_bytes = 4096;
    fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
    std::string text;
    for (char c = 'a'; c <= 'e'; ++c) {
        text += filled(3000, c);
        fixture.append(filled(3000, c));
        if (c < 'e') {
            fixture.seal();
        }
    }
    CHECK((fixture.view(0, 100'000) == text));
    CHECK((fixture.view(2999, 6002) == text.substr(2999, 6002)));
    CHECK((fixture.view(12'000, 100) == text.substr(12'000, 100)));
    CHECK(fixture.view(15'000, 10).empty());
    CHECK(fixture.view(20'000, 10).empty());
    CHECK(fixture.view(0, 0).empty());
}

TEST_CASE(
    "PartitionLog: bytes of head or of a stored batch that are viewed again are not copied, nor mapped each time") {
    PartitionFixture fixture(with(Codec::kNone));
    fixture.append(filled(5000, 'a'));
    fixture.seal();
    fixture.append(filled(5000, 'b'));
    for (int reader = 0; reader < 2; ++reader) {
        CHECK((fixture.view(0, 10'000) == filled(5000, 'a') + filled(5000, 'b')));
    }
    const std::uint64_t reads = fixture.fs.calls("pread");
    const std::uint64_t maps = fixture.fs.calls("map");
    CHECK((fixture.view(0, 10'000) == filled(5000, 'a') + filled(5000, 'b')));
    CHECK((fixture.view(100, 50) == std::string(50, 'a')));
    CHECK((fixture.view(6000, 50) == std::string(50, 'b')));
    CHECK(fixture.fs.calls("pread") == reads);
    CHECK(fixture.fs.calls("map") == maps);
    // What is appended later is seen through the window that is there.
    fixture.append("later\n");
    CHECK((fixture.view(10'000, 100) == "later\n"));
    CHECK(fixture.fs.calls("map") == maps);
}

TEST_CASE("PartitionLog: a stored batch with several blocks is viewed without their headers") {
    PartitionFixture fixture(with(Codec::kNone));
    fixture.settings.seal_bytes = 16u << 20;
    fixture.log->set_settings(std::make_shared<TopicSettings>(fixture.settings));
    Random random(7);
    std::string text;
    while (text.size() < 10u << 20) {
        text += std::to_string(random.between(0, 1'000'000'000)) + "\n";
    }
    fixture.append(text);
    fixture.seal();
    CHECK((fixture.view(0, text.size()) == text));
    CHECK((fixture.read(0, text.size()) == text));
    CHECK((fixture.view((4u << 20) - 10, 20) == text.substr((4u << 20) - 10, 20)));
    CHECK((fixture.view((8u << 20), 20) == text.substr(8u << 20, 20)));
    CHECK(fixture.cache.bytes() < 100'000);
}

TEST_CASE("PartitionLog: a damaged batch is not viewed, what lies before it is") {
    PartitionFixture fixture(with(GENERATE(Codec::kNone, Codec::kLz4)));
    fixture.append_batches({filled(3000, 'a'), filled(3000, 'b'), filled(3000, 'c')});
    const auto path = fixture.segment_path(0, fixture.settings.compression_type);
    overwrite(path, std::filesystem::file_size(path) / 2, "?");
    CHECK((fixture.view(0, 9000) == filled(3000, 'a')));
    const auto damaged = fixture.log->view(Position{3500}, 10);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == ErrorCode::kDamaged);
    CHECK((fixture.view(6000, 9000) == filled(3000, 'c')));
}

TEST_CASE("PartitionLog: where nothing can be mapped a view is a copy") {
    PartitionFixture fixture(with(Codec::kNone));
    fixture.fs.set({.call = "map", .for_good = true, .system_errno = ENODEV});
    fixture.append(filled(5000, 'a'));
    fixture.seal();
    fixture.append(filled(5000, 'b'));
    for (int reader = 0; reader < 3; ++reader) {
        CHECK((fixture.view(0, 10'000) == filled(5000, 'a') + filled(5000, 'b')));
    }
    CHECK(fixture.fs.has_failed());
}

TEST_CASE("PartitionLog: a file that was cut under a view is an error of the next view") {
    PartitionFixture fixture(with(Codec::kNone));
    fixture.append(filled(50'000, 'a'));
    fixture.seal();
    CHECK((fixture.view(0, 50'000) == filled(50'000, 'a')));
    const bool is_mapped = GENERATE(false, true);
    if (is_mapped) {
        CHECK((fixture.view(0, 10) == std::string(10, 'a')));
    }
    std::filesystem::resize_file(fixture.segment_path(0, Codec::kNone), 8192);
    const auto cut = fixture.log->view(Position{30'000}, 100);
    if (is_mapped) {  // The kernel finds it.
        REQUIRE(cut);
        const Fd into(::memfd_create("into", MFD_CLOEXEC));
        CHECK(::write(into.get(), cut->parts().front().data(), 100) == -1);
        CHECK(errno == EFAULT);
        return;
    }
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == ErrorCode::kDamaged);
}

TEST_CASE("PartitionLog: a reader beside the daemon views what it reads") {
    PartitionFixture fixture;
    fixture.append_batches({filled(20'000, 'a')});
    fixture.append(filled(20'000, 'b'));
    auto reader = fixture.try_open(false, true);
    REQUIRE(reader);
    const auto before = (*reader)->view(Position{20'000}, 20'000);
    REQUIRE(before);
    fixture.seal_and_checkpoint();  // punches what the view showed
    CHECK((PartitionFixture::text_of(*before) == filled(20'000, 'b')));
    const auto after = (*reader)->view(Position{0}, 50'000);
    REQUIRE(after);
    CHECK((PartitionFixture::text_of(*after) == filled(20'000, 'a') + filled(20'000, 'b')));
}

TEST_CASE("PartitionLog: head is not punched under a view, but by the round after it is gone") {
    PartitionFixture fixture;
    const std::string text = filled(100'000, 'v');
    fixture.append(text);
    {
        CHECK((fixture.view(0, text.size()) == text));
        const auto held = fixture.log->view(Position{0}, text.size());
        REQUIRE(held);
        fixture.seal_and_checkpoint();
        CHECK(fixture.status().durable_sealed_end.value == text.size());
        CHECK(fixture.fs.calls("punch_hole") == 0);
        CHECK((PartitionFixture::text_of(*held) == text));
        CHECK(fixture.log->needs_checkpoint());
        // Who comes now goes to the segment, and is not waited for.
        CHECK((fixture.view(0, text.size()) == text));
        fixture.append("more\n");
        CHECK((fixture.view(text.size(), 10) == "more\n"));
        CHECK((PartitionFixture::text_of(*held) == text));
    }
    REQUIRE(fixture.log->checkpoint());
    CHECK(fixture.fs.calls("punch_hole") == 1);
    CHECK(stored_bytes_of_file(fixture.head_path()) < 20'000);
    CHECK_FALSE(fixture.log->needs_checkpoint());
    CHECK((fixture.view(0, text.size() + 100) == text + "more\n"));
}

TEST_CASE("PartitionLog: what a dead process had published but not punched is punched by the next one") {
    PartitionFixture fixture;
    fixture.append(filled(100'000, 'v'));
    {
        CHECK(fixture.view(0, 100).size() == 100);
        const auto held = fixture.log->view(Position{0}, 100);
        fixture.seal_and_checkpoint();
        fixture.kill();
    }
    CHECK(stored_bytes_of_file(fixture.head_path()) > 90'000);
    fixture.open();
    fixture.append(filled(10'000, 'w'));
    fixture.seal_and_checkpoint();
    CHECK(stored_bytes_of_file(fixture.head_path()) < 20'000);
    CHECK((fixture.view(0, 200'000) == filled(100'000, 'v') + filled(10'000, 'w')));
}

TEST_CASE("PartitionLog: views are right while others append, seal, punch and close what is idle") {
    TopicSettings settings = with(GENERATE(Codec::kNone, Codec::kLz4));
    settings.seal_bytes = 9000;
    settings.segment_bytes = 40'000;
    PartitionFixture fixture(settings);
    PartitionLog& log = *fixture.log;
    // Byte n of the log is known to every reader.
    const auto byte_at = [](std::uint64_t position) { return static_cast<char>('a' + position / 7 % 26); };
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        threads.emplace_back([&, seed] {
            Random random(seed);
            std::optional<ByteView> held;  // over many others
            std::uint64_t held_from = 0;
            const auto is_right = [&](const ByteView& view, std::uint64_t from) {
                for (const auto part : view.parts()) {
                    for (const std::byte byte : part) {
                        if (static_cast<char>(byte) != byte_at(from++)) {
                            return false;
                        }
                    }
                }
                return true;
            };
            while (!done) {
                const auto end = log.end();
                const std::uint64_t from = end && end->value > 0 ? random.between(0, end->value - 1) : 0;
                auto view = log.view(Position{from}, random.between(1, 30'000));
                wrong += view && is_right(*view, from) ? 0 : 1;
                wrong += !held || is_right(*held, held_from) ? 0 : 1;
                if (view && random.one_in(4)) {
                    held = std::move(*view);
                    held_from = from;
                }
            }
        });
    }
    threads.emplace_back([&] {
        BatchBuilder builder;
        while (!done) {
            wrong += log.seal_due(builder) ? 0 : 1;
            wrong += log.checkpoint() ? 0 : 1;
            log.close_idle();
            std::this_thread::yield();
        }
    });
    std::uint64_t at = 0;
    for (int i = 0; i < 400; ++i) {
        std::string text(2500, '?');
        for (char& c : text) {
            c = byte_at(at++);
        }
        wrong += log.append(std::as_bytes(std::span(text))) ? 0 : 1;
        fixture.clock.advance(3);
    }
    done = true;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
    fixture.seal_and_checkpoint();
    CHECK(fixture.status().damaged.empty());
    CHECK(stored_bytes_of_file(fixture.head_path()) < 20'000);
}
