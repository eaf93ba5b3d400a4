#include "mount/unused_views.h"

#include <fcntl.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "io/fd.h"

using namespace topicfs;

namespace {

// A kernel that writes down which nodes it is to forget.
class Views {
public:
    Views() {
        std::array<int, 2> ends{};
        REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
        read_end = Fd(ends[0]);
        write_end = Fd(ends[1]);
    }
    NodeId look_up() {
        Node view;
        view.kind = NodeKind::kView;
        const NodeId id = nodes.look_up(view)->id;
        unused.looked_up(id);
        return id;
    }
    std::vector<NodeId> pruned() {
        unused.prune(write_end.get());
        std::array<char, 65536> bytes{};
        const ssize_t got = ::read(read_end.get(), bytes.data(), bytes.size());
        if (got < 0) {
            return {};
        }
        std::uint32_t length = 0;
        std::int32_t code = 0;
        std::uint32_t count = 0;
        std::memcpy(&length, bytes.data(), sizeof length);
        std::memcpy(&code, bytes.data() + 4, sizeof code);
        std::memcpy(&count, bytes.data() + 16, sizeof count);
        CHECK(length == static_cast<std::uint32_t>(got));
        CHECK(code == 9);
        REQUIRE(length == 32 + count * sizeof(NodeId));
        std::vector<NodeId> ids(count);
        std::memcpy(ids.data(), bytes.data() + 32, count * sizeof(NodeId));
        return ids;
    }

    NodeTable nodes;
    UnusedViews unused{nodes};
    Fd read_end;
    Fd write_end;
};

}  // namespace

TEST_CASE("UnusedViews: the kernel is told of the oldest ones, but of none that is open or gone") {
    Views views;
    const NodeId open = views.look_up();
    views.nodes.open(open);
    const NodeId gone = views.look_up();
    views.nodes.forget(gone, 1);
    const NodeId oldest = views.look_up();
    for (std::size_t i = 3; i < UnusedViews::kKept; ++i) {
        views.look_up();
    }
    CHECK(views.pruned().empty());
    for (std::size_t i = 0; i < UnusedViews::kBatch; ++i) {
        views.look_up();
    }
    const std::vector<NodeId> told = views.pruned();
    REQUIRE(told.size() == UnusedViews::kBatch - 2);
    CHECK(told.front() == oldest);
    CHECK(told.back() == oldest + UnusedViews::kBatch - 3);
    CHECK(views.pruned().empty());
    views.nodes.close(open);
    std::vector<NodeId> later;
    for (std::size_t i = 0; i < 4 * UnusedViews::kBatch; ++i) {
        views.look_up();
        const std::vector<NodeId> more = views.pruned();
        later.insert(later.end(), more.begin(), more.end());
    }
    CHECK(std::count(later.begin(), later.end(), open) == 1);
}
