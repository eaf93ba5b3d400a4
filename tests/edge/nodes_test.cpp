// The tables of nodes and of turned opens, without requests.
#include "mount/nodes.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "edge/fake_store.h"
#include "mount/names.h"
#include "mount/turned_opens.h"

namespace topicfs {
namespace {

struct Fixture {
    Fixture() { topic = *store.create_topic("orders", Attributes{}); }

    Node partition_node(NodeKind kind, std::uint64_t start = 0) const {
        Node node;
        node.kind = kind;
        node.topic = topic;
        node.partition = *topic->partition(0);
        node.start = Position{start};
        return node;
    }

    test::FakeStore store;
    std::shared_ptr<Topic> topic;
    NodeTable nodes;
};

TEST_CASE(
    "NodeTable: the same look-up gives the same node while it is known, and a new number after it was forgotten") {
    Fixture fixture;
    const NodeId first = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id;
    CHECK(fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id == first);
    fixture.nodes.forget(first, 1);
    CHECK(fixture.nodes.find(first) != nullptr);
    fixture.nodes.forget(first, 1);
    CHECK(fixture.nodes.find(first) == nullptr);
    CHECK(fixture.nodes.size() == 0);
    CHECK(fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id != first);
}

TEST_CASE("NodeTable: each log start has a reader node of its own, the writer node is one") {
    Fixture fixture;
    const auto reader = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader, 0));
    const auto later_reader = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader, 500));
    const auto writer = fixture.nodes.look_up(fixture.partition_node(NodeKind::kWriter, 0));
    const auto later_writer = fixture.nodes.look_up(fixture.partition_node(NodeKind::kWriter, 500));
    CHECK(reader->id != later_reader->id);
    CHECK(reader->id != writer->id);
    CHECK(writer->id == later_writer->id);
    CHECK(later_writer->start == Position{0});
    CHECK(inode_number(*reader) == inode_number(*later_reader));
    CHECK(inode_number(*reader) == inode_number(*writer));
}

TEST_CASE("NodeTable: the root is never forgotten, unknown ids are ignored, a count too high takes what is there") {
    Fixture fixture;
    fixture.nodes.forget(kRootNode, 1000);
    REQUIRE(fixture.nodes.find(kRootNode) != nullptr);
    CHECK(fixture.nodes.find(kRootNode)->kind == NodeKind::kRoot);
    fixture.nodes.forget(4711, 1);
    const NodeId id = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id;
    fixture.nodes.forget(id, UINT64_MAX);
    CHECK(fixture.nodes.find(id) == nullptr);
}

TEST_CASE("inode_number: nothing in the tree shares a number") {
    Fixture fixture;
    std::vector<std::uint64_t> numbers;
    for (const auto& topic : {std::shared_ptr<Topic>(), fixture.topic}) {
        Node node;
        node.topic = topic;
        node.kind = topic ? NodeKind::kTopic : NodeKind::kRoot;
        numbers.push_back(inode_number(node));
        node.kind = NodeKind::kConfigDirectory;
        numbers.push_back(inode_number(node));
        node.kind = NodeKind::kStatus;
        numbers.push_back(inode_number(node));
        node.kind = NodeKind::kConfigKey;
        for (node.setting = 0; node.setting < topic_setting_infos().size(); ++node.setting) {
            numbers.push_back(inode_number(node));
        }
    }
    numbers.push_back(partition_inode_number(*fixture.topic, 0));
    numbers.push_back(partition_inode_number(*fixture.topic, kPartitionsMax - 1));
    CHECK(inode_number(*fixture.nodes.find(kRootNode)) == 1);
    CHECK(std::count(numbers.begin(), numbers.end(), 0u) == 0);
    std::sort(numbers.begin(), numbers.end());
    CHECK(std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end());
}

TEST_CASE(
    "NodeTable: a reader or backed writer node that is open is given to no other look-up, and is again once closed") {
    const NodeKind kind = GENERATE(NodeKind::kReader, NodeKind::kBackedWriter);
    Fixture fixture;
    const NodeId first = fixture.nodes.look_up(fixture.partition_node(kind))->id;
    CHECK(fixture.nodes.open(first));
    const NodeId second = fixture.nodes.look_up(fixture.partition_node(kind))->id;
    CHECK(second != first);
    CHECK(fixture.nodes.open(second));
    fixture.nodes.close(first);
    CHECK(fixture.nodes.look_up(fixture.partition_node(kind))->id == first);
    CHECK(fixture.nodes.size() == 2);
}

