// A times file. What it gives must keep the rules: sequence numbers in turn, positions and times that never fall.
#include "format/times_entry.h"
#include "fuzz/fuzz_input.h"

using namespace topicfs;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kCrcAt = 24;
    constexpr std::size_t kVersionAt = 28;
    fuzz::Input input(data, size);
    const std::uint8_t choice = input.take_byte();
    std::vector<std::byte> bytes = input.take_rest();
    for (std::size_t at = 0; (choice & 1) != 0 && at + kTimesEntryBytes <= bytes.size(); at += kTimesEntryBytes) {
        const auto entry = std::span(bytes).subspan(at, kTimesEntryBytes);
        if ((choice & 2) != 0) {
            // In its own slot, or hardly one would count.
            const std::uint64_t round = load_le<std::uint8_t>(entry.data());
            store_le<std::uint64_t>(entry.data(), round % 4 * kTimesSlots + at / kTimesEntryBytes);
        }
        store_le<std::uint16_t>(entry.data() + kVersionAt, 1);
        fuzz::fix_crc(entry, kCrcAt);
    }
    const std::vector<TimesEntry> entries = decode_times_file(bytes);
    fuzz::require(entries.size() <= bytes.size() / kTimesEntryBytes, "no more entries than there are slots");
    for (std::size_t i = 0; i < entries.size(); ++i) {
        fuzz::require(entries[i].position.value <= kPositionMax, "positions are bounded");
        fuzz::require(decode_times_entry(encode_times_entry(entries[i])).value() == entries[i],
                      "encoding gives it back");
        if (i > 0) {
            const TimesEntry& before = entries[i - 1];
            fuzz::require(entries[i].sequence == before.sequence + 1, "sequence numbers are in turn");
            fuzz::require(entries[i].position >= before.position, "positions never fall");
            fuzz::require(entries[i].time >= before.time, "times never fall");
        }
    }
    return 0;
}
