// A topic with groups in a store of its own, and readers as they read: each call comes back for all that the last one
// gave.
#pragma once

#include "store/group.h"
#include "unit/store/merged_fixture.h"

#include <topicfs/group.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace topicfs::test {

struct Reading {
    std::shared_ptr<GroupReader> reader;
    std::uint64_t at = 0;

    Result<std::string> try_read(std::size_t bytes = 1u << 20) {
        auto view = reader->fetch(at, bytes);
        if (!view) {
            return view.error();
        }
        at += view->size();
        return Merged::text(*view);
    }
    std::string read(std::size_t bytes = 1u << 20) {
        const auto got = try_read(bytes);
        INFO((got ? std::string() : got.error().message()));
        REQUIRE(got);
        return *got;
    }
    void close() { REQUIRE(reader->close()); }
};

// Partitions 0 to 2 of topic "t", and group "g".
class Groups : public Merged {
public:
    explicit Groups(bool with_group = true) {
        if (with_group) {
            REQUIRE(topic->create_group("g", Attributes{}));
        }
    }
    std::shared_ptr<Group> group(std::string_view name = "g") {
        const auto found = topic->group(name);
        INFO(name << (found ? std::string() : ": " + found.error().message()));
        REQUIRE(found);
        return *found;
    }
    Reading open_reader(std::optional<std::uint32_t> partition = std::nullopt) {
        auto opened = group()->open_reader(partition);
        INFO((opened ? std::string() : opened.error().message()));
        REQUIRE(opened);
        return {*opened};
    }
    std::uint64_t committed(std::uint32_t partition) {
        const auto offset = group()->committed(partition);
        INFO((offset ? std::string() : offset.error().message()));
        REQUIRE(offset);
        return offset->value;
    }
    // As the next process would find it.
    void die() {
        fixture.die();
        open();
    }
};

template <typename T>
ErrorCode code_of(const Result<T>& result) {
    REQUIRE(!result);
    return result.error().code;
}

}  // namespace topicfs::test