TEST_CASE("NodeTable: a second open of one node is told that it is not alone") {
    Fixture fixture;
    const NodeId id = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id;
    CHECK(fixture.nodes.open(id));
    CHECK_FALSE(fixture.nodes.open(id));
    fixture.nodes.close(id);
    CHECK_FALSE(fixture.nodes.open(id));
    fixture.nodes.close(id);
    // One of the two is still there.
    CHECK(fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id != id);
}

TEST_CASE("NodeTable: all writers through the daemon share their node, also while it is open") {
    Fixture fixture;
    const NodeId id = fixture.nodes.look_up(fixture.partition_node(NodeKind::kWriter))->id;
    fixture.nodes.open(id);
    CHECK(fixture.nodes.look_up(fixture.partition_node(NodeKind::kWriter))->id == id);
}

TEST_CASE("NodeTable: a look-up that asks for a node by its number gets it, if it is one of what is looked up") {
    Fixture fixture;
    Node wanted = fixture.partition_node(NodeKind::kBackedWriter);
    const NodeId first = fixture.nodes.look_up(wanted)->id;
    fixture.nodes.open(first);
    const NodeId second = fixture.nodes.look_up(wanted)->id;
    fixture.nodes.close(first);
    wanted.id = first;
    CHECK(fixture.nodes.look_up(wanted)->id == first);
    wanted.id = second;
    CHECK(fixture.nodes.look_up(wanted)->id == second);
    // A reader is no such node, and a number that is not known is none at all.
    Node reader = fixture.partition_node(NodeKind::kReader);
    reader.id = first;
    CHECK(fixture.nodes.look_up(reader)->kind == NodeKind::kReader);
    wanted.id = 4711;
    CHECK(fixture.nodes.look_up(wanted)->id == second);
}

TEST_CASE("NodeTable: a file that waits at its end has nodes of its own") {
    Fixture fixture;
    Node follow = fixture.partition_node(NodeKind::kReader);
    follow.follow = true;
    const auto reader = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader));
    const auto follower = fixture.nodes.look_up(follow);
    CHECK(follower->id != reader->id);
    CHECK(follower->follow);
    CHECK_FALSE(reader->follow);
    CHECK(inode_number(*follower) == inode_number(*reader));
}

TEST_CASE("NodeTable: a node that is forgotten while it is open is given to nobody after it is closed") {
    Fixture fixture;
    const NodeId id = fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id;
    fixture.nodes.open(id);
    fixture.nodes.forget(id, 1);
    fixture.nodes.close(id);
    CHECK(fixture.nodes.look_up(fixture.partition_node(NodeKind::kReader))->id != id);
    CHECK(fixture.nodes.size() == 1);
}

constexpr auto kReader = NodeRole::kReader;
constexpr auto kWriter = NodeRole::kWriter;
constexpr auto kBackedWriter = NodeRole::kBackedWriter;

TEST_CASE("TurnedOpens: a writer at a reader node is turned once, and its look-ups lead to the writer node meanwhile") {
    const NodeRole wanted = GENERATE(kWriter, kBackedWriter);
    TurnedOpens turned;
    CHECK(turned.expected(7, 100).role == kReader);
    CHECK(turned.turn(7, 100, false, wanted));
    CHECK(turned.expected(7, 100).role == wanted);
    CHECK(turned.expected(7, 100).role == wanted);
    CHECK(turned.expected(7, 101).role == kReader);
    CHECK(turned.expected(8, 100).role == kReader);
    CHECK_FALSE(turned.turn(7, 100, true, wanted));
    CHECK(turned.expected(7, 100).role == kReader);
    CHECK(turned.size() == 0);
}

TEST_CASE("TurnedOpens: both look-ups of one open are given the node that the first was given") {
    TurnedOpens turned;
    CHECK(turned.turn(7, 100, false, kBackedWriter));
    CHECK(turned.expected(7, 100).node == 0);
    turned.chosen(7, 100, 42);
    turned.chosen(7, 101, 43);
    turned.chosen(8, 100, 44);
    CHECK(turned.expected(7, 100).node == 42);
    CHECK(turned.expected(8, 100).node == 0);
    CHECK_FALSE(turned.turn(7, 100, true, kBackedWriter));
    CHECK(turned.expected(7, 100).node == 0);
}

TEST_CASE("TurnedOpens: a path that leads to the same node again is served as it is, each time") {
    TurnedOpens turned;
    for (int round = 0; round < 3; ++round) {
        CHECK(turned.turn(7, 100, false, kWriter));
        CHECK_FALSE(turned.turn(7, 100, false, kWriter));
    }
}

