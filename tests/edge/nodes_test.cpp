// The tables of nodes and of turned opens, without requests.
#include "mount/nodes.h"

#include <algorithm>
#include <catch2/catch.hpp>
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

TEST_CASE("TurnedOpens: a writer at a reader node is turned once, and its look-ups lead to the writer node meanwhile") {
    TurnedOpens turned;
    CHECK(turned.role_for(7, 100) == NodeRole::kReader);
    CHECK(turned.turn(7, 100, NodeRole::kReader, NodeRole::kWriter));
    CHECK(turned.role_for(7, 100) == NodeRole::kWriter);
    CHECK(turned.role_for(7, 100) == NodeRole::kWriter);
    CHECK(turned.role_for(7, 101) == NodeRole::kReader);
    CHECK(turned.role_for(8, 100) == NodeRole::kReader);
    CHECK_FALSE(turned.turn(7, 100, NodeRole::kWriter, NodeRole::kWriter));
    CHECK(turned.role_for(7, 100) == NodeRole::kReader);
    CHECK(turned.size() == 0);
}

TEST_CASE("TurnedOpens: a path that leads to the same node again is served as it is, each time") {
    TurnedOpens turned;
    for (int round = 0; round < 3; ++round) {
        CHECK(turned.turn(7, 100, NodeRole::kReader, NodeRole::kWriter));
        CHECK_FALSE(turned.turn(7, 100, NodeRole::kReader, NodeRole::kWriter));
    }
}

TEST_CASE("TurnedOpens: a reader at the writer node is turned too") {
    TurnedOpens turned;
    CHECK(turned.turn(7, 100, NodeRole::kWriter, NodeRole::kReader));
    CHECK(turned.role_for(7, 100) == NodeRole::kReader);
    CHECK_FALSE(turned.turn(7, 100, NodeRole::kReader, NodeRole::kReader));
}

TEST_CASE("TurnedOpens: a thread that the kernel cannot name is never turned") {
    TurnedOpens turned;
    CHECK_FALSE(turned.turn(0, 100, NodeRole::kReader, NodeRole::kWriter));
    CHECK(turned.role_for(0, 100) == NodeRole::kReader);
}

TEST_CASE("TurnedOpens: threads that never come back push each other out, the oldest first") {
    TurnedOpens turned;
    for (std::uint32_t thread = 1; thread <= TurnedOpens::kThreadsMax + 1; ++thread) {
        REQUIRE(turned.turn(thread, 100, NodeRole::kReader, NodeRole::kWriter));
    }
    CHECK(turned.size() == TurnedOpens::kThreadsMax);
    CHECK(turned.role_for(1, 100) == NodeRole::kReader);
    CHECK(turned.role_for(2, 100) == NodeRole::kWriter);
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
