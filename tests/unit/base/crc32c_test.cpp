#include "base/crc32c.h"

#include "support/bytes.h"
#include "support/random_content.h"

#include <catch2/catch.hpp>

namespace topicfs {
namespace {

using test::Bytes;

// The byte that `make` gives for each index.
template <typename Make>
Bytes made_bytes(std::size_t count, const Make& make) {
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i) {
        bytes[i] = static_cast<std::byte>(make(i));
    }
    return bytes;
}

void check_both(const Bytes& bytes, std::uint32_t expected) {
    CHECK(crc32c(bytes) == expected);
    CHECK(crc32c_by_tables(bytes) == expected);
}

TEST_CASE("crc32c: gives the examples of RFC 3720 appendix B.4") {
    check_both(Bytes(32), 0x8A9136AA);
    check_both(Bytes(32, std::byte{0xFF}), 0x62A8AB43);
    check_both(made_bytes(32, [](std::size_t i) { return i; }), 0x46DD794E);
    check_both(made_bytes(32, [](std::size_t i) { return 31 - i; }), 0x113FDB5C);
}

TEST_CASE("crc32c: gives the check value that catalogues of checksums name") {
    check_both(test::to_bytes("123456789"), 0xE3069283);
}

TEST_CASE("crc32c: of no bytes is 0") {
    check_both({}, 0);
}

TEST_CASE("crc32c: the instruction and the tables agree at every length and alignment") {
    const Bytes bytes = test::Random().bytes(300);
    for (std::size_t begin = 0; begin < 9; ++begin) {
        for (std::size_t size = 0; size < 280; ++size) {
            const auto part = std::span(bytes).subspan(begin, size);
            REQUIRE(crc32c(part) == crc32c_by_tables(part));
        }
    }
}

TEST_CASE("crc32c: goes on where an earlier one ended") {
    const Bytes bytes = test::Random().bytes(100);
    const auto whole = std::span<const std::byte>(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        REQUIRE(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == crc32c(whole));
        REQUIRE(crc32c_by_tables(whole.subspan(cut), crc32c_by_tables(whole.first(cut))) == crc32c(whole));
    }
}

}  // namespace
}  // namespace topicfs
