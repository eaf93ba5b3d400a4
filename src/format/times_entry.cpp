#include "format/times_entry.h"

#include "base/byte_order.h"
#include "base/crc32c.h"
#include "format/prologue.h"

#include <algorithm>

namespace topicfs {
namespace {

constexpr char kWhat[] = "a times entry";

constexpr std::size_t kSequenceAt = 0;
constexpr std::size_t kPositionAt = 8;
constexpr std::size_t kTimeAt = 16;
constexpr std::size_t kCrcAt = 24;
constexpr std::size_t kVersionAt = 28;
constexpr std::size_t kReservedAt = 30;
static_assert(kReservedAt + 2 == kTimesEntryBytes);

constexpr std::uint16_t kVersion = 1;

}  // namespace

std::array<std::byte, kTimesEntryBytes> encode_times_entry(const TimesEntry& entry) {
    std::array<std::byte, kTimesEntryBytes> bytes{};
    store_le<std::uint64_t>(bytes.data() + kSequenceAt, entry.sequence);
    store_le<std::uint64_t>(bytes.data() + kPositionAt, entry.position.value);
    store_le<std::int64_t>(bytes.data() + kTimeAt, entry.time.value);
    store_le<std::uint16_t>(bytes.data() + kVersionAt, kVersion);
    store_le<std::uint32_t>(bytes.data() + kCrcAt, crc_without_field(bytes, kCrcAt));
    return bytes;
}

Result<TimesEntry> decode_times_entry(std::span<const std::byte> bytes) {
    if (bytes.size() < kTimesEntryBytes) {
        return damaged_structure(kWhat, "is cut short");
    }
    bytes = bytes.first(kTimesEntryBytes);
    if (load_le<std::uint32_t>(bytes.data() + kCrcAt) != crc_without_field(bytes, kCrcAt)) {
        return damaged_structure(kWhat, "does not match its checksum");
    }
    if (load_le<std::uint16_t>(bytes.data() + kVersionAt) != kVersion) {
        return newer_structure(kWhat);
    }
    TimesEntry entry;
    entry.sequence = load_le<std::uint64_t>(bytes.data() + kSequenceAt);
    entry.position.value = load_le<std::uint64_t>(bytes.data() + kPositionAt);
    entry.time.value = load_le<std::int64_t>(bytes.data() + kTimeAt);
    if (entry.position.value > kPositionMax) {
        return damaged_structure(kWhat, "has an impossible position");
    }
    return entry;
}

std::vector<TimesEntry> decode_times_file(std::span<const std::byte> file) {
    std::vector<TimesEntry> entries;
    for (std::uint64_t slot = 0; slot < kTimesSlots && file.size() >= kTimesEntryBytes; ++slot) {
        const Result<TimesEntry> entry = decode_times_entry(file);
        // An entry in another slot than its own was not written there by a daemon.
        if (entry.has_value() && entry->sequence % kTimesSlots == slot) {
            entries.push_back(*entry);
        }
        file = file.subspan(kTimesEntryBytes);
    }
    std::sort(entries.begin(), entries.end(),
              [](const TimesEntry& a, const TimesEntry& b) { return a.sequence < b.sequence; });
    std::size_t run_begin = entries.empty() ? 0 : entries.size() - 1;
    while (run_begin > 0) {
        const TimesEntry& before = entries[run_begin - 1];
        const TimesEntry& after = entries[run_begin];
        if (before.sequence + 1 != after.sequence || before.position > after.position || before.time > after.time) {
            break;
        }
        --run_begin;
    }
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(run_begin));
    return entries;
}

}  // namespace topicfs
