// A recovery file: two slots. What decodes must come back when it is encoded again, and the newer slot must be chosen.
#include "format/recovery_point.h"
#include "fuzz/fuzz_input.h"

#include <algorithm>

using namespace topicfs;

namespace {

// Magic and version, then the checksum.
void fix_slot(std::span<std::byte> slot) {
    const auto good = encode_recovery_slot({});
    std::copy_n(good.begin(), 12, slot.begin());
    fuzz::fix_crc(slot, 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    std::vector<std::byte> bytes = input.take_rest();
    if ((choice & 1) != 0) {
        // Two slots out of a short input: the first half of it, and the second.
        std::vector<std::byte> file(kRecoveryFileBytes);
        const std::size_t half = std::min(bytes.size() / 2, kRecoverySlotBytes);
        for (std::size_t slot = 0; slot < 2; ++slot) {
            const auto begin = static_cast<std::ptrdiff_t>(slot * kRecoverySlotStrideBytes);
            std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(slot * half), half, file.begin() + begin);
            if ((choice & (2u << slot)) != 0) {
                fix_slot(std::span(file).subspan(slot * kRecoverySlotStrideBytes, kRecoverySlotBytes));
            }
        }
        bytes = file;
    }
    const std::optional<RecoveryChoice> chosen = choose_recovery_point(bytes);
    bool is_any_valid = false;
    for (std::size_t slot = 0; slot < 2; ++slot) {
        const std::size_t begin = std::min(bytes.size(), slot * kRecoverySlotStrideBytes);
        const Result<RecoveryPoint> point = decode_recovery_slot(std::span(bytes).subspan(begin));
        if (point.has_value()) {
            is_any_valid = true;
            fuzz::require(chosen && chosen->point.sequence >= point->sequence, "no newer slot is passed over");
            fuzz::require(chosen->slot != slot || chosen->point == *point, "the chosen slot is the one named");
            fuzz::require(decode_recovery_slot(encode_recovery_slot(*point)).value() == *point,
                          "encoding gives it back");
        }
    }
    fuzz::require(chosen.has_value() == is_any_valid, "one is chosen where one is valid");
    return 0;
}