TEST_CASE("TurnedOpens: a reader at the writer node is turned too") {
    TurnedOpens turned;
    CHECK(turned.turn(7, 100, false, kReader));
    CHECK(turned.expected(7, 100).role == kReader);
    CHECK_FALSE(turned.turn(7, 100, true, kReader));
}

TEST_CASE("TurnedOpens: a thread that was turned for something else is turned again") {
    TurnedOpens turned;
    CHECK(turned.turn(7, 100, false, kWriter));
    CHECK(turned.turn(7, 100, false, kReader));
    CHECK(turned.turn(7, 101, false, kReader));
    CHECK_FALSE(turned.turn(7, 101, false, kReader));
}

TEST_CASE("TurnedOpens: a thread that the kernel cannot name is never turned") {
    TurnedOpens turned;
    CHECK_FALSE(turned.turn(0, 100, false, kWriter));
    CHECK(turned.expected(0, 100).role == kReader);
    turned.remember_writer(0, 100, NodeRole::kBackedWriter, 42);
    CHECK(turned.expected(0, 100).role == kReader);
    CHECK(turned.size() == 0);
}

TEST_CASE("TurnedOpens: threads that never come back push each other out, the oldest first") {
    TurnedOpens turned;
    for (std::uint32_t thread = 1; thread <= TurnedOpens::kThreadsMax + 1; ++thread) {
        REQUIRE(turned.turn(thread, 100, false, kWriter));
    }
    CHECK(turned.size() == TurnedOpens::kThreadsMax);
    CHECK(turned.expected(1, 100).role == kReader);
    CHECK(turned.expected(2, 100).role == kWriter);
}

TEST_CASE("TurnedOpens: what an open is to find is kept until its second try, or until the thread is pushed out") {
    TurnedOpens turned;
    auto backing = std::make_shared<int>(0);
    CHECK(turned.turn(7, 100, false, kBackedWriter, backing));
    CHECK(backing.use_count() == 2);
    CHECK_FALSE(turned.turn(7, 100, true, kBackedWriter, backing));
    CHECK(backing.use_count() == 1);
    CHECK(turned.turn(7, 100, false, kBackedWriter, backing));
    for (std::uint32_t thread = 8; thread < 8 + TurnedOpens::kThreadsMax; ++thread) {
        REQUIRE(turned.turn(thread, 100, false, kWriter));
    }
    CHECK(backing.use_count() == 1);
}

TEST_CASE("TurnedOpens: a thread that closed its writer is led to that node at once, until it opens something else") {
    TurnedOpens turned;
    turned.remember_writer(7, 100, NodeRole::kBackedWriter, 42);
    for (int round = 0; round < 2; ++round) {
        CHECK(turned.expected(7, 100).role == kBackedWriter);
        CHECK(turned.expected(7, 100).node == 42);
        CHECK(turned.expected(7, 101).role == kReader);
        CHECK_FALSE(turned.turn(7, 100, true, kBackedWriter));
        CHECK(turned.expected(7, 100).role == kReader);
        turned.remember_writer(7, 100, NodeRole::kBackedWriter, 42);
    }
    // It reads: the node it was led to does not fit, and it is turned as if nothing had been remembered.
    CHECK(turned.turn(7, 100, false, kReader));
    CHECK(turned.expected(7, 100).role == kReader);
    CHECK_FALSE(turned.turn(7, 100, true, kReader));
    CHECK(turned.size() == 0);
}

TEST_CASE("TurnedOpens: what is remembered is no first try") {
    TurnedOpens turned;
    turned.remember_writer(7, 100, NodeRole::kBackedWriter, 42);
    CHECK(turned.turn(7, 100, false, kBackedWriter));
}

TEST_CASE("TurnedOpens: a close of another descriptor does not disturb an open that is on its way") {
    TurnedOpens turned;
    CHECK(turned.turn(7, 100, false, kWriter));
    turned.remember_writer(7, 101, NodeRole::kBackedWriter, 42);
    CHECK(turned.expected(7, 100).role == kWriter);
    CHECK(turned.expected(7, 101).role == kReader);
}

TEST_CASE("partition_number: one name a partition") {
    CHECK(partition_number("0") == 0u);
    CHECK(partition_number("17") == 17u);
    CHECK(partition_number("99999") == 99999u);
    for (const char* name : {"", "00", "017", "+1", "-1", "1 ", " 1", "1a", "all", "100000", "18446744073709551616"}) {
        CAPTURE(name);
        CHECK_FALSE(partition_number(name));
    }
}

}  // namespace
}  // namespace topicfs
