// /.metrics, and what is counted of requests: kinds, times, errors.
#include <catch2/catch.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>

#include "edge/pretend_kernel.h"
#include "mount/request_counts.h"

namespace topicfs::test {
namespace {

// fuse_in_header, as far as it matters.
Bytes request(std::uint32_t opcode, std::uint64_t unique) {
    fuse_in_header header = {};
    header.len = sizeof header;
    header.opcode = opcode;
    header.unique = unique;
    return body(header);
}

template <typename Times>
std::uint64_t sum(const Times& times) {
    std::uint64_t all = 0;
    for (const std::uint64_t count : times) {
        all += count;
    }
    return all;
}

// The value of that sample; nothing where there is none.
std::string value(const std::string& text, const std::string& sample) {
    const std::string all = "\n" + text;
    const std::size_t at = all.find("\n" + sample + " ");
    if (at == std::string::npos) {
        return "";
    }
    const std::size_t from = at + sample.size() + 2;
    return all.substr(from, all.find('\n', from) - from);
}

// All of it, in requests of a page.
std::string read_whole(PretendKernel& kernel, const OpenFile& file) {
    std::string text;
    for (;;) {
        const std::string piece = kernel.read(file, 4096, text.size()).text();
        text += piece;
        if (piece.empty()) {
            return text;
        }
    }
}

std::string read_metrics(PretendKernel& kernel) {
    const OpenFile file = kernel.open_path(".metrics", O_RDONLY);
    std::string text = read_whole(kernel, file);
    (void)kernel.release(file);
    return text;
}

TEST_CASE("RequestCounts: the time of a request is counted once, when it is answered by who has read it") {
    RequestCounts counts;
    counts.begin(request(FUSE_READ, 6));
    counts.answered(4);  // an earlier one, which had waited
    counts.answered(0);  // a notification
    CHECK(sum(counts.times_of(FUSE_READ)) == 0);
    counts.answered(6);
    counts.answered(6);
    counts.end();
    CHECK(counts.of(FUSE_READ) == 1);
    CHECK(sum(counts.times_of(FUSE_READ)) == 1);
}

TEST_CASE("RequestCounts: what is handed over to be answered later has no time") {
    RequestCounts counts;
    counts.begin(request(FUSE_READ, 6));
    counts.end();
    counts.answers(6, EIO);
    counts.answered(6);
    CHECK(counts.of(FUSE_READ) == 1);
    CHECK(sum(counts.times_of(FUSE_READ)) == 0);
    CHECK(counts.errors_of(EIO) == 1);
}

TEST_CASE("RequestCounts: what has no answer has its time all the same") {
    RequestCounts counts;
    counts.begin(request(FUSE_FORGET, 6));
    counts.end();
    CHECK(sum(counts.times_of(FUSE_FORGET)) == 1);
}

TEST_CASE("RequestCounts: kinds and errors that nobody knows are counted as others") {
    RequestCounts counts;
    counts.begin(request(4096, 6));
    counts.answers(6, 5000);
    counts.answers(8, EIO);
    counts.answers(10, ENOSPC);
    counts.answers(0, EIO);  // a notification
    counts.end();
    CHECK(counts.to_json() == "{\"OTHER\":1}");
    CHECK(counts.errors_to_json() == "{\"other\":1,\"EIO\":1,\"ENOSPC\":1}");
    counts.begin(body(std::uint32_t{8}, std::uint32_t{FUSE_READ}));  // too short for a request
    CHECK(counts.of(FUSE_READ) == 0);
}

TEST_CASE("RequestCounts: a request that took long is in a bucket that says so, and in none below") {
    PretendKernel kernel;
    REQUIRE(kernel.make_directory(FUSE_ROOT_ID, "orders").error == 0);
    const OpenFile file = kernel.open_path("orders/0", O_WRONLY | O_APPEND);
    std::promise<void> came;
    std::promise<void> may_go_on;
    kernel.store().context().before.set(
        [&, go_on = may_go_on.get_future().share()](std::string_view call) -> Result<void> {
            if (call == "append") {
                came.set_value();
                go_on.wait();
            }
            return {};
        });
    fuse_write_in in = {};
    in.fh = file.handle;
    in.size = 1;
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t write = kernel.send(FUSE_WRITE, file.node, body(in, std::byte{'x'}));
    REQUIRE(came.get_future().wait_for(kPatience) == std::future_status::ready);
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(30)) {
        std::this_thread::yield();  // the time itself is what is tried
    }
    CHECK(value(read_metrics(kernel), "topicfs_fuse_request_duration_seconds_count{kind=\"WRITE\"}") == "0");
    may_go_on.set_value();
    CHECK(kernel.receive(write).error == 0);
    kernel.store().context().before.set({});
    // Counted when the answer is out, which may be a moment after it came.
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    std::string text;
    do {
        text = read_metrics(kernel);
    } while (value(text, "topicfs_fuse_request_duration_seconds_count{kind=\"WRITE\"}") != "1" &&
             std::chrono::steady_clock::now() < deadline);
    CHECK(value(text, "topicfs_fuse_requests_total{kind=\"WRITE\"}") == "1");
    CHECK(value(text, "topicfs_fuse_request_duration_seconds_bucket{kind=\"WRITE\",le=\"0.01\"}") == "0");
    CHECK(value(text, "topicfs_fuse_request_duration_seconds_bucket{kind=\"WRITE\",le=\"+Inf\"}") == "1");
    CHECK(std::stod(value(text, "topicfs_fuse_request_duration_seconds_sum{kind=\"WRITE\"}")) >= 0.02);
    CHECK(kernel.finish() == 0);
}

TEST_CASE("/.metrics: the store's figures and the mount's, as they were at the open, of size 0") {
    PretendKernel kernel;
    CHECK(kernel.look_up(FUSE_ROOT_ID, "nothing").error == ENOENT);
    const OpenFile file = kernel.open_path(".metrics", O_RDONLY);
    CHECK(file.open_flags == FOPEN_DIRECT_IO);
    const std::string text = read_whole(kernel, file);
    CHECK(value(text, "fake") == "1");
    CHECK(value(text, "topicfs_fuse_errors_total{errno=\"ENOENT\"}") == "1");
    CHECK(value(text, "topicfs_passthrough") == "0");
    CHECK(value(text, "topicfs_open_handles") == "0");
    CHECK_FALSE(value(text, "topicfs_fuse_requests_total{kind=\"LOOKUP\"}").empty());
    // In pieces, from wherever: what the open saw, although requests have come since.
    CHECK(kernel.read(file, 10, 5).text() == text.substr(5, 10));
    CHECK(kernel.read(file, 100, static_cast<std::uint64_t>(text.size()) - 3).text() == text.substr(text.size() - 3));
    CHECK(kernel.read(file, 100, static_cast<std::uint64_t>(text.size())).text().empty());
    CHECK(read_whole(kernel, file) == text);
    CHECK(kernel.attributes(file.node).as<fuse_attr_out>().attr.size == 0);
    CHECK(kernel.open(file.node, O_WRONLY).error == EPERM);
    kernel.store().context().before.set([](std::string_view call) -> Result<void> {
        return call == "metrics_text" ? Result<void>(system_error(EIO, "status", "")) : Result<void>();
    });
    CHECK(kernel.open(file.node, O_RDONLY).error == EIO);
    CHECK(kernel.finish() == 0);
}

}  // namespace
}  // namespace topicfs::test
