#include "format/given_back.h"

#include "base/byte_order.h"
#include "support/bytes.h"
#include "support/damage.h"
#include "support/golden.h"
#include "unit/format/structure_checks.h"

#include <catch2/catch.hpp>

#include <functional>

namespace topicfs {
namespace {

using test::Bytes;

const GivenBack kGolden = {Position{0x0102030405060708}, Position{0x1112131415161718}, Offset{0x2122232425262728},
                           0xA1B2C3D4};

Bytes encode(const GivenBack& front) {
    const auto bytes = encode_given_back(front);
    return {bytes.begin(), bytes.end()};
}

ErrorCode code_after(const std::function<void(GivenBack&)>& change) {
    GivenBack front = kGolden;
    change(front);
    const auto decoded = decode_given_back(encode(front));
    REQUIRE_FALSE(decoded.has_value());
    return decoded.error().code;
}

TEST_CASE("GivenBack: the golden one decodes to what stands in it, and encoding gives it") {
    const Bytes golden = test::read_golden_hex("given_back.hex");
    REQUIRE(golden.size() == kGivenBackStoredBytes);
    CHECK(decode_given_back(golden).value() == kGolden);
    CHECK(test::hex_dump(encode(kGolden)) == test::hex_dump(golden));
    Bytes longer = golden;
    longer.resize(5000);
    CHECK(decode_given_back(longer).value() == kGolden);
}

TEST_CASE("GivenBack: what begins with another magic number is none") {
    CHECK_FALSE(decode_given_back({}).value());
    Bytes other = encode(kGolden);
    other[0] ^= std::byte{3};  // a batch header's
    CHECK_FALSE(decode_given_back(other).value());
}

TEST_CASE("GivenBack: cut behind its magic number or with a bit flipped there it is damaged") {
    const Bytes good = encode(kGolden);
    test::for_each_truncation(good, [&](const Bytes& cut, std::size_t size) {
        const auto decoded = decode_given_back(cut);
        if (size < 4 ? !decoded || *decoded : decoded || decoded.error().code != ErrorCode::kDamaged) {
            FAIL("cut at byte " << size);
        }
    });
    test::for_each_bit_flip(good, [&](const Bytes& flipped, std::size_t bit) {
        const auto decoded = decode_given_back(flipped);
        if (bit < 32 ? !decoded || *decoded : decoded || decoded.error().code != ErrorCode::kDamaged) {
            FAIL("bit " << bit << " flipped");
        }
    });
    SUCCEED();
}

TEST_CASE("GivenBack: what a later version wrote is newer, unknown compatible flags do no harm") {
    const Bytes good = encode(kGolden);
    constexpr std::size_t kStructureAt = 8;
    const auto decode_with = [&](const Bytes& structure) {
        Bytes whole(good.begin(), good.begin() + kStructureAt);
        whole.insert(whole.end(), structure.begin(), structure.end());
        return decode_given_back(whole);
    };
    const auto structure = std::span(good).subspan(kStructureAt);
    const auto changed = [&](std::size_t at, std::uint32_t value) {
        return decode_with(test::with_field<std::uint32_t>(structure, at, value, 4));
    };
    CHECK(changed(8, 2).error().code == ErrorCode::kNewerFormat);
    CHECK(changed(12, 1).error().code == ErrorCode::kNewerFormat);
    CHECK(changed(16, 0xFFFFFFFF).value() == kGolden);
    CHECK(changed(20, 0xFFFFFFFF).value() == kGolden);
}

TEST_CASE("GivenBack: fields out of bounds are damage") {
    CHECK(code_after([](GivenBack& front) { front.file_end = kGivenBackStoredBytes - 1; }) == ErrorCode::kDamaged);
    CHECK(code_after([](GivenBack& front) { front.file_end = (1ull << 32) + 8; }) == ErrorCode::kDamaged);
    CHECK(code_after([](GivenBack& front) { front.end = Position{front.base.value - 1}; }) == ErrorCode::kDamaged);
    CHECK(code_after([](GivenBack& front) { front.end = Position{1ull << 63}; }) == ErrorCode::kDamaged);
    CHECK(code_after([](GivenBack& front) { front.end_offset = Offset{1ull << 63}; }) == ErrorCode::kDamaged);
    GivenBack largest = kGolden;
    largest.file_end = (1ull << 32) + 7;
    CHECK(decode_given_back(encode(largest)).value() == largest);
    GivenBack smallest = kGolden;
    smallest.file_end = kGivenBackStoredBytes;
    smallest.base = smallest.end;
    CHECK(decode_given_back(encode(smallest)).value() == smallest);
    Bytes two_lengths = encode(kGolden);
    store_le<std::uint32_t>(two_lengths.data() + 4, 4711);
    CHECK(decode_given_back(two_lengths).error().code == ErrorCode::kDamaged);
}

}  // namespace
}  // namespace topicfs
