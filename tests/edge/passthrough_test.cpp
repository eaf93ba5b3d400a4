// Passthrough: what is changed in the protocol, byte by byte, and which opens get a backing file.
#include "mount/passthrough.h"

#include <sys/uio.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <thread>

#include "edge/fake_backing.h"
#include "edge/pretend_kernel.h"

namespace topicfs::test {
namespace {

// ---- Bytes
// -----------------------------------------------------------------------------------------------------------

// INIT as Linux 6.18 sends it: header, then major 7, minor 45, max_readahead, flags and flags2.
std::array<unsigned char, 104> init_request() {
    std::array<unsigned char, 104> bytes = {
        104,  0, 0, 0, 26,   0,    0,    0,     // length, INIT
        2,    0, 0, 0, 0,    0,    0,    0,     // unique
        0,    0, 0, 0, 0,    0,    0,    0,     // node
        0,    0, 0, 0, 0,    0,    0,    0,     // user, group
        0,    0, 0, 0, 0,    0,    0,    0,     // process, padding
        7,    0, 0, 0, 45,   0,    0,    0,     // major, minor
        0,    0, 2, 0, 0xfb, 0xff, 0xff, 0x73,  // max_readahead, flags with INIT_EXT
        0x2d, 0, 0, 0,                          // flags2 with PASSTHROUGH
    };
    return bytes;
}
constexpr std::size_t kInitFlags2At = 56;
constexpr std::size_t kInitFlagsEnd = 56;

// An answer of as many bytes behind its header, each of them known: header, then 0x80, 0x81, ….
std::vector<unsigned char> answer_bytes(std::size_t body_bytes, std::uint64_t unique, int error = 0) {
    std::vector<unsigned char> bytes(16 + body_bytes);
    const fuse_out_header header = {static_cast<std::uint32_t>(bytes.size()), error, unique};
    std::memcpy(bytes.data(), &header, sizeof header);
    for (std::size_t i = 0; i < body_bytes; ++i) {
        bytes[16 + i] = static_cast<unsigned char>(0x80 + i % 64);
    }
    return bytes;
}

void send(Passthrough& passthrough, std::span<const unsigned char> request) {
    passthrough.on_request(std::as_bytes(request));
}

// What goes to the kernel for an answer in two parts; nothing where it goes as it is.
std::optional<std::vector<unsigned char>> changed(const Passthrough& passthrough, std::vector<unsigned char> answer,
                                                  std::size_t first_part = 16) {
    const std::array<iovec, 3> parts = {{{answer.data(), first_part},
                                         {answer.data() + first_part, 0},
                                         {answer.data() + first_part, answer.size() - first_part}}};
    const auto result = passthrough.on_answer(parts);
    if (!result) {
        return std::nullopt;
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(result->data());
    return std::vector<unsigned char>(bytes, bytes + result->size());
}

TEST_CASE("Passthrough: the answer to INIT says that we want it, and nothing else in it is changed") {
    Passthrough passthrough;
    send(passthrough, init_request());
    const std::size_t first_part = GENERATE(16u, 20u, 80u);
    std::vector<unsigned char> wanted = answer_bytes(64, 2);
    wanted[16 + 15] |= 0x40;  // flags, bit 30
    wanted[16 + 32] |= 0x20;  // flags2, bit 5
    wanted[16 + 36] = 1;      // max_stack_depth
    wanted[16 + 37] = wanted[16 + 38] = wanted[16 + 39] = 0;
    CHECK(changed(passthrough, answer_bytes(64, 2), first_part) == wanted);
}

TEST_CASE("Passthrough: other answers than INIT's stay as they are, and so does an error") {
    Passthrough passthrough;
    CHECK_FALSE(changed(passthrough, answer_bytes(64, 2)));
    send(passthrough, init_request());
    CHECK_FALSE(changed(passthrough, answer_bytes(64, 4)));
    CHECK_FALSE(changed(passthrough, answer_bytes(0, 2, -EPROTO)));
    // An old kernel takes a shorter answer, which has no room for it.
    CHECK(changed(passthrough, answer_bytes(24, 2)).value_or(answer_bytes(24, 2)) == answer_bytes(24, 2));
}

TEST_CASE("Passthrough: a kernel that does not offer it is not asked for it") {
    Passthrough passthrough;
    auto request = init_request();
    SECTION("it is not among the flags") {
        request[kInitFlags2At] = 0x0d;
    }
    SECTION("flags2 does not count") {
        request[kInitFlagsEnd - 1] &= 0xbf;
    }
    SECTION("another request") {
        request[4] = 27;
    }
    send(passthrough, request);
    CHECK_FALSE(changed(passthrough, answer_bytes(64, 2)));
    passthrough.try_out(-1, "/dev/null");
    CHECK_FALSE(passthrough.available());
    CHECK(passthrough.refusal().find("does not offer") != std::string::npos);
}

TEST_CASE("Passthrough: an INIT that is cut short offers nothing") {
    const auto request = init_request();
    for (std::size_t bytes = 0; bytes < kInitFlags2At + 4; ++bytes) {
        Passthrough passthrough;
        // A copy of exactly that size, so that a reader behind it is noticed.
        const std::vector<unsigned char> cut(request.begin(), request.begin() + static_cast<std::ptrdiff_t>(bytes));
        send(passthrough, cut);
        CAPTURE(bytes);
        CHECK_FALSE(changed(passthrough, answer_bytes(64, 2)));
    }
}

TEST_CASE("Passthrough: it is tried, and what comes out is said") {
    const TemporaryDirectory directory;
    write_file(directory / "probe", "x");
    auto& backing_files = FakeBackingFiles::instance();
    backing_files.reset();
    Passthrough passthrough;
    CHECK_FALSE(passthrough.available());
    CHECK_FALSE(passthrough.refusal().empty());
    send(passthrough, init_request());
    for (const auto& [system_errno, words] :
         {std::pair{EPERM, "CAP_SYS_ADMIN"}, {ELOOP, "overlayfs"}, {ENOTTY, "kernel"}}) {
        backing_files.refuse(system_errno);
        passthrough.try_out(-1, directory / "probe");
        CHECK_FALSE(passthrough.available());
        CHECK(passthrough.refusal().find(words) != std::string::npos);
    }
    backing_files.refuse(std::nullopt);
    passthrough.try_out(-1, "");
    CHECK_FALSE(passthrough.available());
    passthrough.try_out(-1, directory / "nothing");
    CHECK_FALSE(passthrough.available());
    CHECK(passthrough.refusal().find("nothing") != std::string::npos);
    passthrough.try_out(-1, directory / "probe");
    CHECK(passthrough.available());
    CHECK(passthrough.refusal().empty());
    CHECK(backing_files.named().empty());
    // The connection has been agreed upon: what has INIT's number by chance is no INIT.
    CHECK_FALSE(changed(passthrough, answer_bytes(64, 2)));
}

#ifndef FUSE_CAP_PASSTHROUGH  // libfuse 3.17 writes these bytes itself
TEST_CASE("Passthrough: an answer to OPEN or CREATE names the backing file, in its last 16 bytes") {
    const Passthrough passthrough;
    fuse_file_info info = {};
    // OPEN has struct fuse_open_out, CREATE struct fuse_entry_out before it.
    const std::size_t body_bytes = GENERATE(16u, 144u);
    const std::size_t first_part = GENERATE(16u, 25u);
    const std::size_t out = body_bytes;  // 16 bytes before the end, counted with the header
    Passthrough::attach(info, 0x01020304);
    std::vector<unsigned char> wanted = answer_bytes(body_bytes, 6);
    wanted[out + 8] |= 0x80;
    wanted[out + 12] = 4;
    wanted[out + 13] = 3;
    wanted[out + 14] = 2;
    wanted[out + 15] = 1;
    CHECK(changed(passthrough, answer_bytes(body_bytes, 6), first_part) == wanted);
    CHECK_FALSE(changed(passthrough, answer_bytes(0, 6, -EINTR)));
    // Each thread has its own open.
    std::optional<std::vector<unsigned char>> others;
    std::thread([&] { others = changed(passthrough, answer_bytes(body_bytes, 8)); }).join();
    CHECK_FALSE(others);
    Passthrough::detach();
    CHECK_FALSE(changed(passthrough, answer_bytes(body_bytes, 10)));
}
#endif

// ---- Opens
// -----------------------------------------------------------------------------------------------------------

constexpr std::uint32_t kPassthroughFlag = 1u << 7;  // FOPEN_PASSTHROUGH, which older headers do not have
constexpr int kAppend = O_WRONLY | O_APPEND;
constexpr Caller kNobody{1000, 1000, 0};
constexpr Caller kOther{1000, 1000, 78};

// struct fuse_open_out of newer headers.
struct OpenOut {
    std::uint64_t handle;
    std::uint32_t open_flags;
    std::int32_t backing_id;
};

struct Fixture {
    Fixture() {
        REQUIRE(kernel.no_passthrough().empty());
        kernel.store().context().lends = true;
        REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
        topic = kernel.node_of_path("orders");
    }
    static FakeBackingFiles& fresh() {
        FakeBackingFiles::instance().reset();
        return FakeBackingFiles::instance();
    }

    // An open that does what the kernel does after ESTALE; how many it took goes to `turned`.
    struct Opened {
        OpenFile file;
        OpenOut out;
    };
    Opened open(int flags, const Caller& caller = {}, std::string_view name = "0") {
        std::uint64_t node = kernel.node(topic, name, caller);
        Answer answer = kernel.open(node, flags, caller);
        turned = answer.error == ESTALE;
        if (turned) {
            node = kernel.node(topic, name, caller);
            CHECK(kernel.node(topic, name, caller) == node);
            answer = kernel.open(node, flags, caller);
        }
        const auto out = answer.as<OpenOut>();
        return {{node, out.handle, out.open_flags}, out};
    }
    void close(const OpenFile& file, const Caller& caller = {}) {
        REQUIRE(kernel.flush(file, caller).error == 0);
        REQUIRE(kernel.release(file).error == 0);
    }
    static bool is_backed(const Opened& opened) { return (opened.out.open_flags & kPassthroughFlag) != 0; }

    FakeBackingFiles& backing_files = fresh();
    PretendKernel kernel{PretendKernel::Start::kPassthrough};
    std::uint64_t topic = 0;
    bool turned = false;
};

TEST_CASE("passthrough: a kernel that offers it is told that we want it") {
    PretendKernel kernel(PretendKernel::Start::kSilent);
    const auto out = kernel.initialise(FUSE_KERNEL_VERSION, 1u << 5);
    std::uint32_t stack_depth = 0;
    std::memcpy(&stack_depth, out.body.data() + 36, sizeof stack_depth);
    CHECK((out.as<fuse_init_out>().flags & FUSE_INIT_EXT) != 0);
    CHECK(out.as<fuse_init_out>().flags2 == 1u << 5);
    CHECK(stack_depth == 1);
}

TEST_CASE_METHOD(Fixture, "passthrough: an open for append is turned to a node of its own, which has a backing file") {
    const std::uint64_t reader = kernel.node(topic, "0");
    const Opened first = open(kAppend);
    CHECK(turned);
    CHECK(first.file.node != reader);
    // Nothing else may stand beside it: with DIRECT_IO writes would come to us, with KEEP_CACHE the kernel refuses.
    CHECK(first.out.open_flags == kPassthroughFlag);
    CHECK(backing_files.named() == std::set{first.out.backing_id});
    const Opened second = open(kAppend, kOther);
    CHECK(second.file.node != first.file.node);
    CHECK(second.out.backing_id == first.out.backing_id);
    CHECK(kernel.attributes(first.file.node).as<fuse_attr_out>().attr.ino ==
          kernel.attributes(reader).as<fuse_attr_out>().attr.ino);
    CHECK(kernel.store().context().lent == 1);
}

TEST_CASE_METHOD(Fixture, "passthrough: what must be seen by the daemon is not handed out") {
    const int flags = GENERATE(O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, kAppend | O_DSYNC, kAppend | O_SYNC);
    const Opened opened = open(flags);
    CHECK(opened.out.open_flags == FOPEN_DIRECT_IO);
    CHECK(backing_files.named().empty());
}

TEST_CASE_METHOD(Fixture, "passthrough: a thread that cannot be named appends through the daemon, at the node it has") {
    const std::uint64_t reader = kernel.node(topic, "0", kNobody);
    const auto opened = kernel.open(reader, kAppend, kNobody).as<OpenOut>();
    CHECK(opened.open_flags == FOPEN_DIRECT_IO);
    CHECK(kernel.write({reader, opened.handle, 0}, "x").error == 0);
}

TEST_CASE_METHOD(Fixture,
                 "passthrough: a file that was bound by itself is served through the daemon at the second try") {
    const std::uint64_t reader = kernel.node(topic, "0");
    for (int round = 0; round < 2; ++round) {
        CHECK(kernel.open(reader, kAppend).error == ESTALE);
        CHECK(kernel.open(reader, kAppend).as<OpenOut>().open_flags == FOPEN_DIRECT_IO);
    }
}

TEST_CASE_METHOD(Fixture, "passthrough: settings that want each append to be seen turn it off") {
    Topic& settings = *kernel.store().fake_topic("orders");
    SECTION("flush.messages") {
        REQUIRE(settings.set("flush.messages", "1"));
    }
    SECTION("write.path") {
        REQUIRE(settings.set("write.path", "daemon"));
    }
    CHECK_FALSE(is_backed(open(kAppend)));
}

TEST_CASE_METHOD(Fixture, "passthrough: where the kernel or the engine refuses, appends go through the daemon") {
    SECTION("the kernel") {
        backing_files.refuse(EMFILE);
    }
    SECTION("the engine") {
        kernel.store().context().lends = false;
    }
    const Opened opened = open(kAppend);
    CHECK_FALSE(is_backed(opened));
    CHECK(kernel.write(opened.file, "x", 0, kAppend).error == 0);
    CHECK(kernel.store().context().lent == 0);
}

TEST_CASE_METHOD(Fixture, "passthrough: the way of writes changes when the last writer has closed") {
    Topic& settings = *kernel.store().fake_topic("orders");
    const Opened backed = open(kAppend);
    REQUIRE(settings.set("write.path", "daemon"));
    const Opened beside = open(kAppend, kOther);
    CHECK(is_backed(beside));
    close(backed.file);
    CHECK(is_backed(open(kAppend)));
    close(beside.file, kOther);
    // The one that was opened in between is there still.
    CHECK(is_backed(open(kAppend, kOther)));
}

TEST_CASE_METHOD(Fixture, "passthrough: and back, when the last writer through the daemon has closed") {
    Topic& settings = *kernel.store().fake_topic("orders");
    REQUIRE(settings.set("write.path", "daemon"));
    const Opened through = open(kAppend);
    CHECK_FALSE(is_backed(through));
    REQUIRE(settings.set("write.path", "auto"));
    const Opened beside = open(kAppend, kOther);
    CHECK_FALSE(is_backed(beside));
    CHECK(beside.file.node == through.file.node);
    close(through.file);
    close(beside.file, kOther);
    CHECK(is_backed(open(kAppend)));
}

TEST_CASE_METHOD(Fixture, "passthrough: who has it open for reading and writing keeps nobody on one way") {
    const Opened read_write = open(O_RDWR | O_APPEND);
    CHECK_FALSE(is_backed(read_write));
    CHECK(is_backed(open(kAppend, kOther)));
}

TEST_CASE_METHOD(Fixture, "passthrough: a thread that appends again is led to its node at once") {
    const Opened first = open(kAppend);
    REQUIRE(turned);
    OpenFile file = first.file;
    for (int round = 0; round < 3; ++round) {
        close(file);
        const Opened again = open(kAppend);
        CHECK_FALSE(turned);
        CHECK(again.file.node == first.file.node);
        CHECK(again.out.backing_id == first.out.backing_id);
        file = again.file;
    }
}

TEST_CASE_METHOD(Fixture, "passthrough: a thread that appended and now reads is led to a reader node") {
    close(open(kAppend).file);
    REQUIRE(kernel.store().fake_topic("orders")->fake_partition(0)->append(std::as_bytes(std::span("hello", 5))));
    const Opened reader = open(O_RDONLY);
    CHECK(turned);
    CHECK(reader.out.open_flags == FOPEN_DIRECT_IO);
    CHECK(kernel.read(reader.file).text() == "hello");
    close(reader.file);
    // And another thread than that which appended is not led anywhere.
    const Opened others = open(kAppend, kOther);
    CHECK(turned);
    CHECK(is_backed(others));
}

TEST_CASE_METHOD(Fixture, "passthrough: a partition that is made by an open for append has its backing file at once") {
    const Answer answer = kernel.create(topic, "1", kAppend);
    const auto entry = answer.as<fuse_entry_out>();
    const auto out = answer.as<OpenOut>(sizeof(fuse_entry_out));
    CHECK(out.open_flags == kPassthroughFlag);
    CHECK(backing_files.named() == std::set{out.backing_id});
    CHECK(kernel.node(topic, "1", kOther) != entry.nodeid);
}

TEST_CASE_METHOD(Fixture,
                 "passthrough: the writes of a backed open that come to the daemon all the same are appended") {
    const Opened opened = open(kAppend);
    CHECK(kernel.write(opened.file, "hello", 0, kAppend).as<fuse_write_out>().size == 5);
    CHECK(kernel.read_path("orders/0") == "hello");
}

}  // namespace
}  // namespace topicfs::test
