#include "log/layout.h"

#include <catch2/catch.hpp>

using namespace topicfs;

TEST_CASE("Layout: a name says kind and base position") {
    const Position base{kPositionMax};
    CHECK(head_file_name(Position{0}) == "00000000000000000000.head");
    CHECK(segment_file_name(Position{42}, Codec::kNone) == "00000000000000000042.log.lz4");
    CHECK(segment_file_name(Position{42}, Codec::kZstd) == "00000000000000000042.log.zst");
    const auto kind_of = [](const std::string& name) { return parse_partition_file_name(name)->kind; };
    CHECK(kind_of(head_file_name(base)) == PartitionFile::kHead);
    CHECK(kind_of(times_file_name(base)) == PartitionFile::kTimes);
    CHECK(kind_of(index_file_name(base)) == PartitionFile::kIndex);
    CHECK(kind_of(segment_file_name(base, Codec::kLz4)) == PartitionFile::kSegment);
    CHECK(kind_of(kRecoveryFileName) == PartitionFile::kRecovery);
    CHECK(parse_partition_file_name(head_file_name(base))->base == base);
    CHECK(parse_partition_file_name(segment_file_name(base, Codec::kZstd))->codec == Codec::kZstd);
}

TEST_CASE("Layout: other names are none of ours") {
    for (const char* const name :
         {"", "recovery.tmp", "0.head", "00000000000000000000", "00000000000000000000.",
          "00000000000000000000.head.tmp", "0000000000000000000x.head", "99999999999999999999.head",
          "18446744073709551616.head", "-0000000000000000001.head", "000000000000000000000.head",
          "+0000000000000000001.head", " 0000000000000000001.head"}) {
        CAPTURE(name);
        CHECK_FALSE(parse_partition_file_name(name));
    }
}
